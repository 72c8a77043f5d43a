# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from plugins.module_utils.bpfview import running_kernel
from plugins.module_utils.bpfview.host_layout import Host
from tests.unit.fake_host import btf, notes
from tests.unit.view_fixture import btf as describe


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
    assert running_kernel.btf_lone_constant(data, "BPF_F_VIEW_SUBTREE") == 1 << 24
    assert running_kernel.btf_lone_constant(data, "OTHER") == 7
    assert running_kernel.btf_lone_constant(data, "BPF_F_VIEW") is None
    assert running_kernel.btf_lone_constant(data, "bpf_view_cgroup") is None


@pytest.mark.parametrize("data", [b"", b"\x9f\xeb", b"\0" * 100])
def test_no_btf(data):
    assert not running_kernel.btf_has_function(data, "f")
    assert running_kernel.btf_lone_constant(data, "f") is None


def test_this_machine_has_an_identity():
    running = running_kernel.read(Host(), "no_such_function_anywhere")
    assert running.release
    assert len(running.boot_id) == 36
    assert not running.has_function


def test_taint_in_words():
    assert running_kernel.taint_words(0) == "0"
    assert running_kernel.taint_words(1 << 9 | 1) == "513 (bit 9: warning)"
