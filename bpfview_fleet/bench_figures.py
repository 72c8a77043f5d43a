# SPDX-License-Identifier: GPL-3.0-or-later
"""From times to ratios, and whether a ratio is what it is to be.

No figure is a time: all of them compare what the same machine did at about the same moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations
from statistics import median

from .bench_log import Boot

# What a kernel without a view may take of the stock kernel's time and still cost nothing.
MEASURABLE = 1.03


@dataclass(frozen=True)
class Ratio:
    """A median and how far the values around it reach."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Ratio:
        """Of few values, so the spread is all of them."""
        return cls(median(values), min(values), max(values))


class Verdict(StrEnum):
    """Whether a ratio is what it is to be."""

    MET = "met"
    MISSED = "missed"
    NOT_DECIDED = "not decided"


@dataclass(frozen=True)
class Aim:
    """What a ratio is to be, in words, and whether one is so."""

    words: str
    judge: Callable[[Ratio], Verdict]


def _met_if(met: bool) -> Verdict:
    return Verdict.MET if met else Verdict.MISSED


def at_most(limit: float) -> Aim:
    """The median is no more than this."""
    return Aim(f"≤ {limit:g}", lambda ratio: _met_if(ratio.middle <= limit))


def at_least(limit: float) -> Aim:
    """The median is no less than this."""
    return Aim(f"≥ {limit:g}", lambda ratio: _met_if(ratio.middle >= limit))


def all_of_them() -> Aim:
    """None is left out, in any boot."""
    return Aim("1", lambda ratio: _met_if(ratio.low == 1))


def not_measurable(noise: Ratio) -> Aim:
    """The median is no more than a bound; more proves something only beyond the noise.

    The noise is what lies between two boots of one kernel. It never makes a figure pass.
    """
    bound = at_most(MEASURABLE)

    def judge(ratio: Ratio) -> Verdict:
        verdict = bound.judge(ratio)
        hidden = ratio.middle <= noise.high
        return Verdict.NOT_DECIDED if verdict is Verdict.MISSED and hidden else verdict

    return Aim(bound.words, judge)


@dataclass(frozen=True)
class Figure:
    """One row: what is compared, what came out, and the aim if there is one."""

    what: str
    ratio: Ratio
    aim: Aim | None = None

    @property
    def verdict(self) -> Verdict | None:
        """Whether the figure is what it is to be; None if it has no aim."""
        return self.aim.judge(self.ratio) if self.aim else None


@dataclass(frozen=True)
class Run:
    """The boots of one run on one baseline. Of the last two, each has one next to the other."""

    reads: Sequence[Boot]
    many: Boot
    patched: Sequence[Boot]
    stock: Sequence[Boot]


@dataclass(frozen=True)
class Group:
    """Figures that belong together."""

    title: str
    figures: Sequence[Figure]


def all_groups(run: Run) -> list[Group]:
    """Every figure of a run. Raises BpfviewError if the machines did not tell enough."""
    return [
        Group("Reading a view of ten keys", _reads(run.reads)),
        Group("While `cgroup_mutex` is held by somebody else", _held(run.reads)),
        Group("Making and removing a cgroup", _dirs(run)),
        Group("Exposing in 10,000 cgroups", _many(run.many)),
    ]


def _by_boot(boots: Sequence[Boot], ratio: Callable[[Boot], float]) -> Ratio:
    return Ratio.of([ratio(boot) for boot in boots])


def _by_round(boot: Boot, one: str, other: str) -> float:
    """What one took of the other's time, as in most rounds."""
    pairs = zip(boot.series(one), boot.series(other), strict=True)
    return median(first / second for first, second in pairs)


def _reads(boots: Sequence[Boot]) -> list[Figure]:
    def row(what: str, one: str, other: str, aim: Aim | None = None) -> Figure:
        return Figure(what, _by_boot(boots, lambda boot: _by_round(boot, one, other)), aim)

    return [
        row("`pread` of the view / of `pids.current`", "idle.view", "idle.floor", at_most(3)),
        row("reading and parsing the six native files with these keys / the view",
            "idle.native", "idle.parsed-view", at_least(5)),
        row("`pread` of the view / open, read, close of a pinned iterator with the same text",
            "idle.view", "idle.iterator", at_most(1)),
        row("open, read, close of the view / of that iterator",
            "idle.opened-view", "idle.iterator"),
        row("sleepable / not sleepable", "idle.sleepable-view", "idle.view"),
        row("sleepable and flushed / neither, in a quiet cgroup", "idle.flushed-view", "idle.view"),
        row("the same while another processor charges memory", "busy.flushed-view", "busy.view"),
        row("the native files / the flushed view, both parsed, in a quiet cgroup",
            "idle.native", "idle.parsed-flushed-view", at_least(5)),
        row("the same while another processor charges memory",
            "busy.native", "busy.parsed-flushed-view", at_least(5)),
        row("`pread` of `view.memory` as shipped, all its keys, flushed / of `pids.current`",
            "idle.shipped-view", "idle.floor"),
    ]  # fmt: skip


