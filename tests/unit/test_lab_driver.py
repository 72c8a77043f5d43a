# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's commands, without starting a VM."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from bpfview_fleet.lab import check, cli, consolelog, driver, state
from bpfview_fleet.lab.layout import Layout
from bpfview_fleet.lab.machine import Machine
from plugins.module_utils.bpfview.errors import BpfviewError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lab(tmp_path: Path) -> Layout:
    result = Layout.of("t", tmp_path / "lab")
    result.consoles.mkdir(parents=True)
    return result


def test_the_first_vm_is_the_canary() -> None:
    assert [(item.name, item.groups) for item in driver.default_wanted(3)] == [
        ("bpfview-1", ("canary",)),
        ("bpfview-2", ("fleet",)),
        ("bpfview-3", ("fleet",)),
    ]


def test_down_succeeds_where_nothing_is(tmp_path: Path) -> None:
    assert driver.down(Layout.of("t", tmp_path / "absent"), []) == []


def test_down_deletes_all_but_the_console_logs(lab: Layout) -> None:
    folder = lab.vm("vm")
    folder.mkdir(parents=True)
    (lab.vm("vm").parent / ".vm-half").mkdir()
    lab.console("vm").write_text("log")
    state.save(lab, [Machine("vm", 20001, ("fleet",))])
    assert driver.down(lab, []) == ["vm"]
    assert lab.console("vm").read_text() == "log"
    assert not lab.state.exists()
    assert not lab.inventory.exists()
    assert not folder.parent.exists()


def stand_in(folder: Path, pidfile: Path) -> subprocess.Popen[bytes]:
    """A process that looks like the QEMU of that pid file."""
    program = folder / "qemu-system-test"
    program.unlink(missing_ok=True)
    program.symlink_to("/bin/sh")
    words = [str(program), "-c", "echo; read x", "-pidfile", str(pidfile)]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    return child


def test_every_lab_is_found_even_one_whose_folder_is_gone(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    (here / "demo" / "vm" / "off").mkdir(parents=True)
    (here / "No Lab").mkdir()
    children = [
        stand_in(tmp_path, here / "gone" / "vm" / "a" / "pid"),
        stand_in(tmp_path, elsewhere / "gone" / "vm" / "a" / "pid"),
        stand_in(tmp_path, here / "pid"),
    ]
    try:
        found = driver.labs(here)
        assert [lab.name for lab in found] == ["demo", "gone"]
        assert [driver.down(lab, []) for lab in found] == [["off"], ["a"]]
        assert children[0].wait(5) == -signal.SIGKILL
        assert [child.poll() for child in children[1:]] == [None, None]
        assert driver.down(Layout.of("gone", here / "gone"), []) == []
    finally:
        for child in children:
            child.kill()
            child.wait()


def test_down_of_all_labs_takes_no_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["down", "--all", "vm"]) == 1
    assert "--all takes no names" in capsys.readouterr().err


def test_a_lab_can_be_taken_down_without_the_python_environment() -> None:
    block = "import sys; sys.modules['yaml'] = None; import bpfview_fleet.lab.cli"
    words = ["/usr/bin/python3", "-I", "-c", f"import sys; sys.path = [p for p in sys.path if"
             f" 'packages' not in p] + [{str(ROOT)!r}]; {block}"]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_down_works_with_a_damaged_memory(lab: Layout) -> None:
    lab.state.write_text("{")
    lab.vm("vm").mkdir(parents=True)
    assert driver.down(lab, []) == ["vm"]
    assert not lab.state.exists()


def test_down_of_one_keeps_the_others(lab: Layout) -> None:
    machines = [Machine("a", 20001, ("canary",)), Machine("b", 20002, ("fleet",))]
    for machine in machines:
        lab.vm(machine.name).mkdir(parents=True)
    state.save(lab, machines)
    assert driver.down(lab, ["a"]) == ["a"]
    assert list(state.load(lab)) == ["b"]
    assert lab.vm("b").is_dir()


def test_an_unknown_vm_is_named(lab: Layout) -> None:
    state.save(lab, [Machine("a", 20001, ())])
    with pytest.raises(BpfviewError, match="has a, not x"):
        driver.power_off(lab, ["x"])


def test_every_problem_of_a_parallel_start_is_told() -> None:
    def fail(machine: Machine, _stop: threading.Event) -> bool:
        raise BpfviewError(f"{machine.name} is broken", "Repair it")

    machines = [Machine("a", 1, ()), Machine("b", 2, ())]
    with pytest.raises(BpfviewError, match=r"a is broken|b is broken") as caught:
        driver._side_by_side(fail, machines, 2)
    assert "a is broken" in str(caught.value)
    assert "b is broken" in str(caught.value)


def test_clean_consoles_pass_and_a_complaint_names_the_vm(lab: Layout) -> None:
    lab.console("a").write_text("[    0.0] Linux version 6.1\n")
    assert check.check_consoles(lab) == []
    lab.console("b").write_text("[    1.0] BUG: kernel NULL pointer dereference\n")
    (finding,) = check.check_consoles(lab)
    assert finding.startswith("b: BUG")
    assert check.check_consoles(lab, ["a"]) == []


def test_nothing_read_proves_nothing(lab: Layout) -> None:
    assert "no console log" in check.check_consoles(lab)[0]
    lab.console("a").write_text("\n")
    assert "is empty" in check.check_consoles(lab)[0]
    assert "cannot be read" in check.check_consoles(lab, ["gone"])[0]


def test_only_the_newest_logs_are_kept_and_old_ones_not_scanned(lab: Layout) -> None:
    for number in range(consolelog.KEPT + 2):
        (lab.consoles / f"a.2026010{number}T000000.log").write_text("Kernel panic")
    lab.console("a").write_text("old")
    consolelog.rotate(lab.console("a"))
    assert len(list(lab.consoles.glob("a.*.log"))) == consolelog.KEPT
    assert not lab.console("a").exists()
    assert consolelog.current(lab.consoles) == []


def test_the_lab_may_be_named_before_or_after_the_command(tmp_path: Path) -> None:
    for words in (["--lab", "x", "down"], ["down", "--lab", "x"]):
        options = cli.parser().parse_args(words)
        assert options.lab == "x"
    assert cli.main(["--dir", str(tmp_path / "none"), "down"]) == 0


def test_an_error_is_one_sentence_and_a_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--dir", str(tmp_path), "--lab", "NO", "status"]) == 1
    assert capsys.readouterr().err.startswith("error: 'NO' cannot be the name of a lab.")


def test_status_as_json(lab: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    state.save(lab, [Machine("a", 20001, ("canary",))])
    assert cli.main(["--dir", str(lab.folder), "status", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {"name": "a", "port": 20001, "groups": ["canary"], "pid": None, "ssh": False}


@pytest.mark.parametrize(
    ("text", "name", "groups"),
    [("a", "a", ("fleet",)), ("a=canary", "a", ("canary",)), ("a=x,y", "a", ("x", "y"))],
)
def test_a_vm_is_given_with_its_groups(text: str, name: str, groups: tuple[str, ...]) -> None:
    assert cli._parse_vm(text) == driver.Wanted(name, groups)
