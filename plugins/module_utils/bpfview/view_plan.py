# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done so that a host has the wanted views: decided from facts alone.

Carrying the steps out in order leads from any state, also one that a killed run left, to the wanted
one; where nothing is to be done there are no steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from .cgroup_tree import ancestors, shown
from .errors import BpfviewError
from .view_pins import Entry, entry_path
from .views_desired import View


class Action(StrEnum):
    """The kinds of steps."""

    DISCARD = "discard"  # an unfinished generation
    UNPIN = "unpin"  # a whole generation; its entries go with it
    LOAD = "load"  # through the verifier, pinned, read once
    UPDATE = "update"  # the link of a generation, wherever it shows, to the wanted program
    EXPOSE = "expose"  # a loaded view in a cgroup
    REPLACE = "replace"  # an entry of an older generation by the loaded one
    HIDE = "hide"  # an entry of ours that is not wanted any more


@dataclass(frozen=True)
class Step:
    """One step; ``target`` is a generation, an unfinished folder, or an entry's path.

    With ``subtree`` the entry is one with all that come of it in the cgroups below.
    """

    action: Action
    view: str
    target: str
    subtree: bool = False

    def __str__(self) -> str:
        below = " and below" if self.subtree else ""
        return f"{self.action} {self.view} {self.target}{below}"


_COUNTED = {
    (Action.DISCARD, False): ("unfinished view", "discarded"),
    (Action.LOAD, False): ("view", "loaded"),
    (Action.UPDATE, False): ("view", "updated in place"),
    (Action.EXPOSE, True): ("subtree", "exposed"),
    (Action.EXPOSE, False): ("file", "exposed"),
    (Action.REPLACE, True): ("subtree", "replaced"),
    (Action.REPLACE, False): ("file", "replaced"),
    (Action.HIDE, True): ("subtree", "removed"),
    (Action.HIDE, False): ("file", "removed"),
    (Action.UNPIN, False): ("view", "unloaded"),
}


def summary(steps: Sequence[Step]) -> str:
    """Return in a few words what steps do."""
    counts = Counter((step.action, step.subtree) for step in steps)
    words = [
        f"{counts[kind]} {thing}{'s' if counts[kind] > 1 else ''} {done}"
        for kind, (thing, done) in _COUNTED.items()
        if counts[kind]
    ]
    return ", ".join(words) or "none loaded or exposed anew"


@dataclass(frozen=True)
class Observed:
    """What a host has: all of it read, nothing guessed."""

    generations: Mapping[str, set[str]]
    unfinished: Sequence[tuple[str, str]]
    record: Mapping[str, Entry] | None
    # path below the cgroup root → inode number, of every entry wanted or recorded that exists
    inodes: Mapping[str, int]
    # view → cgroups that are to have its file
    cgroups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # view → those of them where the kernel is to serve all cgroups below
    roots: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # (view, generation) whose link runs another program than the one that was loaded with it
    astray: Collection[tuple[str, str]] = ()

    def maker(self, path: str) -> str | None:
        """Return the path of the entry of ours that an existing one is, or came of."""
        if path not in self.inodes:
            return None
        if self._recorded(path):
            return path
        cgroup, _, name = path.rpartition("/")
        for ancestor in ancestors(cgroup) if cgroup else ():
            root = entry_path(ancestor, name)
            entry = self._recorded(root)
            if entry and entry.subtree:
                return root
        return None

    def _recorded(self, path: str) -> Entry | None:
        entry = (self.record or {}).get(path)
        if entry is None or path not in self.inodes:
            return None
        return entry if entry.inode in {0, self.inodes[path]} else None


@dataclass
class _Phases:
    """Steps in the order of their risk: what may fail comes before what is missed."""

    clean: list[Step] = field(default_factory=list)
    load: list[Step] = field(default_factory=list)
    clear: list[Step] = field(default_factory=list)  # what may stand in the way of others
    change: list[Step] = field(default_factory=list)
    drop: list[Step] = field(default_factory=list)


def plan(views: Sequence[View], observed: Observed) -> list[Step]:
    """Return the steps; BpfviewError if a wanted name is taken by what is not ours."""
    phases = _Phases()
    phases.clean += [Step(Action.DISCARD, view, name) for view, name in observed.unfinished]
    for view in views:
        _ViewPlan(view, observed, phases).add_steps()
    _unwanted(observed, {view.name for view in views}, phases)
    return phases.clean + phases.load + phases.clear + phases.change + phases.drop


def _unwanted(observed: Observed, wanted: set[str], phases: _Phases) -> None:
    for path, entry in sorted((observed.record or {}).items()):
        if entry.view not in wanted and observed.maker(path) == path:
            phases.clear.append(Step(Action.HIDE, entry.view, path, entry.subtree))
    for name in sorted(set(observed.generations) - wanted):
        phases.drop += _unpin(name, observed.generations[name])


def _unpin(view: str, generations: Iterable[str]) -> list[Step]:
    return [Step(Action.UNPIN, view, generation) for generation in sorted(generations)]


