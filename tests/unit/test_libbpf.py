# SPDX-License-Identifier: GPL-3.0-or-later
"""The C interface, with the real library: what needs no kernel."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import libbpf
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.libbpf import Libbpf, Rejected

ENUM = 6 << 24


def btf_with_enum(name: str, **members: int) -> bytes:
    """BTF of one enum."""
    names = b"\0" + b"".join(word.encode() + b"\0" for word in (name, *members))

    def at(word: str) -> int:
        return names.index(b"\0" + word.encode() + b"\0") + 1

    types = struct.pack("=III", at(name), ENUM | len(members), 4)
    types += b"".join(struct.pack("=Ii", at(word), value) for word, value in members.items())
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names))
    return header + types + names


@pytest.fixture(name="library")
def _library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Libbpf:
    path = tmp_path / "vmlinux"
    path.write_bytes(btf_with_enum("bpf_attach_type", BPF_TRACE_ITER=28, BPF_TRACE_VIEW=44))
    monkeypatch.setattr(libbpf, "BTF", str(path))
    return Libbpf()


def test_an_enumerators_value_comes_from_btf(library: Libbpf) -> None:
    assert library.enum_value("bpf_attach_type", "BPF_TRACE_VIEW") == 44
    assert library.enum_value("bpf_attach_type", "BPF_ELSE") is None
    assert library.enum_value("no_such_type", "BPF_TRACE_VIEW") is None


def test_what_libbpf_says_is_in_the_message(library: Libbpf) -> None:
    with (
        pytest.raises(Rejected, match=r"(?s)opening the object of memory.*not a proper ELF"),
        library.load(b"no object at all", "memory"),
    ):
        pass


def test_a_kernel_without_views_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Libbpf
) -> None:
    path = tmp_path / "other"
    path.write_bytes(btf_with_enum("bpf_attach_type", BPF_TRACE_ITER=28))
    monkeypatch.setattr(libbpf, "BTF", str(path))
    with pytest.raises(Rejected, match="no BPF_TRACE_VIEW"), library.load(b"", "memory"):
        pass


def test_a_missing_library_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libbpf, "LIBRARY", "libno-such-library.so.1")
    with pytest.raises(BpfviewError, match="Install the package libbpf1"):
        Libbpf()
