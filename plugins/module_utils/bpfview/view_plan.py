# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done so that a host has the wanted views: decided from facts alone.

Carrying the steps out in order leads from any state, also one that a killed run left, to the wanted
one; where nothing is to be done there are no steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from .cgroup_tree import shown
from .errors import BpfviewError
from .view_pins import Entry, entry_path
from .views_desired import View


class Action(StrEnum):
    """The kinds of steps."""

    DISCARD = "discard"  # an unfinished generation
    UNPIN = "unpin"  # a whole generation; its entries go with it
    LOAD = "load"  # through the verifier, pinned, read once
    EXPOSE = "expose"  # a loaded view in a cgroup
    REPLACE = "replace"  # an entry of an older generation by the loaded one
    HIDE = "hide"  # an entry of ours that is not wanted any more


@dataclass(frozen=True)
class Step:
    """One step; ``target`` is a generation, an unfinished folder, or an entry's path."""

    action: Action
    view: str
    target: str

    def __str__(self) -> str:
        return f"{self.action} {self.view} {self.target}"


_COUNTED = {
    Action.DISCARD: ("unfinished view", "discarded"),
    Action.LOAD: ("view", "loaded"),
    Action.EXPOSE: ("file", "exposed"),
    Action.REPLACE: ("file", "replaced"),
    Action.HIDE: ("file", "removed"),
    Action.UNPIN: ("view", "unloaded"),
}


def summary(steps: Sequence[Step]) -> str:
    """Return in a few words what steps do."""
    counts = Counter(step.action for step in steps)
    words = [
        f"{counts[action]} {thing}{'s' if counts[action] > 1 else ''} {done}"
        for action, (thing, done) in _COUNTED.items()
        if counts[action]
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
    # view → selected cgroups
    cgroups: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def ours(self, path: str) -> bool:
        """Whether an entry that exists at ``path`` is one that we made."""
        entry = (self.record or {}).get(path)
        return entry is not None and entry.inode in {0, self.inodes.get(path)}


@dataclass
class _Phases:
    """Steps in the order of their risk: what may fail comes before what is missed."""

    clean: list[Step] = field(default_factory=list)
    load: list[Step] = field(default_factory=list)
    change: list[Step] = field(default_factory=list)
    drop: list[Step] = field(default_factory=list)


def plan(views: Sequence[View], observed: Observed) -> list[Step]:
    """Return the steps; BpfviewError if a wanted name is taken by what is not ours."""
    phases = _Phases()
    phases.clean += [Step(Action.DISCARD, view, name) for view, name in observed.unfinished]
    for view in views:
        _view_steps(view, observed, phases)
    _unwanted(observed, {view.name for view in views}, phases)
    return phases.clean + phases.load + phases.change + phases.drop


def _unwanted(observed: Observed, wanted: set[str], phases: _Phases) -> None:
    for path, entry in sorted((observed.record or {}).items()):
        if entry.view not in wanted and path in observed.inodes and observed.ours(path):
            phases.change.append(Step(Action.HIDE, entry.view, path))
    for name in sorted(set(observed.generations) - wanted):
        phases.drop += _unpin(name, observed.generations[name])


def _unpin(view: str, generations: Iterable[str]) -> list[Step]:
    return [Step(Action.UNPIN, view, generation) for generation in sorted(generations)]


def _view_steps(view: View, observed: Observed, phases: _Phases) -> None:
    generations = observed.generations.get(view.name, set())
    targets = [entry_path(cgroup, view.entry) for cgroup in observed.cgroups.get(view.name, ())]
    load = Step(Action.LOAD, view.name, view.sha256)
    if generations and observed.record is None:
        # Nobody can say which entries are ours: let the kernel take them all away with the pins.
        phases.clean += _unpin(view.name, generations)
        phases.load.append(load)
        phases.change += [Step(Action.EXPOSE, view.name, path) for path in targets]
        return

    _refuse_foreign(view, targets, observed)
    if view.sha256 not in generations:
        phases.load.append(load)
    record = observed.record or {}
    for path in targets:
        entry = record.get(path)
        if path not in observed.inodes or entry is None:
            phases.change.append(Step(Action.EXPOSE, view.name, path))
        elif load in phases.load or entry.sha256 != view.sha256 or not entry.inode:
            phases.change.append(Step(Action.REPLACE, view.name, path))
    for path, entry in sorted(record.items()):
        unwanted = entry.view == view.name and path not in targets
        if unwanted and path in observed.inodes and observed.ours(path):
            phases.change.append(Step(Action.HIDE, view.name, path))
    phases.drop += _unpin(view.name, generations - {view.sha256})


def _refuse_foreign(view: View, targets: Sequence[str], observed: Observed) -> None:
    taken = [path for path in targets if path in observed.inodes and not observed.ours(path)]
    if taken:
        others = f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""
        raise BpfviewError(
            f"The name {view.entry} is taken in the cgroup"
            f" {shown(taken[0].rpartition('/')[0])}{others} by something this toolkit did not make",
            f"Remove it there (write rm to /sys/fs/cgroup/{taken[0]}), or select other cgroups"
            f" for the view {view.name}",
        )
