# SPDX-License-Identifier: GPL-3.0-or-later
import struct
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import running_kernel
from plugins.module_utils.bpfview.host_layout import Host
from tests.unit.fake_host import btf, notes
from tests.unit.view_fixture import btf as describe
from tests.unit.view_fixture import btf_with_enum


@pytest.mark.parametrize(
    ("data", "build_id"),
    [
        (notes("ab" * 20), "ab" * 20),  # behind another note
        (notes("ab" * 20)[:24], ""),
        (b"\0" * 8, ""),
        (None, ""),
    ],
)
def test_build_id_of_the_running_kernel(tmp_path, data, build_id):
    if data is not None:
        (tmp_path / "sys/kernel").mkdir(parents=True)
        (tmp_path / "sys/kernel/notes").write_bytes(data)
    assert running_kernel.read(Host(tmp_path), "f").build_id == build_id


def test_function_in_btf():
    data = btf("bpf_view_cgroup_other", "bpf_view_cgroup", "x")
    assert running_kernel.btf_has_function(data, "bpf_view_cgroup")
    assert not running_kernel.btf_has_function(data, "bpf_view")
    assert not running_kernel.btf_has_function(data, "absent")


def test_a_name_that_is_no_function_does_not_count():
    data = btf("bpf_view_cgroup").replace(b"\x01\0\0\x0c", b"\x01\0\0\x0e")
    assert not running_kernel.btf_has_function(data, "bpf_view_cgroup")


def test_a_constant_that_is_alone_in_its_enum():
    data = describe("bpf_view_cgroup", BPF_F_VIEW_SUBTREE=1 << 24, OTHER=7)
    assert running_kernel.btf_constant(data, "BPF_F_VIEW_SUBTREE") == 1 << 24
    assert running_kernel.btf_constant(data, "OTHER") == 7
    assert running_kernel.btf_constant(data, "BPF_F_VIEW") is None
    assert running_kernel.btf_constant(data, "bpf_view_cgroup") is None


def test_a_constant_among_others_in_an_enum_with_a_name():
    data = btf_with_enum("bpf_attach_type", BPF_TRACE_ITER=28, BPF_TRACE_VIEW=44, BPF_LAST=45)
    assert running_kernel.btf_constant(data, "BPF_TRACE_ITER") == 28
    assert running_kernel.btf_constant(data, "BPF_TRACE_VIEW") == 44
    assert running_kernel.btf_constant(data, "BPF_LAST") == 45
    assert running_kernel.btf_constant(data, "bpf_attach_type") is None


def test_what_stands_beyond_an_enums_members_is_no_constant_of_it():
    data = btf_with_enum("bpf_attach_type", BPF_TRACE_ITER=28, BPF_TRACE_VIEW=44)
    shorter = data.replace(struct.pack("=I", 6 << 24 | 2), struct.pack("=I", 6 << 24 | 1))
    assert running_kernel.btf_constant(shorter, "BPF_TRACE_ITER") == 28
    assert running_kernel.btf_constant(shorter, "BPF_TRACE_VIEW") is None


def test_the_btf_is_read_once_for_a_constant(tmp_path, monkeypatch):
    path = tmp_path / "vmlinux"
    path.write_bytes(describe(OTHER=7))
    reads = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: reads.append(self) or read(self))
    assert [running_kernel.constant_in(path, "OTHER") for _look in range(3)] == [7, 7, 7]
    assert reads == [path]


@pytest.mark.parametrize("data", [b"", b"\x9f\xeb", b"\0" * 100])
def test_no_btf(data):
    assert not running_kernel.btf_has_function(data, "f")
    assert running_kernel.btf_constant(data, "f") is None


def test_this_machine_has_an_identity():
    running = running_kernel.read(Host(), "no_such_function_anywhere")
    assert running.release
    assert len(running.boot_id) == 36
    assert not running.has_function


def test_taint_in_words():
    assert running_kernel.taint_words(0) == "0"
    assert running_kernel.taint_words(1 << 9 | 1) == "513 (bit 9: warning)"
