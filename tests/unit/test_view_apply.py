# SPDX-License-Identifier: GPL-3.0-or-later
"""From any state to the wanted one: fresh, again, replaced, refused, and killed at every step."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import (
    view_apply,
    view_host,
    view_inspect,
    view_pins,
    views_desired,
)
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.host_layout import Host
from plugins.module_utils.bpfview.libbpf import Rejected
from plugins.module_utils.bpfview.view_plan import Action
from plugins.module_utils.bpfview.views_desired import KeyCheck, View
from tests.unit.view_fixture import FakeKernel, Tree, btf

OLD, NEW = "some_bytes 1\n", "some_bytes 2\n"
CGROUPS = [".", "system.slice/cron.service", "system.slice/ssh.service"]
SLICE = ["system.slice", "system.slice/cron.service", "system.slice/ssh.service"]
MANY_STEPS = 200


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def supply(tree: Tree, *views: View) -> list[str]:
    state = view_inspect.supply(tree.host, FakeKernel(tree), views)
    return [str(step) for step in state.steps]


def all_show(tree: Tree, text: str) -> bool:
    return tree.shown() == dict.fromkeys(CGROUPS, text)


def test_a_fresh_host_gets_its_views_and_a_second_run_changes_nothing(tree: Tree) -> None:
    view = tree.ship(OLD)
    assert view_inspect.inspect(tree.host, FakeKernel(tree), (view,)).pending
    supply(tree, view)
    assert all_show(tree, OLD)
    assert tree.pinned() == ["memory", f"memory/{view.sha256}"]
    assert views_desired.load(tree.host) == (view,)
    assert ["systemctl", "start", "bpfview.service", "bpfview-reconcile.timer"] in tree.commands
    tree.commands.clear()
    state = view_inspect.supply(tree.host, FakeKernel(tree), (view,))
    assert not state.steps
    assert not state.list_differs
    assert not state.units
    assert not tree.changing_commands()


def test_inspection_writes_nothing(tree: Tree) -> None:
    view = tree.ship(OLD)
    before = sorted(tree.root.rglob("*"))
    state = view_inspect.inspect(tree.host, FakeKernel(tree), (view,))
    assert [step.action for step in state.steps] == [Action.LOAD, *[Action.EXPOSE] * 3]
    assert sorted(tree.root.rglob("*")) == before


def test_the_diff_is_what_the_run_then_does(tree: Tree) -> None:
    view = tree.ship(OLD)
    diff = view_inspect.inspect(tree.host, FakeKernel(tree), (view,)).diff()
    supply(tree, view)
    entries = next(part for part in diff if part["before_header"] == "views in cgroups")
    assert entries["before"] == ""
    assert [line.split()[0] for line in entries["after"].splitlines()] == tree.entries()
    assert view_inspect.inspect(tree.host, FakeKernel(tree), (view,)).diff() == []


def test_a_new_object_replaces_the_old_everywhere(tree: Tree) -> None:
    supply(tree, tree.ship(OLD))
    view = tree.ship(NEW)
    steps = supply(tree, view)
    assert all_show(tree, NEW)
    assert tree.pinned() == ["memory", f"memory/{view.sha256}"]
    assert [path.stem for path in tree.host.path(views_desired.OBJECTS).iterdir()] == [view.sha256]
    assert steps[0].startswith("load")


def inodes(tree: Tree) -> dict[str, int]:
    return {entry: (tree.cgroups / entry).stat().st_ino for entry in tree.entries()}


def test_files_stay_while_the_program_behind_them_is_exchanged(tree: Tree) -> None:
    supply(tree, tree.ship(OLD))
    before = inodes(tree)
    seen: list[set[str]] = []

    def look(_what: str) -> None:
        assert before.items() <= inodes(tree).items()
        seen.append(set(tree.shown().values()))

    view = tree.ship(NEW)
    state = view_inspect.supply(tree.host, FakeKernel(tree, look), (view,))
    assert [step.action for step in state.steps] == [Action.LOAD, Action.UPDATE, Action.UNPIN]
    assert inodes(tree) == before
    assert {OLD} in seen
    assert all(len(texts) == 1 for texts in seen)
    assert supply(tree, view) == []


def test_a_kernel_that_cannot_exchange_programs_makes_files_anew(tree: Tree) -> None:
    supply(tree, tree.ship(OLD))
    view = tree.ship(NEW)
    log: list[str] = []
    tree.want(view)
    view_inspect.reconcile(tree.host, FakeKernel(tree, updates=False), False, log.append)
    assert all_show(tree, NEW)
    assert [line for line in log if line.startswith("replace")] == [
        "replace memory system.slice/cron.service/view.memory",
        "replace memory system.slice/ssh.service/view.memory",
        "replace memory view.memory",
    ]
    assert supply(tree, view) == []


def test_an_update_that_is_refused_leaves_the_old_program(tree: Tree) -> None:
    old = tree.ship(OLD)
    supply(tree, old)

    def refuse_update(what: str) -> None:
        if what == "update":
            raise OSError(errno.EPERM, "Operation not permitted", "view")

    new = tree.ship(NEW)
    with pytest.raises(OSError, match="not permitted"):
        view_inspect.supply(tree.host, FakeKernel(tree, refuse_update), (new,))
    assert all_show(tree, OLD)
    assert supply(tree, tree.ship(OLD)) == [f"unpin memory {new.sha256}"]
    supply(tree, tree.ship(NEW))
    assert all_show(tree, NEW)


def test_a_link_that_runs_another_program_is_seen_and_set_right(tree: Tree) -> None:
    view = tree.ship(OLD)
    supply(tree, view)
    pin = tree.pins / "memory" / view.sha256
    other = tree.pins / "other"
    other.mkdir()
    (other / "program").write_text(NEW)
    FakeKernel(tree).update(f"{view_pins.PINS}/memory/{view.sha256}", f"{view_pins.PINS}/other")
    (other / "program").unlink()
    other.rmdir()
    assert (pin / "view").read_text() == NEW
    assert supply(tree, view) == [f"update memory {view.sha256}"]
    assert all_show(tree, OLD)
    assert supply(tree, view) == []


def test_selectors_that_change_move_the_entries(tree: Tree) -> None:
    supply(tree, tree.ship(OLD))
    supply(tree, tree.ship(OLD, ["user.slice"]))
    assert tree.entries() == ["user.slice/view.memory"]


def test_a_view_that_is_not_wanted_any_more_goes(tree: Tree) -> None:
    memory, cpu = tree.ship(OLD), tree.ship("cpu_usec 1\n", name="cpu")
    supply(tree, memory, cpu)
    supply(tree, memory)
    assert not tree.shown("view.cpu")
    assert all_show(tree, OLD)
    assert tree.pinned() == ["memory", f"memory/{memory.sha256}"]


def test_a_cgroup_that_came_later_is_served_and_one_that_went_is_no_change(tree: Tree) -> None:
    view = tree.ship(OLD)
    supply(tree, view)
    (tree.cgroups / "system.slice/new.service").mkdir()
    assert view_inspect.inspect(tree.host, FakeKernel(tree), (view,)).pending
    log: list[str] = []
    view_inspect.reconcile(tree.host, FakeKernel(tree), False, log.append)
    assert log == ["expose memory system.slice/new.service/view.memory"]
    (tree.cgroups / "system.slice/new.service/view.memory").unlink()
    (tree.cgroups / "system.slice/new.service").rmdir()
    assert not view_inspect.inspect(tree.host, FakeKernel(tree), (view,)).pending


def test_after_a_reboot_the_agent_brings_them_back(tree: Tree) -> None:
    view = tree.ship(OLD)
    supply(tree, view)
    for path in tree.cgroups.rglob("view.*"):
        path.unlink()
    for path in sorted(tree.pins.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    tree.pins.rmdir()
    view_pins.remove_files(tree.host, [], [view_pins.RUN])
    view_inspect.reconcile(tree.host, FakeKernel(tree), False, lambda _line: None)
    assert all_show(tree, OLD)


def test_a_lost_record_is_made_anew_without_guessing(tree: Tree) -> None:
    view = tree.ship(OLD)
    supply(tree, view)
    tree.host.path(view_pins.RECORD).unlink()
    steps = supply(tree, view)
    assert steps[:2] == [f"unpin memory {view.sha256}", f"load memory {view.sha256}"]
    assert all_show(tree, OLD)
    assert supply(tree, view) == []


def test_a_reconciliation_that_waited_for_a_deployment_keeps_what_it_brought(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    supply(tree, tree.ship(OLD))
    view = tree.ship(NEW, ["/"])
    only_one = view_apply.only_one

    @contextmanager
    def wait(host: Host) -> Iterator[None]:
        monkeypatch.undo()
        supply(tree, view)
        with only_one(host):
            yield

    monkeypatch.setattr(view_apply, "only_one", wait)
    assert view_inspect.reconcile(tree.host, FakeKernel(tree), False, lambda _line: None) == []
    assert tree.shown() == {".": NEW}


def test_a_record_of_single_files_is_one_that_earlier_agents_know(tree: Tree) -> None:
    supply(tree, tree.ship(OLD), tree.ship("cpu_usec 1\n", ["system.slice"], "cpu", subtree=True))
    entries = json.loads(tree.host.text(view_pins.RECORD))["entries"]
    assert entries.pop("system.slice/view.cpu")["subtree"] is True
    assert {tuple(sorted(entry)) for entry in entries.values()} == {("inode", "sha256", "view")}


def test_a_record_that_a_later_agent_wrote_is_understood(tree: Tree) -> None:
    view = tree.ship(OLD)
    supply(tree, view)
    path = tree.host.path(view_pins.RECORD)
    data = json.loads(path.read_text())
    for entry in data["entries"].values():
        entry["more"] = True
    path.write_text(json.dumps(data))
    assert supply(tree, view) == []


# subtrees ----------------------------------------------------------------------------------------


def test_a_subtree_is_one_entry_and_serves_new_cgroups_at_once(tree: Tree) -> None:
    view = tree.ship(OLD, ["system.slice", "system.slice/*.service"], subtree=True)
    assert supply(tree, view)[1:] == ["expose memory system.slice/view.memory and below"]
    FakeKernel(tree).mkdir("system.slice/new.service")
    assert tree.shown() == dict.fromkeys(sorted([*SLICE, "system.slice/new.service"]), OLD)
    assert supply(tree, view) == []
    assert view_inspect.inspect(tree.host, FakeKernel(tree), (view,)).diff() == []


def test_in_a_subtree_what_somebody_removed_comes_back(tree: Tree) -> None:
    view = tree.ship(OLD, ["system.slice"], subtree=True)
    supply(tree, view)
    FakeKernel(tree).hide("system.slice/ssh.service/view.memory")
    assert supply(tree, view) == ["expose memory system.slice/ssh.service/view.memory"]
    assert supply(tree, view) == []


def test_a_cgroup_of_a_subtree_may_be_made_anew_while_a_run_looks(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = tree.ship(OLD, ["system.slice"], subtree=True)
    supply(tree, view)
    kernel, targets = FakeKernel(tree), view_host.targets

    def targets_then_gone(*given: object, **named: object) -> view_host.Targets:
        found = targets(*given, **named)  # type: ignore[arg-type]
        empty(tree.cgroups / "system.slice/ssh.service")
        return found

    def remade(what: str) -> None:
        if what == "expose":
            kernel.mkdir("system.slice/ssh.service")

    monkeypatch.setattr(view_host, "targets", targets_then_gone)
    state = view_inspect.supply(tree.host, FakeKernel(tree, remade), (view,))
    monkeypatch.undo()
    assert [step.action for step in state.steps] == [Action.EXPOSE]
    assert tree.shown() == dict.fromkeys(SLICE, OLD)
    # it is no entry of its own, and goes with the subtree
    assert list(view_pins.load_record(tree.host) or {}) == ["system.slice/view.memory"]
    assert supply(tree, view) == []


def test_a_file_that_is_in_the_way_of_a_subtree_is_refused(tree: Tree) -> None:
    foreign = tree.cgroups / "system.slice/ssh.service/view.memory"
    foreign.write_text("theirs\n")
    refuse(
        tree,
        "taken in the cgroup system.slice/ssh.service",
        tree.ship(OLD, ["system.slice"], subtree=True),
    )


EVERYWHERE = [".", "system.slice", "system.slice/cron.service", "system.slice/ssh.service"]
EVERYWHERE += ["user.slice"]


@pytest.mark.parametrize("text", [OLD, NEW], ids=["same", "updated"])
def test_subtrees_grow_shrink_and_become_single_files(tree: Tree, text: str) -> None:
    for selectors, subtree, cgroups in (
        (["system.slice"], True, SLICE),
        (["/"], True, EVERYWHERE),
        (["system.slice"], True, SLICE),
        (["system.slice", "user.slice"], False, ["system.slice", "user.slice"]),
        (["/"], True, EVERYWHERE),
        (["/", "system.slice"], False, [".", "system.slice"]),
    ):
        for shown in (OLD, text):
            view = tree.ship(shown, selectors, subtree=subtree)
            supply(tree, view)
            assert tree.shown() == dict.fromkeys(cgroups, shown), (selectors, subtree)
            assert supply(tree, view) == []


class NoSubtrees(FakeKernel):
    """Fails to expose in a subtree, and unless ``restores`` in its topmost cgroup as well."""

    restores = True
    failed = ""

    def expose(self, folder: str, path: str, *, below: bool = False) -> None:
        if below:
            self.failed = path
            raise OSError(errno.ENOMEM, "Cannot allocate memory", path)
        if not self.restores and path == self.failed:
            raise OSError(errno.EPERM, "Operation not permitted", path)
        super().expose(folder, path)


BOTH = ["system.slice", "user.slice"]


def test_files_whose_subtree_cannot_be_made_show_the_new_text(tree: Tree) -> None:
    supply(tree, tree.ship(OLD, BOTH))
    view = tree.ship(NEW, BOTH, subtree=True)
    with pytest.raises(BpfviewError, match=r"in system\.slice: Cannot allocate memory"):
        view_inspect.supply(tree.host, NoSubtrees(tree), (view,))
    assert tree.shown() == dict.fromkeys(BOTH, NEW)
    record = view_pins.load_record(tree.host) or {}
    assert {path: (entry.sha256, entry.inode) for path, entry in record.items()} == {
        path: (view.sha256, inode) for path, inode in inodes(tree).items()
    }
    supply(tree, view)
    assert tree.shown() == dict.fromkeys([*SLICE, "user.slice"], NEW)
    assert supply(tree, view) == []


def test_a_former_file_that_cannot_be_put_back_does_not_hide_why_it_went(tree: Tree) -> None:
    supply(tree, tree.ship(OLD, BOTH))
    view = tree.ship(NEW, BOTH, subtree=True)
    kernel = NoSubtrees(tree)
    kernel.restores = False
    with pytest.raises(BpfviewError, match=r"Cannot allocate memory; nor .* Operation not perm"):
        view_inspect.supply(tree.host, kernel, (view,))
    assert tree.shown() == {"user.slice": NEW}
    supply(tree, view)
    assert tree.shown() == dict.fromkeys([*SLICE, "user.slice"], NEW)


def test_a_kernel_that_knows_no_subtrees_gets_a_file_in_each_cgroup(tree: Tree) -> None:
    tree.describe(btf("bpf_view_cgroup"))
    view = tree.ship(OLD, ["system.slice"], subtree=True)
    assert supply(tree, view)[1:] == [f"expose memory {cgroup}/view.memory" for cgroup in SLICE]
    FakeKernel(tree).mkdir("system.slice/new.service")
    assert supply(tree, view) == ["expose memory system.slice/new.service/view.memory"]


def test_with_the_record_lost_a_subtree_is_made_anew(tree: Tree) -> None:
    view = tree.ship(OLD, ["system.slice"], subtree=True)
    supply(tree, view)
    tree.host.path(view_pins.RECORD).unlink()
    assert supply(tree, view)[2:] == ["expose memory system.slice/view.memory and below"]
    assert tree.shown() == dict.fromkeys(SLICE, OLD)
    assert supply(tree, view) == []


def test_a_view_that_takes_anothers_file_gets_it(tree: Tree) -> None:
    supply(tree, tree.ship(OLD))
    content = tree.ship(NEW)
    view = View("mem", "view.memory", content.sha256, content.selectors)
    supply(tree, view)
    assert all_show(tree, NEW)
    assert supply(tree, view) == []


# refused before anything is changed -------------------------------------------------------------


def refuse(tree: Tree, words: str, *views: View) -> None:
    before = tree.entries(), tree.pinned()
    with pytest.raises(BpfviewError, match=words):
        supply(tree, *views)
    assert (tree.entries(), tree.pinned()) == before


def test_a_rejected_view_replaces_nothing_and_shows_the_log(tree: Tree) -> None:
    memory, cpu = tree.ship(OLD), tree.ship("cpu_usec 1\n", name="cpu")
    supply(tree, memory, cpu)
    # the first of the two is good, and must not be left half-way either
    good, bad = tree.ship(NEW), tree.ship("REJECT", name="cpu")
    refuse(tree, "(?s)cpu was refused.*register R0 has value 5", good, bad)
    assert all_show(tree, OLD)
    assert views_desired.load(tree.host) == (memory, cpu)


@pytest.mark.parametrize("bad", ["cpu", "memory", "tasks"])
@pytest.mark.parametrize("text", ["REJECT", "no view\n"], ids=["refused", "unreadable"])
def test_at_boot_a_view_that_an_older_kernel_refuses_is_said_and_left_out(
    tree: Tree, bad: str, text: str
) -> None:
    names = ["cpu", "memory", "tasks"]
    views = [tree.ship(text if name == bad else OLD, ["/"], name) for name in names]
    good = [name for name in names if name != bad]
    tree.want(*views)
    log: list[str] = []
    steps = view_inspect.reconcile(tree.host, FakeKernel(tree), False, log.append)
    assert tree.entries() == [f"view.{name}" for name in good]
    assert [step.view for step in steps] == good * 2
    said = [line for line in log if line.startswith("left as it was")]
    assert [f"view {bad} " in line for line in said] == [True]
    # the next look finds nothing to do and says nothing, and somebody who looks himself is told
    log.clear()
    tried: list[str] = []
    later = FakeKernel(tree, tried.append)
    assert view_inspect.reconcile(tree.host, later, False, log.append) == []
    assert (tried, log) == ([], [])
    with pytest.raises(BpfviewError, match=f"(?s)view {bad} .*Nothing was replaced"):
        view_inspect.reconcile(tree.host, FakeKernel(tree), True, log.append)
    refuse(tree, f"view {bad} ", *views)
    assert tree.entries() == [f"view.{name}" for name in good]


def reconciled(tree: Tree, kernel: FakeKernel | None = None) -> list[str]:
    """The steps of one run of the timer."""
    steps = view_inspect.reconcile(tree.host, kernel or FakeKernel(tree), False, lambda _line: None)
    return [step.action for step in steps]


def test_the_timer_tries_a_refused_view_again_when_its_object_or_the_boot_is_another(
    tree: Tree,
) -> None:
    tree.want(tree.ship("REJECT", ["/"]))
    assert reconciled(tree) == []
    tree.want(tree.ship(OLD, ["/"]))
    assert reconciled(tree) == [Action.LOAD, Action.EXPOSE]
    tree.want(tree.ship("REJECT", ["/"], "cpu"))
    reconciled(tree)
    tried: list[str] = []
    assert reconciled(tree, FakeKernel(tree, tried.append)) == []
    assert tried == []
    shutil.rmtree(tree.host.path(view_pins.RUN))
    reconciled(tree, FakeKernel(tree, tried.append))
    assert tried.count("load") == 1


def test_what_a_deployment_gets_loaded_after_all_the_timer_loads_again(tree: Tree) -> None:
    view = tree.ship(OLD, ["/"])
    tree.want(view)

    def lies(what: str) -> None:
        if what == "load":
            raise Rejected("0: at program exit R0 has value 5")

    assert reconciled(tree, FakeKernel(tree, lies)) == []
    assert reconciled(tree) == []
    assert supply(tree, view) != []
    FakeKernel(tree).discard(f"{view_pins.PINS}/memory/{view.sha256}")
    assert reconciled(tree) == [Action.LOAD, Action.EXPOSE]


def test_the_timer_tries_again_where_memory_was_short(tree: Tree) -> None:
    tree.want(tree.ship(OLD, ["/"]))

    def short(what: str) -> None:
        if what == "load":
            raise Rejected("loading memory: Cannot allocate memory", errno.ENOMEM)

    assert reconciled(tree, FakeKernel(tree, short)) == []
    assert reconciled(tree) == [Action.LOAD, Action.EXPOSE]


@pytest.mark.parametrize("subtree", [False, True])
def test_at_boot_a_refused_view_leaves_what_it_was_to_replace(tree: Tree, subtree: bool) -> None:
    old = tree.ship(OLD)
    supply(tree, old, tree.ship(OLD, ["/"], "tasks"))
    before = inodes(tree)
    tasks = tree.ship(NEW, ["/"], "tasks")
    tree.want(tree.ship("REJECT", ["system.slice"], subtree=subtree), tasks)
    view_inspect.reconcile(tree.host, FakeKernel(tree), False, lambda _line: None)
    assert all_show(tree, OLD)
    assert tree.shown("view.tasks") == {".": NEW}
    assert inodes(tree) == before
    assert tree.pinned() == [
        "memory",
        f"memory/{old.sha256}",
        "tasks",
        f"tasks/{tasks.sha256}",
    ]
    assert supply(tree, old, tasks) == []


def test_at_boot_what_the_system_refuses_is_an_error_still(tree: Tree) -> None:
    def full(what: str) -> None:
        if what == "load":
            raise OSError(errno.ENOSPC, "No space left on device")

    tree.want(tree.ship(OLD))
    with pytest.raises(OSError, match="No space"):
        view_inspect.reconcile(tree.host, FakeKernel(tree, full), False, lambda _line: None)


@pytest.mark.parametrize("text", ["no view\n", "cut 1", "unknown_key 1\n"])
def test_a_view_that_reads_badly_replaces_nothing(tree: Tree, text: str) -> None:
    keys = {"some_bytes": KeyCheck("grows")}
    supply(tree, tree.ship(OLD, keys=keys))
    refuse(tree, "(?s)cannot be read in /.*Nothing was replaced", tree.ship(text, keys=keys))
    assert all_show(tree, OLD)


def empty(folder: Path) -> None:
    """Make a cgroup go, with its views."""
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.mark.parametrize("when", ["expose", "exposed"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_view_is_proved_in_another_cgroup_when_the_first_went(
    tree: Tree, when: str, count: int
) -> None:
    view = tree.ship(OLD, ["system.slice/*.service"])
    going = ["system.slice/cron.service", "system.slice/ssh.service"][:count]

    def interfere(what: str) -> None:
        if what == when and going:
            empty(tree.cgroups / going.pop(0))

    view_inspect.supply(tree.host, FakeKernel(tree, interfere), (view,))
    left = {"system.slice/ssh.service": OLD} if count == 1 else {}
    assert tree.shown() == left
    assert tree.pinned() == ["memory", f"memory/{view.sha256}"]


def test_a_view_that_cannot_be_read_anywhere_is_refused(tree: Tree) -> None:
    class Unreadable(FakeKernel):
        def read(self, path: str) -> str:
            raise OSError(errno.ENODEV, "No such device", path)

    view = tree.ship(OLD, ["system.slice/*.service"])
    with pytest.raises(BpfviewError, match=r"cannot be read in /.*Nothing was replaced"):
        view_inspect.supply(tree.host, Unreadable(tree), (view,))
    assert (tree.entries(), tree.pinned()) == ([], ["memory"])


class CrowdedKernel(FakeKernel):
    """A kernel where some cgroups' directories take no more entries."""

    def __init__(self, tree: Tree, *full: str) -> None:
        super().__init__(tree)
        self.full = {f"{cgroup}/" if cgroup else "" for cgroup in full}

    def _make(self, pin: Path, path: str, root: str) -> None:
        if path.rpartition("/")[0] + "/" * ("/" in path) in self.full:
            if root and root != path:
                return  # a member that finds no room is left out
            raise OSError(errno.ENOSPC, "No space left on device", path)
        super()._make(pin, path, root)


