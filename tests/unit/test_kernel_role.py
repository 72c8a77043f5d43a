# SPDX-License-Identifier: GPL-3.0-or-later
"""The role kernel_install through the real Ansible, with stand-ins for the modules it calls.

The host is this machine, which ansible.builtin.reboot refuses to reboot: a reboot that came to
nothing, as far as the role knows.
"""

from __future__ import annotations

import json
import socket
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
# WANT_JSON: Ansible hands the arguments over in a file.
import pathlib, shutil, sys
asked = pathlib.Path({asked!r})
number = len(list(asked.iterdir()))
shutil.copy(sys.argv[1], asked / str(number))
answers = {answers!r}
print(answers[min(number, len(answers) - 1)])
"""
KERNEL = {"kernel": {"release": OURS}, "directory": "nowhere"}


class Role:
    """The role on one host that is this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables: dict[str, Any] = {"kernel_install_evidence_dir": str(folder / "evidence")}
        (folder / "library").mkdir()
        self.answers("kernel_packages", **KERNEL)
        self.answers("kernel_retention", removed=[])

    def answers(self, name: str, *later: dict[str, Any], **answer: Any) -> None:
        """Have a module give this answer and then the later ones, whatever it is asked."""
        asked = self.folder / "asked" / name
        asked.mkdir(parents=True, exist_ok=True)
        answers = [json.dumps({"changed": False, **given}) for given in (answer, *later)]
        text = MODULE.format(answers=answers, asked=str(asked))
        (self.folder / f"library/{name}.py").write_text(text)

    def asked(self, name: str) -> list[dict[str, Any]]:
        """What a module was asked, time by time."""
        files = sorted((self.folder / "asked" / name).iterdir(), key=lambda file: int(file.name))
        return [json.loads(file.read_text()) for file in files]

    def preflight(
        self, action: str, reboots: bool, missing: Sequence[str] = (), drained: bool = False
    ) -> None:
        """Have the host found fit, with this to be done."""
        self.answers(
            "kernel_preflight",
            action=action, reboots=reboots, pin=STOCK, missing=list(missing), drained=drained,
        )  # fmt: skip

    @property
    def note(self) -> Path:
        """That the toolkit drained the host."""
        return self.folder / "drained"

    def hook(self, name: str, *, fails: bool = False) -> dict[str, Any]:
        """A hook that notes that it ran, and whether the host counted as drained by us."""
        line = f"test -e {self.note} && echo {name}: ours || echo {name}; exit {int(fails)}"
        return {"name": name, "command": ["sh", "-c", f"{{ {line}; }} >> {self.folder}/hooks"]}

    @property
    def hooks(self) -> list[str]:
        """What ran, in order."""
        noted = self.folder / "hooks"
        return noted.read_text().splitlines() if noted.exists() else []

    def play(self, check: bool = False) -> tuple[Outcome, bool]:
        playbook = self.folder / "play.yml"
        playbook.write_text(PLAYBOOK)
        host = {"ansible_connection": "local", "kernel_install_reboot_ok": False, **self.variables}
        inventory = self.folder / "inventory.json"
        inventory.write_text(
            json.dumps({"all": {"children": {"bpfview_hosts": {"hosts": {"a": host}}}}})
        )
        note = f"__kernel_install_drained_note={self.note}"
        request = Request(
            ROOT, self.folder / "run", playbook, inventory, check=check, extra_vars=[note]
        )
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


GOES_BACK = {
    "verdict": "wrong_kernel",
    "reasons": ["tainted"],
    "default_release": STOCK,
    "goes_back": True,
}
CAME_BACK = {
    "verdict": "fell_back",
    "reasons": ["the trial boot failed", "tainted"],
    "default_release": STOCK,
    "evidence": "what the kernel said\n",
}


def test_the_verdict_on_a_kernel_that_is_refused_is_that_of_the_host_once_it_is_back(
    role: Role,
) -> None:
    role.preflight("confirm", reboots=False)
    role.answers("kernel_confirm", CAME_BACK, **GOES_BACK)
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (False, "fell_back")
    assert "the trial boot failed; tainted. Its next boot is" in outcome.detail
    (evidence,) = (role.folder / "evidence").iterdir()
    assert evidence.read_text() == CAME_BACK["evidence"]
    assert str(evidence) in outcome.detail


def test_a_host_that_does_not_go_back_by_itself_is_rebooted(role: Role) -> None:
    role.preflight("confirm", reboots=False)
    role.answers("kernel_confirm", GOES_BACK, GOES_BACK, CAME_BACK, **GOES_BACK)
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (False, "fell_back")


def test_a_host_that_does_not_go_back_at_all_is_asked_four_times_and_no_more(role: Role) -> None:
    role.preflight("confirm", reboots=False)
    role.answers("kernel_confirm", **GOES_BACK)
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (False, "wrong_kernel")
    assert len(role.asked("kernel_confirm")) == 4


