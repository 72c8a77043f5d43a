# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing two runs of the kernel's own tests: what is worse must show, and nothing may hide."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from bpfview_fleet import selftests
from bpfview_fleet.selftest_bpftool import CHECKS, differences, says_what_it_should
from bpfview_fleet.selftest_judge import Comparison, compare, run_problems
from bpfview_fleet.selftest_log import (
    Console,
    Outcome,
    Output,
    read_console,
    status_rows,
    tap_rows,
    test_progs_rows,
)
from bpfview_fleet.selftest_sources import reduce_tests
from bpfview_fleet.selftests import commands, judge
from plugins.module_utils.bpfview.errors import BpfviewError

OK, SKIP, FAIL, ABSENT = Outcome.OK, Outcome.SKIP, Outcome.FAIL, Outcome.ABSENT
# imported under its own name pytest would take it for a test
test_progs_rows.__test__ = False  # type: ignore[attr-defined]

LOG = """\
[    0.000000] Linux version 6.1.192
[    1.000000] selftest begin pinning
[    1.100000] | WARNING: what a program says is not the kernel's word
[    1.200000] | #1       pinning:OK
[    1.300000] selftest end pinning 0
[    1.400000] audit: type=2000
[    1.500000] selftest begin test_core
[    1.600000] | ok 1 test_cgcore_populated
[    1.700000] selftest end test_core 0
[    1.800000] selftest done
"""

SPLAT = "WARNING: CPU: 1 PID: 77 at fs/kernfs/dir.c:{line} kernfs_put+0x{line}"


def output(*lines: str, status: int | None = 0) -> Output:
    return Output(lines, status)


def test_a_log_gives_each_command_its_own_lines() -> None:
    console = read_console(LOG)
    assert console.problems == []
    assert console.splats == []
    assert console.outputs["pinning"].lines[-1] == "#1       pinning:OK"
    assert console.outputs["test_core"] == output("ok 1 test_cgcore_populated")


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        ("", "no test ran"),
        ("[    0.000000] Linux version 6.1.192\n[    9.0] selftest done\n", "no test ran"),
        (LOG.replace("selftest done", ""), "the run did not come to its end"),
        (LOG[: LOG.index("| ok 1")], "the machine went down or hung in test_core"),
    ],
)
def test_a_log_that_ends_early_is_a_problem(log: str, problem: str) -> None:
    assert read_console(log).problems == [problem]


def test_a_command_that_did_not_end_fails() -> None:
    unfinished = read_console(LOG[: LOG.index("[    1.300000]")]).outputs["pinning"]
    assert unfinished.status is None
    assert test_progs_rows("pinning", unfinished)["pinning"] is FAIL
    assert test_progs_rows("pinning", output(status=None))["pinning"] is ABSENT


def test_a_splat_between_the_lines_of_a_test_is_found() -> None:
    log = LOG.replace("audit: type=2000", SPLAT.format(line=1))
    assert read_console(log).splats == [SPLAT.format(line=1)]


def test_test_progs_gives_a_row_for_each_subtest() -> None:
    rows = test_progs_rows(
        "bpf_iter",
        output(
            "#7/1     bpf_iter/btf_id_or_null:OK",
            "some_check:FAIL:what unexpected error: -1",
            "#7/2     bpf_iter/task, of a thread:FAIL",
            "#7/3     bpf_iter/ksym:SKIP",
            "#7       bpf_iter:FAIL",
            "",
            "All error logs:",
            "#7/2     bpf_iter/task, of a thread:FAIL",
            "Summary: 0/1 PASSED, 1 SKIPPED, 1 FAILED",
            status=1,
        ),
    )
    assert rows == {
        "bpf_iter": FAIL,
        "bpf_iter/btf_id_or_null": OK,
        "bpf_iter/task, of a thread": FAIL,
        "bpf_iter/ksym": SKIP,
    }


