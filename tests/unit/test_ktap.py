# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests in a console log: it must not pass for the lack of anything that should be in it."""

import pytest

from bpfview_fleet import ktap
from bpfview_fleet.ktap import Report, Result

REQUIRED = tuple(f"rule-{number}" for number in range(1, 10))

RULES = "".join(
    f"[    1.{number:06}] ok {number} {rule}: it holds\n" for number, rule in enumerate(REQUIRED, 1)
)
COUNT = len(REQUIRED)
SKIPPED, LAST = COUNT + 1, COUNT + 2
GOOD = f"""\
[    0.000000] Linux version 6.1.192-bpfview-0123456789ab
[    1.000000] KTAP version 1
{RULES}\
[    1.200000] ok {SKIPPED} rule-3: a security module is asked, and obeyed # SKIP no BPF LSM: -22
[    1.300000] ok {LAST} rule-7: rmdir takes the entries with it
[    1.400000] 1..{LAST}
[    1.400000] # end of tests, 0 failed
[    1.500000] reboot: Restarting system
"""


def read_log(text: str) -> Report:
    return ktap.read_log(text, REQUIRED)


def test_a_good_log_passes() -> None:
    report = read_log(GOOD)
    assert report.passed
    assert report.problems == []
    assert report.results[COUNT] == Result(
        SKIPPED, "rule-3: a security module is asked, and obeyed", "skipped", "no BPF LSM: -22"
    )
    assert report.summary() == f"{COUNT + 1} passed, 0 failed, 1 skipped"


@pytest.mark.parametrize("rule", REQUIRED)
def test_a_rule_that_was_only_skipped_is_not_proved(rule: str) -> None:
    log = GOOD.replace(f"{rule}: it holds", f"{rule}: it holds # SKIP not here")
    # The last test is of rule-7 too.
    report = read_log(log.replace("rule-7: rmdir", "rule-1: rmdir" if rule != "rule-1" else "x-y:"))
    assert not report.passed
    assert f"no test passed for {rule}" in report.problems


def test_rules_without_a_test_are_named_together() -> None:
    report = read_log(GOOD.replace(" rule-2: ", " rule-1: ").replace(" rule-4: ", " rule-1: "))
    assert not report.passed
    assert report.problems == ["no test passed for rule-2, rule-4"]


@pytest.mark.parametrize("name", ["rule-8", "rule-12", "link-update", "unlink"])
def test_tests_of_more_than_the_required_rules_may_come_beside_them(name: str) -> None:
    assert read_log(GOOD.replace("rule-7: rmdir", f"{name}: rmdir")).passed


def test_a_failed_test_fails_and_says_why() -> None:
    log = GOOD.replace(f"ok {LAST} rule-7", f"not ok {LAST} rule-7").replace(
        f"[    1.400000] 1..{LAST}", f"[    1.3] # rule7.c:12: still there\n[    1.4] 1..{LAST}"
    )
    report = read_log(log)
    assert not report.passed
    assert report.problems == []
    assert report.results[-1].outcome == "failed"
    assert report.results[-1].reason == "rule7.c:12: still there"
    assert f"not ok {LAST} rule-7: rmdir" in str(report.results[-1])
    assert report.summary() == f"{COUNT} passed, 1 failed, 1 skipped"


@pytest.mark.parametrize("log", ["", "\n", "  \r\n\n"])
def test_an_empty_log_fails(log: str) -> None:
    report = read_log(log)
    assert not report.passed
    assert "empty" in report.problems[0]


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("[    1.400000] # end of tests, 0 failed\n", "", "did not run to their end"),
        (f"[    1.400000] 1..{LAST}\n", "", f"None tests were announced and {LAST} reported"),
        (f"1..{LAST}", "1..99", f"99 tests were announced and {LAST} reported"),
        (f"ok {SKIPPED} rule-3", "ok 99 rule-3", "not numbered"),
        (f"ok {LAST} rule-7: ", f"ok {LAST} ", f"test {LAST} names no rule"),
        (f"ok {LAST} rule-7: ", f"ok {LAST} Rule 7: ", f"test {LAST} names no rule"),
        ("KTAP version 1", "Bail out! the tests cannot start", "Bail out!"),
        ("KTAP version 1", "WARNING: CPU: 0 PID: 1 at a.c:1", "the kernel says: WARNING"),
        ("reboot: Restarting system", "BUG: KASAN: use-after-free in a", "the kernel says: BUG"),
        ("reboot: Restarting", "Kernel panic - not syncing: a", "the kernel says: Kernel panic"),
    ],
)
def test_what_keeps_a_log_from_being_believed(was: str, now: str, problem: str) -> None:
    assert was in GOOD
    report = read_log(GOOD.replace(was, now))
    assert not report.passed
    assert any(problem in said for said in report.problems), report.problems


def test_a_log_without_tests_fails() -> None:
    report = read_log("[    1.0] KTAP version 1\n[    1.0] 1..0\n[    1.0] # end of tests\n")
    assert not report.passed
    assert "no test ran" in report.problems


def test_only_skipped_tests_do_not_pass() -> None:
    log = "KTAP version 1\nok 1 rule-1: a # SKIP\n1..1\n# end of tests, 0 failed\n"
    report = read_log(log)
    assert report.problems == [f"no test passed for {', '.join(REQUIRED)}"]
    assert not report.passed


def test_why_the_tests_could_not_start_is_shown() -> None:
    log = "[ 1.0] KTAP version 1\n[ 1.0] # this kernel has no views\n[ 1.0] Bail out! a\n"
    assert "this kernel has no views" in read_log(log).problems
