# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file of every wanted view on a host, compared; and whether that makes a verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import cgroup_tree, view_host
from .cgroup_tree import ROOT
from .errors import BpfviewError
from .host_layout import Host
from .view_check import Files, Mismatch, Tally, check_view
from .view_failure import room_in
from .view_pins import entry_path
from .views_desired import View
from .views_units import INTERVAL

# How long a cgroup may be without its files: until the next reconciliation is through.
SETTLE = INTERVAL + 15  # seconds
_TICK = 1.0  # seconds between looks for files that are still to come


@dataclass(frozen=True)
class Verification:
    """The tallies by view, and the reasons why the views are not as they have to be."""

    tallies: dict[str, Tally]
    reasons: tuple[str, ...]

    @property
    def compared(self) -> int:
        """How many values were compared with the kernel's own."""
        return sum(tally.compared for tally in self.tallies.values())

    def facts(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "compared": self.compared,
            "read": sum(tally.read for tally in self.tallies.values()),
            "views": {name: tally.facts() for name, tally in self.tallies.items()},
            "reasons": list(self.reasons),
        }


class _Arrivals:
    """Which cgroups came while we looked: a file that they lack may still be on its way.

    A cgroup is known by its inode number too, for one that is made anew has the name of the former.
    What was there at the first look is as old as can be, for nobody can say how old it is.
    """

    def __init__(self, host: Host, grace: float) -> None:
        self._root = host.path(ROOT)
        self._grace = grace
        self._since: dict[tuple[str, int], float] = {}
        self._looked = False

    def note(self, cgroups: Iterable[str]) -> None:
        """Remember the cgroups of one look."""
        now = time.monotonic() if self._looked else -math.inf
        for cgroup in cgroups:
            inode = self._inode(cgroup)
            if inode is not None:
                self._since.setdefault((cgroup, inode), now)
        self._looked = True

    def lacks(self, cgroup: str, entry: str) -> bool:
        """Tell whether a cgroup is there without the file."""
        return self._inode(cgroup) is not None and self._inode(entry_path(cgroup, entry)) is None

    def is_young(self, cgroup: str) -> bool:
        """Tell whether a cgroup came less than the grace ago."""
        now = time.monotonic()
        return now - self._since.get((cgroup, self._inode(cgroup) or 0), now) < self._grace

    def _inode(self, path: str) -> int | None:
        try:
            return (self._root / path).stat().st_ino
        except OSError:
            return None


def verify(host: Host, views: Sequence[View], settle_seconds: float = 0) -> Verification:
    """Compare every wanted view in every selected cgroup.

    ``settle_seconds`` is how long a cgroup may be without its files: the agent looks for new ones
    from time to time. So long, files that are missing at first are waited for, and a cgroup that
    comes meanwhile is counted as young instead of wrong. Raises BpfviewError if nothing is wanted
    or the host cannot have views.
    """
    if not views:
        raise BpfviewError(
            "No views are deployed on this host, so there is nothing to verify",
            "Deploy them: ansible-playbook -i inventory playbooks/views.yml",
        )
    arrivals = _Arrivals(host, settle_seconds)
    found = _await_files(host, views, arrivals, settle_seconds)
    files = Files(host.path(ROOT))
    tallies = {}
    for view in views:
        tally = tallies[view.name] = Tally()
        for cgroup in found.cgroups[view.name]:
            tally.add(_compare(view, cgroup, files, arrivals))
    return Verification(tallies, tuple(_reasons(host, tallies, found)))


def _compare(view: View, cgroup: str, files: Files, arrivals: _Arrivals) -> Tally:
    def awaits() -> bool:
        return arrivals.lacks(cgroup, view.entry) and arrivals.is_young(cgroup)

    if awaits():
        return Tally(young=1)
    tally = check_view(view, cgroup, files)
    # or it was made anew while we read
    return Tally(young=1) if tally.mismatches and awaits() else tally


def _reasons(host: Host, tallies: dict[str, Tally], found: view_host.Targets) -> list[str]:
    reasons = [
        f"the selector {selector!r} of the view {view} matches no cgroup"
        for view, selector in found.unmatched
    ]
    for name, tally in tallies.items():
        reasons += [_told(host, item) for item in tally.mismatches]
        if not tally.compared:
            reasons.append(f"no value of the view {name} could be compared with the kernel's own")
    return reasons


def _told(host: Host, mismatch: Mismatch) -> str:
    """Say what is wrong, and if a file may be missing for want of room, what to do."""
    cgroup = mismatch.cgroup.strip("/")  # shown
    if mismatch.absent and cgroup_tree.may_be_full(host, cgroup):
        return (
            f"{mismatch}; its directory may be full, and the kernel then leaves it out:"
            f" {room_in(cgroup)}"
        )
    return str(mismatch)


def _await_files(
    host: Host, views: Sequence[View], arrivals: _Arrivals, seconds: float
) -> view_host.Targets:
    """Wait for the files of those cgroups that are no longer young; return what is selected."""
    end = time.monotonic() + seconds
    while True:
        found = view_host.targets(host, views)
        arrivals.note({cgroup for cgroups in found.cgroups.values() for cgroup in cgroups})
        missing = any(
            arrivals.lacks(cgroup, view.entry) and not arrivals.is_young(cgroup)
            for view in views
            for cgroup in found.cgroups[view.name]
        )
        if not missing or time.monotonic() >= end:
            return found
        time.sleep(_TICK)
