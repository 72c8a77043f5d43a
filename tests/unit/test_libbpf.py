# SPDX-License-Identifier: GPL-3.0-or-later
"""The C interface, with the real library: what needs no kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import libbpf
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.libbpf import Libbpf, Rejected
from tests.unit.view_fixture import btf_with_enum


@pytest.fixture(name="library")
def _library(tmp_path: Path) -> Libbpf:
    path = tmp_path / "vmlinux"
    path.write_bytes(btf_with_enum("bpf_attach_type", BPF_TRACE_ITER=28, BPF_TRACE_VIEW=44))
    return Libbpf(path)


def test_what_libbpf_says_is_in_the_message(library: Libbpf) -> None:
    with (
        pytest.raises(
            Rejected, match=r"(?s)opening the object of memory.*not a proper ELF"
        ) as caught,
        library.load(b"no object at all", "memory"),
    ):
        pass
    assert f": {os.strerror(caught.value.errno)}\n" in str(caught.value)


def test_a_kernel_without_views_is_told(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(btf_with_enum("bpf_attach_type", BPF_TRACE_ITER=28))
    with pytest.raises(Rejected, match="no BPF_TRACE_VIEW"), Libbpf(path).load(b"", "memory"):
        pass


def test_a_missing_library_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libbpf, "LIBRARY", "libno-such-library.so.1")
    with pytest.raises(BpfviewError, match="Install the package libbpf1"):
        Libbpf(tmp_path)
