# SPDX-License-Identifier: GPL-3.0-or-later
"""The role kernel_install through the real Ansible, with stand-ins for the modules it calls.

No case lets the role come to its reboot, for the host is this machine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bpfview_fleet.runs import Request, run
from bpfview_fleet.verdicts import Outcome, judge
from tests.unit.fake_host import OURS, STOCK

ROOT = Path(__file__).parents[2]
PLAYBOOK = """
- hosts: bpfview_hosts
  gather_facts: false
  roles: [kernel_install]
"""
MODULE = """\
#!/usr/bin/python3
# WANT_JSON: Ansible hands the arguments over in a file, which nobody here reads.
print({answer!r})
"""
KERNEL = {"kernel": {"release": OURS}, "directory": "nowhere"}


class Role:
    """The role on one host that is this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "library").mkdir()
        self.answers("kernel_packages", **KERNEL)

    def answers(self, name: str, **answer: Any) -> None:
        """Have a module give this answer, whatever it is asked."""
        text = MODULE.format(answer=json.dumps({"changed": False, **answer}))
        (self.folder / f"library/{name}.py").write_text(text)

    def preflight(self, action: str, reboots: bool, missing: Sequence[str] = ()) -> None:
        """Have the host found fit, with this to be done."""
        self.answers(
            "kernel_preflight", action=action, reboots=reboots, pin=STOCK, missing=list(missing)
        )

    def play(self, check: bool = False) -> tuple[Outcome, bool]:
        playbook = self.folder / "play.yml"
        playbook.write_text(PLAYBOOK)
        host = {"ansible_connection": "local", "kernel_install_reboot_ok": False}
        inventory = self.folder / "inventory.json"
        inventory.write_text(
            json.dumps({"all": {"children": {"bpfview_hosts": {"hosts": {"a": host}}}}})
        )
        request = Request(ROOT, self.folder / "run", playbook, inventory, check=check)
        result = run(request, lambda: False)
        return judge("a", result.collected, check=check), result.passed


@pytest.fixture(name="role")
def _role(tmp_path: Path) -> Role:
    return Role(tmp_path)


def test_a_host_that_is_refused_was_not_attempted(role: Role) -> None:
    role.answers("kernel_preflight", failed=True, msg="Refused before anything was changed")
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (False, "not_attempted")
    assert "Refused before" in outcome.detail


def test_a_host_on_which_staging_broke_off_is_failed(role: Role) -> None:
    role.preflight("stage", reboots=True)
    role.answers("kernel_stage", failed=True, msg="/boot/grub/grubenv: Read-only file system")
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (False, "failed")
    assert "a: failed: /boot/grub/grubenv: Read-only file system" in outcome.detail


def test_a_host_to_which_the_packages_could_not_be_brought_is_failed(role: Role) -> None:
    role.preflight("stage", reboots=True, missing=["linux-image.deb"])
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (False, "failed")
    assert "linux-image.deb" in outcome.detail and "items failed" not in outcome.detail


def test_a_host_that_is_only_staged_waits_and_does_not_fail(role: Role) -> None:
    role.preflight("stage", reboots=True)
    role.answers("kernel_stage", changed=True)
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (True, "not_attempted")
    assert f"staged, reboot required before it runs {OURS}" in outcome.detail
    assert f"the host's default is {STOCK}" in outcome.detail


@pytest.mark.parametrize(
    ("verdict", "reasons"), [("wrong_kernel", ["tainted", "no BTF"]), ("fell_back", ["went back"])]
)
def test_a_kernel_that_did_not_prove_itself_is_told_with_its_reasons(
    role: Role, verdict: str, reasons: list[str]
) -> None:
    role.preflight("confirm", reboots=False)
    role.answers("kernel_confirm", verdict=verdict, reasons=reasons, default_release=STOCK)
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (False, verdict)
    assert f"{'; '.join(reasons)}. Its next boot is {STOCK}." in outcome.detail


def test_a_judgement_that_broke_off_is_no_refusal(role: Role) -> None:
    role.preflight("confirm", reboots=False)
    role.answers("kernel_confirm", failed=True, msg="kernel.json cannot be understood")
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (False, "failed")
    assert "cannot be understood" in outcome.detail


@pytest.mark.parametrize(("action", "verdict"), [("settle", "unchanged"), ("confirm", "promoted")])
def test_a_kernel_that_runs_and_is_in_order_is_ready(role: Role, action: str, verdict: str) -> None:
    role.preflight(action, reboots=False)
    role.answers("kernel_stage", changed=True)
    role.answers("kernel_confirm", verdict="promoted", reasons=[], default_release=OURS)
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (True, verdict)


def test_a_check_run_begins_nothing(role: Role) -> None:
    role.preflight("stage", reboots=True)
    role.answers("kernel_stage", failed=True, msg="no")
    outcome, passed = role.play(check=True)
    assert (passed, outcome.verdict) == (False, "not_attempted")