FULL = "system.slice/cron.service"
ROOM = f"(?s){FULL}.*holds 256 entries already.*Write rm to entries in /sys/fs/cgroup/{FULL}"


def test_a_deployment_into_a_full_directory_says_what_to_do(tree: Tree) -> None:
    view = tree.ship(OLD)
    with pytest.raises(BpfviewError, match=ROOM):
        view_inspect.supply(tree.host, CrowdedKernel(tree, FULL), (view,))
    supply(tree, view)
    assert all_show(tree, OLD)


def test_a_full_root_is_not_put_down_to_the_views_source(tree: Tree) -> None:
    with pytest.raises(BpfviewError, match="in /: its directory holds 256 entries"):
        view_inspect.supply(tree.host, CrowdedKernel(tree, ""), (tree.ship(OLD),))
    assert tree.pinned() == ["memory"]


def test_the_timer_goes_on_with_the_others_where_one_directory_is_full(tree: Tree) -> None:
    tree.want(tree.ship(OLD, [FULL, "system.slice/ssh.service"]))
    log: list[str] = []
    view_inspect.reconcile(tree.host, CrowdedKernel(tree, FULL), False, log.append)
    assert tree.entries() == ["system.slice/ssh.service/view.memory"]
    told = [line for line in log if not line.startswith(("load", "expose"))]
    assert len(told) == 1
    assert re.search(ROOM, told[0])
    assert reconciled(tree) == [Action.EXPOSE]


