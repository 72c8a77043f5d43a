# SPDX-License-Identifier: GPL-3.0-or-later
"""The module kernel_build as Ansible starts it: what it builds, links and says."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from plugins.module_utils.bpfview import bpftool_build
from plugins.module_utils.bpfview import kernel_build as builder
from plugins.modules import kernel_build
from tests.unit.builder_fixture import kernel_dir
from tests.unit.module_runner import run_module

ROOT = Path(__file__).parents[2]
__all__ = ["kernel_dir", "run_module"]  # fixtures are used by their names alone


def publish(planned, manifest, name):
    """Leave what a build leaves: one file and the manifest."""
    planned.entry.mkdir(parents=True)
    (planned.entry / name).write_text(name)
    facts = {"schema": 1, **builder.described(planned.entry)}
    builder.write_manifest(planned.entry / manifest, facts)
    return True


@pytest.fixture(name="arguments")
def _arguments(tmp_path, monkeypatch, kernel_dir):
    monkeypatch.setattr(builder, "build", lambda plan, _: publish(plan, "manifest.json", "bzImage"))
    monkeypatch.setattr(
        bpftool_build, "build", lambda plan, _: publish(plan, "bpftool.json", "bpftool.log")
    )
    return {
        "baseline": "6.1", "kernel_dir": str(kernel_dir), "config_base": "lab",
        "cache_dir": str(tmp_path / "cache"), "output_dir": str(tmp_path / "out"),
    }  # fmt: skip


def test_a_kernel_comes_with_its_bpftool(run, arguments, tmp_path):
    predicted = run(kernel_build, check=True, **arguments)
    assert predicted["changed"] and "would build its bpftool" in predicted["summary"]
    assert not (tmp_path / "out").exists()
    answer = run(kernel_build, **arguments)
    names = {"bzImage", "manifest.json", "bpftool.log", "bpftool.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names == answer["paths"].keys()
    assert answer["bpftool"] == json.loads((tmp_path / "out/bpftool.json").read_text())
    again = run(kernel_build, **arguments)
    assert not again["changed"] and "bpftool" not in again["summary"]


def test_a_kernel_that_was_built_before_gets_its_bpftool_alone(run, arguments, tmp_path):
    run(kernel_build, **arguments)
    for path in (tmp_path / "cache/bpftool").glob("*/*"):
        path.unlink()
    next((tmp_path / "cache/bpftool").iterdir()).rmdir()
    answer = run(kernel_build, **arguments)
    assert (answer["changed"], answer["built"]) == (True, False)
    assert answer["summary"].endswith("in the cache, built its bpftool")


def test_a_kernel_without_the_series_has_none(run, arguments, tmp_path):
    answer = run(kernel_build, patches=0, **arguments)
    assert answer["bpftool"] == {}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"bzImage", "manifest.json"}


@pytest.mark.parametrize("patches", ["al", "", "-1", "1.5", "0x1", "no"])
def test_a_number_of_patches_that_is_none_builds_nothing(run, arguments, tmp_path, patches):
    answer = run(kernel_build, patches=patches, **arguments)
    assert answer["failed"] and f"{patches!r} is no number of patches" in answer["msg"]
    assert not (tmp_path / "out").exists()


def test_a_role_hands_over_what_it_was_given():
    """A filter of Ansible's, such as int, would make a number of any text."""
    tasks = yaml.safe_load((ROOT / "roles/kernel_build/tasks/main.yml").read_text("utf-8"))
    assert tasks[0]["kernel_build"]["patches"] == "{{ kernel_build_patches }}"


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ([], "6.1"),
        (["PATCHES=all", "FRAGMENT=debug"], "6.1-debug"),
        (["PATCHES=0"], "6.1-stock"),
        (["PATCHES=3"], "6.1-p3"),
        (["PATCHES=10", "FRAGMENT=debug", "BASELINE=6.12"], "6.12-debug-p10"),
    ],
)
def test_only_the_whole_series_goes_where_hosts_get_their_kernel_from(variables, folder):
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["make", "--dry-run", "kernel", *variables],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"kernel_build_output_dir={ROOT}/build/kernel/{folder} " in done.stdout
