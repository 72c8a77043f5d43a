# SPDX-License-Identifier: GPL-3.0-or-later
"""Install a kernel beside the running one and arm its one boot.

Every step leaves a host that boots the kernel it ran before, whenever the power goes.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from . import apt_protection, debian_packages, host_health, kernel_record, trial_units
from .debian_packages import PackageFile
from .digest import sha256_file
from .errors import BpfviewError
from .grub_boot import VARIABLES, GrubBoot
from .host_layout import Host
from .kernel_plan import REBOOTS, Action
from .kernel_record import Record, Trial
from .kernel_survey import PACKAGES, Settings, Survey, is_complete
from .kernel_wanted import WantedKernel
from .trial_record import Guard


@dataclass(frozen=True)
class Staged:
    """What staging did."""

    changed: bool
    installed: tuple[str, ...]  # package names
    armed: str  # boot entry of the one-shot; empty if none was armed


def stage(host: Host, wanted: WantedKernel, found: Survey, settings: Settings, arm: bool) -> Staged:
    """Do what the survey found to be done, up to but without the reboot."""
    grub = GrubBoot(host)
    record = found.situation.record
    installing = found.action is Action.STAGE
    if installing:
        _verify(host, wanted)
    changed = remember_environment(host, grub, record)
    keep = (found.pin, wanted.release, record.proven, record.fallback)
    changed |= apt_protection.protect(host, keep)
    changed |= grub.pin(found.pin, settings.panic_timeout)
    if installing:
        _install(host, grub, wanted, found.pin, record)
        changed = True
    entry = ""
    if arm and found.action in REBOOTS:
        entry = _arm(host, wanted, found, record, settings.guard)
        changed = True
    return Staged(changed, tuple(wanted.digests) if installing else (), entry)


def _verify(host: Host, wanted: WantedKernel) -> None:
    """Check every package file before anything else happens; a wrong one is taken away."""
    for package in wanted.packages:
        file = _file(host, package)
        remedy = "Check the manifest, then run again; the host was not changed"
        try:
            digest = sha256_file(file)
        except OSError as error:
            raise BpfviewError(
                f"{package.file} did not arrive: {error.strerror}", "Run again"
            ) from error
        if digest != package.sha256:
            file.unlink()
            raise BpfviewError(
                f"{package.file} has SHA-256 {digest}, its manifest says {package.sha256}", remedy
            )
        identity = (package.package, package.version, package.architecture)
        inside = debian_packages.fields(host, file)
        if inside != identity:
            raise BpfviewError(
                f"{package.file} holds {' '.join(inside)} instead of {' '.join(identity)}", remedy
            )


def remember_environment(host: Host, grub: GrubBoot, record: Record) -> bool:
    """Note, once, what GRUB's variables were, for the removal to restore.

    Tells whether it did, which is before the first change of any. An armed one-shot is none to
    restore: months later it would be a boot that nobody asked for.
    """
    if record.before:
        return False
    environment = grub.environment()
    record.before = {
        name: environment.get(name) if environment and environment.has(name) else None
        for name in VARIABLES
    }
    if record.before["next_entry"]:
        record.before["next_entry"] = ""
    record.made_environment = environment is None
    kernel_record.write(host, record)
    grub.make_environment()
    return True


def _install(host: Host, grub: GrubBoot, wanted: WantedKernel, pin: str, record: Record) -> None:
    ours = record.installed.get(wanted.release, {})
    present = debian_packages.known(host, list(wanted.digests))
    record.foreign += [
        name for name, (status, _) in present.items() if status != "rc" and name not in ours
    ]
    record.installed[wanted.release] = wanted.digests
    kernel_record.write(host, record)
    debian_packages.install(host, [_file(host, package) for package in wanted.packages])
    grub.renew_config(grub.variable("saved_entry"), pin)
    grub.assert_default(pin)
    if not is_complete(host, wanted):
        raise BpfviewError(
            f"{wanted.release} was installed, but its image, initramfs or boot entry is missing",
            "The host still boots the kernel it runs. Look at update-initramfs and update-grub",
        )
    shutil.rmtree(host.path(PACKAGES), ignore_errors=True)


def _file(host: Host, package: PackageFile) -> Path:
    return host.path(f"{PACKAGES}/{package.file}")


def _arm(
    host: Host, wanted: WantedKernel, found: Survey, record: Record, guard: Guard | None
) -> str:
    grub = GrubBoot(host)
    entry = grub.config().entry_for(wanted.release)
    if guard:
        guard = replace(
            guard,
            failed_before=host_health.failed_units(host),
            said_before=host_health.kinds(host_health.reports(host)),
        )
    running = found.situation.running
    record.trial = Trial(
        release=wanted.release,
        build_id=wanted.build_id,
        entry=entry.path if entry else "",
        boot_id_before=running.boot_id,
        taint_before=running.taint,
        previous=found.pin,
        guard=guard,
    )
    record.decided = None
    kernel_record.write(host, record)
    if guard:
        trial_units.install(host, guard.confirm_seconds)
    return grub.arm(wanted.release)