def test_subtests_of_one_name_stay_apart() -> None:
    rows = test_progs_rows("btf", output("#1/1 btf/x:OK", "#1/2 btf/x:FAIL", status=1))
    assert rows["btf/x"] is OK
    assert rows["btf/x (2)"] is FAIL


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (output("#1 t:OK"), OK),
        (output("#1 t:OK (SKIP: 1/3)"), OK),
        (output("#1 t:SKIP"), SKIP),
        (output("#1 t:OK", status=139), FAIL),
        (output("Summary: 0/0 PASSED"), ABSENT),
        (output("Summary: 0/0 PASSED", status=2), ABSENT),
        (output("#1 t_one:OK", "#2 t_two:OK"), OK),
        (output("#1 t_one:OK", "#2 t_two:FAIL", status=1), FAIL),
    ],
)
def test_a_test_of_test_progs_must_say_that_it_passed(said: Output, expected: Outcome) -> None:
    assert test_progs_rows("t", said)["t"] is expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (output("1..2", "ok 1 a", "ok 2 # SKIP b"), {"t": OK, "t/a": OK, "t/b": SKIP}),
        (output("ok 1 a", "not ok 2 b", status=1), {"t": FAIL, "t/a": OK, "t/b": FAIL}),
        (output("ok 1 a", status=134), {"t": FAIL, "t/a": OK}),
        (output(), {"t": ABSENT}),
        (output("Aborted", status=134), {"t": ABSENT}),
        (output("nothing of use", status=4), {"t": SKIP}),
    ],
)
def test_the_other_tests_have_rows_too(said: Output, expected: dict[str, Outcome]) -> None:
    assert tap_rows("t", said) == expected


def test_of_some_programs_the_status_is_all() -> None:
    assert status_rows("probe", output("anything")) == {"probe": OK}
    assert status_rows("probe", output("anything", status=1)) == {"probe": FAIL}


@pytest.mark.parametrize(
    ("stock", "patched", "verdict"),
    [
        (OK, OK, "same"),
        (FAIL, FAIL, "same"),
        (SKIP, SKIP, "same"),
        (FAIL, OK, "better"),
        (SKIP, OK, "better"),
        (OK, FAIL, "WORSE"),
        (OK, SKIP, "WORSE"),
        (OK, ABSENT, "WORSE"),
        (SKIP, FAIL, "WORSE"),
        (FAIL, ABSENT, "WORSE"),
    ],
)
def test_a_row_is_judged_against_the_stock_kernel(
    stock: Outcome, patched: Outcome, verdict: str
) -> None:
    found = compare({"t/a": stock}, {"t/a": patched}, frozenset())
    assert found.rows[0].cells == ("t/a", str(stock), str(patched), verdict)
    assert found.passed is (verdict != "WORSE")


def test_a_row_that_is_missing_from_one_run_shows() -> None:
    found = compare({"t": OK, "t/a": OK}, {"t": OK}, frozenset())
    assert [row.name for row in found.rows if row.worse] == ["t/a"]
    assert not found.passed


def of_one_test(*pairs: tuple[Outcome, Outcome]) -> Comparison:
    """A test that ran more than once, each time on the stock and on the patched kernel."""
    rounds = [compare({"t/a": stock}, {"t/a": patched}, frozenset()) for stock, patched in pairs]
    return functools.reduce(Comparison.repeated, rounds)


def test_a_row_that_is_worse_is_doubted_and_no_other() -> None:
    found = compare({"t/a": OK, "u/a": FAIL}, {"t/a": FAIL, "u/a": FAIL}, frozenset())
    assert found.doubtful == {"t"}
    assert compare({}, {"views/a": FAIL}, frozenset({"views"})).doubtful == set()
    again = found.repeated(compare({"t/a": OK, "u/a": OK}, {"t/a": OK, "u/a": FAIL}, frozenset()))
    assert [row.repeats for row in again.rows] == [((OK, OK),), ()]


def test_a_row_that_is_worse_each_time_stays_worse() -> None:
    found = of_one_test((OK, FAIL), (FAIL, FAIL), (OK, FAIL))
    assert found.rows[0].cells == ("t/a", "ok 2/3", "FAIL 3/3", "WORSE")
    assert not found.passed


def test_a_row_that_once_is_as_good_is_unsteady_and_shows_how_often() -> None:
    found = of_one_test((OK, FAIL), (OK, FAIL), (FAIL, OK))
    assert found.rows[0].cells == ("t/a", "ok 2/3", "ok 1/3", "unsteady")
    assert found.passed
    assert found.summary().endswith("none worse than on stock, 1 unsteady")


def test_a_problem_of_a_repeat_counts() -> None:
    later = compare({"t/a": ABSENT}, {"t/a": ABSENT}, frozenset())
    found = of_one_test((OK, FAIL)).repeated(later)
    assert found.problems == ["t/a reported nothing on either kernel"]
    assert not found.passed