def test_a_subtree_that_a_full_directory_was_left_out_of_names_it_at_the_next_look(
    tree: Tree,
) -> None:
    view = tree.ship(OLD, ["system.slice"], subtree=True)
    view_inspect.supply(tree.host, CrowdedKernel(tree, FULL), (view,))
    assert sorted(tree.shown()) == ["system.slice", "system.slice/ssh.service"]
    with pytest.raises(BpfviewError, match=ROOM):
        view_inspect.supply(tree.host, CrowdedKernel(tree, FULL), (view,))


def test_a_wrong_digest_is_refused(tree: Tree) -> None:
    supply(tree, tree.ship(OLD))
    view = tree.ship(NEW)
    tree.host.path(view.object_path).write_bytes(b"else")
    refuse(tree, "has the digest", view)
    assert all_show(tree, OLD)


def test_an_object_that_is_no_elf_is_refused(tree: Tree) -> None:
    view = tree.ship(OLD)
    content = b"#!/bin/sh\n"
    fake = View("memory", "view.memory", view_host.sha256_bytes(content), view.selectors)
    tree.host.path(fake.object_path).write_bytes(content)
    refuse(tree, "no ELF", fake)


def test_a_foreign_entry_is_not_touched(tree: Tree) -> None:
    foreign = tree.cgroups / "system.slice/ssh.service/view.memory"
    foreign.write_text("theirs\n")
    refuse(tree, "taken in the cgroup system.slice/ssh.service", tree.ship(OLD))
    assert foreign.read_text() == "theirs\n"


