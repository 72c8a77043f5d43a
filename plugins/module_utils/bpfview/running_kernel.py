# SPDX-License-Identifier: GPL-3.0-or-later
"""The running kernel's identity, read off the host."""

from __future__ import annotations

import os
import struct
from dataclasses import asdict, dataclass

from . import elf
from .host_layout import Host

_BTF_MAGIC = 0xEB9F
_BTF_ENUM = 6
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


@dataclass(frozen=True)
class _Btf:
    """Where types and names stand in BTF.

    It is searched for the bytes of a type instead of walked: a hundred thousand types would take
    seconds on an emulated host.
    """

    data: bytes
    types: range
    names: range

    def name(self, word: str) -> int | None:
        """Return the offset by which types name the word."""
        found = self.data.find(b"\0" + word.encode() + b"\0", self.names.start, self.names.stop)
        return None if found < 0 else found + 1 - self.names.start

    def find(self, pattern: bytes) -> int | None:
        """Return where a type's bytes begin."""
        position = self.data.find(pattern, self.types.start, self.types.stop)
        while position >= 0:
            if (position - self.types.start) % 4 == 0:
                return position
            position = self.data.find(pattern, position + 1, self.types.stop)
        return None


def _read_btf(btf: bytes) -> _Btf | None:
    if len(btf) < 24:
        return None
    magic, _version, _flags, header, type_at, type_size, name_at, name_size = struct.unpack_from(
        "=HBBIIIII", btf
    )
    if magic != _BTF_MAGIC:
        return None
    types, names = header + type_at, header + name_at
    return _Btf(btf, range(types, types + type_size), range(names, names + name_size))


def btf_has_function(btf: bytes, function: str) -> bool:
    """Tell whether BTF describes a function of that name."""
    known = _read_btf(btf)
    name = known.name(function) if known else None
    if known is None or name is None:
        return False
    patterns = (
        struct.pack("=II", name, _BTF_FUNC << 24 | linkage) for linkage in range(_BTF_LINKAGES)
    )
    return any(known.find(pattern) is not None for pattern in patterns)


def btf_lone_constant(btf: bytes, constant: str) -> int | None:
    """Return a constant's value that is the only one of an enum without name; None if not there."""
    known = _read_btf(btf)
    name = known.name(constant) if known else None
    if known is None or name is None:
        return None
    head = struct.pack("=IIII", 0, _BTF_ENUM << 24 | 1, 4, name)
    found = known.find(head)
    return None if found is None else int(struct.unpack_from("=I", btf, found + len(head))[0])


def faults(mask: int) -> int:
    """Return the part of a taint mask that says that something went wrong."""
    return mask & _FAULT_MASK


def taint_words(mask: int) -> str:
    """Say in words what a taint mask says."""
    words = [f"bit {bit}: {word}" for bit, word in TAINT_FAULTS.items() if mask >> bit & 1]
    return f"{mask} ({', '.join(words)})" if words else str(mask)
