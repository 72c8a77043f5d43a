# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparison: what passes, what is told as wrong, and that nothing passes by being empty."""

from __future__ import annotations

import errno
import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import cgroup_tree, view_check, view_verify, views_desired
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.view_check import Tally, check_view, native_value
from plugins.module_utils.bpfview.views_desired import KeyCheck, View
from tests.unit.view_fixture import Tree

MAX = KeyCheck("equal", "memory.max")
USAGE = KeyCheck("bracketed", "memory.current")
ANON = KeyCheck("bracketed", "memory.stat", key="anon")
PROCS = KeyCheck("bracketed", "cgroup.procs", count="lines")
WAIT = KeyCheck("grows", may_be_absent=True)

Content = str | OSError | list[str] | Callable[[], str] | None


class Files(view_check.Files):
    """Files that say something else each time they are read."""

    def __init__(self, **contents: Content) -> None:
        super().__init__(Path("/nowhere"))
        self.contents = {name.replace("__", "."): content for name, content in contents.items()}
        self.there = True

    def exists(self, cgroup: str) -> bool:
        return self.there

    def read(self, cgroup: str, name: str) -> str | None:
        content = self.contents.get(name)
        if isinstance(content, list):
            return content.pop(0) if len(content) > 1 else content[0]
        if isinstance(content, OSError):
            raise content
        return content() if callable(content) else content


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_check, "_PAUSE", 0)


def check(files: Files, **keys: KeyCheck) -> Tally:
    return check_view(View("memory", "view.memory", "0" * 64, ("/",), keys), "a", files)


def only(tally: Tally) -> str:
    assert len(tally.mismatches) == 1
    return str(tally.mismatches[0])


def test_equal_and_bracketed_values_are_counted() -> None:
    tally = check(
        Files(
            memory__max="max\n",
            memory__current=["100\n", "300\n"],
            memory__stat="anon 5\nfile 6\n",
            cgroup__procs="1\n2\n",
            view__memory="m_bytes +Inf\nu_bytes 200\nanon_bytes 5\nprocs_count 2\n",
        ),
        m_bytes=MAX,
        u_bytes=USAGE,
        anon_bytes=ANON,
        procs_count=PROCS,
    )
    assert (tally.compared, tally.read, tally.mismatches) == (4, 1, [])


@pytest.mark.parametrize(
    ("native", "view", "words"),
    [
        ("100\n", "m_bytes 99\n", "m_bytes is 99, expected 100 as memory.max says"),
        ("max\n", "m_bytes 99\n", "m_bytes is 99, expected +Inf as memory.max says"),
        ("100\n", "m_bytes +Inf\n", "m_bytes is +Inf, expected 100"),
        ("100\n", "", "m_bytes is absent, expected 100"),
        (None, "m_bytes 99\n", "m_bytes is 99, expected absent, as there is no memory.max"),
        ("100\n", "m_bytes 100\nx 1\n", "x is 1, expected a key of the catalogue"),
        ("100\n", "rubbish\n", "no view's text"),
        ("100\n", None, "it is absent, expected a file view.memory"),
        ("100\n", OSError(errno.EIO, "bad"), "it is unreadable (bad), expected readable"),
    ],
)
def test_a_setting_that_differs_is_told(native: Content, view: Content, words: str) -> None:
    tally = check(Files(memory__max=native, view__memory=view), m_bytes=MAX)
    assert words in only(tally)


def test_a_value_outside_what_the_kernel_says_around_it_is_told_after_retries() -> None:
    tally = check(Files(memory__current="100\n", view__memory="u_bytes 101\n"), u_bytes=USAGE)
    assert only(tally) == "memory in a: u_bytes is 101, expected 100 as memory.current says"
    assert tally.compared == 0


def test_a_value_that_went_up_and_down_in_between_is_compared_again() -> None:
    natives = ["100\n", "100\n", "200\n", "200\n"]
    tally = check(Files(memory__current=natives, view__memory="u_bytes 200\n"), u_bytes=USAGE)
    assert (tally.compared, tally.mismatches) == (1, [])


def test_a_value_that_goes_up_and_down_lies_within_all_that_was_seen() -> None:
    # each time, it jumps away between the two readings of it and back
    natives = [f"{value}\n" for value in (100, 100, 300, 300, 100, 100)]
    views = [f"u_bytes {value}\n" for value in (300, 300, 100, 100, 200)]
    tally = check(Files(memory__current=natives, view__memory=views), u_bytes=USAGE)
    assert (tally.compared, tally.mismatches) == (1, [])


@pytest.mark.parametrize("shift", [5000, -5000])
def test_a_view_that_lies_about_a_busy_value_is_told(shift: int) -> None:
    moving = random.Random(1)  # noqa: S311
    files = Files(
        memory__current=lambda: f"{moving.randrange(10000, 14000)}\n",
        view__memory=lambda: f"u_bytes {moving.randrange(10000, 14000) + shift}\n",
    )
    tally = check(files, u_bytes=USAGE)
    assert "as memory.current said around it" in only(tally)