def test_an_entry_that_somebody_else_makes_meanwhile_is_not_claimed(tree: Tree) -> None:
    view = tree.ship(OLD)
    foreign = tree.cgroups / "system.slice/ssh.service/view.memory"

    def interfere(what: str) -> None:
        if what == "publish":
            foreign.write_text("theirs\n")

    with pytest.raises(BpfviewError, match=r"cannot be exposed in system\.slice/ssh\.service"):
        view_inspect.supply(tree.host, FakeKernel(tree, interfere), (view,))
    refuse(tree, "taken in the cgroup", view)
    foreign.unlink()
    supply(tree, view)
    assert all_show(tree, OLD)


def test_foreign_pins_are_not_touched(tree: Tree) -> None:
    foreign = tree.root / "sys/fs/bpf/theirs"
    foreign.mkdir()
    supply(tree, tree.ship(OLD))
    view_inspect.remove(tree.host, FakeKernel(tree))
    assert foreign.is_dir()


def test_a_selector_without_match_is_refused_with_its_remedy(tree: Tree) -> None:
    refuse(
        tree, r"(?s)'no.slice/\*' of the view memory.*systemd-cgls", tree.ship(OLD, ["no.slice/*"])
    )


def test_at_boot_a_selector_without_match_is_only_said(tree: Tree) -> None:
    tree.want(tree.ship(OLD, ["/", "late.slice"]))
    log: list[str] = []
    view_inspect.reconcile(tree.host, FakeKernel(tree), False, log.append)
    assert "no cgroup matches 'late.slice' of the view memory now" in log
    assert tree.entries() == ["view.memory"]


