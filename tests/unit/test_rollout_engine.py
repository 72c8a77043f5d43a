# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollout's decisions, with a runner that only pretends."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bpfview_fleet import journal, rollout
from bpfview_fleet.hosts import Inventory
from bpfview_fleet.runs import Request, Result
from bpfview_fleet.verdicts import Collector
from plugins.module_utils.bpfview.errors import BpfviewError

ROOT = Path(__file__).parents[2]
GROUPS = {"bpfview_hosts": "abcd", "canary": "a", "fleet": "bcd"}
MANIFEST = "build/kernel/6.1/manifest.json"


class Pretender:
    """A runner that publishes the verdicts it was given and notes what it was asked."""

    def __init__(self, **verdicts: str) -> None:
        self.verdicts = verdicts
        self.requests: list[Request] = []
        self.during: Callable[[Request], Any] = lambda request: None
        self.statuses: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        return [request.folder.name for request in self.requests]

    def __call__(self, request: Request, cancelled: Callable[[], bool]) -> Result:
        self.requests.append(request)
        self.during(request)
        name = request.folder.name
        status = "canceled" if cancelled() else self.statuses.get(name, "successful")
        collected = Collector()
        hosts = [host for host in request.hosts or () if len(host) == 1]
        if not cancelled():
            said = {host: self.verdicts.get(host, "promoted") for host in hosts}
            for host, verdict in said.items():
                stats = {"data": {"bpfview_verdict": verdict}, "per_host": True}
                data = {"host": host, "res": {"ansible_stats": stats}}
                collected.take({"event": "runner_on_ok", "event_data": data})
            collected.stats = {
                "processed": {host: 1 for host, verdict in said.items() if verdict != "absent"},
                "dark": {host: 1 for host, verdict in said.items() if verdict == "dark"},
            }
        return Result(status, 0 if status == "successful" else 2, collected)


def load(root: Path, source: Path, limit: str | None = None) -> Inventory:
    """Stand in for ansible-inventory, which takes a second each time."""
    wanted = GROUPS["bpfview_hosts"] if limit is None else limit.split(",")
    if any(host not in GROUPS["bpfview_hosts"] for host in wanted):
        raise BpfviewError(f"No host matches {limit}", "Correct it")
    groups = {
        name: tuple(host for host in hosts if host in wanted) for name, hosts in GROUPS.items()
    }
    # ansible-inventory leaves groups out that a limit emptied.
    kept = {name: hosts for name, hosts in groups.items() if hosts or limit is None}
    return Inventory(source, kept, {})


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> rollout.Options:
    monkeypatch.setattr(rollout, "load_inventory", load)
    manifest = tmp_path / MANIFEST
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}\n")
    for name in ("deploy.yml", "build.yml", "ansible.cfg"):
        (tmp_path / name).touch()
    return rollout.Options(
        root=tmp_path,
        inventory=tmp_path / "inv.yml",
        playbook=tmp_path / "deploy.yml",
        build_playbook=tmp_path / "build.yml",
        wave_size="2",
    )


def record(options: rollout.Options) -> dict[str, Any]:
    (path,) = options.root.glob("build/rollout/*/journal.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def verdicts(options: rollout.Options) -> dict[str, str]:
    return {name: host["verdict"] for name, host in record(options)["hosts"].items()}


def test_all_well(options, capsys):
    runner = Pretender(c="unchanged")
    assert rollout.rollout(options, runner) == 0
    assert runner.names == ["build", "wave-canary", "wave-1", "wave-2"]
    assert [request.hosts for request in runner.requests] == [
        None,
        ["a", "localhost"],
        ["b", "c", "localhost"],
        ["d", "localhost"],
    ]
    found = record(options)
    assert found["state"] == "done"
    assert list(found["manifests"]) == [MANIFEST]
    assert "c     1       unchanged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "verdict"),
    [
        ("dark", "unreachable"),
        ("absent", "not_attempted"),
        ("fell_back", "fell_back"),
        ("wrong_kernel", "wrong_kernel"),
        ("views_failed", "views_failed"),
        ("nonsense", "no_verdict"),
    ],
)
def test_a_canary_that_is_not_well_stops_it(options, word, verdict):
    runner = Pretender(a=word)
    assert rollout.rollout(options, runner) == 1
    assert runner.names == ["build", "wave-canary"]
    assert record(options)["state"] == "stopped"
    assert verdicts(options) == {
        "a": verdict,
        "b": "not_attempted",
        "c": "not_attempted",
        "d": "not_attempted",
    }