class _ViewPlan:
    """The steps of one wanted view."""

    def __init__(self, view: View, observed: Observed, phases: _Phases) -> None:
        self._view = view
        self._observed = observed
        self._phases = phases
        self._generations = observed.generations.get(view.name, set())
        # a cgroup comes before those in it
        cgroups = observed.cgroups.get(view.name, ())
        self._targets = dict.fromkeys(entry_path(cgroup, view.entry) for cgroup in cgroups)
        self._roots = {entry_path(c, view.entry) for c in observed.roots.get(view.name, ())}
        # every entry of ours that is there, but for those that came of one
        self._made = {
            path: entry
            for path, entry in (observed.record or {}).items()
            if entry.view == view.name and observed.maker(path) == path
        }

    def add_steps(self) -> None:
        """Add the view's steps to their phases."""
        if self._generations and self._observed.record is None:
            # Nobody can say which entries are ours: the kernel takes them away with the pins.
            self._phases.clean += _unpin(self._view.name, self._generations)
            self._phases.load.append(self._step(Action.LOAD, self._view.sha256))
            self._phases.change += [
                self._expose(path) for path in self._targets if self._alone(path)
            ]
            return
        self._refuse_foreign()
        if self._loads:
            self._phases.load.append(self._step(Action.LOAD, self._view.sha256))
        self._clear()
        carried = self._update()
        settled = set()  # subtrees that stay as they are
        for path in self._targets:
            entry = None if self._goes(path) else self._made.get(path)
            if entry and self._is_right(path, entry, carried):
                settled.add(path)
            elif entry:
                self._phases.change.append(replace(self._expose(path), action=Action.REPLACE))
            elif self._lacks(path, settled):
                self._phases.change.append(self._expose(path))
        self._phases.drop += _unpin(self._view.name, self._generations - {self._view.sha256})

    def _step(self, action: Action, target: str) -> Step:
        return Step(action, self._view.name, target)

    def _expose(self, path: str) -> Step:
        return replace(self._step(Action.EXPOSE, path), subtree=path in self._roots)

    @property
    def _loads(self) -> bool:
        return self._view.sha256 not in self._generations

    def _clear(self) -> None:
        """Hide what is not wanted, with all that came of it."""
        for path, entry in sorted(self._made.items()):
            if path not in self._targets or self._goes(path):
                step = Step(Action.HIDE, self._view.name, path, entry.subtree)
                self._phases.clear.append(step)

    def _update(self) -> str | None:
        """Have the wanted program run where one of another generation does now; return that."""
        wanted = self._view.sha256
        counts = Counter(
            entry.sha256
            for path, entry in self._made.items()
            if path in self._targets and entry.inode and not self._goes(path)
        )
        if counts[wanted] or not (counts.keys() & self._generations):
            if not self._loads and (self._view.name, wanted) in self._observed.astray:
                self._phases.change.append(self._step(Action.UPDATE, wanted))
            return None
        carried = max(counts.keys() & self._generations, key=lambda found: (counts[found], found))
        self._phases.change.append(self._step(Action.UPDATE, carried))
        return carried

    def _is_right(self, path: str, entry: Entry, carried: str | None) -> bool:
        """Tell whether an entry of ours shows what is wanted, if need be after the update."""
        shows = entry.sha256 == (carried or self._view.sha256) and bool(entry.inode)
        lost = self._loads and not carried
        return shows and not lost and entry.subtree == (path in self._roots)

    def _goes(self, path: str) -> bool:
        """Tell whether an entry goes before anything is exposed."""
        maker = self._observed.maker(path)
        if maker is None:
            return False
        entry = self._made.get(maker)
        # another view's, which has another file now, or a subtree that is none any more
        return entry is None or (entry.subtree and maker not in self._roots)

    def _alone(self, path: str) -> bool:
        """Tell whether a file is not brought by the kernel when a subtree is exposed."""
        return self._root_of(path) is None

    def _root_of(self, path: str) -> str | None:
        cgroup = path.rpartition("/")[0]
        above = (entry_path(c, self._view.entry) for c in ancestors(cgroup)) if cgroup else ()
        return next((root for root in above if root in self._roots), None)

    def _lacks(self, path: str, settled: Collection[str]) -> bool:
        """Tell whether a file that we have not made is to be exposed."""
        if path in self._observed.inodes and not self._goes(path):
            return False  # it came of a subtree, or will be made anew with it
        root = self._root_of(path)
        return root is None or root in settled  # else it comes with its root

    def _refuse_foreign(self) -> None:
        observed = self._observed
        taken = [p for p in self._targets if p in observed.inodes and observed.maker(p) is None]
        if taken:
            others = f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""
            raise BpfviewError(
                f"The name {self._view.entry} is taken in the cgroup"
                f" {shown(taken[0].rpartition('/')[0])}{others} by something this toolkit did not"
                " make",
                f"Remove it there (write rm to /sys/fs/cgroup/{taken[0]}), or select other cgroups"
                f" for the view {self._view.name}",
            )
