# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot test: which kernels it takes, and what each of them must prove."""

from pathlib import Path

import pytest

from bpfview_fleet import boottest, direct_boot, tiny_kernels
from bpfview_fleet.accel import Acceleration
from bpfview_fleet.boottest import COMPLETE, TINY, Boot, judge, main, run, summary
from bpfview_fleet.ktap import Report, Result

RULES = {rule for boot in (COMPLETE, *TINY) for rule in boot.proves}
LOG = """\
[    1.0] KTAP version 1
[    1.1] ok 1 rule-10: it holds
[    1.2] 1..1
[    1.2] # end of tests, 0 failed
"""


def test_all_rules_and_extensions_are_asked_for() -> None:
    assert {f"rule-{number}" for number in range(1, 11)} <= RULES
    assert {"unlink", "link-update", "sleepable", "subtree", "limit"} <= RULES
    assert {"security", "no-memory"} <= RULES


def test_each_tiny_kernel_runs_tests_of_its_own() -> None:
    assert [boot.name for boot in TINY] == [tiny.name for tiny in tiny_kernels.TINY_KERNELS]
    table = (boottest.SOURCES / "init.c").read_text("utf-8")
    for boot in TINY:
        assert f'{{ "{boot.name}", ' in table
        assert boot.words == (f"boottest.kernel={boot.name}",)
        assert boot.proves


def test_the_command_line_says_which_kernel_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []

    def fake_boot(_kernel: Path, _initrd: Path, log: Path, *_: object, command_line: str) -> None:
        said.append(command_line)
        log.write_text(LOG, encoding="utf-8")

    monkeypatch.setattr(direct_boot, "boot", fake_boot)
    monkeypatch.setattr(boottest, "detect", lambda _: Acceleration("tcg", "test"))
    boot = Boot("small", ("rule-10",), ("boottest.kernel=small",))
    report = run(boot, tmp_path / "bzImage", tmp_path / "initrd")
    assert report.passed
    assert said == [f"{direct_boot.COMMAND_LINE} boottest.kernel=small"]
    assert not run(Boot("small", ("rule-1",)), tmp_path / "k", tmp_path / "initrd").passed


def test_the_summary_is_about_all_boots() -> None:
    passed = Result(1, "rule-1: a", "passed")
    one = Report(results=[passed, Result(2, "rule-1: b", "skipped")])
    other = Report(results=[passed, Result(2, "rule-2: b", "failed")], problems=["a"])
    assert summary([one, other]) == "2 passed, 1 failed, 1 skipped, 1 problem"
    assert one.results == [passed, Result(2, "rule-1: b", "skipped")]


def test_a_log_that_cannot_be_read_fails(tmp_path: Path) -> None:
    report = judge(tmp_path / "none", None, ())
    assert not report.passed
    assert "cannot be read" in report.problems[0]


def test_trouble_with_the_machine_fails_a_good_log(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text(LOG, encoding="utf-8")
    assert judge(log, None, ("rule-10",)).passed
    report = judge(log, "the machine did not switch itself off within 5 s", ("rule-10",))
    assert not report.passed
    assert report.summary() == "1 passed, 0 failed, 1 problem"


def test_without_a_kernel_it_says_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_boot, "ROOT", tmp_path)
    assert main(["--baseline", "6.1"]) == 2
    said = capsys.readouterr().err
    assert "bzImage" in said
    assert "make kernel BASELINE=6.1" in said