def test_a_kernel_without_the_series_is_refused_predicted_or_left_alone(tree: Tree) -> None:
    view = tree.ship(OLD)
    tree.want(view)
    (tree.root / "sys/kernel/btf/vmlinux").write_bytes(b"")
    refuse(tree, "does not carry the bpf_view series", view)
    state = view_inspect.inspect(tree.host, FakeKernel(tree), (view,), predict=True)
    assert state.pending
    assert "predicted" in state.warnings[0]
    with pytest.raises(BpfviewError, match="No cgroup matches"):
        view_inspect.inspect(
            tree.host, FakeKernel(tree), (tree.ship(OLD, ["no.slice"]),), predict=True
        )
    log: list[str] = []
    assert view_inspect.reconcile(tree.host, FakeKernel(tree), False, log.append) == []
    assert log[0].startswith("nothing done")
    (tree.root / "sys/kernel/btf/vmlinux").unlink()
    refuse(tree, "offers no BTF", view)


def test_a_host_without_bpffs_is_refused(tree: Tree) -> None:
    tree.mounts("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0")
    refuse(tree, "No BPF filesystem", tree.ship(OLD))


def test_a_changed_agent_is_refused(tree: Tree) -> None:
    view = tree.ship(OLD)
    with pytest.raises(BpfviewError, match="not the agent"):
        view_inspect.supply(tree.host, FakeKernel(tree), (view,), "0" * 64)
    assert tree.entries() == []


