# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's modules themselves, as Ansible starts them: results, check mode, failures."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.bpfview import (
    kernel_promotion,
    kernel_record,
    kernel_removal,
    kernel_staging,
    kernel_survey,
    kernel_wanted,
)
from plugins.module_utils.bpfview.trial_guard import Watch
from plugins.modules import (
    kernel_confirm,
    kernel_packages,
    kernel_preflight,
    kernel_remove,
    kernel_retention,
    kernel_rollback,
    kernel_stage,
)
from tests.unit.fake_host import OURS, STOCK, FakeHost, wanted_kernel
from tests.unit.grub_fixture import path_of
from tests.unit.module_runner import Answer, Run, run_module

KERNEL = {"kernel": wanted_kernel().facts()}
SMALL = {**KERNEL, "boot_margin_mib": 0}
MODULES = (
    kernel_confirm,
    kernel_preflight,
    kernel_remove,
    kernel_retention,
    kernel_rollback,
    kernel_stage,
)

__all__ = ["run_module"]  # a fixture is used by its name alone


@pytest.fixture(name="fake")
def _fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    fake = FakeHost(tmp_path)
    for module in MODULES:
        monkeypatch.setattr(module, "Host", lambda: fake.host)
    return fake


def staged(fake: FakeHost, run: Run, arm: bool) -> Answer:
    fake.deliver(wanted_kernel())
    return run(kernel_stage, arm=arm, **SMALL)


def promoted(fake: FakeHost, run: Run) -> None:
    staged(fake, run, arm=True)
    fake.boot()
    assert run(kernel_confirm, **KERNEL)["verdict"] == "promoted"