def _held(boots: Sequence[Boot]) -> list[Figure]:
    def views(boot: Boot) -> float:
        # Who waits for the mutex from before the reads until after them shows that it was held.
        if not boot.fact("held.mkdir-waited"):
            return 0
        return boot.fact("held.reads-ended") / boot.fact("held.reads")

    return [
        Figure("reads of views, flushed or not, that came back meanwhile / all of them",
               _by_boot(boots, views), all_of_them()),
        Figure("reads of a pinned iterator that came back / all of them",
               _by_boot(boots, lambda boot: 1 - boot.fact("held.iterator-waited"))),
    ]  # fmt: skip


def _added(boot: Boot, one: str, other: str) -> float:
    """What one takes longer than the other, round by round."""
    pairs = zip(boot.series(one), boot.series(other), strict=True)
    return median(first - second for first, second in pairs)


def _native_file(boot: Boot) -> float:
    """A controller's files apart from the controller: it is there in both kinds of cgroup."""
    files = boot.fact("files.visible") - boot.fact("files.hidden")
    return _added(boot, "dirs.visible", "dirs.hidden") / files


def _bare(boot: Boot) -> float:
    """Boots are compared by what the series does not touch."""
    return median(boot.series("dirs.bare")) / median(boot.series("dirs.tmpfs"))


def _dirs(run: Run) -> list[Figure]:
    def added_per_file(name: str, views: int) -> Ratio:
        return _by_boot(
            run.patched,
            lambda boot: _added(boot, f"dirs.{name}", "dirs.bare") / views / _native_file(boot),
        )

    def times(name: str, other: str) -> Ratio:
        return _by_boot(
            run.patched,
            lambda boot: median(boot.series(f"dirs.{name}")) / median(boot.series(f"dirs.{other}")),
        )

    patched, stock = [_bare(boot) for boot in run.patched], [_bare(boot) for boot in run.stock]
    noise = Ratio.of([one / other for one, other in permutations(stock, 2)])
    return [
        Figure("no view: patched kernel / stock kernel",
               Ratio.of([one / other for one in patched for other in stock]),
               not_measurable(noise)),
        Figure("no view: stock kernel / stock kernel, in another boot", noise),
        Figure("what one subtree view adds / what one native file adds",
               added_per_file("one-view", 1), at_most(1)),
        Figure("what each of ten subtree views adds / what one native file adds",
               added_per_file("ten-views", 10), at_most(1)),
        Figure("with one view / without", times("one-view", "bare")),
        Figure("with ten views / without", times("ten-views", "bare")),
        Figure("with the memory controller's files / without them", times("visible", "hidden")),
    ]  # fmt: skip


def _many(boot: Boot) -> list[Figure]:
    def by_round(what: str, one: str, other: str) -> Figure:
        pairs = zip(boot.series(one), boot.series(other), strict=True)
        return Figure(what, Ratio.of([first / second for first, second in pairs]))

    def memory(what: str, one: str) -> Figure:
        pairs = zip(boot.facts_of(f"{one}.bytes"), boot.facts_of("native.bytes"), strict=True)
        return Figure(what, Ratio.of([first / second for first, second in pairs]))

    return [
        by_round("one by one, each entry / `mkdir` of a cgroup", "each.make", "cgroups.make"),
        by_round("by subtree, each entry / `mkdir` of a cgroup", "subtree.make", "cgroups.make"),
        by_round("by subtree, each entry / making one native file", "subtree.make", "native.make"),
        by_round("removing one by one, each entry / `rmdir` of a cgroup",
                 "each.remove", "cgroups.remove"),
        by_round("removing the subtree, each entry / removing one native file",
                 "subtree.remove", "native.remove"),
        memory("memory of an entry made one by one / of a native file", "each"),
        memory("memory of an entry made by subtree / of a native file", "subtree"),
    ]  # fmt: skip
