# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of our kernels a host keeps, and taking the others away."""

from __future__ import annotations

from collections.abc import Collection

from . import debian_packages, kernel_record, kernel_removal
from .errors import BpfviewError
from .grub_boot import GrubBoot
from .host_layout import Host
from .kernel_record import Record

LEAST = 2  # the one that runs, and one to go back to


def check(keep: int) -> None:
    """Raise BpfviewError if so few kernels leave none to go back to."""
    if keep < LEAST:
        raise BpfviewError(
            f"kernel_install_keep is {keep}, with which a host could not go back",
            f"Set it to {LEAST} or more",
        )


def surplus(record: Record, needed: Collection[str], keep: int) -> list[str]:
    """Return the releases to take away, the least wanted first.

    ``needed`` are never among them. Kernels that never proved themselves go before those that did,
    and these in the order in which they were proven. BpfviewError if ``keep`` is below 2.
    """
    check(keep)
    proven = [release for release in record.history if release in record.installed]
    unproven = sorted(release for release in record.installed if release not in proven)
    ordered = [*unproven, *proven]
    spare = [release for release in ordered if release not in needed]
    return spare[: max(0, len(ordered) - keep)]


def needed(host: Host, record: Record) -> set[str]:
    """Return what a host cannot do without: running, default, proven, fallback, on trial."""
    default = GrubBoot(host).default_entry()
    found = {
        host.text("/proc/sys/kernel/osrelease").strip(),
        default.release if default else "",
        record.proven,
        record.fallback,
        record.trial.release if record.trial else "",
    }
    return found - {""}


def remove(host: Host, releases: Collection[str]) -> None:
    """Take kernels of ours away; what the host boots is the same afterwards, or BpfviewError."""
    grub = GrubBoot(host)
    record = kernel_record.read(host)
    default = grub.default_entry()
    pin = default.release if default else ""
    recorded = [name for release in releases for name in record.installed[release]]
    names = [name for name in debian_packages.known(host, recorded) if name not in record.foreign]
    if names:
        debian_packages.purge(host, names)
    for release in releases:
        kernel_removal.remove_left_overs(host, release)
        record.installed.pop(release)
    record.history = [release for release in record.history if release in record.installed]
    grub.renew_config(grub.variable("saved_entry"), pin)
    grub.assert_default(pin)
    kernel_record.write(host, record)