def test_a_busy_value_does_not_fail_by_chance() -> None:
    moving = random.Random(1)  # noqa: S311

    def jump() -> str:
        return f"{moving.randrange(10000, 14000)}\n"

    for _cgroup in range(5000):
        files = Files(memory__current=jump, view__memory=lambda: f"u_bytes {jump()}")
        assert check(files, u_bytes=USAGE).mismatches == []


def test_a_counter_is_held_to_what_is_said_right_around_it() -> None:
    growing = itertools.count(1000, 10)

    def stat() -> str:
        return f"anon {next(growing)}\n"

    good = Files(memory__stat=stat, view__memory=lambda: f"anon_bytes {next(growing)}\n")
    assert check(good, anon_bytes=ANON).compared == 1
    # read 1000 and 1010, then 1020 and 1030, ...: 1015 is among what was seen, but never between
    growing = itertools.count(1000, 10)
    stuck = Files(memory__stat=stat, view__memory="anon_bytes 1015\n")
    assert "anon_bytes is 1015, expected from 1220 to 1230" in only(check(stuck, anon_bytes=ANON))


def test_without_the_controller_an_empty_view_is_right_but_counts_for_nothing() -> None:
    tally = check(Files(view__memory=""), m_bytes=MAX, u_bytes=USAGE)
    assert (tally.read, tally.compared, tally.mismatches) == (1, 0, [])


def test_what_has_no_native_file_must_not_go_back() -> None:
    good = check(Files(view__memory=["w_usec 5\n", "w_usec 6\n"]), w_usec=WAIT)
    assert (good.consistent, good.compared, good.mismatches) == (1, 0, [])
    falling = iter(range(100, 0, -1))
    bad = check(Files(view__memory=lambda: f"w_usec {next(falling)}\n"), w_usec=WAIT)
    assert "not to go back" in only(bad)
    assert check(Files(view__memory=""), w_usec=WAIT).omitted == 1


def test_parts_must_make_the_whole() -> None:
    keys = {
        "all_count": KeyCheck("bracketed", "cgroup.threads", count="lines"),
        "a_count": KeyCheck("part", of="all_count"),
        "b_count": KeyCheck("part", of="all_count"),
    }
    threads = "1\n2\n3\n"
    good = "all_count 3\na_count 1\nb_count 2\n"
    bad = "all_count 3\na_count 1\nb_count 1\n"
    tally = check(Files(cgroup__threads=threads, view__memory=good), **keys)
    assert (tally.compared, tally.consistent, tally.mismatches) == (1, 2, [])
    tally = check(Files(cgroup__threads=threads, view__memory=bad), **keys)
    assert {item.key for item in tally.mismatches} == {"a_count", "b_count"}


def test_a_cgroup_that_went_meanwhile_is_no_mismatch() -> None:
    files = Files()
    files.there = False
    tally = check(files, m_bytes=MAX)
    assert (tally.vanished, tally.mismatches) == (1, [])


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (KeyCheck("equal", "cpu.max", column=1), "max 100000\n", 100000),
        (KeyCheck("equal", "cpu.max", column=2), "max 100000\n", None),
        (ANON, "file 1\nanon 2\nanon_thp 3\n", 2),
        (ANON, "anon_thp 3\n", None),
        (PROCS, "", 0),
        (MAX, None, None),
    ],
)
def test_native_files_are_read_by_key_column_or_lines(
    kind: KeyCheck, text: str | None, value: int | None
) -> None:
    assert native_value(kind, text) == value


# the whole host ----------------------------------------------------------------------------------


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    for cgroup in ("system.slice/ssh.service", "system.slice/cron.service"):
        (tree.cgroups / cgroup / "memory.max").write_text("4096\n")
    return tree


def deployed(tree: Tree, text: str, *selectors: str) -> view_verify.Verification:
    view = tree.ship(text, selectors, keys={"m_bytes": MAX})
    tree.want(view)
    for cgroup in ("system.slice/ssh.service", "system.slice/cron.service"):
        (tree.cgroups / cgroup / "view.memory").write_text(text)
    return view_verify.verify(tree.host, (view,))


def test_every_selected_cgroup_is_compared(tree: Tree) -> None:
    result = deployed(tree, "m_bytes 4096\n", "system.slice/*.service")
    assert (result.compared, result.reasons) == (2, ())
    assert result.facts()["views"]["memory"]["read"] == 2


def test_an_empty_comparison_fails(tree: Tree) -> None:
    for cgroup in ("system.slice/ssh.service", "system.slice/cron.service"):
        (tree.cgroups / cgroup / "memory.max").unlink()
    result = deployed(tree, "", "system.slice/*.service")
    assert result.reasons == (
        "no value of the view memory could be compared with the kernel's own",
    )


def test_an_empty_file_beside_the_kernels_own_fails(tree: Tree) -> None:
    assert "m_bytes is absent" in deployed(tree, "", "system.slice/*.service").reasons[0]


