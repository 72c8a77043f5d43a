# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue agrees with the sources and the documentation, and joins with a build."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.module_utils.bpfview import views_catalog, views_desired
from plugins.module_utils.bpfview.digest import sha256_bytes, sha256_file
from plugins.module_utils.bpfview.elf import EM_BPF
from plugins.module_utils.bpfview.errors import BpfviewError
from tests.unit.test_elf import write_elf
from tests.unit.test_view_build import SECTIONS

ROOT = Path(__file__).parents[2]
CATALOG: dict[str, Any] = yaml.safe_load((ROOT / "bpf/catalog.yml").read_text())
VIEWS = CATALOG["views"]
KEY = re.compile(r'"([a-z][a-z0-9_]*)"')
MEMORY: dict[str, Any] = {"name": "memory", "cgroups": ["/"]}
UNITS = {"bytes": "_bytes", "microseconds": "_usec"}


@pytest.mark.parametrize("name", VIEWS)
def test_the_catalogue_has_the_keys_of_the_source_in_its_order(name: str) -> None:
    source = (ROOT / "bpf" / VIEWS[name]["source"]).read_text()
    written = [key for key in KEY.findall(source) if key.startswith(f"{name}_")]
    assert list(dict.fromkeys(written)) == list(VIEWS[name]["keys"])


@pytest.mark.parametrize("name", VIEWS)
def test_a_key_says_its_unit_and_how_it_is_proved(name: str) -> None:
    for key, item in VIEWS[name]["keys"].items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", key)
        assert key.endswith(UNITS.get(item["unit"], ("_total", "_count"))), key
        assert item["help"]
        views_desired._check({**item["verify"]})


def test_every_source_is_in_the_catalogue() -> None:
    sources = {path.name for path in (ROOT / "bpf").glob("*.bpf.c")}
    assert sources == {view["source"] for view in VIEWS.values()}
    assert all(view["file"] == f"view.{name}" for name, view in VIEWS.items())


def proof(verify: dict[str, Any]) -> str:
    """How the documentation's table says it."""
    relation = verify["relation"]
    if relation == "grows":
        return "never goes back"
    if relation == "part":
        return f"part of `{verify['of']}`"
    native = f"`{verify['file']}`"
    if "key" in verify:
        native += f" `{verify['key']}`"
    if "column" in verify:
        native += f" word {verify['column'] + 1}"
    if verify.get("count"):
        native = f"lines of {native}"
    return f"{relation}: {native}"


def table(name: str) -> list[str]:
    """The rows that docs/views.md has to have for a view."""
    return [
        f"| `{key}` | {item['unit']} | {item['help']} | {proof(item['verify'])} |"
        for key, item in VIEWS[name]["keys"].items()
    ]


@pytest.mark.parametrize("name", VIEWS)
def test_the_documentation_lists_every_key(name: str) -> None:
    lines = (ROOT / "docs/views.md").read_text().splitlines()
    listed = [line for line in lines if line.startswith(f"| `{name}_")]
    assert listed == table(name)


