# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line, processes and ports of a VM."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bpfview_fleet.accel import Acceleration
from bpfview_fleet.lab import ports, process, vm
from bpfview_fleet.lab.layout import Layout, check_name
from bpfview_fleet.lab.machine import Machine, mac_address, qemu_command
from plugins.module_utils.bpfview.errors import BpfviewError

TCG = Acceleration("tcg", "test")


def test_the_command_reaches_loopback_only_and_shuts_the_guest_in(tmp_path: Path) -> None:
    command = qemu_command(Machine("vm", 20001, ()), Layout.of("t", tmp_path), TCG)
    assert "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:20001-:22" in command
    assert command[command.index("-accel") + 1] == "tcg,thread=multi"
    assert "i6300esb" in command
    assert "virtio-rng-pci" in command


def test_a_comma_in_a_path_does_not_end_the_option(tmp_path: Path) -> None:
    lab = Layout.of("t", tmp_path / "a,b")
    command = qemu_command(Machine("vm", 20001, ()), lab, TCG)
    assert any(f"file={tmp_path}/a,,b/vm/vm/disk.qcow2," in word for word in command)
    assert command[command.index("-pidfile") + 1] == str(lab.pidfile("vm"))


def test_sockets_are_short_however_deep_the_checkout(tmp_path: Path) -> None:
    lab = Layout.of("a" * 32, tmp_path / ("deep/" * 40))
    assert len(os.fsencode(lab.console_socket("b" * 32))) < 80


def test_two_checkouts_share_nothing(tmp_path: Path) -> None:
    one, two = Layout.of("t", tmp_path / "1"), Layout.of("t", tmp_path / "2")
    assert one.runtime != two.runtime
    assert mac_address(one, "vm") != mac_address(two, "vm")


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a/b", "..", "a b", "a" * 33])
def test_odd_names_are_refused(name: str) -> None:
    with pytest.raises(BpfviewError, match="cannot be the name"):
        check_name(name, "VM")


@pytest.mark.parametrize(
    ("cmdline", "answer"),
    [
        (["qemu-system-x86_64", "-pidfile", "/lab/vm/a/pid"], True),
        (["/usr/bin/qemu-system-x86_64", "-m", "1", "-pidfile", "/lab/vm/a/pid"], True),
        (["qemu-system-x86_64", "-pidfile", "/lab/vm/ab/pid"], False),
        (["qemu-system-x86_64", "-name", "/lab/vm/a/pid"], False),
        (["vi", "-pidfile", "/lab/vm/a/pid"], False),
        (["grep", "qemu-system-x86_64 -pidfile /lab/vm/a/pid"], False),
        ([], False),
    ],
)
def test_only_the_vm_itself_is_matched(cmdline: list[str], answer: bool) -> None:
    assert process.is_vm(cmdline, Path("/lab/vm/a/pid")) is answer


def stand_in(folder: Path, pidfile: Path) -> subprocess.Popen[bytes]:
    program = folder / "qemu-system-test"
    program.unlink(missing_ok=True)
    program.symlink_to(sys.executable)
    sleep = "import time; print(flush=True); time.sleep(60)"
    child = subprocess.Popen(
        [str(program), "-c", sleep, "-pidfile", str(pidfile)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    return child


def test_kill_ends_that_vm_and_no_other_even_without_a_pid_file(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    children = [stand_in(tmp_path, mine), stand_in(tmp_path, other)]
    try:
        assert process.find(mine) == [children[0].pid]
        assert process.kill(mine) == 1
        assert children[0].wait(5) == -9
        assert children[1].poll() is None
        assert process.kill(mine) == 0
    finally:
        for child in children:
            child.kill()
            child.wait()


def test_a_pid_file_that_points_at_a_stranger_is_not_believed(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    pidfile.write_text(f"{os.getpid()}\n")
    assert process.kill(pidfile) == 0
    assert not pidfile.exists()


def test_a_port_is_kept_while_it_is_free() -> None:
    first = ports.choose("lab vm", (), lambda _: True)
    assert ports.choose("lab vm", (), lambda _: True) == first
    assert ports.choose("lab vm", {first}, lambda _: True) == first + 1
    assert ports.choose("lab vm", (), lambda port: port != first) == first + 1
    assert ports.FIRST <= first < ports.FIRST + ports.COUNT


def test_no_port_left_is_an_error() -> None:
    with pytest.raises(BpfviewError, match="No TCP port"):
        ports.choose("lab vm", (), lambda _: False)


def test_an_open_port_is_not_yet_an_ssh_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
        assert not vm.has_banner(port, seconds=0.2)
    assert not vm.has_banner(port, seconds=0.2)


def test_a_vm_that_ended_is_reported_with_its_last_words(tmp_path: Path) -> None:
    lab = Layout.of("t", tmp_path)
    lab.consoles.mkdir()
    lab.console("vm").write_text("one\n\nKernel panic - not syncing\n")
    with pytest.raises(BpfviewError, match=r"ended after 0 s(.|\n)*Kernel panic"):
        vm.wait(lab, Machine("vm", 1, ()), 5)
