# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what is to be written fits, counted a filesystem."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .host_layout import Host

_MIB = 1024 * 1024
_GUESS = 64 * _MIB  # bytes of an initramfs on a host that has none to go by
_UNPACKED = 4  # an initramfs' tree is about so many times its compressed size


@dataclass(frozen=True)
class Need:
    """Bytes that will be written below a directory, and what for."""

    directory: str
    size: int
    purpose: str


@dataclass(frozen=True)
class Room:
    """A filesystem's free room and what has to fit into it, in bytes."""

    directory: str
    free: int
    needed: int
    purposes: tuple[str, ...]

    @property
    def enough(self) -> bool:
        """Whether it fits."""
        return self.needed <= self.free

    def __str__(self) -> str:
        return (
            f"{self.directory} has {self.free // _MIB} MiB free and needs"
            f" {-(-self.needed // _MIB)} MiB ({', '.join(self.purposes)})"
        )


def initramfs_size(host: Host, release: str) -> int:
    """Return the bytes to expect of a new initramfs, going by the running kernel's."""
    boot = host.path("/boot")
    own = boot / f"initrd.img-{release}"
    if own.is_file():
        return own.stat().st_size
    others = [file.stat().st_size for file in boot.glob("initrd.img-*") if file.is_file()]
    if others:
        return max(others)
    return _GUESS if host.path("/usr/sbin/update-initramfs").exists() else 0


def needs(
    boot_bytes: int, other_bytes: int, copy_bytes: int, initramfs: int, margin: int
) -> list[Need]:
    """Return what installing a kernel writes; every size in bytes."""
    return [
        Need("/boot", boot_bytes, "kernel"),
        Need("/boot", initramfs, "initramfs"),
        Need("/boot", margin, "margin"),
        Need("/lib/modules", other_bytes, "modules"),
        Need("/var/lib/bpfview", copy_bytes, "package files"),
        Need("/var/tmp", initramfs * _UNPACKED, "building the initramfs"),  # noqa: S108
    ]


def rooms(host: Host, wanted: Sequence[Need]) -> list[Room]:
    """Sum the needs a filesystem and read what is free there for root."""
    by_device: dict[int, list[Need]] = {}
    for need in wanted:
        if need.size:
            device = _existing(host.path(need.directory)).stat().st_dev
            by_device.setdefault(device, []).append(need)
    result = []
    for group in by_device.values():
        state = os.statvfs(_existing(host.path(group[0].directory)))
        result.append(
            Room(
                directory=group[0].directory,
                free=state.f_bavail * state.f_frsize,
                needed=sum(need.size for need in group),
                purposes=tuple(f"{need.purpose} {-(-need.size // _MIB)}" for need in group),
            )
        )
    return result


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path.resolve()
