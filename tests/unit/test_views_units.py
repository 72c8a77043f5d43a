# SPDX-License-Identifier: GPL-3.0-or-later
"""The units: written, started at boot, running; and what of that is missing is seen and mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.bpfview import view_inspect, views_units
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.host_layout import Host, Output
from plugins.module_utils.bpfview.views_desired import View
from plugins.module_utils.bpfview.views_units import RECONCILE, SERVICE, TIMER
from tests.unit.view_fixture import FakeKernel, Tree


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def supply(tree: Tree) -> tuple[View, ...]:
    views = (tree.ship("some_bytes 1\n"),)
    view_inspect.supply(tree.host, FakeKernel(tree), views)
    return views


def differing(tree: Tree) -> list[str]:
    return [item.what for item in views_units.differing(tree.host)]


def test_a_host_without_units_lacks_files_start_at_boot_and_state(tree: Tree) -> None:
    assert differing(tree) == [
        *(f"/etc/systemd/system/{unit}" for unit in (SERVICE, RECONCILE, TIMER)),
        f"{SERVICE} at boot",
        f"{TIMER} at boot",
        f"state of {SERVICE}",
        f"state of {TIMER}",
    ]
    views_units.install(tree.host)
    assert differing(tree) == []


def test_a_unit_that_did_not_start_is_an_error_and_is_not_forgotten(tree: Tree) -> None:
    tree.refused = {SERVICE}
    with pytest.raises(BpfviewError, match=rf"(?s)systemctl start.*journalctl -u {SERVICE}"):
        supply(tree)
    views = (tree.ship("some_bytes 1\n"),)
    state = view_inspect.inspect(tree.host, FakeKernel(tree), views)
    assert state.pending
    assert state.facts()["units"] == [SERVICE]
    assert state.diff() == [
        {
            "before_header": f"state of {SERVICE}",
            "after_header": f"state of {SERVICE}",
            "before": "failed\n",
            "after": "active\n",
        }
    ]
    with pytest.raises(BpfviewError, match="systemctl start"):
        supply(tree)
    tree.refused = set()
    supply(tree)
    assert tree.states[SERVICE] == "active"
    assert not view_inspect.inspect(tree.host, FakeKernel(tree), views).pending


@pytest.mark.parametrize(
    ("unit", "state", "seen"),
    [
        (SERVICE, "inactive", True),
        (SERVICE, "failed", True),
        (SERVICE, "activating", False),
        (TIMER, "inactive", True),
        (TIMER, "failed", True),
        (RECONCILE, "failed", True),
        (RECONCILE, "activating", False),
        (RECONCILE, "inactive", False),
    ],
)
def test_what_does_not_run_is_started(tree: Tree, unit: str, state: str, seen: bool) -> None:
    supply(tree)
    tree.states[unit] = state
    assert differing(tree) == ([f"state of {unit}"] if seen else [])
    supply(tree)
    assert differing(tree) == []


def test_killed_between_enable_and_start_the_next_run_starts(tree: Tree) -> None:
    supply(tree)
    tree.states.clear()
    assert differing(tree) == [f"state of {SERVICE}", f"state of {TIMER}"]
    supply(tree)
    assert tree.states == {SERVICE: "active", TIMER: "active"}


def test_a_systemd_that_does_not_answer_is_not_taken_for_a_running_unit(tree: Tree) -> None:
    supply(tree)
    mute = Host(tree.root, lambda _command: Output(1, "Failed to connect to bus: No such file\n"))
    assert [item.before for item in views_units.differing(mute)] == ["unknown\n"] * 2
