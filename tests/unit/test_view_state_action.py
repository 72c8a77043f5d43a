# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node's side of view_state: what it refuses itself, and what it asks a host."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plugins.action.view_state import ActionModule
from plugins.module_utils.bpfview import cache
from plugins.module_utils.bpfview.digest import sha256_file
from plugins.module_utils.bpfview.elf import EM_BPF
from tests.unit.test_elf import write_elf
from tests.unit.test_view_build import SECTIONS

ROOT = Path(__file__).parents[2]
MEMORY: dict[str, Any] = {"name": "memory", "cgroups": ["/"]}
ANSWER = {
    "changed": False,
    "pending": True,
    "steps": ["load memory"],
    "missing_objects": [],
    "missing_packages": [],
    "views": {"memory": {"entry": "view.memory", "sha256": "0" * 64, "cgroups": 1}},
}


class Stage:
    """A control node with a build of the view memory, and a host that answers as told."""

    def __init__(self, folder: Path) -> None:
        self.manifest = folder / "manifest.json"
        self.object = write_elf(folder / "memory.o", EM_BPF, SECTIONS)
        self.digest = sha256_file(self.object)
        built = {"file": "memory.o", "sha256": self.digest, "entry": "view.memory"}
        self.manifest.write_text(json.dumps({"kind": "views", "objects": {"memory": built}}))
        self.asked: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = dict(ANSWER)

    def run(self, views: Any = (MEMORY,), check: bool = False, **more: Any) -> dict[str, Any]:
        arguments = {
            "views": list(views) if isinstance(views, tuple) else views,
            "manifest": str(self.manifest),
            "catalog": str(ROOT / "bpf/catalog.yml"),
            **more,
        }
        task = SimpleNamespace(
            args=arguments, check_mode=check, async_val=0, action="view_state", diff=False
        )
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="unused"))
        plugin = ActionModule(task, connection, None, None, None, None)
        plugin._execute_module = self._execute
        result: dict[str, Any] = plugin.run(None, {})
        return result

    def _execute(self, module_name: str, module_args: dict[str, Any], **_other: Any) -> Any:
        self.asked.append(module_args)
        return dict(self.answer)


@pytest.fixture(name="stage")
def _stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(cache, "cache_root", lambda: tmp_path / "cache")
    return Stage(tmp_path)


def test_the_host_is_asked_for_what_was_joined(stage: Stage) -> None:
    stage.answer["missing_objects"] = [stage.digest]
    result = stage.run()
    (asked,) = stage.asked
    assert asked["wanted"]["views"][0]["sha256"] == stage.digest
    assert asked["kernel_to_come"] is False
    assert result["wanted"] == asked["wanted"]
    assert result["objects"] == [{"src": str(stage.object), "sha256": stage.digest}]
    assert Path(result["agent"]["src"]).read_bytes()
    assert (result["predicted"], result["pending"]) == (False, True)


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("views", "words"),
    [
        ([{"name": "disk", "cgroups": ["/"]}], "There is no view 'disk'"),
        ([{"name": "memory", "cgroups": ["../x"]}], "leads out of the cgroup tree"),
        ("memory", "no list of views"),
    ],
)
def test_what_is_badly_asked_for_fails_before_the_host_is_asked(
    stage: Stage, views: Any, words: str, check: bool
) -> None:
    if check:
        stage.manifest.unlink()
    result = stage.run(views, check=check, kernel_to_come=True)
    assert result["failed"]
    assert words in result["msg"]
    assert stage.asked == []


def test_a_wrong_object_fails_before_the_host_is_asked(stage: Stage) -> None:
    stage.object.write_bytes(b"else")
    result = stage.run(kernel_to_come=True)
    assert "its manifest says" in result["msg"]
    assert stage.asked == []


def test_without_a_build_a_real_run_fails_and_a_check_run_still_judges_the_host(
    stage: Stage,
) -> None:
    stage.manifest.unlink()
    assert "There is no view manifest" in stage.run()["msg"]
    assert stage.asked == []
    result = stage.run(check=True, kernel_to_come=True)
    (asked,) = stage.asked
    assert asked["kernel_to_come"] is True
    assert asked["wanted"]["views"][0]["selectors"] == ["/"]
    assert (result["predicted"], result["pending"], result["steps"]) == (True, True, [])
    assert "exposes view.memory in 1 cgroups" in result["msg"]
    assert "could not be judged" in result["warnings"][0]
    assert result["views"]["memory"]["sha256"] == ""


def test_a_view_that_an_older_build_does_not_have_is_predicted(stage: Stage) -> None:
    views = (MEMORY, {"name": "cpu", "cgroups": ["/"]})
    assert "cpu was not built" in stage.run(views)["msg"]
    assert stage.run(views, check=True)["predicted"]


@pytest.mark.parametrize("gone", [True, False])
def test_a_host_that_refuses_fails_the_task(stage: Stage, gone: bool) -> None:
    stage.answer = {"failed": True, "msg": "No cgroup matches"}
    if gone:
        stage.manifest.unlink()
    result = stage.run(check=gone)
    assert (result["failed"], result["msg"]) == (True, "No cgroup matches")


@pytest.mark.parametrize("content", ["views: []\n", "- 1\n", "{", None])
def test_a_catalogue_that_is_none_is_refused(
    stage: Stage, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "catalog.yml"
    if content is not None:
        path.write_text(content)
    assert str(path) in stage.run(catalog=str(path))["msg"]
    assert stage.asked == []
