# SPDX-License-Identifier: GPL-3.0-or-later
"""The module boot_entry: what it reads, sets, refuses, and leaves alone in check mode."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import kernel_staging, kernel_survey
from plugins.module_utils.bpfview.kernel_survey import Settings
from plugins.modules import boot_entry
from tests.unit.fake_host import FUNCTION, OURS, STOCK, FakeHost, wanted_kernel
from tests.unit.module_runner import Run, run_module

__all__ = ["run_module"]  # a fixture is used by its name alone


@pytest.fixture(name="fake")
def _fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    fake = FakeHost(tmp_path)
    monkeypatch.setattr(boot_entry, "Host", lambda: fake.host)
    return fake


def stage(fake: FakeHost) -> None:
    settings = Settings(FUNCTION, panic_timeout=30, margin_mib=0)
    found = kernel_survey.survey(fake.host, wanted_kernel(), settings)
    fake.deliver(wanted_kernel())
    kernel_staging.stage(fake.host, wanted_kernel(), found, settings, arm=False)


def test_a_query_says_what_is_booted_and_writes_nothing(fake: FakeHost, run: Run) -> None:
    before = fake.files()
    answer = run(boot_entry)
    assert (answer["default_release"], answer["one_shot_release"]) == (STOCK, "")
    assert not answer["changed"] and fake.files() == before
    reasons = " ".join(answer["obstacles"])
    assert "GRUB_DEFAULT is not saved" in reasons and "no panic=" in reasons


def test_a_staged_host_proves_the_way_back(fake: FakeHost, run: Run) -> None:
    stage(fake)
    assert run(boot_entry)["obstacles"] == []
    answer = run(boot_entry, state="armed", release=OURS)
    assert answer["changed"] and answer["one_shot_release"] == OURS
    assert f"next boot only: {OURS}" in answer["diff"]["after"]
    assert (fake.boot(), fake.boot()) == (OURS, STOCK)


def test_arming_where_the_way_back_is_not_proved_is_refused(fake: FakeHost, run: Run) -> None:
    before = fake.files()
    message = run(boot_entry, state="armed", release=STOCK)["msg"]
    assert "the way back is not proved" in message and "no panic=" in message
    assert fake.files() == before


@pytest.mark.parametrize(
    "broken",
    [
        lambda fake: setattr(fake, "filesystem", "btrfs"),
        lambda fake: setattr(fake, "abstraction", "lvm"),
    ],
)
def test_a_block_that_grub_cannot_write_is_an_obstacle(
    fake: FakeHost, run: Run, broken: object
) -> None:
    stage(fake)
    broken(fake)  # type: ignore[operator]
    (reason,) = run(boot_entry)["obstacles"]
    assert "GRUB cannot write its environment block" in reason
    assert run(boot_entry, state="armed", release=OURS)["failed"]


def test_another_default_is_set_and_read_back(fake: FakeHost, run: Run) -> None:
    stage(fake)
    before = fake.files()
    assert run(boot_entry, check=True, state="default", release=OURS)["changed"]
    assert fake.files() == before
    assert run(boot_entry, state="default", release=OURS)["default_release"] == OURS
    assert fake.default() == OURS
    assert not run(boot_entry, state="default", release=OURS)["changed"]
    (reason,) = run(boot_entry)["obstacles"]
    assert f"{STOCK} is not the default" in reason


def test_a_one_shot_is_taken_back(fake: FakeHost, run: Run) -> None:
    stage(fake)
    run(boot_entry, state="armed", release=OURS)
    assert run(boot_entry, state="disarmed")["changed"]
    assert fake.boot() == STOCK
    assert not run(boot_entry, state="disarmed")["changed"]


def test_a_release_without_an_entry_is_refused(fake: FakeHost, run: Run) -> None:
    stage(fake)
    before = fake.files()
    assert "no entry of its own" in run(boot_entry, state="default", release="9.9")["msg"]
    assert "release" in run(boot_entry, state="default", release="")["msg"]
    assert fake.files() == before
