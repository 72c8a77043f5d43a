# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules themselves, as Ansible starts them: results, check mode, failures."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from plugins.module_utils.bpfview import view_inspect, views_desired, views_units
from plugins.module_utils.bpfview.views_desired import KeyCheck, View
from plugins.modules import view_apply, view_remove, view_state, view_verify
from tests.unit.module_runner import Answer, Run, run_module
from tests.unit.view_fixture import FakeKernel, Tree

TEXT = "m_bytes 4096\n"
KEYS = {"m_bytes": KeyCheck("equal", "memory.max")}
SELECTORS = ["system.slice/*.service"]
ENTRIES = ["system.slice/cron.service/view.memory", "system.slice/ssh.service/view.memory"]
MODULES = (view_apply, view_remove, view_state, view_verify)

__all__ = ["run_module"]  # a fixture is used by its name alone


@pytest.fixture(name="tree")
def _tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    tree = Tree(tmp_path)
    for entry in ENTRIES:
        (tree.cgroups / entry).with_name("memory.max").write_text("4096\n")
    for module in MODULES:
        monkeypatch.setattr(module, "Host", lambda: tree.host)
        if hasattr(module, "Kernel"):
            monkeypatch.setattr(module, "Kernel", lambda _host: FakeKernel(tree))
    monkeypatch.setattr(view_inspect.view_host, "library_present", lambda: True)
    return tree


def wanted(*views: View) -> Answer:
    """The arguments that the action plugin makes."""
    return {"wanted": views_desired.facts(views), "agent_sha256": ""}


def view(tree: Tree) -> View:
    return tree.ship(TEXT, SELECTORS, keys=KEYS)


def deployed(tree: Tree) -> View:
    given = view(tree)
    view_inspect.supply(tree.host, FakeKernel(tree), (given,))
    return given


def everything(tree: Tree) -> list[tuple[str, bytes]]:
    files = (path for path in sorted(tree.root.rglob("*")) if path.is_file())
    return [(str(path), path.read_bytes()) for path in files]


# view_apply --------------------------------------------------------------------------------------


def test_apply_predicts_does_and_then_has_nothing_to_do(tree: Tree, run: Run) -> None:
    arguments = wanted(view(tree))
    before = everything(tree)
    predicted = run(view_apply, check=True, **arguments)
    assert everything(tree) == before
    done = run(view_apply, **arguments)
    assert tree.entries() == ENTRIES
    assert predicted["changed"] and done["changed"]
    for part in ("steps", "diff", "views"):
        assert predicted[part] == done[part]
    again = run(view_apply, **arguments)
    assert (again["changed"], again["steps"], again["diff"]) == (False, [], [])


