# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a trial boot: it takes the host back, or leaves what was promoted alone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import (
    kernel_promotion,
    kernel_record,
    kernel_staging,
    kernel_survey,
    trial_evidence,
    trial_guard,
    trial_record,
    trial_units,
)
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_promotion import Settled
from plugins.module_utils.bpfview.kernel_survey import Settings
from plugins.module_utils.bpfview.kernel_verdict import Verdict
from plugins.module_utils.bpfview.trial_guard import Watch
from plugins.module_utils.bpfview.trial_record import GOING_BACK, HEALTHY, WATCHING, Status
from tests.unit.fake_host import FUNCTION, OURS, STOCK, FakeHost, PowerCutError, wanted_kernel

GUARD = trial_record.guard(
    {
        "confirm_seconds": 300,
        "soak_seconds": 30,
        "commands": [{"name": "site", "command": ["site_check", "--all"], "timeout": 5}],
        "units": ["nginx.service"],
    }
)
SETTINGS = Settings(FUNCTION, panic_timeout=30, margin_mib=0, guard=GUARD)


class RebootedError(BaseException):
    """The host went down, which no code outlives."""


class Trial(FakeHost):
    """A host on trial, whose time passes while somebody waits."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.now = 10.0
        self.site = 0
        self.happens: dict[float, Callable[[], object]] = {}
        self.obeys = True  # systemctl reboot

    def site_check(self, _option: str) -> str:
        self.statuses["site_check"] = self.site
        return "the database is away\n"

    def systemctl(self, *arguments: str) -> str:
        if "reboot" in arguments and self.obeys:
            raise RebootedError
        return super().systemctl(*arguments)

    def pause(self, seconds: float) -> None:
        """Let time pass; what is to happen meanwhile happens."""
        self.now += seconds
        self.put("/proc/uptime", f"{self.now:.2f} 0.00\n")
        for when in sorted(self.happens):
            if when <= self.now:
                self.happens.pop(when)()

    def watch(self) -> Watch:
        return Watch(self.host, 600, self.pause)

    @property
    def status(self) -> Status:
        found = trial_record.read_status(self.host)
        assert found
        return found

    @property
    def left(self) -> list[str]:
        """What there is of the guard."""
        return [path for path in trial_units.PATHS if os.path.lexists(self.host.path(path))]


@pytest.fixture(name="fake")
def _fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return Trial(tmp_path)


def stage(fake: Trial) -> None:
    wanted = wanted_kernel()
    found = kernel_survey.survey(fake.host, wanted, SETTINGS)
    if found.copy:
        fake.deliver(wanted)
    kernel_staging.stage(fake.host, wanted, found, SETTINGS, arm=True)


def on_trial(fake: Trial) -> Watch:
    stage(fake)
    assert fake.boot() == OURS
    return fake.watch()


def confirm(fake: Trial, seconds: float = 0) -> Settled:
    """Do what the module kernel_confirm does."""
    wanted = wanted_kernel()
    judgement, running = kernel_promotion.examine(fake.host, wanted, SETTINGS)
    judgement = kernel_promotion.await_health(fake.host, judgement, running, seconds)
    return kernel_promotion.settle(fake.host, wanted, judgement, SETTINGS)


def soak(watch: Watch, fake: Trial) -> None:
    """Look until the host is found well."""
    for _ in range(20):
        assert watch.step() == ""
        fake.pause(3.0)
    assert fake.status.state == HEALTHY


def goes_back(watch: Watch, fake: Trial) -> tuple[str, ...]:
    """Run the guard to its end, which must be the former kernel; return why."""
    with pytest.raises(RebootedError):
        watch.run()
    assert (fake.status.state, fake.status.release) == (GOING_BACK, OURS)
    assert fake.boot() == STOCK
    return fake.status.reasons


def test_the_guard_is_on_the_disk_before_the_boot_is_armed(fake: Trial) -> None:
    fake.failed = ["old.service"]
    stage(fake)
    assert fake.left == list(trial_units.PATHS)
    unit = fake.host.text("/etc/systemd/system/bpfview-trial.service")
    assert "--confirm-seconds 300" in unit and "Restart=always" in unit
    trial = kernel_record.read(fake.host).trial
    assert trial and trial.guard == replace(GUARD, failed_before=("old.service",), said_before=())


@pytest.mark.parametrize("cut", range(14))
def test_a_power_cut_while_arming_leaves_no_trial_without_its_guard(fake: Trial, cut: int) -> None:
    wanted = wanted_kernel()
    found = kernel_survey.survey(fake.host, wanted, SETTINGS)
    fake.deliver(wanted)
    fake.cut_after = cut
    with contextlib.suppress(PowerCutError):
        kernel_staging.stage(fake.host, wanted, found, SETTINGS, arm=True)
    fake.cut_after = -1
    if fake.boot() == OURS:
        assert fake.left == list(trial_units.PATHS)


def test_a_host_that_is_well_for_long_enough_is_promoted_and_the_guard_goes(fake: Trial) -> None:
    watch = on_trial(fake)
    assert watch.step() == ""
    assert (fake.status.state, fake.default()) == (WATCHING, STOCK)
    soak(watch, fake)
    assert confirm(fake).judgement.verdict is Verdict.PROMOTED
    assert (fake.default(), fake.left) == (OURS, [])
    assert "default is the running kernel" in watch.run()
    assert fake.boot() == OURS


def test_before_the_soak_is_over_nothing_is_promoted(fake: Trial) -> None:
    watch = on_trial(fake)
    watch.step()
    settled = confirm(fake)
    assert settled.judgement.verdict is Verdict.WRONG_KERNEL and settled.goes_back
    assert "has to stay so for 30 s" in settled.judgement.reasons[0]
    assert fake.default() == STOCK


def test_a_check_that_breaks_in_between_begins_the_soak_anew(fake: Trial) -> None:
    watch = on_trial(fake)
    watch.step()
    fake.pause(29)
    fake.site = 3
    watch.step()
    assert "'site' ended with status 3 and said: the database is away" in fake.status.reasons[0]
    fake.site = 0
    watch.step()
    fake.pause(29)
    watch.step()
    assert fake.status.state == WATCHING
    fake.pause(2)
    watch.step()
    assert fake.status.state == HEALTHY


@pytest.mark.parametrize(
    ("ill", "reason"),
    [
        (lambda fake: setattr(fake, "site", 1), "the check 'site' ended with status 1"),
        (lambda fake: setattr(fake, "site", 124), "the check 'site' took longer than 5 s"),
        (
            lambda fake: fake.failed.append("new.service"),
            "failed since the trial boot: new.service",
        ),
        (lambda fake: fake.statuses.update(systemctl=1), "has not finished booting"),
    ],
)
def test_what_never_holds_takes_the_host_back_at_the_deadline(
    fake: Trial, ill: Callable[[Trial], None], reason: str
) -> None:
    watch = on_trial(fake)
    ill(fake)
    assert reason in goes_back(watch, fake)[0]
    assert 300 <= fake.now < 310


def test_a_unit_that_had_failed_before_is_no_reason(fake: Trial) -> None:
    fake.failed = ["old.service"]
    soak(on_trial(fake), fake)


def test_a_host_that_nobody_promotes_goes_back(fake: Trial) -> None:
    watch = on_trial(fake)
    assert goes_back(watch, fake) == ("no control node promoted it within 300 s of its start",)
    settled = confirm(fake)
    assert settled.judgement.verdict is Verdict.FELL_BACK
    assert settled.judgement.reasons[1:] == fake.status.reasons
    assert "the last words of the boot before" in settled.evidence
    assert fake.left == []


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (
            lambda fake: fake.put("/proc/sys/kernel/tainted", "512\n"),
            "tainted: 512 (bit 9: warning)",
        ),
        (
            lambda fake: setattr(fake, "kernel_log", "BUG: kernel NULL pointer dereference\n"),
            "the kernel reported BUG: kernel NULL pointer",
        ),
    ],
)
def test_what_no_waiting_mends_takes_the_host_back_at_once(
    fake: Trial, broken: Callable[[Trial], None], reason: str
) -> None:
    watch = on_trial(fake)
    fake.happens[20.0] = lambda: broken(fake)
    assert reason in goes_back(watch, fake)[0]
    assert fake.now < 30


def test_a_kernel_that_the_control_node_refuses_goes_back_at_once(fake: Trial) -> None:
    watch = on_trial(fake)
    fake.put("/sys/kernel/btf/vmlinux", b"")
    settled = confirm(fake)
    assert settled.goes_back and "does not describe" in settled.judgement.reasons[0]
    assert kernel_record.read(fake.host).trial  # the verdict comes when the host is back
    assert goes_back(watch, fake) == settled.judgement.reasons
    assert fake.now < 20
    again = confirm(fake)
    assert (again.judgement.verdict, again.goes_back) == (Verdict.FELL_BACK, False)
    assert "does not describe" in again.judgement.reasons[1]


def test_a_refusal_of_another_boot_does_not_count(fake: Trial) -> None:
    watch = on_trial(fake)
    trial_record.refuse(fake.host, "boot-1", ("old",))
    assert watch.step() == ""


def test_the_control_node_waits_for_the_guard(fake: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = on_trial(fake)

    def sleep(seconds: float) -> None:
        fake.pause(seconds)
        watch.step()

    monkeypatch.setattr("time.sleep", sleep)
    wanted = wanted_kernel()
    judgement, running = kernel_promotion.examine(fake.host, wanted, SETTINGS)
    trial = kernel_record.read(fake.host).trial
    said = kernel_promotion.trial_wait.settled(fake.host, trial, running, 100, sleep)
    assert said and said.state == HEALTHY
    assert judgement.verdict is Verdict.PROMOTED


def test_a_guard_that_does_not_run_promotes_nothing(fake: Trial) -> None:
    on_trial(fake)
    settled = confirm(fake)
    assert settled.judgement.reasons == ("the guard has not spoken",)
    assert fake.default() == STOCK


def test_a_promotion_that_comes_first_is_not_undone(
    fake: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = on_trial(fake)
    soak(watch, fake)
    fake.now = 400.0

    def incurable(*_about: object) -> list[str]:
        assert confirm(fake).judgement.verdict is Verdict.PROMOTED
        return ["too late"]

    monkeypatch.setattr(trial_guard.host_health, "incurable", incurable)
    assert watch.step() == "it was promoted meanwhile"
    assert fake.boot() == OURS


@pytest.mark.parametrize("cut", range(8))
def test_half_a_promotion_is_completed_by_the_next_run(fake: Trial, cut: int) -> None:
    """After each command, and after each file, of a promotion that is killed."""
    soak(on_trial(fake), fake)
    fake.cut_after = cut
    with contextlib.suppress(PowerCutError):
        confirm(fake)
    fake.cut_after = -1
    assert confirm(fake).judgement.verdict is Verdict.PROMOTED
    assert (fake.default(), fake.left) == (OURS, [])
    assert kernel_record.read(fake.host).proven == OURS


@pytest.mark.parametrize("write", range(4))
def test_a_promotion_that_is_killed_at_a_file_is_completed(
    fake: Trial, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    soak(on_trial(fake), fake)
    real, left = os.fsync, [write]

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise PowerCutError
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(PowerCutError):
            confirm(fake)
    if fake.default() == OURS:
        assert "running kernel" in fake.watch().run()
    assert confirm(fake).judgement.verdict is Verdict.PROMOTED


def test_the_former_kernel_needs_no_guard(fake: Trial) -> None:
    watch = on_trial(fake)
    fake.boot()
    assert "running kernel" in watch.run()


def test_the_guard_leaves_the_boot_that_armed_it(fake: Trial) -> None:
    stage(fake)
    assert fake.watch().run() == trial_guard.BEFORE


def test_a_third_kernel_that_somebody_chose_is_left_alone(fake: Trial) -> None:
    watch = on_trial(fake)
    fake.put("/proc/sys/kernel/osrelease", "6.12.0-rescue\n")
    assert "6.12.0-rescue runs, which is not on trial" in watch.run()


def test_a_proven_kernel_is_left_alone_where_the_boot_loader_cannot_be_read(fake: Trial) -> None:
    watch = on_trial(fake)
    soak(watch, fake)
    confirm(fake)
    (fake.root / "boot/grub/grub.cfg").unlink()
    assert "not on trial" in fake.watch().run()


@pytest.mark.parametrize("text", ["", "{", '{"schema": 9}'])
def test_without_its_record_the_guard_goes_by_its_own_deadline(fake: Trial, text: str) -> None:
    watch = on_trial(fake)
    fake.put(kernel_record.RECORD, text)
    assert "is gone or cannot be understood" in goes_back(watch, fake)[0]
    assert 600 <= fake.now < 610


@pytest.mark.parametrize("failure", [OSError("Input/output error"), KeyError("a bug of ours")])
def test_a_guard_that_cannot_look_goes_back_all_the_same(
    fake: Trial, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    watch = on_trial(fake)

    def broken(*_about: object) -> list[str]:
        raise failure

    monkeypatch.setattr(trial_guard.host_health, "incurable", broken)
    assert f"could not look at the host: {failure}" in goes_back(watch, fake)[0]


def test_a_boot_loader_that_cannot_be_read_does_not_keep_the_host(fake: Trial) -> None:
    watch = on_trial(fake)
    fake.put("/boot/grub/grubenv", b"damaged")
    fake.site = 1
    with pytest.raises(RebootedError):
        watch.run()
    assert fake.status.state == GOING_BACK


def test_what_the_former_kernel_reported_as_well_is_no_reason(fake: Trial) -> None:
    fake.kernel_log = "INFO: NMI handler took too long to run: 1.234 msecs\n"
    watch = on_trial(fake)
    fake.kernel_log = "INFO: NMI handler took too long to run: 9.876 msecs\n"
    soak(watch, fake)
    fake.kernel_log += "INFO: task sh:7 blocked for more than 120 seconds\n"
    assert "blocked for more than 120 s" in goes_back(watch, fake)[0]


def test_a_disk_that_takes_no_note_does_not_keep_the_host(
    fake: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = on_trial(fake)

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trial_record, "write_status", full)
    monkeypatch.setattr(trial_evidence, "write_durably", full)
    with pytest.raises(RebootedError):
        watch.run()


def test_a_reboot_that_hangs_is_forced(fake: Trial) -> None:
    watch = on_trial(fake)
    fake.obeys = False
    fake.put("/proc/sysrq-trigger", "")
    trial_record.refuse(fake.host, "boot-2", ("no BTF",))
    with pytest.raises(BpfviewError, match="did not reboot"):
        watch.step()
    asked = [" ".join(command) for command in fake.commands if "reboot" in command]
    assert asked[0] == "systemctl --no-wall reboot"
    assert asked[-1] == "systemctl --force --force reboot"
    assert (fake.root / "proc/sysrq-trigger").read_text() == "b"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"confirm_seconds": 59}, "kernel_install_confirm_seconds is 59"),
        ({"soak_seconds": 300}, "no kernel could prove itself"),
        ({"soak_seconds": -1}, "kernel_install_soak_seconds is -1"),
        ({"commands": [{"name": "x"}]}, "cannot be understood"),
        ({"commands": [{"name": "x", "command": []}]}, "'x' has no command"),
        ({"commands": [{"name": "x", "command": ["y"], "timeout": -1}]}, "below a second"),
    ],
)
def test_checks_that_cannot_be_meant_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(BpfviewError, match=message):
        trial_record.guard({"confirm_seconds": 300, "soak_seconds": 30, **wrong})


def test_the_program_on_the_host_needs_nothing_else(fake: Trial, tmp_path: Path) -> None:
    """It starts from its one file, with nothing but the standard library."""
    stage(fake)
    program = fake.host.path(trial_units.PROGRAM)
    done = subprocess.run(
        [sys.executable, "-I", str(program), "--help"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "--confirm-seconds" in done.stdout
