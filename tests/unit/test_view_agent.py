# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent: one file of equal bytes, and its commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import agent_archive, view_agent, views_units
from plugins.module_utils.bpfview.views_desired import KeyCheck
from tests.unit.view_fixture import FakeKernel, Tree

SOURCES = Path(agent_archive.__file__).parent


def test_equal_sources_make_equal_bytes_whenever_and_wherever(tmp_path: Path) -> None:
    first = agent_archive.build(SOURCES)
    copy = tmp_path / "else"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for path in copy.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert agent_archive.build(copy) == first
    changed = copy / "view_plan.py"
    changed.write_text(changed.read_text() + "\n")
    assert agent_archive.build(copy) != first


def test_it_runs_with_the_standard_library_alone(tmp_path: Path) -> None:
    agent = tmp_path / "agent.pyz"
    agent.write_bytes(agent_archive.build(SOURCES))
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(agent), "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    for command in ("apply", "inspect", "remove", "read", "verify"):
        assert command in done.stdout


def test_it_holds_only_what_it_needs() -> None:
    modules = agent_archive.modules(SOURCES)
    assert {"view_agent", "view_apply", "libbpf", "errors"} <= set(modules)
    assert not {"kernel_source", "cache", "agent_archive", "views_catalog"} & set(modules)


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    view = tree.ship("m_bytes +Inf\n", keys={"m_bytes": KeyCheck("equal", "memory.max")})
    tree.want(view)
    for cgroup in ("system.slice/ssh.service", "system.slice/cron.service"):
        (tree.cgroups / cgroup / "view.memory").write_text("m_bytes +Inf\n")
        (tree.cgroups / cgroup / "memory.max").write_text("max\n")
    (tree.cgroups / "view.memory").write_text("")
    return tree


def run(tree: Tree, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = view_agent.main(arguments, tree.host)
    return status, *capsys.readouterr()


def test_read_prints_text_or_json(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tree, capsys, "read", "memory", "system.slice/ssh.service") == (
        0,
        "# system.slice/ssh.service\nm_bytes +Inf\n",
        "",
    )
    _status, out, _err = run(tree, capsys, "read", "--json", "memory")
    assert json.loads(out) == {
        "view": "memory",
        "cgroups": {
            "/": {},
            "system.slice/cron.service": {"m_bytes": "+Inf"},
            "system.slice/ssh.service": {"m_bytes": "+Inf"},
        },
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("read", "disk"), "Choose from memory"),
        (("read", "memory", "no.slice"), "No cgroup matches 'no.slice'"),
        (("read", "memory", "user.slice"), "cannot be read"),
    ],
)
def test_read_says_what_is_wrong(
    tree: Tree, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    status, _out, err = run(tree, capsys, *arguments)
    assert status == 1
    assert words in err


def test_verify_counts_and_fails(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _err = run(tree, capsys, "verify")
    assert status == 0
    assert "memory: 3 files read, 2 values compared, 0 consistent, 0 wrong, 0 young" in out
    (tree.cgroups / "system.slice/ssh.service/memory.max").write_text("1\n")
    status, out, _err = run(tree, capsys, "verify", "--json")
    assert status == 1
    assert json.loads(out)["views"]["memory"]["mismatches"] == [
        {
            "view": "memory",
            "cgroup": "system.slice/ssh.service",
            "key": "m_bytes",
            "got": "+Inf",
            "expected": "1 as memory.max says",
        }
    ]


def test_at_boot_on_a_fallback_kernel_it_does_nothing_and_does_not_fail(
    tree: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree.root / "sys/kernel/btf/vmlinux").write_bytes(b"")
    status, out, _err = run(tree, capsys, "apply", "--boot")
    assert status == 0
    assert "nothing done" in out
    assert run(tree, capsys, "apply")[0] == 1


def test_at_boot_it_ends_well_where_a_view_is_refused_and_says_which(
    tree: Tree, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_agent, "Kernel", lambda _host: FakeKernel(tree))
    tree.want(tree.ship("REJECT", name="cpu"), tree.ship("tasks_count 1\n", name="tasks"))
    status, out, err = run(tree, capsys, "apply", "--boot")
    assert (status, err) == (0, "")
    assert "left as it was: The view cpu was refused" in out
    assert "expose tasks view.tasks" in out
    _status, out, _err = run(tree, capsys, "apply", "--boot", "--json")
    assert json.loads(out) == {"changed": False, "steps": []}
    status, _out, err = run(tree, capsys, "apply")
    assert status == 1
    assert "register R0" in err


def test_inspect_says_what_would_be_done(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    for path in tree.cgroups.rglob("view.memory"):
        path.unlink()
    status, out, _err = run(tree, capsys, "inspect")
    assert status == 0
    assert "expose memory system.slice/ssh.service/view.memory" in out


def test_without_a_list_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _out, err = run(Tree(tmp_path), capsys, "apply", "--boot")
    assert status == 1
    assert "There is no /etc/bpfview/views.json" in err


def test_the_units_run_the_agent_outside_the_slices_that_views_are_in() -> None:
    for unit in (views_units.SERVICE, views_units.RECONCILE):
        text = views_units.TEXTS[unit]
        assert f"ExecStart=/usr/bin/python3 {views_units.AGENT} apply --boot" in text
        assert "Slice=-.slice" in text
