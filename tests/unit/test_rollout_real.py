# SPDX-License-Identifier: GPL-3.0-or-later
"""The same with the real ansible-runner: hosts on the local connection, and one nobody answers."""

from __future__ import annotations

import json
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from bpfview_fleet import rollout
from bpfview_fleet.runs import Request, run
from bpfview_fleet.verdicts import judge

ROOT = Path(__file__).parents[2]
DEPLOY = """
- name: Deploy
  hosts: bpfview_hosts
  gather_facts: false
  tasks:
    - name: Touch the host
      ansible.builtin.raw: touch {touched}/{{{{ inventory_hostname }}}}
    - name: Work
      ansible.builtin.raw: exit {{{{ code | default(0) }}}}
    - name: Linger
      ansible.builtin.raw: sleep {{{{ linger | default(0) }}}}
    - name: Publish
      ansible.builtin.set_stats:
        per_host: true
        data: {{bpfview_verdict: "{{{{ verdict | default('promoted') }}}}"}}
"""
BUILD = """
- name: Build
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Say so
      ansible.builtin.debug:
"""


BUILD_TAGGED = """
- name: Build
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Build
      ansible.builtin.shell: echo built >> {built}
      tags: [kernel_build]
"""


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Fleet:
    """A checkout in miniature with a canary `a` and a host `b`, and what was done to them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.touched = root / "touched"
        self.touched.mkdir()
        shutil.copy(ROOT / "ansible.cfg", root)
        (root / "deploy.yml").write_text(DEPLOY.format(touched=self.touched))
        (root / "build.yml").write_text(BUILD)
        manifest = root / "build/views/6.1/manifest.json"
        manifest.parent.mkdir(parents=True)
        manifest.write_text("{}")

    def options(self, canary: dict[str, Any], other: dict[str, Any]) -> rollout.Options:
        hosts = {"canary": {"hosts": {"a": canary}}, "fleet": {"hosts": {"b": other}}}
        local = {"ansible_connection": "local"}
        group = {"vars": local, "children": hosts}
        inventory = self.root / "inv.json"
        inventory.write_text(json.dumps({"all": {"children": {"bpfview_hosts": group}}}))
        return rollout.Options(
            root=self.root,
            inventory=inventory,
            playbook=self.root / "deploy.yml",
            build_playbook=self.root / "build.yml",
        )

    def verdicts(self) -> dict[str, str]:
        (path,) = self.root.glob("build/rollout/*/journal.json")
        hosts = json.loads(path.read_text())["hosts"]
        return {name: host["verdict"] for name, host in hosts.items()}

    def names_touched(self) -> set[str]:
        return {path.name for path in self.touched.iterdir()}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_all_well(fleet, capfd):
    assert rollout.rollout(fleet.options({}, {"verdict": "unchanged"})) == 0
    assert fleet.names_touched() == {"a", "b"}
    assert fleet.verdicts() == {"a": "promoted", "b": "unchanged"}
    assert "TASK [Publish]" in capfd.readouterr().out
    assert not list(fleet.root.glob("build/rollout/**/env"))
    assert not list(fleet.root.glob("build/rollout/**/command"))


def test_an_unreachable_canary_leaves_the_rest_untouched(fleet):
    gone = {
        "ansible_connection": "ssh",
        "ansible_host": "127.0.0.1",
        "ansible_port": closed_port(),
    }
    assert rollout.rollout(fleet.options(gone, {})) == 1
    assert fleet.names_touched() == set()
    assert fleet.verdicts() == {"a": "unreachable", "b": "not_attempted"}


def test_a_failed_canary_leaves_the_rest_untouched(fleet):
    assert rollout.rollout(fleet.options({"code": 3}, {})) == 1
    assert fleet.names_touched() == {"a"}
    assert fleet.verdicts() == {"a": "failed", "b": "not_attempted"}


def test_a_wave_does_not_build(fleet):
    built = fleet.root / "built"
    (fleet.root / "build.yml").write_text(BUILD_TAGGED.format(built=built))
    deploy = fleet.root / "deploy.yml"
    deploy.write_text((fleet.root / "build.yml").read_text() + deploy.read_text())
    assert rollout.rollout(fleet.options({}, {})) == 0
    assert built.read_text() == "built\n"
    assert fleet.verdicts() == {"a": "promoted", "b": "promoted"}


def test_a_killed_run_leaves_no_verdict(fleet):
    options = fleet.options({"linger": 60}, {})
    folder = fleet.root / "run"
    start = time.monotonic()
    request = Request(fleet.root, folder, options.playbook, options.inventory, ["a"])
    result = run(request, lambda: bool(fleet.names_touched()))
    assert time.monotonic() - start < 30
    assert (result.status, result.passed) == ("canceled", False)
    assert judge("a", result.collected, check=False).verdict == "no_verdict"
    assert judge("b", result.collected, check=False).verdict == "not_attempted"


def test_ansible_sees_checked_host_keys_and_the_checkout(fleet, monkeypatch):
    # ansible-runner turns the check off unless it is told not to.
    monkeypatch.delenv("ANSIBLE_HOST_KEY_CHECKING", raising=False)
    monkeypatch.setenv("PWD", "/elsewhere")
    (fleet.root / "deploy.yml").write_text(
        "- {name: Look, hosts: bpfview_hosts, gather_facts: false, tasks: [{name: Publish,"
        " ansible.builtin.set_stats: {per_host: true, data: {bpfview_verdict:"
        " \"{{ 'unchanged' if lookup('config', 'host_key_checking', plugin_type='connection',"
        " plugin_name='ssh') and lookup('env', 'PWD') == playbook_dir"
        " else 'wrong_kernel' }}\"}}}]}\n"
    )
    options = fleet.options({}, {})
    request = Request(fleet.root, fleet.root / "run", options.playbook, options.inventory, ["a"])
    assert judge("a", run(request, lambda: False).collected, check=False).verdict == "unchanged"