def test_the_guard_gets_what_the_user_wants_checked(role: Role) -> None:
    check = {"name": "web", "command": ["curl", "localhost"], "timeout": 3}
    role.variables |= {
        "kernel_install_confirm_seconds": 240,
        "kernel_install_health_commands": [check],
        "kernel_install_health_units": ["ssh.service"],
    }
    role.preflight("confirm", reboots=False)
    role.answers("kernel_confirm", verdict="promoted", reasons=[], default_release=OURS)
    assert role.play()[1]
    guard = {
        "confirm_seconds": 240,
        "soak_seconds": 30,
        "commands": [check],
        "units": ["ssh.service"],
    }
    (asked,) = role.asked("kernel_preflight")
    assert asked["guard"] == guard
    (asked,) = role.asked("kernel_confirm")
    assert (asked["wait_seconds"], asked["objections"]) == (240, [])


def test_a_port_that_does_not_answer_is_an_objection(role: Role) -> None:
    with socket.socket() as closed, socket.socket() as open_one:
        closed.bind(("127.0.0.1", 0))
        open_one.bind(("127.0.0.1", 0))
        open_one.listen()
        ports = [one.getsockname()[1] for one in (open_one, closed)]
        role.variables |= {
            "ansible_host": "127.0.0.1",
            "kernel_install_reachable_ports": ports,
            "kernel_install_reachable_seconds": 1,
        }
        role.preflight("confirm", reboots=False)
        looked = {"verdict": "promoted", "reasons": [], "default_release": STOCK}
        role.answers("kernel_confirm", GOES_BACK, CAME_BACK, **looked)
        outcome, _passed = role.play()
    assert outcome.verdict == "fell_back"
    look, judged, _again = role.asked("kernel_confirm")
    assert look["promote"] is False
    assert judged["objections"] == [f"the control node cannot connect to port {ports[1]}"]


def drains(role: Role, drain_fails: bool = False) -> None:
    """Have the role drain the host and try a kernel that is found good."""
    role.variables |= {
        "kernel_install_reboot_ok": True,
        "kernel_install_drain": [role.hook("drain", fails=drain_fails)],
        "kernel_install_before_reboot": [{**role.hook("before"), "where": "controller"}],
        "kernel_install_after_verification": [role.hook("after")],
        "kernel_install_undrain": [role.hook("undrain")],
    }
    role.preflight("trial", reboots=True)
    role.answers("kernel_stage", changed=True)


def test_the_hooks_run_in_order_and_nothing_is_armed_before_the_host_is_drained(role: Role) -> None:
    drains(role)
    role.answers("kernel_confirm", verdict="promoted", reasons=[], default_release=OURS)
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (True, "promoted")
    assert role.hooks == ["drain: ours", "before: ours", "after: ours", "undrain: ours"]
    assert [asked["arm"] for asked in role.asked("kernel_stage")] == [False, True]
    assert not role.note.exists()


def test_a_host_whose_kernel_failed_is_put_back_into_service(role: Role) -> None:
    drains(role)
    role.answers("kernel_confirm", **CAME_BACK)
    outcome, _passed = role.play()
    assert outcome.verdict == "fell_back"
    assert role.hooks == ["drain: ours", "before: ours", "undrain: ours"]


def test_a_drain_that_fails_is_undone_and_nothing_is_tried(role: Role) -> None:
    drains(role, drain_fails=True)
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (False, "not_attempted")
    assert "it could not be drained: Run a command on the host (drain): " in outcome.detail
    assert role.hooks == ["drain: ours", "undrain: ours"]
    assert [asked["arm"] for asked in role.asked("kernel_stage")] == [False]
    assert not role.note.exists()


@pytest.mark.parametrize("hook", [{"timeout": 1, "command": ["sleep", "30"]}, {"tasks": "TASKS"}])
def test_a_hook_has_a_time_limit(role: Role, hook: dict[str, Any]) -> None:
    tasks = role.folder / "tasks.yml"
    tasks.write_text("- ansible.builtin.command: sleep 30\n")
    drains(role)
    hook = {**hook, "tasks": str(tasks)} if "tasks" in hook else hook
    role.variables["kernel_install_drain"] = [{"name": "slow", "timeout": 1, **hook}]
    outcome, _passed = role.play()
    assert outcome.verdict == "not_attempted"
    assert role.hooks == ["undrain: ours"]


def test_a_host_that_somebody_drained_stays_drained(role: Role) -> None:
    drains(role)
    role.variables["kernel_install_drained_command"] = ["true"]
    role.answers("kernel_confirm", verdict="promoted", reasons=[], default_release=OURS)
    outcome, _passed = role.play()
    assert outcome.verdict == "promoted"
    assert role.hooks == ["before", "after"]


def test_a_host_that_a_killed_run_drained_is_put_back_by_the_next(role: Role) -> None:
    drains(role)
    role.note.write_text("")
    role.answers("kernel_preflight", action="unchanged", reboots=False, pin=OURS, drained=True)
    outcome, passed = role.play()
    assert (passed, outcome.verdict) == (True, "unchanged")
    assert role.hooks == ["undrain: ours"]
    assert not role.note.exists()


def test_a_check_run_drains_nothing(role: Role) -> None:
    drains(role)
    role.play(check=True)
    assert role.hooks == []