def refuse(*_arguments: object, **_named: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system", "/boot/grub/grubenv")


GUARD = {"confirm_seconds": 300, "soak_seconds": 0}


def test_a_trial_under_guard_is_promoted_once_the_guard_finds_the_host_well(
    fake: FakeHost, run: Run
) -> None:
    fake.deliver(wanted_kernel())
    assert run(kernel_stage, arm=True, guard=GUARD, **SMALL)["armed"]
    fake.boot()
    looked = run(kernel_confirm, promote=False, **KERNEL)
    assert (looked["verdict"], looked["goes_back"]) == ("wrong_kernel", False)
    assert looked["reasons"] == ["the guard has not spoken"]
    assert Watch(fake.host, 300).step() == ""
    looked = run(kernel_confirm, promote=False, **KERNEL)
    assert (looked["verdict"], looked["changed"], fake.default()) == ("promoted", False, STOCK)
    assert run(kernel_confirm, **KERNEL)["verdict"] == "promoted"
    assert fake.default() == OURS


def test_what_the_control_node_objects_to_is_not_promoted(fake: FakeHost, run: Run) -> None:
    fake.deliver(wanted_kernel())
    run(kernel_stage, arm=True, guard=GUARD, **SMALL)
    fake.boot()
    Watch(fake.host, 300).step()
    answer = run(kernel_confirm, objections=["no port 80"], **KERNEL)
    assert (answer["verdict"], answer["goes_back"]) == ("wrong_kernel", True)
    assert answer["reasons"] == ["no port 80"]
    assert fake.default() == STOCK
    fake.boot()
    answer = run(kernel_confirm, **KERNEL)
    assert answer["verdict"] == "fell_back" and "boot before" in answer["evidence"]


@pytest.mark.parametrize("module", [kernel_preflight, kernel_stage])
def test_checks_that_cannot_be_meant_are_refused_before_anything(
    fake: FakeHost, run: Run, module: Any
) -> None:
    before = fake.files()
    message = run(module, guard={"confirm_seconds": 5, "soak_seconds": 0}, **SMALL)["msg"]
    assert "kernel_install_confirm_seconds is 5" in message
    assert fake.files() == before


# kernel_preflight --------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [False, True])
def test_preflight_tells_what_is_due_and_writes_nothing(
    fake: FakeHost, run: Run, check: bool
) -> None:
    before = fake.files()
    answer = run(kernel_preflight, check=check, **SMALL)
    assert fake.files() == before
    assert (answer["changed"], answer["action"], answer["reboots"]) == (False, "stage", True)
    assert (answer["default_release"], answer["pin"]) == (STOCK, STOCK)
    assert answer["missing"] == [wanted_kernel().packages[0].file]
    assert answer["running"]["release"] == STOCK


def test_preflight_refuses_a_missing_watchdog_where_a_trial_boot_is_due_or_warns_of_it(
    fake: FakeHost, run: Run
) -> None:
    (fake.root / "dev/watchdog").unlink()
    for module in (kernel_preflight, kernel_stage):
        message = run(module, **SMALL)["msg"]
        assert "no watchdog device" in message and "kernel_install_accept_no_watchdog" in message
    answer = run(kernel_preflight, accept_no_watchdog=True, **SMALL)
    (warning,) = answer["warnings"]
    assert "no watchdog device" in warning and OURS in warning and not answer["watchdog"]
    fake.put("/dev/watchdog", "")
    answer = run(kernel_preflight, **SMALL)
    assert (answer["warnings"], answer["watchdog"]) == ([], True)
    promoted(fake, run)
    (fake.root / "dev/watchdog").unlink()
    answer = run(kernel_preflight, **SMALL)
    assert (answer["action"], answer["warnings"]) == ("unchanged", [])


@pytest.mark.parametrize("seconds", [0, -1])
@pytest.mark.parametrize("module", [kernel_preflight, kernel_stage, kernel_confirm])
def test_a_panic_timeout_that_reboots_nothing_is_refused_by_every_module(
    fake: FakeHost, run: Run, module: Any, seconds: int
) -> None:
    before = fake.files()
    message = run(module, panic_timeout=seconds, **KERNEL)["msg"]
    assert f"kernel_install_panic_timeout is {seconds}" in message and "1 or more" in message
    assert fake.files() == before


def test_preflight_fails_with_every_reason_and_the_remedy(fake: FakeHost, run: Run) -> None:
    fake.filesystem = "btrfs"
    fake.put("/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=panic=0\n")
    message = run(kernel_preflight, **KERNEL)["msg"]
    assert "Refused before anything was changed" in message
    assert "panic=0 in /etc/default/grub" in message and "btrfs" in message
    assert "incomplete ('release')" in run(kernel_preflight, kernel={})["msg"]


# kernel_stage ------------------------------------------------------------------------------------


def test_stage_predicts_and_writes_nothing_in_check_mode(fake: FakeHost, run: Run) -> None:
    before = fake.files()
    answer = run(kernel_stage, check=True, arm=True, **SMALL)
    assert fake.files() == before
    assert (answer["changed"], answer["installed"], answer["armed"]) == (True, [], "")
    assert f"next boot only: {OURS}" in answer["diff"]["after"]


def test_stage_without_leave_to_reboot_installs_and_arms_nothing(fake: FakeHost, run: Run) -> None:
    answer = staged(fake, run, arm=False)
    assert answer["changed"] and answer["installed"] == [f"linux-image-{OURS}"]
    assert answer["armed"] == ""
    assert run(kernel_preflight, **SMALL)["action"] == "trial"
    assert not run(kernel_stage, arm=False, **SMALL)["changed"]
    assert fake.boot() == STOCK
    assert run(kernel_stage, arm=True, **SMALL)["armed"] == path_of(OURS)
    assert fake.boot() == OURS


def test_stage_fails_with_reason_and_remedy(
    fake: FakeHost, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.deliver(wanted_kernel(), b"something else")
    message = run(kernel_stage, **SMALL)["msg"]
    assert "its manifest says" in message and "run again" in message
    monkeypatch.setattr(kernel_staging, "stage", refuse)
    message = run(kernel_stage, **SMALL)["msg"]
    assert "Staging the kernel failed: /boot/grub/grubenv: Read-only file system." in message
    assert "can be written" in message


# kernel_confirm ----------------------------------------------------------------------------------


def test_confirm_predicts_promotes_and_then_has_nothing_to_do(fake: FakeHost, run: Run) -> None:
    staged(fake, run, arm=True)
    fake.boot()
    before = fake.files()
    predicted = run(kernel_confirm, check=True, **KERNEL)
    assert fake.files() == before
    done = run(kernel_confirm, **KERNEL)
    for answer in (predicted, done):
        assert answer["changed"] and answer["verdict"] == "promoted" and answer["reasons"] == []
        assert answer["default_release"] == OURS
        assert answer["diff"]["after"] == f"default: {OURS}\n"
    assert not run(kernel_confirm, **KERNEL)["changed"]


def test_confirm_of_other_settings_finds_the_promoted_kernel_in_order(
    fake: FakeHost, run: Run
) -> None:
    promoted(fake, run)
    assert run(kernel_preflight, panic_timeout=60, **SMALL)["action"] == "settle"
    assert run(kernel_stage, panic_timeout=60, arm=True, **SMALL)["changed"]
    answer = run(kernel_confirm, panic_timeout=60, **KERNEL)
    assert (answer["verdict"], answer["changed"]) == ("promoted", False)
    assert run(kernel_preflight, panic_timeout=60, **SMALL)["action"] == "unchanged"


def test_confirm_tells_a_fall_back_and_notes_it(fake: FakeHost, run: Run) -> None:
    staged(fake, run, arm=True)
    fake.boot()
    fake.boot()
    answer = run(kernel_confirm, **KERNEL)
    assert (answer["verdict"], answer["default_release"]) == ("fell_back", STOCK)
    record = json.loads(fake.host.text(kernel_record.RECORD))
    assert (record["trial"], record["decided"]["verdict"]) == (None, "fell_back")


def test_confirm_fails_with_reason_and_remedy(
    fake: FakeHost, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.put(kernel_record.RECORD, "{}")
    assert "kernel.json cannot be understood" in run(kernel_confirm, **KERNEL)["msg"]
    monkeypatch.setattr(kernel_promotion, "examine", refuse)
    assert "Judging the kernel failed: /boot" in run(kernel_confirm, **KERNEL)["msg"]


# kernel_remove -----------------------------------------------------------------------------------


def test_remove_predicts_and_writes_nothing_in_check_mode(fake: FakeHost, run: Run) -> None:
    promoted(fake, run)
    before = fake.files()
    answer = run(kernel_remove, check=True)
    assert (answer["changed"], answer["reboot_required"]) == (True, True)
    assert (answer["running"], answer["successor"]) == (OURS, STOCK)
    fake.boot(STOCK)
    answer = run(kernel_remove, check=True)
    assert (answer["changed"], answer["reboot_required"]) == (True, False)
    assert f"package linux-image-{OURS}: installed" in answer["diff"]["before"]
    assert fake.files() == before


def test_remove_hands_over_then_removes_and_then_has_nothing_to_do(
    fake: FakeHost, run: Run
) -> None:
    before = fake.files()
    promoted(fake, run)
    answer = run(kernel_remove)
    assert answer["changed"] and answer["reboot_required"]
    assert fake.boot() == STOCK
    answer = run(kernel_remove)
    assert answer["changed"] and answer["packages"] == [f"linux-image-{OURS}"]
    assert fake.files() == before
    assert not run(kernel_remove)["changed"]


def test_remove_fails_with_reason_and_remedy(
    fake: FakeHost, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(fake, run)
    fake.drop_kernel(STOCK)
    assert "no other kernel with a GRUB entry" in run(kernel_remove)["msg"]
    monkeypatch.setattr(kernel_removal, "hand_over", refuse)
    assert "Removing the kernel failed: /boot/grub/grubenv" in run(kernel_remove)["msg"]


# kernel_packages ---------------------------------------------------------------------------------


def test_packages_fails_with_reason_and_remedy(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments = {"manifest": str(tmp_path / "manifest.json")}
    assert "There is no kernel manifest" in run(kernel_packages, **arguments)["msg"]
    answer = run(kernel_packages, check=True, release=OURS, **arguments)
    assert answer["kernel"]["release"] == OURS
    monkeypatch.setattr(kernel_wanted, "read", refuse)
    assert "Reading the kernel's manifest failed" in run(kernel_packages, **arguments)["msg"]


def test_a_refusal_of_the_system_while_looking_is_told(
    fake: FakeHost, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_survey, "survey", refuse)
    for module, words in ((kernel_preflight, "Looking at the host"), (kernel_stage, "Staging")):
        assert f"{words}" in run(module, **KERNEL)["msg"]


# kernel_rollback ---------------------------------------------------------------------------------


def test_a_host_without_a_kernel_of_ours_has_none_to_go_back_from(fake: FakeHost, run: Run) -> None:
    assert "No kernel of ours was promoted" in run(kernel_rollback)["msg"]


def test_a_host_whose_kernel_before_was_its_own_is_told_how_to_go_back(
    fake: FakeHost, run: Run
) -> None:
    promoted(fake, run)
    message = run(kernel_rollback)["msg"]
    assert f"the host had {STOCK} of its own" in message and "playbooks/remove.yml" in message


def test_the_kernel_before_is_named_if_it_is_ours(fake: FakeHost, run: Run) -> None:
    promoted(fake, run)
    record = kernel_record.read(fake.host)
    record.installed["6.1.190-bpfview-0"] = {}
    record.fallback = "6.1.190-bpfview-0"
    kernel_record.write(fake.host, record)
    before = fake.files()
    assert run(kernel_rollback)["release"] == "6.1.190-bpfview-0"
    assert fake.files() == before


# kernel_retention --------------------------------------------------------------------------------

OLD = [f"6.1.19{number}-bpfview-0" for number in range(4)]


def with_old_kernels(fake: FakeHost, run: Run) -> None:
    """A host that was given four kernels before the one that it runs; the third never held."""
    promoted(fake, run)
    record = kernel_record.read(fake.host)
    for release in OLD:
        fake.add_kernel(release)
        fake.packages[f"linux-image-{release}"] = ("ii", "1")
        record.installed[release] = {f"linux-image-{release}": "0"}
    record.history = [OLD[1], OLD[0], OLD[3], OURS]
    record.fallback = OLD[3]
    kernel_record.write(fake.host, record)
    fake.mkconfig(fake.root / "boot/grub/grub.cfg")


@pytest.mark.parametrize(
    ("keep", "gone"),
    [
        (5, []),
        (4, [OLD[2]]),
        (3, [OLD[2], OLD[1]]),
        (2, [OLD[2], OLD[1], OLD[0]]),
    ],
)
def test_the_kernels_that_never_held_go_first_and_then_the_oldest(
    fake: FakeHost, run: Run, keep: int, gone: list[str]
) -> None:
    with_old_kernels(fake, run)
    before = fake.files()
    assert run(kernel_retention, check=True, keep=keep)["removed"] == gone
    assert fake.files() == before
    answer = run(kernel_retention, keep=keep)
    assert (answer["removed"], answer["changed"]) == (gone, bool(gone))
    left = {name.removeprefix("linux-image-") for name in fake.packages}
    assert left == {STOCK, OURS, *OLD} - set(gone)
    assert set(kernel_record.read(fake.host).installed) == left - {STOCK}
    assert fake.boot() == OURS
    assert run(kernel_retention, keep=keep)["changed"] is False


def test_too_few_kernels_to_go_back_are_refused(fake: FakeHost, run: Run) -> None:
    with_old_kernels(fake, run)
    before = fake.files()
    assert "kernel_install_keep is 1" in run(kernel_retention, keep=1)["msg"]
    assert "kernel_install_keep is 1" in run(kernel_preflight, keep=1, **SMALL)["msg"]
    assert fake.files() == before


def test_what_runs_stays_even_if_it_never_held(fake: FakeHost, run: Run) -> None:
    with_old_kernels(fake, run)
    fake.put("/proc/sys/kernel/osrelease", f"{OLD[2]}\n")
    assert run(kernel_retention, keep=2)["removed"] == [OLD[1], OLD[0]]