def test_a_missing_file_and_a_selector_without_match_fail(tree: Tree) -> None:
    result = deployed(tree, "m_bytes 4096\n", "system.slice/*.service", "user.slice", "no.slice")
    assert result.reasons == (
        "the selector 'no.slice' of the view memory matches no cgroup",
        "memory in user.slice: it is absent, expected a file view.memory",
    )


def test_a_directory_without_room_is_told_by_name_with_what_to_do(tree: Tree) -> None:
    for number in range(cgroup_tree.MAX_ENTRIES):
        (tree.cgroups / f"user.slice/view.{number}").write_text("")
    told = deployed(tree, "m_bytes 4096\n", "system.slice/*.service", "user.slice").reasons
    assert len(told) == 1
    assert "memory in user.slice: it is absent" in told[0]
    assert "may be full" in told[0]
    assert "Write rm to entries in /sys/fs/cgroup/user.slice " in told[0]
    (tree.cgroups / "user.slice/view.0").unlink()
    told = view_verify.verify(tree.host, views_desired.load(tree.host) or ()).reasons
    assert told == ("memory in user.slice: it is absent, expected a file view.memory",)


class Clock:
    """A clock that only goes on when somebody sleeps; what is given then happens."""

    def __init__(self, happens: Callable[[float], None]) -> None:
        self.now = 1000.0
        self._happens = happens

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._happens(self.now - 1000)


def serve(tree: Tree, cgroup: str, text: str = "m_bytes 4096\n") -> None:
    folder = tree.cgroups / cgroup
    folder.mkdir(exist_ok=True)
    (folder / "memory.max").write_text("4096\n")
    (folder / "view.memory").write_text(text)


def settled(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, happens: Callable[[float], None]
) -> tuple[view_verify.Verification, float]:
    """Verify with a grace of 75 s; the result, and how long was waited."""
    clock = Clock(happens)
    monkeypatch.setattr(view_verify, "time", clock)
    view = tree.ship("m_bytes 4096\n", ["system.slice/*.service"], keys={"m_bytes": MAX})
    return view_verify.verify(tree.host, (view,), 75), clock.now - 1000


def test_files_still_to_come_are_waited_for(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def come(passed: float) -> None:
        if passed == 40:
            serve(tree, "system.slice/ssh.service")
            serve(tree, "system.slice/cron.service")

    result, waited = settled(tree, monkeypatch, come)
    assert (result.compared, result.reasons, waited) == (2, (), 40)


def test_a_cgroup_that_comes_meanwhile_is_young_and_not_wrong(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def come(passed: float) -> None:
        (tree.cgroups / f"system.slice/new{passed}.service").mkdir()
        if passed == 3:
            serve(tree, "system.slice/ssh.service")

    serve(tree, "system.slice/cron.service")
    result, waited = settled(tree, monkeypatch, come)
    assert (result.compared, result.reasons, waited) == (2, (), 3)
    assert result.facts()["views"]["memory"]["young"] == 3


def test_a_cgroup_that_stays_without_its_file_fails_however_busy_the_host_is(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def come(passed: float) -> None:
        (tree.cgroups / f"system.slice/new{passed}.service").mkdir()

    serve(tree, "system.slice/cron.service")
    result, waited = settled(tree, monkeypatch, come)
    assert waited == 75
    # of those that came, the first has been there for 74 s
    assert result.reasons == (
        "memory in system.slice/ssh.service: it is absent, expected a file view.memory",
    )
    assert result.tallies["memory"].young == 75


def test_the_roots_file_is_looked_for_in_the_root(tree: Tree) -> None:
    arrivals = view_verify._Arrivals(tree.host, 0.0)
    assert arrivals.lacks("", "view.memory")
    (tree.cgroups / "view.memory").write_text("")
    assert not arrivals.lacks("", "view.memory")


def test_a_cgroup_that_came_is_no_longer_young_when_its_time_is_over(tree: Tree) -> None:
    arrivals = view_verify._Arrivals(tree.host, 0.0)
    arrivals.note([])
    arrivals.note(["system.slice/ssh.service"])
    assert arrivals.lacks("system.slice/ssh.service", "view.memory")
    assert not arrivals.is_young("system.slice/ssh.service")


def test_a_cgroup_that_was_made_anew_is_young(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    restarted = tree.cgroups / "system.slice/ssh.service"
    serve(tree, "system.slice/cron.service")
    serve(tree, "system.slice/ssh.service")
    kept = restarted.with_name("kept")

    def restart(view: View, cgroup: str, files: view_check.Files) -> Tally:
        if cgroup == "system.slice/ssh.service":
            restarted.rename(kept)  # so that its inode number is not used again
            restarted.mkdir()
        return check_view(view, cgroup, files)

    monkeypatch.setattr(view_verify, "check_view", restart)
    result, waited = settled(tree, monkeypatch, lambda _passed: None)
    assert (result.compared, result.reasons, waited) == (1, (), 0)
    assert result.tallies["memory"].young == 1


def test_nothing_deployed_is_an_error(tree: Tree) -> None:
    with pytest.raises(BpfviewError, match="nothing to verify"):
        view_verify.verify(tree.host, ())
