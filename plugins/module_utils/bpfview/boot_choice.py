# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host boots next, and from then on: read, or set where that is proved to be safe."""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import kernel_record
from .errors import BpfviewError
from .grub_boot import GrubBoot, panic_timeout
from .host_layout import Host
from .kernel_staging import remember_environment


@dataclass(frozen=True)
class Choice:
    """The releases that are booted; empty for none that can be named."""

    default: str
    one_shot: str

    @property
    def text(self) -> str:
        """For a diff."""
        return f"default: {self.default or '?'}\nnext boot only: {self.one_shot or '-'}\n"


def read(host: Host) -> Choice:
    """Return what is booted."""
    grub = GrubBoot(host)
    default = grub.default_entry()
    armed = grub.variable("next_entry")
    entry = grub.config().resolve(armed) if armed else None
    return Choice(default.release if default else "", entry.release if entry else armed)


def obstacles(host: Host, running: str) -> list[str]:
    """Say why a one-shot boot cannot be proved to work on the host; empty if it can."""
    record = kernel_record.read(host)
    armed = record.trial.entry if record.trial else ""
    found = GrubBoot(host).obstacles(running, armed, fresh=not record.before)
    return found or _unproved(host, running)


def _unproved(host: Host, running: str) -> list[str]:
    """What staging puts in place, and nobody has yet."""
    grub = GrubBoot(host)
    config = grub.config()
    default = grub.default_entry()
    found = []
    if not config.uses_saved_entry:
        found.append("GRUB_DEFAULT is not saved: a one-shot boot would not be followed by it")
    if default is None or default.release != running:
        found.append(f"the running kernel {running} is not the default, so it would not come back")
    entry = config.entry_for(running)
    if entry is None or panic_timeout(entry) == 0:
        found.append("the boot entries have no panic=, so a panic would not end the boot")
    return found


def wanted(now: Choice, state: str, release: str) -> Choice:
    """Return what a state comes to: ``default``, ``armed`` or ``disarmed``."""
    if state == "default":
        return replace(now, default=release)
    return replace(now, one_shot=release if state == "armed" else "")


def apply(host: Host, choice: Choice, now: Choice) -> None:
    """Set what is booted, by entry id, and read it back; BpfviewError where that cannot be."""
    grub = GrubBoot(host)
    record = kernel_record.read(host)
    if choice.default != now.default:
        entry = grub.config().entry_for(choice.default)
        if entry is None:
            raise BpfviewError(
                f"{choice.default} has no entry of its own in the boot menu",
                "Name a release as uname -r says it; ls /boot/vmlinuz-* shows them",
            )
        remember_environment(host, grub, record)
        grub.set_variables({"saved_entry": entry.path})
        grub.assert_default(choice.default)
    if choice.one_shot != now.one_shot:
        remember_environment(host, grub, record)
        if choice.one_shot:
            grub.arm(choice.one_shot)
        else:
            grub.set_variables({"next_entry": None})
