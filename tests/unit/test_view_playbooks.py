# SPDX-License-Identifier: GPL-3.0-or-later
"""The views' playbooks through the real Ansible, up to where a host would be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bpfview_fleet.runs import Request, run
from bpfview_fleet.verdicts import Outcome, judge

ROOT = Path(__file__).parents[2]
PLAYBOOKS = ROOT / "playbooks"
MEMORY = {"name": "memory", "cgroups": ["/"]}
KERNEL_STAGE = """
- name: Say what the kernel's stage found
  hosts: bpfview_hosts
  gather_facts: false
  tasks:
    - name: Keep the verdict
      ansible.builtin.include_role:
        name: kernel_install
        tasks_from: verdict
      vars:
        __kernel_install_verdict: unchanged
        __kernel_install_detail: ""
"""


class Fleet:
    """One host that is this machine; nothing here comes as far as to change it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "manifest.json"
        self.manifest.write_text('{"kind": "views", "objects": {}}')

    def play(self, playbook: Path, **variables: Any) -> tuple[Outcome, bool]:
        known = {
            "ansible_connection": "local",
            "ansible_become": False,
            "view_deploy_manifest": str(self.manifest),
            **variables,
        }
        inventory = self.folder / "inventory.json"
        inventory.write_text(
            json.dumps({"all": {"children": {"bpfview_hosts": {"hosts": {"a": known}}}}})
        )
        request = Request(ROOT, self.folder / f"run-{playbook.stem}", playbook, inventory)
        result = run(request, lambda: False)
        return judge("a", result.collected, check=False), result.passed


@pytest.fixture(name="fleet")
def _fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_a_deployment_judges_the_views_before_it_touches_the_kernel() -> None:
    plays = yaml.safe_load((PLAYBOOKS / "deploy.yml").read_text())
    order = [play["ansible.builtin.import_playbook"] for play in plays]
    assert order.index("build.yml") < order.index("views_preflight.yml") < order.index("kernel.yml")


@pytest.mark.parametrize(
    ("views", "words"),
    [
        ([{"name": "disk", "cgroups": ["/"]}], "There is no view 'disk' in bpf/catalog.yml"),
        ([{"name": "memory", "cgroup": ["/"]}], "missing required arguments: cgroups"),
        ([MEMORY], "The view memory was not built"),
    ],
)
def test_bad_input_is_refused_before_anything_is_attempted(
    fleet: Fleet, views: list[dict[str, Any]], words: str
) -> None:
    outcome, passed = fleet.play(PLAYBOOKS / "views_preflight.yml", view_deploy_views=views)
    assert (passed, outcome.verdict) == (False, "not_attempted")
    assert words in outcome.detail


def test_views_that_cannot_be_deployed_are_published_as_failed(fleet: Fleet) -> None:
    fleet.manifest.unlink()
    outcome, passed = fleet.play(PLAYBOOKS / "views.yml", view_deploy_views=[MEMORY])
    assert (passed, outcome.verdict) == (False, "views_failed")
    assert "There is no view manifest" in outcome.detail


def test_a_host_whose_views_were_changed_says_so_beside_its_kernels_verdict(fleet: Fleet) -> None:
    playbook = fleet.folder / "kernel_and_report.yml"
    report = PLAYBOOKS / "report.yml"
    playbook.write_text(f"{KERNEL_STAGE}\n- import_playbook: {report}\n")
    outcome, passed = fleet.play(
        playbook,
        view_deploy_result={"summary": "3 views loaded, 12 files replaced"},
        view_verify_result={"verified": True, "compared": 412},
    )
    assert (passed, outcome.verdict) == (True, "unchanged")
    assert outcome.detail == (
        "views: 3 views loaded, 12 files replaced; 412 values of views compared with the kernel"
    )


def test_without_the_kernels_stage_there_is_a_report_and_no_verdict(
    fleet: Fleet, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome, passed = fleet.play(PLAYBOOKS / "report.yml", view_deploy_result={"skipped": True})
    assert (passed, outcome.verdict) == (True, "no_verdict")
    assert "a: the kernel was left out" in capfd.readouterr().out
