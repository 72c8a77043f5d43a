# SPDX-License-Identifier: GPL-3.0-or-later
"""Booting a kernel directly: how it ends is known, and what is missing is named."""

from pathlib import Path

import pytest

from bpfview_fleet import direct_boot
from bpfview_fleet.accel import Acceleration
from bpfview_fleet.direct_boot import boot, built_kernel
from plugins.module_utils.bpfview.errors import BpfviewError


def _fake_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    qemu = tmp_path / "qemu"
    qemu.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    qemu.chmod(0o755)
    monkeypatch.setattr(direct_boot, "QEMU", str(qemu))


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        ("exit 0", None),
        ("echo no such machine >&2; exit 3", "QEMU ended with status 3: no such machine"),
        ("exec sleep 60", "did not switch itself off within 1 s"),
    ],
)
def test_how_qemu_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, trouble: str | None
) -> None:
    _fake_qemu(tmp_path, monkeypatch, script)
    log = tmp_path / "console.log"
    log.write_text("ok 1 of an earlier boot", encoding="utf-8")
    said = boot(tmp_path / "k", tmp_path / "i", log, Acceleration("tcg", "test"), 1.0)
    assert (said is None) if trouble is None else (trouble in (said or ""))
    # The log of an earlier boot must not be taken for this one's.
    assert not log.exists()


def test_drives_and_command_line_reach_qemu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_qemu(tmp_path, monkeypatch, f'printf "%s\\n" "$@" > {tmp_path}/asked')
    boot(tmp_path / "k", tmp_path / "i", tmp_path / "log", Acceleration("tcg", "test"), 5.0,
         command_line="quiet", memory_mib=7, drives=[tmp_path / "disk"])  # fmt: skip
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert asked[asked.index("-append") + 1] == "quiet"
    assert asked[asked.index("-m") + 1] == "7"
    assert asked[asked.index("-drive") + 1] == f"file={tmp_path}/disk,format=raw,if=virtio"


@pytest.mark.parametrize(
    ("fragment", "stock", "folder"),
    [("", False, "6.12"), ("debug", False, "6.12-debug"), ("", True, "6.12-stock")],
)
def test_a_kernel_is_found_where_make_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fragment: str, stock: bool, folder: str
) -> None:
    monkeypatch.setattr(direct_boot, "ROOT", tmp_path)
    with pytest.raises(BpfviewError) as missing:
        built_kernel("6.12", fragment, stock=stock)
    command = str(missing.value).split("`")[1]
    assert command.startswith("make kernel BASELINE=6.12")
    assert ("FRAGMENT=debug" in command) == bool(fragment)
    assert ("PATCHES=0" in command) == stock
    image = tmp_path / "build" / "kernel" / folder / "bzImage"
    image.parent.mkdir(parents=True)
    image.touch()
    assert built_kernel("6.12", fragment, stock=stock) == image


@pytest.mark.parametrize(
    ("version", "boots"),
    [("QEMU emulator version 7.2.22 (Debian)", 2), ("QEMU emulator version 8.1.0", 1)],
)
def test_a_boot_that_the_emulators_race_may_have_ended_is_repeated_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, boots: int
) -> None:
    monkeypatch.setattr(direct_boot, "qemu_version", lambda: version)
    console = tmp_path / "console.log"
    panic = "[    0.5] Oops: int3: 0000 [#1] PREEMPT SMP"
    _fake_qemu(tmp_path, monkeypatch, f'echo "{panic}" > {console}; echo boot >> {tmp_path}/boots')
    boot(tmp_path / "k", tmp_path / "i", console, Acceleration("tcg", "test"), 5.0)
    assert (tmp_path / "boots").read_text(encoding="utf-8").count("boot") == boots
    # One that recurs is no accident, and is there for the judge.
    assert panic in console.read_text(encoding="utf-8")
    assert (tmp_path / "console.int3.log").exists() == (boots == 2)