@pytest.mark.parametrize("outcome", [FAIL, SKIP, ABSENT])
def test_a_test_of_views_has_to_pass(outcome: Outcome) -> None:
    about = frozenset({"views"})
    assert compare({"views": FAIL}, {"views": OK, "views/a": OK}, about).passed
    found = compare({"views": FAIL}, {"views": OK, "views/a": outcome}, about)
    assert not found.passed
    assert found.rows[1].cells == ("views/a", "no views", str(outcome), "FAILS")


def test_a_test_that_is_silent_on_both_kernels_is_a_problem() -> None:
    found = compare({"t": ABSENT, "u": OK}, {"t": ABSENT, "u": OK}, frozenset())
    assert found.problems == ["t reported nothing on either kernel"]
    assert not found.passed


def test_a_stock_kernel_with_views_is_none() -> None:
    found = compare({"views": OK}, {"views": OK}, frozenset({"views"}))
    assert found.problems == ["views passes on the stock kernel, so that is none"]
    assert not found.passed


def test_only_what_the_patched_kernel_alone_reports_counts() -> None:
    stock = Console(splats=[SPLAT.format(line=1), "BUG: sleeping function called"])
    assert run_problems(stock, Console(splats=[SPLAT.format(line=22)])) == []
    other = "possible deadlock in kernfs_drain"
    assert run_problems(stock, Console(splats=[other])) == [f"the patched kernel says: {other}"]


def test_a_run_that_is_not_to_be_believed_fails() -> None:
    found = run_problems(Console(problems=["no test ran"]), Console(problems=["it hung"]))
    assert found == ["stock kernel: no test ran", "patched kernel: it hung"]


