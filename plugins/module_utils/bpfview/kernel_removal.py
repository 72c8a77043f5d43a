# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the toolkit's kernels and its GRUB settings away, and leave the host as it was found."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from . import apt_protection, debian_packages, kernel_record, trial_units
from .errors import BpfviewError
from .grub_boot import GRUBENV, VARIABLES, GrubBoot
from .grub_config import GrubConfig
from .grub_defaults import DROP_IN
from .host_layout import Host, remove_durably
from .kernel_record import Record

# The release of every kernel we build says so, which finds them even without a record.
_MARK = "-bpfview-"
_PATTERNS = (f"linux-image-*{_MARK}*", f"linux-headers-*{_MARK}*")
_DIRECTORIES = ("/etc/bpfview", "/usr/lib/bpfview", "/var/lib/bpfview")
_LEFT_OVERS = (
    "/boot/vmlinuz-{0}",
    "/boot/initrd.img-{0}",
    "/boot/System.map-{0}",
    "/boot/config-{0}",
    "/var/lib/initramfs-tools/{0}",
)


@dataclass(frozen=True)
class Holdings:
    """What of the toolkit is on a host."""

    packages: tuple[str, ...]
    releases: tuple[str, ...]
    settings: tuple[str, ...]  # files and directories besides the packages
    running: str
    record: Record

    @property
    def nothing(self) -> bool:
        """Whether the host holds nothing of ours."""
        return not (self.packages or self.settings)

    @property
    def in_use(self) -> bool:
        """Whether the host runs one of the kernels that are to go."""
        return self.running in self.releases


def holdings(host: Host) -> Holdings:
    """Find out what is on the host."""
    record = kernel_record.read(host)
    recorded = [name for names in record.installed.values() for name in names]
    packages = tuple(
        sorted(
            name
            for name in debian_packages.known(host, [*_PATTERNS, *recorded])
            if name not in record.foreign
        )
    )
    releases = {name.split("-", 2)[2] for name in packages if name.startswith("linux-image-")}
    paths = (DROP_IN, apt_protection.DROP_IN, *trial_units.PATHS, *_DIRECTORIES)
    return Holdings(
        packages=packages,
        releases=tuple(sorted(releases)),
        settings=tuple(path for path in paths if host.path(path).exists()),
        running=host.text("/proc/sys/kernel/osrelease").strip() or os.uname().release,
        record=record,
    )


def successor(config: GrubConfig, found: Holdings, host: Host) -> str:
    """Return the release to boot instead of ours; BpfviewError if the host has no other kernel."""
    candidates = [
        entry.release
        for entry in config.entries()
        if entry.release
        and entry.release not in found.releases
        and config.entry_for(entry.release)
        and host.path(f"/boot/vmlinuz-{entry.release}").is_file()
    ]
    if not candidates:
        raise BpfviewError(
            f"The host runs {found.running} and has no other kernel with a GRUB entry",
            "Install one, for instance linux-image-amd64, then run again",
        )
    preferred = (found.running, found.record.fallback, candidates[0])
    return next(release for release in preferred if release in candidates)


def hand_over(host: Host, found: Holdings) -> tuple[str, bool]:
    """Make another kernel the default; return it and whether that changed anything."""
    grub = GrubBoot(host)
    config = grub.config()
    release = successor(config, found, host)
    entry = config.entry_for(release)
    if not config.uses_saved_entry or entry is None:
        raise BpfviewError(
            "GRUB does not boot what its environment block says (GRUB_DEFAULT is not saved)",
            f"Boot {release} by hand, then run again",
        )
    changed = grub.set_variables({"saved_entry": entry.path, "next_entry": None})
    grub.assert_default(release)
    return release, changed


def remove(host: Host, found: Holdings) -> None:
    """Remove everything; only for a host that does not run one of our kernels.

    Packages go first, while the default is still pinned to a kernel that stays.
    """
    grub = GrubBoot(host)
    trial_units.remove(host)
    if found.packages:
        if grub.config().uses_saved_entry:
            hand_over(host, found)
        debian_packages.purge(host, found.packages)
    for release in found.releases:
        remove_left_overs(host, release)
    if grub.remove_settings() or found.packages or found.record.before:
        grub.renew_config(grub.variable("saved_entry"), "")
    _restore_environment(host, grub, found)
    apt_protection.release_all(host)
    for directory in _DIRECTORIES:
        shutil.rmtree(host.path(directory), ignore_errors=True)
    os.sync()


def remove_left_overs(host: Host, release: str) -> None:
    """Remove the files of a kernel that outlive its packages."""
    for pattern in _LEFT_OVERS:
        remove_durably(host.path(pattern.format(release)))
    shutil.rmtree(host.path(f"/lib/modules/{release}"), ignore_errors=True)


def _restore_environment(host: Host, grub: GrubBoot, found: Holdings) -> None:
    record = found.record
    if record.made_environment:
        remove_durably(host.path(GRUBENV))
    elif record.before:
        former = {name: record.before.get(name) for name in VARIABLES}
        # Where a record was lost, what came "before" may already name a kernel of ours.
        gone = [name for name, value in former.items() if _names(value, found.releases)]
        grub.set_variables({**former, **dict.fromkeys(gone)})


def _names(value: str | None, releases: tuple[str, ...]) -> bool:
    return any(release in (value or "") for release in releases)
