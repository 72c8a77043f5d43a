# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault runs without a VM: what counts as a problem, and what the table says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bpfview_fleet.faults import deploy, page, power_cuts
from bpfview_fleet.faults.rows import FAULTS, Fault
from bpfview_fleet.faults.run import Result, Round
from bpfview_fleet.faults.victim import Victim, until
from bpfview_fleet.lab.layout import Layout
from bpfview_fleet.verdicts import VERDICTS
from tests.unit.fake_host import OURS, STOCK

BOOT = "[    0.000000] Linux version {} (debian-kernel@lists.debian.org)\n"


@pytest.fixture(name="round_")
def _round(tmp_path: Path) -> Round:
    victim = Victim(Layout.of("faults", tmp_path / "lab"))
    victim.log.parent.mkdir(parents=True)
    victim.log.write_text("")
    return Round(victim, tmp_path, {"former": STOCK, "new": OURS, "newer": "6.12.1-bpfview-0"})


def ended(round_: Round, console: str, **differs: object) -> list[str]:
    """What is wrong with a row that ended so."""
    fault = Fault("f", "what", ("fell_back",), boots=2, may_say=("panic",), says="sorry")
    result = Result(fault, ["fell_back"], "it is sorry", STOCK)
    for name, value in differs.items():
        setattr(result, name, value)
    round_.victim.log.write_text(console)
    round_._compare(result, 0)
    return result.problems


GOOD = BOOT.format(OURS) + "[ 1.0] Kernel panic - not syncing: sysrq\n" + BOOT.format(STOCK)


def test_a_row_that_ends_as_it_must_has_no_problem(round_: Round) -> None:
    assert ended(round_, GOOD) == []


@pytest.mark.parametrize(
    ("console", "differs", "problem"),
    [
        (GOOD, {"kernel": OURS}, f"it ends on {OURS}, not on {STOCK}"),
        (GOOD, {"kernel": None}, "it ends on nothing"),
        (GOOD, {"verdicts": ["promoted"]}, "verdicts: promoted; expected: fell_back"),
        (GOOD, {"reason": "no"}, "does not name 'sorry': no"),
        (BOOT.format(OURS), {}, "it booted 1 times, not 2"),
        (GOOD + "[ 1.0] WARNING: CPU: 0\n", {}, "the kernel says: WARNING: CPU: 0"),
    ],
)
def test_every_way_not_to_end_as_it_must_is_a_problem(
    round_: Round, console: str, differs: dict[str, object], problem: str
) -> None:
    (found,) = ended(round_, console, **differs)
    assert problem in found


def test_the_catalogue_is_whole() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
    for fault in FAULTS:
        assert set(fault.runs) <= {*VERDICTS, "killed"}, fault.name
        assert (deploy.ROOT / "playbooks" / fault.playbook).exists(), fault.name
        for text in fault.trap.files.values():
            assert "*-bpfview-*" in text, fault.name


def test_the_table_shows_who_is_stranded_and_what_went_wrong() -> None:
    fault = FAULTS[3]
    good = Result(fault, ["fell_back"], "it went | back", STOCK, 2, 41.7)
    bad = Result(fault, ["unreachable"], "x" * 300, None, 1, None, ["it ends on nothing"])
    text = page.text([good, bad], STOCK, OURS, "6.12.1-bpfview-0", "a machine")
    assert "Not tried in this run: `/boot` is full; " in text
    lines = text.splitlines()[-4:-2]
    assert lines[0].endswith("| `fell_back` | it went / back | its own | 2 | 42 s |")
    assert "**(did not end as it must)**" in lines[1] and "**stranded**" in lines[1]
    assert "…" in lines[1] and lines[1].endswith("| 1 | — |")


def test_a_deployment_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    """A grandchild in a session of its own, as ansible-runner starts Ansible, goes as well."""
    note = tmp_path / "note"
    child = (
        "import os, pathlib, time; os.setsid();"
        f" pathlib.Path({str(note)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    deployment = object.__new__(deploy.Deployment)
    deployment.process = subprocess.Popen([sys.executable, "-c", parent])
    assert until(lambda: note.exists() and note.read_text() != "", 20)
    deployment.kill()
    assert until(lambda: not Path(f"/proc/{note.read_text()}/cmdline").exists(), 20)


def test_a_deployment_without_an_outcome_has_none(tmp_path: Path) -> None:
    deployment = object.__new__(deploy.Deployment)
    deployment.folder = tmp_path
    deployment.process = subprocess.Popen(["true"])
    assert deployment.wait(20)[0] == "none"
    deployment.process = subprocess.Popen(["sleep", "60"])
    assert deployment.wait(0.1)[0] == "stranded"
    assert deployment.process.poll() is not None


def test_a_seed_gives_the_same_moments_again() -> None:
    first = power_cuts.moments(7, 20)
    assert first == power_cuts.moments(7, 20) != power_cuts.moments(8, 20)
    assert len(set(first)) > 15 and min(first) >= 0


@pytest.mark.parametrize(
    ("kind", "cut", "problem"),
    [
        ("vm", power_cuts.Cut(1, STOCK, "promoted", 2), None),
        ("vm", power_cuts.Cut(1, OURS, "unchanged", 1), None),
        ("controller", power_cuts.Cut(1, STOCK, "promoted", 2), "was tried 2 times"),
        ("vm", power_cuts.Cut(1, STOCK, "promoted", 3), "was tried 3 times"),
        ("vm", power_cuts.Cut(1, None, "promoted", 1), "it came back with nothing"),
        ("vm", power_cuts.Cut(1, STOCK, "fell_back", 2), "deployment came to fell_back"),
    ],
)
def test_a_round_ends_well_or_says_what_is_wrong(
    kind: str, cut: power_cuts.Cut, problem: str | None
) -> None:
    found = power_cuts.judge(cut, kind, (STOCK, OURS), "").problems
    assert len(found) == (1 if problem else 0)
    assert not problem or problem in found[0]