def test_one_host_of_a_wave_stops_it(options):
    runner = Pretender(c="dark")
    assert rollout.rollout(options, runner) == 1
    assert runner.names == ["build", "wave-canary", "wave-1"]
    assert verdicts(options) == {
        "a": "promoted",
        "b": "promoted",
        "c": "unreachable",
        "d": "not_attempted",
    }


def test_a_run_that_failed_elsewhere_stops_it_too(options):
    runner = Pretender()
    runner.statuses["wave-canary"] = "failed"
    assert rollout.rollout(options, runner) == 1
    assert runner.names == ["build", "wave-canary"]
    assert "status failed" in record(options)["reason"]


def test_a_failed_build_touches_no_host(options):
    runner = Pretender()
    runner.statuses["build"] = "failed"
    assert rollout.rollout(options, runner) == 1
    assert runner.names == ["build"]


def test_a_build_without_a_manifest_touches_no_host(options):
    (options.root / MANIFEST).unlink()
    runner = Pretender()
    assert rollout.rollout(options, runner) == 1
    assert runner.names == ["build"]


@pytest.mark.parametrize("wave", ["wave-canary", "wave-1"])
def test_a_manifest_that_changes_stops_it(options, wave):
    def change(request: Request) -> None:
        if request.folder.name == wave:
            (options.root / MANIFEST).write_text("other")

    runner = Pretender()
    runner.during = change
    assert rollout.rollout(options, runner) == 1
    assert runner.names[-1] == wave
    assert "same bytes" in record(options)["reason"]


def test_check_mode_goes_through_all_waves(options):
    runner = Pretender()
    (options.root / MANIFEST).unlink()
    assert rollout.rollout(replace(options, check=True), runner) == 0
    assert all(request.check for request in runner.requests)
    assert set(verdicts(options).values()) == {"checked"}


def test_a_builder_group_is_let_into_the_waves_of_a_check_only(options, monkeypatch):
    monkeypatch.setitem(GROUPS, "builder", "a")
    for check, control in ((False, ["localhost"]), (True, ["builder", "localhost"])):
        runner = Pretender()
        assert rollout.rollout(replace(options, check=check), runner) == 0
        assert runner.requests[1].hosts == ["a", *control]


def test_nothing_is_built_once_the_canary_has_begun(options):
    runner = Pretender()
    assert rollout.rollout(options, runner) == 0
    assert [request.skip_tags for request in runner.requests] == [(), *[rollout.BUILD_TAGS] * 3]


def test_a_check_predicts_the_build_in_every_wave(options):
    runner = Pretender()
    assert rollout.rollout(replace(options, check=True), runner) == 0
    assert {request.skip_tags for request in runner.requests} == {()}


def test_the_tags_left_out_are_those_of_every_task_that_builds():
    for role in rollout.BUILD_TAGS:
        tasks = yaml.safe_load((ROOT / f"roles/{role}/tasks/main.yml").read_text())
        assert all(role in task["tags"] for task in tasks)


@pytest.mark.parametrize(
    "name", ["bpf/catalog.yml", "plugins/module_utils/bpfview/view_apply.py", "build/views/6.1/x"]
)
def test_what_is_shipped_from_the_checkout_must_not_change_either(options, name):
    def edit(request: Request) -> None:
        if request.folder.name == "wave-canary":
            path = options.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("edited")

    runner = Pretender()
    runner.during = edit
    shipped = not name.startswith("build/")
    assert rollout.rollout(options, runner) == (1 if shipped else 0)
    assert not shipped or f"{name} changed" in record(options)["reason"]


