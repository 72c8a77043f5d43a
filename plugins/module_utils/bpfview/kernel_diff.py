# SPDX-License-Identifier: GPL-3.0-or-later
"""What `--diff` shows of a host's kernels, before and after."""

from __future__ import annotations

from .grub_defaults import DROP_IN
from .kernel_plan import REBOOTS, Action
from .kernel_removal import Holdings
from .kernel_survey import Settings, Survey
from .kernel_wanted import WantedKernel

_HEADER = "kernels and boot settings"


def _diff(before: list[str], after: list[str]) -> dict[str, str]:
    return {
        "before_header": _HEADER,
        "after_header": _HEADER,
        "before": "".join(f"{line}\n" for line in before),
        "after": "".join(f"{line}\n" for line in after),
    }


def staging(wanted: WantedKernel, found: Survey, settings: Settings, arm: bool) -> dict[str, str]:
    """Show what staging changes now; what the trial boot changes after it is kernel_confirm's."""
    situation = found.situation
    settled = situation.settings_current and situation.default_release == found.pin
    names = sorted(wanted.digests) or [f"linux-image-{wanted.release}"]
    present = found.action is not Action.STAGE
    before = [
        f"running: {situation.running.release}",
        f"default: {situation.default_release}",
        f"next boot only: {situation.one_shot or 'default'}",
        *(f"package {name}: {'installed' if present else 'absent'}" for name in names),
        f"{DROP_IN}: {'current' if situation.settings_current else 'absent or old'}",
    ]
    if found.action in (Action.UNCHANGED, Action.CONFIRM):
        return _diff(before, before)
    once = wanted.release if arm and found.action in REBOOTS else "default"
    after = [
        f"running: {situation.running.release}",
        f"default: {found.pin}" if not settled else before[1],
        f"next boot only: {once}",
        *(f"package {name}: installed" for name in names),
        f"{DROP_IN}: current",
    ]
    # The panic time-out is part of what becomes current.
    if not situation.settings_current:
        after.append(f"kernel command line: panic={settings.panic_timeout}")
    return _diff(before, after)


def removal(found: Holdings, successor: str) -> dict[str, str]:
    """Show what of the toolkit goes, or which kernel has to be booted first."""
    if successor:
        return _diff([f"default: {found.running}"], [f"default: {successor}", "reboot: required"])
    before = [f"package {name}: installed" for name in found.packages]
    before += [f"{path}: present" for path in found.settings]
    return _diff(before, [])