SAID = {
    "fdinfo": ("pos:\t0", "link_type:\tview", "link_id:\t136", "target_name:\tcgroup"),
    "bpftool link show": ("3: iter  prog 9  ", "\ttarget_name bpf_map  ",
                          "136: view  prog 672  ", "\ttarget_name cgroup  "),
    "bpftool -j link show": (
        '[{"id":3,"type":"iter"},{"id":136,"type":"view","prog_id":6,"target_name":"cgroup"}]',
    ),
    "bpftool prog show": ("672: tracing  name show_id  tag df4e0529ba5fa68a  gpl",),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_bpftool_names_a_view(name: str) -> None:
    said = SAID[name]
    assert says_what_it_should(name, output(*said))
    assert not says_what_it_should(name, output(*said, status=1))
    assert not says_what_it_should(name, output())
    wrong = [line.replace("view", "iter").replace("show_id", "no_view") for line in said]
    assert not says_what_it_should(name, output(*wrong))
    if name != "bpftool prog show":
        elsewhere = [line.replace("cgroup", "task") for line in said]
        assert not says_what_it_should(name, output(*elsewhere))


def test_what_two_probes_differ_in_is_named() -> None:
    stock = output("map hash is available", "map view is NOT available")
    patched = output("map hash is available", "map view is available")
    assert differences(stock, stock) == []
    assert differences(stock, patched) == ["-map view is NOT available", "+map view is available"]


def consoles(baseline: str) -> tuple[Console, Console]:
    """Two runs in which everything is as it ought to be."""
    stock, patched = Console(), Console()
    for command in commands(baseline):
        name = command.name
        good = SAID.get(name, (f"#1 {name}:OK", f"ok 1 {name}"))
        patched.outputs[name] = output(*good)
        views = name in selftests.ABOUT_VIEWS
        stock.outputs[name] = output(status=1) if views else output(*good)
    return stock, patched


@pytest.mark.parametrize("baseline", ["6.1", "6.12"])
def test_two_good_runs_pass(baseline: str) -> None:
    found = judge(commands(baseline), *consoles(baseline))
    assert found.problems == []
    assert found.passed, str(found)
    assert found.summary().endswith("none worse than on stock")


@pytest.mark.parametrize("name", [command.name for command in commands("6.12")])
def test_each_command_alone_can_fail_the_run(name: str) -> None:
    stock, patched = consoles("6.12")
    patched.outputs[name] = output(status=1)
    found = judge(commands("6.12"), stock, patched)
    assert not found.passed
    assert {row.name.partition("/")[0] for row in found.rows if row.worse} == {name}


@pytest.mark.parametrize("name", [command.name for command in commands("6.12")])
def test_no_command_may_be_missing(name: str) -> None:
    stock, patched = consoles("6.12")
    del stock.outputs[name], patched.outputs[name]
    found = judge(commands("6.12"), stock, patched)
    assert found.problems == [
        f"{name} did not run on the stock kernel",
        f"{name} did not run on the patched kernel",
    ]
    assert not found.passed


@pytest.mark.parametrize("status", [137, 139])
@pytest.mark.parametrize("killed", [(0, 1), (0,), (1,)])
def test_a_test_that_was_killed_proves_nothing(status: int, killed: tuple[int, ...]) -> None:
    both = consoles("6.1")
    for console in both:
        console.outputs["btf"] = output("#1 btf:FAIL", status=1)
    for number in killed:
        both[number].outputs["btf"] = output("#1 btf:FAIL", status=status)
    found = judge(commands("6.1"), *both)
    assert [row.cells[-1] for row in found.rows if row.name == "btf"] == ["same"]
    assert not found.passed
    why = {137: "SIGKILL, as its time limit does", 139: "SIGSEGV"}[status]
    assert found.problems == [
        f"{('stock', 'patched')[number]} kernel: btf was ended by {why}" for number in killed
    ]


def test_a_status_beyond_those_of_signals_is_no_signal() -> None:
    """A program that returns -1 has 255."""
    stock, patched = consoles("6.1")
    for console in (stock, patched):
        console.outputs["btf"] = output("#1 btf:FAIL", status=255)
    assert judge(commands("6.1"), stock, patched).passed


def test_long_tests_have_more_time_and_the_machine_has_enough_for_them() -> None:
    seconds = {command.name: command.seconds for command in commands("6.1")}
    long = [seconds[name] for name in ("btf", "bpf_iter", selftests.PROBE)]
    assert min(long) > seconds["pinning"]
    assert sum(long) < selftests.TIMEOUT_SECONDS


def test_a_probe_that_differs_fails_the_run() -> None:
    stock, patched = consoles("6.1")
    patched.outputs[selftests.PROBE] = output("one more", *stock.outputs[selftests.PROBE].lines)
    found = judge(commands("6.1"), stock, patched)
    assert found.problems == ["bpftool feature probe differs from stock: +one more"]


def test_a_log_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    console = selftests._console(tmp_path / "console.log", "QEMU ended with status 1")
    assert console.problems[0] == "QEMU ended with status 1"
    assert console.problems[1].startswith("the console log cannot be read")


def test_the_list_of_commands_fills_whole_sectors_and_has_a_line_each() -> None:
    wanted = commands("6.1")
    listed = selftests._list_of(wanted)
    assert len(listed) % 512 == 0
    lines = listed.decode().rstrip("\n").split("\n")
    assert [line.split("\t")[0] for line in lines] == [command.name for command in wanted]
    assert all(len(line.split("\t")) == 4 for line in lines)


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


TREE = {
    "prog_tests/one.c": '#include "one_prog.skel.h"\n#include <fast.lskel.h>\n',
    "prog_tests/two.c": 'open("./two_prog.bpf.o")\n#include <both.lskel.h>\n#include "both.skel.h"',
    "prog_tests/other.c": '#include "other_prog.skel.h"\n',
    "prog_tests/helpers.h": "",
    "progs/one_prog.c": '#include "shared.c"\n#include "vmlinux.h"\n',
    "progs/shared.c": "",
    "progs/fast.c": "",
    "progs/both.c": "",
    "progs/two_prog.c": "",
    "progs/other_prog.c": "",
    "progs/btf_data.c": "",
    "progs/common.h": "",
}


def test_only_the_chosen_tests_and_what_they_need_are_left(tmp_path: Path) -> None:
    bpf = tree(tmp_path, TREE)
    kept = reduce_tests(bpf, ["one", "two"])
    left = {str(path.relative_to(bpf)) for path in bpf.rglob("*") if path.is_file()}
    assert left == TREE.keys() - {"prog_tests/other.c", "progs/other_prog.c"}
    assert kept.light == {"fast"}


def test_a_test_that_the_tree_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(BpfviewError, match="no BPF selftest gone"):
        reduce_tests(tree(tmp_path, TREE), ["one", "gone"])