def test_a_missing_package_is_told_and_shown(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    for present, packages in ((True, []), (False, ["libbpf1"])):
        monkeypatch.setattr(view_host, "library_present", lambda present=present: present)
        state = view_inspect.inspect(tree.host, FakeKernel(tree), (tree.ship(OLD),))
        assert state.facts()["missing_packages"] == packages
        shown = [part["after"] for part in state.diff() if part["before_header"] == "packages"]
        assert shown == [f"{name}\n" for name in packages]


def test_what_steps_do_is_told_in_a_few_words(tree: Tree) -> None:
    def told(*views: View) -> str:
        state = view_inspect.supply(tree.host, FakeKernel(tree), views)
        words: str = state.facts()["summary"]
        return words

    first, cpu = tree.ship(OLD), tree.ship("cpu_usec 1\n", ["/"], name="cpu")
    assert told(first, cpu) == "2 views loaded, 4 files exposed"
    assert told(first, cpu) == "none loaded or exposed anew"
    assert (
        told(tree.ship(NEW))
        == "1 view loaded, 1 view updated in place, 1 file removed, 2 views unloaded"
    )
    assert told(tree.ship(NEW, ["/"], subtree=True)) == "1 subtree replaced"


def test_remove_leaves_nothing(tree: Tree) -> None:
    supply(tree, tree.ship(OLD), tree.ship("cpu_usec 1\n", name="cpu"))
    assert view_inspect.to_be_removed(tree.host)
    removed = view_inspect.remove(tree.host, FakeKernel(tree))
    assert removed
    assert tree.entries() == []
    assert view_inspect.to_be_removed(tree.host) == []
    left = [path for path in tree.root.rglob("*bpfview*") if not path.is_symlink()]
    assert left == []
    assert view_inspect.remove(tree.host, FakeKernel(tree)) == []


# killed ------------------------------------------------------------------------------------------


def killed_at(tree: Tree, count: int, view: View, *, updates: bool) -> bool:
    """Run in a child that dies, with no clean-up, before its count-th step; tell whether it did."""
    child = os.fork()
    if child == 0:
        left = [count]

        def step(_what: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)

        try:
            view_inspect.supply(tree.host, FakeKernel(tree, step, updates=updates), (view,))
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, 9}
    return status == 9


