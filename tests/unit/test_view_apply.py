# SPDX-License-Identifier: GPL-3.0-or-later
"""From any state to the wanted one: fresh, again, replaced, refused, and killed at every step."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import view_host, view_inspect, view_pins, views_desired
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.view_plan import Action
from plugins.module_utils.bpfview.views_desired import KeyCheck, View
from tests.unit.view_fixture import FakeKernel, Tree

OLD, NEW = "some_bytes 1\n", "some_bytes 2\n"
CGROUPS = [".", "system.slice/cron.service", "system.slice/ssh.service"]
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
    assert view_inspect.inspect(tree.host, (view,)).pending
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
    state = view_inspect.inspect(tree.host, (view,))
    assert [step.action for step in state.steps] == [Action.LOAD, *[Action.EXPOSE] * 3]
    assert sorted(tree.root.rglob("*")) == before


def test_the_diff_is_what_the_run_then_does(tree: Tree) -> None:
    view = tree.ship(OLD)
    diff = view_inspect.inspect(tree.host, (view,)).diff()
    supply(tree, view)
    entries = next(part for part in diff if part["before_header"] == "views in cgroups")
    assert entries["before"] == ""
    assert [line.split()[0] for line in entries["after"].splitlines()] == tree.entries()
    assert view_inspect.inspect(tree.host, (view,)).diff() == []


def test_a_new_object_replaces_the_old_everywhere(tree: Tree) -> None:
    supply(tree, tree.ship(OLD))
    view = tree.ship(NEW)
    steps = supply(tree, view)
    assert all_show(tree, NEW)
    assert tree.pinned() == ["memory", f"memory/{view.sha256}"]
    assert [path.stem for path in tree.host.path(views_desired.OBJECTS).iterdir()] == [view.sha256]
    assert steps[0].startswith("load")


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
    assert view_inspect.inspect(tree.host, (view,)).pending
    log: list[str] = []
    view_inspect.reconcile(tree.host, FakeKernel(tree), False, log.append)
    assert log == ["expose memory system.slice/new.service/view.memory"]
    (tree.cgroups / "system.slice/new.service/view.memory").unlink()
    (tree.cgroups / "system.slice/new.service").rmdir()
    assert not view_inspect.inspect(tree.host, (view,)).pending


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
    state = view_inspect.inspect(tree.host, (view,), predict=True)
    assert state.pending
    assert "predicted" in state.warnings[0]
    with pytest.raises(BpfviewError, match="No cgroup matches"):
        view_inspect.inspect(tree.host, (tree.ship(OLD, ["no.slice"]),), predict=True)
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
        state = view_inspect.inspect(tree.host, (tree.ship(OLD),))
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
        told(tree.ship(NEW)) == "1 view loaded, 3 files replaced, 1 file removed, 2 views unloaded"
    )


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


def killed_at(tree: Tree, count: int, *views: View) -> bool:
    """Run in a child that dies, with no clean-up, before its count-th step; tell whether it did."""
    child = os.fork()
    if child == 0:
        left = [count]

        def step(_what: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)

        try:
            view_inspect.supply(tree.host, FakeKernel(tree, step), views)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, 9}
    return status == 9


@pytest.mark.parametrize("again", [NEW, OLD], ids=["finishes", "undoes"])
def test_killed_anywhere_the_next_run_finishes_or_undoes(tmp_path: Path, again: str) -> None:
    for count in range(MANY_STEPS):
        tree = Tree(tmp_path / str(count))
        supply(tree, tree.ship(OLD), tree.ship("cpu_usec 1\n", ["user.slice"], name="cpu"))
        was_killed = killed_at(tree, count, tree.ship(NEW))
        view = tree.ship(again)
        supply(tree, view)
        assert all_show(tree, again), count
        assert tree.entries() == sorted(
            f"{cgroup}/view.memory".removeprefix("./") for cgroup in CGROUPS
        )
        assert tree.pinned() == ["memory", f"memory/{view.sha256}"], count
        assert supply(tree, view) == [], count
        if not was_killed:
            assert count > len(CGROUPS) * 4
            return
    raise AssertionError("the run never came to its end")
