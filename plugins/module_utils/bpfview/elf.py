# SPDX-License-Identifier: GPL-3.0-or-later
"""The little of ELF that is needed here: sections of a 64-bit little-endian file, and notes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from .errors import BpfviewError

EM_X86_64 = 62
EM_BPF = 247
_NT_GNU_BUILD_ID = 3


@dataclass(frozen=True)
class Section:
    """Where a section's bytes stand in its file; offset and size in bytes."""

    name: str
    kind: int
    offset: int
    size: int


@dataclass(frozen=True)
class Elf:
    """An ELF file's machine number and sections, without their content."""

    path: Path
    machine: int
    sections: tuple[Section, ...]

    def content(self, name: str) -> bytes:
        """Return the bytes of the section ``name``; raises BpfviewError if there is none."""
        for section in self.sections:
            if section.name == name:
                with self.path.open("rb") as stream:
                    stream.seek(section.offset)
                    return stream.read(section.size)
        raise BpfviewError(
            f"{self.path} has no section {name}", "Build it again and look at the build log"
        )


def read_elf(path: Path) -> Elf:
    """Read a file's section table; raises BpfviewError if it is no 64-bit little-endian ELF."""
    try:
        with path.open("rb") as stream:
            header = stream.read(64)
            if len(header) < 64 or header[:6] != b"\x7fELF\x02\x01":
                raise ValueError
            machine = struct.unpack_from("<H", header, 18)[0]
            table = struct.unpack_from("<Q", header, 40)[0]
            entry_size, count, names = struct.unpack_from("<HHH", header, 58)
            stream.seek(table)
            rows = [struct.unpack_from("<IIQQQQ", stream.read(entry_size)) for _ in range(count)]
            stream.seek(rows[names][4])
            strings = stream.read(rows[names][5])
    except (ValueError, struct.error, IndexError) as error:
        raise BpfviewError(
            f"{path} is no 64-bit little-endian ELF file", "Build it again from its source"
        ) from error
    sections = tuple(
        Section(
            strings[row[0] :].split(b"\0", 1)[0].decode("ascii", "replace"), row[1], row[4], row[5]
        )
        for row in rows
    )
    return Elf(path, machine, sections)


def gnu_build_id(notes: bytes) -> str | None:
    """Return the GNU build id, in hexadecimal, in a run of ELF notes; None if there is none.

    The notes are those of a file's ``.notes`` section or of /sys/kernel/notes.
    """
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, at)
        name = notes[at + 12 : at + 12 + name_size]
        start = at + 12 + (name_size + 3) // 4 * 4
        if kind == _NT_GNU_BUILD_ID and name == b"GNU\0":
            return notes[start : start + size].hex()
        at = start + (size + 3) // 4 * 4
    return None