def test_a_limit_keeps_the_canary_rule(options):
    runner = Pretender()
    assert rollout.rollout(replace(options, limit="a,d"), runner) == 0
    assert verdicts(options) == {"a": "promoted", "d": "promoted"}
    with pytest.raises(BpfviewError, match="keep a canary in the limit"):
        rollout.rollout(replace(options, limit="d"), runner)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"canary_group": "canaries"}, "no group canaries"),
        ({"canary_group": "canaries", "limit": "a"}, "no group canaries"),
        ({"limit": "nosuch"}, "nosuch"),
        ({"wave_size": "0"}, "no wave size"),
        ({"playbook": Path("/nonexistent.yml")}, "no playbook"),
    ],
)
def test_bad_input_runs_nothing_and_records_nothing(options, change, message):
    runner = Pretender()
    with pytest.raises(BpfviewError, match=message):
        rollout.rollout(replace(options, **change), runner)
    assert not runner.requests
    assert not (options.root / "build/rollout").exists()


def test_the_journal_is_on_disk_while_a_wave_runs(options):
    seen = {}

    def look(request: Request) -> None:
        seen[request.folder.name] = verdicts(options)

    runner = Pretender()
    runner.during = look
    rollout.rollout(options, runner)
    assert seen["wave-1"] == {
        "a": "promoted",
        "b": "in_progress",
        "c": "in_progress",
        "d": "not_attempted",
    }


def test_the_first_ctrl_c_lets_the_wave_end(options):
    runner = Pretender()
    runner.during = lambda request: (
        os.kill(os.getpid(), signal.SIGINT) if request.folder.name == "wave-1" else None
    )
    assert rollout.rollout(options, runner) == 130
    assert runner.names[-1] == "wave-1"
    assert record(options)["state"] == "interrupted"
    assert verdicts(options)["c"] == "promoted"
    assert verdicts(options)["d"] == "not_attempted"


@pytest.mark.parametrize(
    "signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP]]
)
def test_the_second_ctrl_c_kills_the_wave(options, signals):
    def interrupt(request: Request) -> None:
        if request.folder.name == "wave-1":
            for number in signals:
                os.kill(os.getpid(), number)

    runner = Pretender()
    runner.during = interrupt
    before = signal.getsignal(signal.SIGINT)
    assert rollout.rollout(options, runner) == 130
    assert runner.names[-1] == "wave-1"
    assert verdicts(options)["b"] == "not_attempted"
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_during_the_last_wave_interrupts_nothing(options):
    runner = Pretender()
    runner.during = lambda request: (
        os.kill(os.getpid(), signal.SIGINT) if request.folder.name == "wave-2" else None
    )
    assert rollout.rollout(options, runner) == 0


def test_ctrl_c_during_the_build_stops_at_once(options):
    runner = Pretender()
    runner.during = lambda request: os.kill(os.getpid(), signal.SIGINT)
    assert rollout.rollout(options, runner) == 130
    assert runner.names == ["build"]


def test_two_at_once_are_kept_apart_and_the_owner_is_named(options):
    runner = Pretender()
    with (
        journal.lock(options.root / "build/rollout/lock"),
        pytest.raises(BpfviewError, match=f"process {os.getpid()} of"),
    ):
        rollout.rollout(options, runner)
    assert not runner.requests
    assert rollout.rollout(options, runner) == 0


def test_a_broken_runner_leaves_a_journal_that_says_so(options):
    def breaks(request: Request, cancelled: Callable[[], bool]) -> Result:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        rollout.rollout(options, breaks)
    assert record(options)["state"] == "stopped"
    assert "no space left" in record(options)["reason"]


def test_rollouts_of_the_same_second_get_folders_of_their_own(tmp_path):
    names = {journal.new_folder(tmp_path) for _ in range(5)}
    assert len(names) == 5
