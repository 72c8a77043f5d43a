# SPDX-License-Identifier: GPL-3.0-or-later
"""The running kernel's identity, read off the host."""

from __future__ import annotations

import os
import struct
from dataclasses import asdict, dataclass

from . import elf
from .host_layout import Host

_BTF_MAGIC = 0xEB9F
_BTF_FUNC = 12
_BTF_LINKAGES = 3  # static, global, extern

# Bits of /proc/sys/kernel/tainted that say something went wrong while this kernel ran, by the
# kernel's admin-guide/tainted-kernels. The others tell what somebody loaded into it, overrode or
# asked for (a proprietary, out-of-tree, unsigned or staging module, an ACPI table).
TAINT_FAULTS = {4: "machine check", 5: "bad page", 7: "oops", 9: "warning", 14: "soft lockup"}
_FAULT_MASK = sum(1 << bit for bit in TAINT_FAULTS)


@dataclass(frozen=True)
class RunningKernel:
    """What tells one boot of one build from every other."""

    release: str
    build_id: str  # hexadecimal; empty if the kernel carries none
    boot_id: str
    arguments: tuple[str, ...]
    taint: int  # bit mask
    has_function: bool  # whether its BTF describes the function asked for

    def facts(self) -> dict[str, object]:
        """The same as plain data."""
        return {**asdict(self), "arguments": list(self.arguments)}


def read(host: Host, function: str) -> RunningKernel:
    """Read the identity; ``function`` is the kernel function whose BTF is looked for."""
    return RunningKernel(
        release=host.text("/proc/sys/kernel/osrelease").strip() or os.uname().release,
        build_id=elf.gnu_build_id(_bytes(host, "/sys/kernel/notes")) or "",
        boot_id=host.text("/proc/sys/kernel/random/boot_id").strip(),
        arguments=tuple(host.text("/proc/cmdline").split()),
        taint=int(host.text("/proc/sys/kernel/tainted").strip() or 0),
        has_function=btf_has_function(_bytes(host, "/sys/kernel/btf/vmlinux"), function),
    )


def _bytes(host: Host, absolute: str) -> bytes:
    try:
        return host.path(absolute).read_bytes()
    except OSError:
        return b""


def btf_has_function(btf: bytes, function: str) -> bool:
    """Tell whether BTF describes a function of that name.

    It searches for the bytes of such a type instead of walking a hundred thousand types,
    which would take seconds on an emulated host.
    """
    if len(btf) < 24:
        return False
    magic, _version, _flags, header, type_at, type_size, name_at, name_size = struct.unpack_from(
        "=HBBIIIII", btf
    )
    if magic != _BTF_MAGIC:
        return False
    names = header + name_at
    found = btf.find(b"\0" + function.encode() + b"\0", names, names + name_size)
    if found < 0:
        return False
    types = header + type_at
    for linkage in range(_BTF_LINKAGES):
        pattern = struct.pack("=II", found + 1 - names, _BTF_FUNC << 24 | linkage)
        position = btf.find(pattern, types, types + type_size)
        while position >= 0:
            if (position - types) % 4 == 0:
                return True
            position = btf.find(pattern, position + 1, types + type_size)
    return False


def faults(mask: int) -> int:
    """Return the part of a taint mask that says that something went wrong."""
    return mask & _FAULT_MASK


def taint_words(mask: int) -> str:
    """Say in words what a taint mask says."""
    words = [f"bit {bit}: {word}" for bit, word in TAINT_FAULTS.items() if mask >> bit & 1]
    return f"{mask} ({', '.join(words)})" if words else str(mask)
