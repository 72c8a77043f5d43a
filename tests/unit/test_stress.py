# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging a stress run: whatever is missing, wrong or said by the kernel must fail it."""

import re
import subprocess
import threading
from pathlib import Path

import pytest

from bpfview_fleet import direct_boot, stress
from bpfview_fleet.stress import Wanted, compile_driver, judge, main, progress, read_log, replay

WANTED = Wanted("6.12", "debug", ops=300, seed=7)
ROUNDS = Wanted("6.12", "", rounds=100000)
FUNCTIONS = {"bpf_kernfs_removed"}

GOOD = """\
[    0.000000] Linux version 6.12.117-bpfview-0123456789ab
[    1.000000] stress: seed 7, 300 operations, first choices 8a14b11b7235e7a7
[    2.000000] stress: lacks kcsan
[   12.000000] stress: 150 of 300 operations in 10 s
[   22.000000] stress: 300 of 300 operations in 20 s
[   22.100000] stress: kind root/expose: 200 done, 90 succeeded
[   22.200000] stress: kind user/rm: 100 done, 1 succeeded
[   60.000000] stress: ended, 0 problems
[   60.100000] reboot: Restarting system
"""
GOOD_ROUNDS = """\
[    2.000000] stress: slab after 1000 rounds: 20000 KiB
[  200.000000] stress: slab after 100000 rounds: 20200 KiB
[  200.100000] stress: ended, 0 problems
"""
RACE = """\
[   9.0] BUG: KCSAN: data-race in {0} / other
[   9.0] write to 0xffff888004a21d38 of 8 bytes by task 77 on cpu 1:
[   9.0]  {0}+0x1a/0x2b0
[   9.0] read to 0xffff888004a21d38 of 8 bytes by task 78 on cpu 0:
[   9.0]  other+0x1a/0x2b0
"""


def test_a_good_log_passes() -> None:
    report = read_log(GOOD, WANTED, FUNCTIONS)
    assert report.problems == []
    assert report.passed
    assert report.kinds == {"root/expose": (200, 90), "user/rm": (100, 1)}
    assert report.summary() == "300 operations of 2 kinds in 20 s, 91 succeeded, nothing found"


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("[   60.000000] stress: ended, 0 problems\n", "", "did not run to its end"),
        ("ended, 0 problems", "ended, 3 problems", "found 3 problems"),
        ("seed 7", "seed 8", "ran with seed 8, not 7"),
        ("stress: seed 7, 300", "Seed 7, 300", "ran with seed None"),
        ("300 of 300 operations in 20", "299 of 300 operations in 20", "only 299 of 300"),
        ("200 done", "201 done", "300 operations were done and 301 counted"),
        ("100 done, 1 succeeded", "100 done, 0 succeeded", "user/rm never succeeded in 100 times"),
        ("lacks kcsan", "lacks failslab", "this kernel has no failslab"),
        ("lacks kcsan", "lacks kmemleak", "this kernel has no kmemleak"),
        ("lacks kcsan", "problem: leak: unreferenced object 0xffff888", "leak: unreferenced"),
        ("lacks kcsan", "problem: worker 3, operation 9: read: Bad message cgroup 9 shows 'x'",
         "worker 3, operation 9"),
        ("lacks kcsan", "problem: worker 3 hangs in mkdir", "worker 3 hangs in mkdir"),
        ("lacks kcsan", "problem: lockdep is off", "lockdep is off"),
        ("reboot: R", "WARNING: possible circular locking dependency detected\nr",
         "the kernel says: WARNING: possible circular"),
        ("reboot: R", "BUG: KASAN: slab-use-after-free in a\nr", "the kernel says: BUG: KASAN"),
        ("reboot: R", "INFO: task init:9 blocked for more than 60 seconds.\nr",
         "the kernel says: INFO: task"),
    ],
)  # fmt: skip
def test_what_fails_a_run(was: str, now: str, problem: str) -> None:
    assert was in GOOD
    report = read_log(GOOD.replace(was, now), WANTED, FUNCTIONS)
    assert not report.passed
    assert any(problem in said for said in report.problems), report.problems


def test_no_kinds_fail_a_run() -> None:
    log = re.sub(r".*stress: kind.*\n", "", GOOD)
    assert "no kind of operation was reported" in read_log(log, WANTED, FUNCTIONS).problems


@pytest.mark.parametrize("log", ["", " \r\n"])
def test_an_empty_log_fails(log: str) -> None:
    assert "empty" in read_log(log, WANTED, FUNCTIONS).problems[0]


@pytest.mark.parametrize(
    ("fragment", "anyway", "lacks", "passes"),
    [
        ("debug", False, "kcsan", True),
        ("debug", False, "failslab", False),
        ("debug", False, "kasan", False),
        ("debug", False, "lockdep", False),
        ("debug", False, "odebug", False),
        ("debug", False, "hung_task", False),
        ("kcsan", False, "kcsan", False),
        ("kcsan", False, "kmemleak", True),
        ("", False, "failslab", False),
        ("", False, "kmemleak", False),
        ("", True, "failslab", True),
        ("debug", True, "kmemleak", True),
    ],
)
def test_what_a_kernel_must_have(fragment: str, anyway: bool, lacks: str, passes: bool) -> None:
    wanted = Wanted("6.12", fragment, ops=300, seed=7, anyway=anyway)
    log = GOOD.replace("lacks kcsan", f"lacks {lacks}")
    assert read_log(log, wanted, FUNCTIONS).passed is passes


