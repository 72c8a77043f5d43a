# SPDX-License-Identifier: GPL-3.0-or-later
import struct

import pytest

from plugins.module_utils.bpfview import elf
from plugins.module_utils.bpfview.errors import BpfviewError


def note(name, kind, content):
    padded = name + b"\0" * (-len(name) % 4)
    return (
        struct.pack("<III", len(name), len(content), kind)
        + padded
        + content
        + b"\0" * (-len(content) % 4)
    )


def write_elf(path, machine, sections):
    """Write a 64-bit ELF file that has nothing but sections."""
    names, body, rows = b"\0", b"", [struct.pack("<IIQQQQIIQQ", *[0] * 10)]
    for name, content in {**sections, ".shstrtab": b""}.items():
        at = len(names)
        names += name.encode() + b"\0"
        data = names if name == ".shstrtab" else content
        rows.append(struct.pack("<IIQQQQIIQQ", at, 1, 0, 0, 64 + len(body), len(data), 0, 0, 1, 0))
        body += data
    head = struct.pack(
        "<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 1, machine, 1, 0, 0, 64 + len(body), 0,
        64, 0, 0, 64, len(rows), len(rows) - 1,
    )  # fmt: skip
    path.write_bytes(head + body + b"".join(rows))
    return path


def test_sections_and_their_bytes(tmp_path):
    path = write_elf(tmp_path / "o", elf.EM_BPF, {"view/cgroup": b"code", "license": b"GPL\0"})
    found = elf.read_elf(path)
    assert found.machine == elf.EM_BPF
    assert found.content("view/cgroup") == b"code"
    assert found.content("license") == b"GPL\0"
    with pytest.raises(BpfviewError, match=r"no section \.BTF"):
        found.content(".BTF")


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n" * 20, b"\x7fELF\x02\x01" + b"\xff" * 70])
def test_what_is_no_elf_is_refused_by_name(tmp_path, content):
    path = tmp_path / "thing.o"
    path.write_bytes(content)
    with pytest.raises(BpfviewError, match=r"thing\.o is no 64-bit"):
        elf.read_elf(path)


def test_the_build_id_is_found_among_other_notes():
    identity = bytes(range(20))
    notes = note(b"Xen\0", 6, b"12345") + note(b"GNU\0", 3, identity) + note(b"Linux\0", 1, b"x")
    assert elf.gnu_build_id(notes) == identity.hex()
    assert elf.gnu_build_id(note(b"GNU\0", 1, identity)) is None
    assert elf.gnu_build_id(b"") is None
