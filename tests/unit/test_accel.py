# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path

import pytest

from bpfview_fleet import accel
from plugins.module_utils.bpfview.errors import BpfviewError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(accel.OVERRIDE, raising=False)


def fake_qemu(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "qemu"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(accel, "QEMU", str(program))


def test_a_kernel_that_boots_is_the_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_qemu(tmp_path, monkeypatch, "echo '[ 1.0] VFS: Unable to mount root fs on block(0,0)'")
    assert accel.probe(tmp_path / "kernel").name == "kvm"


def test_a_silent_hang_means_tcg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_qemu(tmp_path, monkeypatch, "exec sleep 60")
    answer = accel.probe(tmp_path / "kernel", seconds=0.3)
    assert answer.name == "tcg"
    assert "did not boot" in answer.reason


def test_a_refusal_means_tcg_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_qemu(tmp_path, monkeypatch, "echo 'failed to set MSR' >&2; exit 1")
    answer = accel.probe(tmp_path / "kernel")
    assert answer.name == "tcg"
    assert "failed to set MSR" in str(answer)


def test_no_device_needs_no_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "_KVM", tmp_path / "absent")
    assert accel.detect().args() == ["-accel", "tcg,thread=multi"]


def test_the_answer_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "_KVM", tmp_path)
    calls = tmp_path / "calls"
    boot = f'echo x >>{calls}; echo "VFS: Unable to mount root fs"'
    script = f"case $1 in --version) echo 7;; *) {boot};; esac"
    fake_qemu(tmp_path, monkeypatch, script)
    assert accel.detect(tmp_path / "kernel").name == "kvm"
    assert accel.detect().name == "kvm"
    assert calls.read_text() == "x\n"
    accel.forget()
    assert accel.detect(tmp_path / "kernel").name == "kvm"
    assert calls.read_text() == "x\nx\n"


def test_a_damaged_memory_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "_KVM", tmp_path)
    fake_qemu(tmp_path, monkeypatch, "echo 'VFS: Unable to mount root fs'")
    accel.detect(tmp_path / "kernel")
    (memory,) = (tmp_path / "bpfview-fleet" / "accel").glob("*.json")
    memory.write_text("{")
    assert accel.detect(tmp_path / "kernel").name == "kvm"
    assert json.loads(memory.read_text())["name"] == "kvm"


def test_without_a_kernel_nothing_is_claimed_and_nothing_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accel, "_KVM", tmp_path)
    fake_qemu(tmp_path, monkeypatch, "echo 7")
    assert "not proved" in accel.detect().reason
    assert not (tmp_path / "bpfview-fleet" / "accel").exists()


def test_the_override_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(accel.OVERRIDE, "tcg")
    assert accel.detect().reason == "set by BPFVIEW_ACCEL"
    monkeypatch.setenv(accel.OVERRIDE, "hvf")
    with pytest.raises(BpfviewError, match="hvf"):
        accel.detect()