def test_apply_fails_with_reason_and_remedy(tree: Tree, run: Run) -> None:
    answer = run(view_apply, **wanted(tree.ship("REJECT", SELECTORS)))
    assert "memory was refused" in answer["msg"]
    answer = run(view_apply, wanted={"schema": 2}, agent_sha256="")
    assert "not understood" in answer["msg"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "Make room"),
        (errno.EROFS, "can be written"),
        (errno.EPERM, "become: true"),
        (errno.EIO, "dmesg"),
    ],
)
def test_a_refusal_of_the_system_is_told_with_its_path(
    tree: Tree, run: Run, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def refuse(*_arguments: object, **_named: object) -> None:
        raise OSError(code, "the reason", "/sys/fs/bpf/bpfview/x")

    arguments = wanted(view(tree))
    monkeypatch.setattr(FakeKernel, "load", refuse)
    message = run(view_apply, **arguments)["msg"]
    assert "Bringing the views up failed: /sys/fs/bpf/bpfview/x: the reason." in message
    assert words in message
    monkeypatch.setattr(view_inspect, "remove", refuse)
    assert "Removing the views failed: /sys/fs" in run(view_remove)["msg"]
    monkeypatch.setattr(view_inspect, "inspect", refuse)
    assert "Looking at the views failed: /sys/fs" in run(view_state, **arguments)["msg"]
    monkeypatch.setattr(view_verify, "verify", refuse)
    answer = run(view_verify)
    assert "Verifying the views failed: /sys/fs" in answer["msg"]
    assert answer["reasons"] == [answer["msg"]]


# view_state --------------------------------------------------------------------------------------


def test_state_tells_what_is_missing_and_changes_nothing(
    tree: Tree, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_inspect.view_host, "library_present", lambda: False)
    given = view(tree)
    tree.host.path(given.object_path).unlink()
    before = everything(tree)
    answer = run(view_state, **wanted(given) | {"agent_sha256": "0" * 64})
    assert everything(tree) == before
    assert (answer["changed"], answer["pending"]) == (False, True)
    assert answer["missing_packages"] == ["libbpf1"]
    assert answer["missing_objects"] == [given.sha256]
    assert answer["agent_differs"]
    assert answer["units"] == sorted(views_units.TEXTS)
    assert answer["views"]["memory"]["cgroups"] == len(ENTRIES)


def test_state_of_a_host_that_has_all(tree: Tree, run: Run) -> None:
    answer = run(view_state, **wanted(deployed(tree)))
    assert (answer["pending"], answer["missing_packages"], answer["units"]) == (False, [], [])


def test_state_fails_for_what_stands_in_the_way(tree: Tree, run: Run) -> None:
    answer = run(view_state, **wanted(tree.ship(TEXT, ["no.slice"])))
    assert "No cgroup matches the selector 'no.slice'" in answer["msg"]


@pytest.mark.parametrize("check", [False, True])
def test_before_the_kernel_comes_its_lack_is_no_obstacle_and_all_else_is(
    tree: Tree, run: Run, check: bool
) -> None:
    (tree.root / "sys/kernel/btf/vmlinux").write_bytes(b"")
    arguments = wanted(view(tree))
    assert "predicted" in run(view_state, check=True, **arguments)["warnings"][0]
    assert "does not carry the bpf_view series" in run(view_state, **arguments)["msg"]
    arguments["kernel_to_come"] = True
    answer = run(view_state, check=check, **arguments)
    assert (answer["pending"], answer["warnings"]) == (True, [])
    bad = {**wanted(tree.ship(TEXT, ["no.slice"])), "kernel_to_come": True}
    assert "No cgroup matches" in run(view_state, check=check, **bad)["msg"]
    (tree.root / "run/systemd/system").rmdir()
    assert "not booted by systemd" in run(view_state, check=check, **arguments)["msg"]
    tree.mounts()
    assert "not a cgroup v2 hierarchy" in run(view_state, check=check, **arguments)["msg"]


def test_before_the_kernel_comes_a_subtree_is_predicted_as_what_that_kernel_makes_of_it(
    tree: Tree, run: Run
) -> None:
    arguments = wanted(tree.ship(TEXT, ["system.slice"], keys=KEYS, subtree=True))
    ours = tree.host.path("/sys/kernel/btf/vmlinux").read_bytes()
    tree.describe(b"")
    predicted = run(view_apply, check=True, **arguments)
    tree.describe(ours)
    done = run(view_apply, **arguments)
    assert done["steps"][1:] == ["expose memory system.slice/view.memory and below"]
    assert predicted["steps"] == done["steps"]


def test_a_python_that_is_too_old_is_told_rather_than_a_failed_import(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = SimpleNamespace(version_info=(3, 9, 2), executable="/usr/bin/python3")
    monkeypatch.setattr(view_state, "sys", old)
    message = run(view_state, **wanted())["msg"]
    assert "/usr/bin/python3 is Python 3.9 and views take 3.11 or later" in message


# view_verify -------------------------------------------------------------------------------------


def test_verify_counts(tree: Tree, run: Run) -> None:
    deployed(tree)
    answer = run(view_verify)
    assert (answer["verified"], answer["compared"], answer["read"]) == (True, 2, 2)


def test_verify_fails_for_what_is_wrong(tree: Tree, run: Run) -> None:
    deployed(tree)
    (tree.cgroups / ENTRIES[0]).with_name("memory.max").write_text("1\n")
    answer = run(view_verify)
    assert answer["failed"]
    assert "m_bytes is 4096, expected 1 as memory.max says" in answer["msg"]
    assert (answer["verified"], answer["compared"]) == (False, 1)


def test_verify_without_views_fails_and_predicts(tree: Tree, run: Run) -> None:
    assert "nothing to verify" in run(view_verify)["msg"]
    answer = run(view_verify, check=True)
    assert (answer["verified"], answer["msg"]) == (False, "There are no views to verify yet")


# view_remove -------------------------------------------------------------------------------------


def test_remove_predicts_removes_and_then_has_nothing_to_do(tree: Tree, run: Run) -> None:
    deployed(tree)
    before = everything(tree)
    predicted = run(view_remove, check=True)
    assert everything(tree) == before
    assert predicted["changed"]
    assert views_desired.FILE in predicted["removed"]
    assert run(view_remove)["changed"]
    assert tree.entries() == []
    again = run(view_remove)
    assert (again["changed"], again["removed"]) == (False, [])
