# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from plugins.module_utils.bpfview import host_room
from plugins.module_utils.bpfview.host_layout import Host
from plugins.module_utils.bpfview.host_room import Room

MIB = 1024 * 1024


def boot(tmp_path, **sizes):
    (tmp_path / "boot").mkdir()
    for name, size in sizes.items():
        (tmp_path / "boot" / f"initrd.img-{name}").write_bytes(b"x" * size)
    return Host(tmp_path)


def test_the_running_kernels_initramfs_is_the_measure(tmp_path):
    assert host_room.initramfs_size(boot(tmp_path, a=10, b=99), "a") == 10


def test_without_one_the_largest_is(tmp_path):
    assert host_room.initramfs_size(boot(tmp_path, a=10, b=99), "c") == 99


@pytest.mark.parametrize(("tool", "size"), [(True, 64 * MIB), (False, 0)])
def test_without_any_it_is_a_guess_or_nothing(tmp_path, tool, size):
    host = boot(tmp_path)
    if tool:
        (tmp_path / "usr/sbin").mkdir(parents=True)
        (tmp_path / "usr/sbin/update-initramfs").touch()
    assert host_room.initramfs_size(host, "a") == size


def test_needs_on_one_filesystem_are_summed(tmp_path):
    host = boot(tmp_path)
    needs = host_room.needs(8 * MIB, 4 * MIB, 2 * MIB, initramfs=16 * MIB, margin=32 * MIB)
    (room,) = host_room.rooms(host, needs)
    assert room.needed == (8 + 4 + 2 + 16 + 32 + 4 * 16) * MIB
    assert room.directory == "/boot"
    assert room.free > 0


def test_room_in_words():
    room = Room("/boot", 5 * MIB, 7 * MIB + 1, ("kernel 7",))
    assert not room.enough
    assert str(room) == "/boot has 5 MiB free and needs 8 MiB (kernel 7)"
    assert Room("/", 5, 5, ()).enough