@pytest.mark.parametrize("again", [NEW, OLD], ids=["finishes", "undoes"])
@pytest.mark.parametrize("updates", [True, False], ids=["updates", "replaces"])
@pytest.mark.parametrize("subtree", [True, False], ids=["subtree", "files"])
def test_killed_anywhere_the_next_run_finishes_or_undoes(
    tmp_path: Path, again: str, updates: bool, subtree: bool
) -> None:
    for count in range(MANY_STEPS):
        tree = Tree(tmp_path / str(count))
        selectors = ["system.slice"] if subtree else ["/", "system.slice/*.service"]
        cgroups = SLICE if subtree else CGROUPS
        supply(
            tree,
            tree.ship(OLD, selectors, subtree=subtree),
            tree.ship("cpu_usec 1\n", ["user.slice"], name="cpu"),
        )
        new = tree.ship(NEW, selectors, subtree=subtree)
        was_killed = killed_at(tree, count, new, updates=updates)
        view = tree.ship(again, selectors, subtree=subtree)
        view_inspect.supply(tree.host, FakeKernel(tree, updates=updates), (view,))
        assert tree.shown() == dict.fromkeys(cgroups, again), count
        assert tree.entries() == sorted(
            f"{cgroup}/view.memory".removeprefix("./") for cgroup in cgroups
        )
        assert tree.pinned() == ["memory", f"memory/{view.sha256}"], count
        assert supply(tree, view) == [], count
        if not was_killed:
            # two more steps for the trial, and at least one for each generation
            assert count > 8
            return
    raise AssertionError("the run never came to its end")
