# SPDX-License-Identifier: GPL-3.0-or-later
"""The running kernel's identity, read off the host."""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from . import elf
from .host_layout import Host

BTF = "/sys/kernel/btf/vmlinux"
_BTF_MAGIC = 0xEB9F
_BTF_ENUM = 6
_BTF_ENUM_SIZE = 4  # bytes of a value
_BTF_KINDS = 0x1F
_BTF_MEMBERS = 0xFFFF
_BTF_FUNC = 12
_BTF_LINKAGES = 3  # static, global, extern
_BTF_HEAD = struct.Struct("=III")  # name, kind and number of members, size
_BTF_ENUMERATOR = struct.Struct("=II")  # name, value

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
        has_function=btf_has_function(_bytes(host, BTF), function),
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

    def find(self, pattern: bytes) -> Iterator[int]:
        """Yield where the bytes of a type, or of a part of one, begin."""
        position = self.data.find(pattern, self.types.start, self.types.stop)
        while position >= 0:
            if (position - self.types.start) % 4 == 0:
                yield position
            position = self.data.find(pattern, position + 1, self.types.stop)

    def is_enumerator(self, position: int) -> bool:
        """Tell whether the head of an enum stands so far before that it holds what begins here."""
        first = position - _BTF_HEAD.size
        for before, head in enumerate(range(first, self.types.start - 1, -_BTF_ENUMERATOR.size)):
            _name, info, size = _BTF_HEAD.unpack_from(self.data, head)
            if info >> 24 & _BTF_KINDS == _BTF_ENUM and size == _BTF_ENUM_SIZE:
                return bool(before < info & _BTF_MEMBERS)
            if before == _BTF_MEMBERS:
                break
        return False


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
    return any(True for pattern in patterns for _found in known.find(pattern))


def btf_constant(btf: bytes, constant: str) -> int | None:
    """Return the value of a constant of any enum, None if there is no such."""
    known = _read_btf(btf)
    name = known.name(constant) if known else None
    if known is None or name is None:
        return None
    for position in known.find(struct.pack("=I", name)):
        if known.is_enumerator(position):
            return int(_BTF_ENUMERATOR.unpack_from(btf, position)[1])
    return None


@functools.cache
def constant_in(path: Path, constant: str) -> int | None:
    """Return a constant of the kernel whose BTF is at a path, read once a run; OSError if none."""
    return btf_constant(path.read_bytes(), constant)


def faults(mask: int) -> int:
    """Return the part of a taint mask that says that something went wrong."""
    return mask & _FAULT_MASK


def taint_words(mask: int) -> str:
    """Say in words what a taint mask says."""
    words = [f"bit {bit}: {word}" for bit, word in TAINT_FAULTS.items() if mask >> bit & 1]
    return f"{mask} ({', '.join(words)})" if words else str(mask)