def test_a_race_of_the_series_fails_and_another_is_noise() -> None:
    noise = read_log(GOOD + RACE.format("tick_sched"), WANTED, FUNCTIONS)
    assert noise.passed
    assert noise.noise == ["data-race in tick_sched / other"]
    ours = read_log(GOOD + RACE.format("bpf_kernfs_removed"), WANTED, FUNCTIONS)
    assert ours.problems == ["KCSAN: data-race in bpf_kernfs_removed / other"]
    assert ours.noise == []


def test_good_rounds_pass() -> None:
    report = read_log(GOOD_ROUNDS, ROUNDS, FUNCTIONS)
    assert report.problems == []
    assert report.summary() == "100000 rounds, nothing found"


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("20200 KiB", "20201 KiB", "from 20000 to 20201 KiB, by +1.0%"),
        ("20200 KiB", "19799 KiB", "from 20000 to 19799 KiB, by -1.0%"),
        ("20200 KiB", "-1 KiB", "could not be measured"),
        ("after 100000 rounds", "after 99999 rounds", "no two figures"),
        ("slab after 1000 rounds", "1000 rounds", "no two figures"),
        ("stress: ended", "stress: about to end", "did not run to its end"),
        ("ended", "problem: round 5: Cannot allocate memory\nstress: ended", "round 5"),
    ],
)
def test_what_fails_rounds(was: str, now: str, problem: str) -> None:
    assert was in GOOD_ROUNDS
    report = read_log(GOOD_ROUNDS.replace(was, now), ROUNDS, FUNCTIONS)
    assert any(problem in said for said in report.problems), report.problems


def test_a_log_that_is_missing_fails(tmp_path: Path) -> None:
    report = judge(tmp_path / "none", None, WANTED, FUNCTIONS)
    assert "cannot be read" in report.problems[0]


def test_trouble_with_the_machine_fails_a_good_log(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text(GOOD, encoding="utf-8")
    assert judge(log, None, WANTED, FUNCTIONS).passed
    late = judge(log, "the machine did not switch itself off within 5 s", WANTED, FUNCTIONS)
    assert not late.passed
    assert late.summary().endswith("1 problem")


def test_the_driver_is_told_what_to_do() -> None:
    assert WANTED.options == "stress.ops=300 stress.seed=7 stress.seconds=61"
    assert ROUNDS.options == "stress.rounds=100000"
    assert WANTED.timeout > WANTED.seconds


def test_the_command_to_do_it_again() -> None:
    assert replay(WANTED, None) == (
        "python -m bpfview_fleet.stress --baseline 6.12 --fragment debug --ops 300 --seed 7"
    )
    plain = Wanted("6.1", "", ops=300, seed=7, anyway=True)
    assert replay(plain, Path("a kernel")) == (
        "python -m bpfview_fleet.stress --baseline 6.1 --kernel 'a kernel' --fragment ''"
        " --ops 300 --seed 7 --without-debug"
    )
    assert replay(ROUNDS, None).endswith("--baseline 6.12 --rounds 100000")


def test_progress_shows_neither_the_kinds_nor_the_boot() -> None:
    assert progress(GOOD + "[ 9.0] BUG: KASAN: a\n") == [
        "stress: seed 7, 300 operations, first choices 8a14b11b7235e7a7",
        "stress: lacks kcsan",
        "stress: 150 of 300 operations in 10 s",
        "stress: 300 of 300 operations in 20 s",
        "stress: ended, 0 problems",
        "BUG: KASAN: a",
    ]


def test_a_log_that_grows_is_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "console.log"
    log.write_text("[ 1.0] stress: 1 of 3 operations in 1 s\n[ 2.0] stress: 2 of", encoding="utf-8")
    over = threading.Event()
    follower = threading.Thread(target=stress.follow, args=(log, over, 0.01))
    follower.start()
    try:
        _wait_for(capsys, "1 of 3")
        with log.open("a", encoding="utf-8") as console:
            console.write(" 3 operations in 2 s\n")
        _wait_for(capsys, "2 of 3 operations in 2 s")
    finally:
        over.set()
        follower.join()


def _wait_for(capsys: pytest.CaptureFixture[str], text: str) -> None:
    for _ in range(500):
        if text in capsys.readouterr().out:
            return
        threading.Event().wait(0.01)
    pytest.fail(f"{text!r} was not shown")


def test_without_a_kernel_it_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(direct_boot, "ROOT", tmp_path)
    assert main(["--baseline", "6.12", "--fragment", "kcsan"]) == 2
    assert "make kernel BASELINE=6.12 FRAGMENT=kcsan" in capsys.readouterr().err


def test_nothing_to_do_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--ops", "0"]) == 2
    assert "nothing to do" in capsys.readouterr().err


def test_the_same_seed_chooses_the_same(tmp_path: Path) -> None:
    """The driver's choices, compiled for this machine: of the seed, and of nothing else."""
    probe = tmp_path / "probe.c"
    probe.write_text(_PROBE, encoding="utf-8")
    sources = [
        probe,
        *(p for p in stress.SOURCES.glob("*.c") if p.name not in ("init.c", "stress.bpf.c")),
        *(stress.TESTS / f"{name}.c" for name in stress.SHARED),
    ]
    direct_boot.compile_program(sources, tmp_path / "probe", [f"-I{stress.SOURCES}"])

    def digest(seed: int) -> str:
        command = [str(tmp_path / "probe"), str(seed)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


_PROBE = """\
#include <stdio.h>
#include <stdlib.h>
#include "stress.h"
int main(int argc, char **argv)
{
	static struct shared all;

	shared = &all;
	all.seed = strtoul(argv[argc - 1], NULL, 10);
	printf("%lx\\n", digest_choices(describe_workers()));
	return 0;
}
"""


def test_the_driver_compiles(tmp_path: Path) -> None:
    assert set(compile_driver(tmp_path)) == {"init", "views.bpf.o", "stress.bpf.o"}