@pytest.fixture(name="built")
def _built(tmp_path: Path) -> Path:
    content = write_elf(tmp_path / "memory.o", EM_BPF, SECTIONS).read_bytes()
    manifest = {
        "schema": 1,
        "kind": "views",
        "objects": {
            "memory": {
                "file": "memory.o",
                "sha256": sha256_bytes(content),
                "entry": "view.memory",
            }
        },
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def test_a_request_becomes_a_wanted_view(built: Path) -> None:
    manifest = views_catalog.read_manifest(built / "manifest.json")
    (view,) = views_catalog.wanted(manifest, CATALOG, [{"name": "memory", "cgroups": ["/"]}])
    assert view.entry == "view.memory"
    assert view.sha256 == sha256_file(built / "memory.o")
    assert view.keys["memory_max_bytes"].file == "memory.max"
    assert not view.subtree
    (below,) = views_catalog.wanted(manifest, CATALOG, [MEMORY | {"subtree": True}])
    assert below.subtree
    for each in (view, below):
        assert views_desired.parse(views_desired.facts((each,))) == (each,)
    files = views_catalog.check_objects(manifest, built, [view])
    assert files == {view.sha256: str(built / "memory.o")}


def judge(folder: Path) -> None:
    """What the control node does with a request for the view memory."""
    manifest = views_catalog.read_manifest(folder / "manifest.json")
    views = views_catalog.wanted(manifest, CATALOG, [MEMORY])
    views_catalog.check_objects(manifest, folder, views)


def test_what_was_changed_after_the_build_is_refused(built: Path) -> None:
    judge(built)
    (built / "memory.o").write_bytes(b"another")
    with pytest.raises(BpfviewError, match="its manifest says"):
        judge(built)
    (built / "memory.o").unlink()
    with pytest.raises(BpfviewError, match="cannot be read"):
        judge(built)


def test_an_object_that_is_no_elf_is_refused_though_its_digest_is_right(built: Path) -> None:
    content = b"#!/bin/sh\n" * 20
    (built / "memory.o").write_bytes(content)
    manifest = json.loads((built / "manifest.json").read_text())
    manifest["objects"]["memory"]["sha256"] = sha256_bytes(content)
    (built / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BpfviewError, match="no 64-bit little-endian ELF"):
        judge(built)


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        ([{"name": "disk", "cgroups": ["/"]}], "Choose from cpu, memory, tasks"),
        ([{"name": "cpu", "cgroups": ["/"]}], "The view cpu was not built"),
        ([{"name": "memory", "cgroups": []}], "no list of paths or globs"),
        ([{"name": "memory", "cgroups": "system.slice/*"}], "no list of paths or globs"),
        ([{"name": "memory", "cgroups": [1]}], "which is no text"),
        ([{"name": "memory", "cgroups": ["../.."]}], "leads out of the cgroup tree"),
        ([{"name": "memory", "cgroup": ["/"]}], "not `name` and `cgroups`"),
        ([{"name": "memory"}], "not `name` and `cgroups`"),
        ([MEMORY | {"more": 1}], "not `name` and `cgroups`"),
        ([MEMORY | {"subtree": "yes"}], "neither true nor false"),
        ([MEMORY, MEMORY], "the view memory twice"),
        (["memory"], "not `name` and `cgroups`"),
        ("memory", "no list of views"),
        (MEMORY, "no list of views"),
        (None, "no list of views"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(built: Path, requests: Any, words: str) -> None:
    manifest = views_catalog.read_manifest(built / "manifest.json")
    with pytest.raises(BpfviewError, match=words):
        views_catalog.wanted(manifest, CATALOG, requests)


def test_views_that_are_still_to_be_built_are_predicted(built: Path) -> None:
    manifest = views_catalog.read_manifest(built / "manifest.json")
    requests = [MEMORY, {"name": "cpu", "cgroups": ["/"]}]
    views = views_catalog.wanted(manifest, CATALOG, requests, predict=True)
    assert [views_catalog.is_built(view) for view in views] == [True, False]
    assert list(views_catalog.check_objects(manifest, built, views)) == [views[0].sha256]


def test_a_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    for content, words in ((None, "There is no view manifest"), ("{", "read"), ("{}", "no view m")):
        if content is not None:
            path.write_text(content)
        with pytest.raises(BpfviewError, match=words):
            views_catalog.read_manifest(path)


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "Bad"},
        {"entry": "memory.max"},
        {"entry": "view./x"},
        {"sha256": "1"},
        {"selectors": []},
        {"keys": {"a_bytes": {"relation": "roughly"}}},
        {"keys": {"a_bytes": {"relation": "equal"}}},
        {"keys": {"a_bytes": {"relation": "equal", "file": "../x"}}},
        {"keys": {"a_bytes": {"relation": "equal", "file": "x", "more": 1}}},
    ],
)
def test_a_wrong_list_is_refused(broken: dict[str, Any]) -> None:
    view = {
        "name": "memory",
        "entry": "view.memory",
        "sha256": "0" * 64,
        "selectors": ["/"],
        "keys": {},
    }
    assert views_desired.parse({"schema": 1, "views": [view]})
    with pytest.raises(BpfviewError):
        views_desired.parse({"schema": 1, "views": [view | broken]})
    with pytest.raises(BpfviewError):
        views_desired.parse({"schema": 1, "views": [view, view]})
