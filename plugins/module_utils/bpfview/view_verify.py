# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file of every wanted view on a host, compared; and whether that makes a verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import view_host
from .cgroup_tree import ROOT
from .errors import BpfviewError
from .host_layout import Host
from .view_check import Files, Tally, check_view
from .views_desired import View

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


def verify(host: Host, views: Sequence[View], settle_seconds: float = 0) -> Verification:
    """Compare every wanted view in every selected cgroup.

    A cgroup may be younger than the last reconciliation: ``settle_seconds`` is how long to wait for
    files that are missing. Raises BpfviewError if nothing is wanted or the host cannot have views.
    """
    if not views:
        raise BpfviewError(
            "No views are deployed on this host, so there is nothing to verify",
            "Deploy them: ansible-playbook -i inventory playbooks/views.yml",
        )
    _await_files(host, views, settle_seconds)
    found = view_host.targets(host, views)
    files = Files(host.path(ROOT))
    tallies = {}
    for view in views:
        tally = tallies[view.name] = Tally()
        for cgroup in found.cgroups[view.name]:
            tally.add(check_view(view, cgroup, files))
    return Verification(tallies, tuple(_reasons(tallies, found)))


def _reasons(tallies: dict[str, Tally], found: view_host.Targets) -> list[str]:
    reasons = [
        f"the selector {selector!r} of the view {view} matches no cgroup"
        for view, selector in found.unmatched
    ]
    for name, tally in tallies.items():
        reasons += [str(item) for item in tally.mismatches]
        if not tally.compared:
            reasons.append(f"no value of the view {name} could be compared with the kernel's own")
    return reasons


def _await_files(host: Host, views: Sequence[View], seconds: float) -> None:
    end = time.monotonic() + seconds
    while _some_missing(host, views) and time.monotonic() < end:
        time.sleep(_TICK)


def _some_missing(host: Host, views: Sequence[View]) -> bool:
    root = host.path(ROOT)
    cgroups = view_host.targets(host, views).cgroups
    return any(
        not (root / cgroup / view.entry).exists() and (root / cgroup).is_dir()
        for view in views
        for cgroup in cgroups[view.name]
    )
