# SPDX-License-Identifier: GPL-3.0-or-later
"""Which QEMU accelerator works on this machine, proved by booting a kernel.

A usable ``/dev/kvm`` is no proof: on some nested machines the firmware runs and every kernel then
hangs without a word, so QEMU's own fallback never triggers. The answer is kept per machine boot and
QEMU version.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from plugins.module_utils.bpfview.cache import cache_root, make_folder, write_atomic
from plugins.module_utils.bpfview.errors import BpfviewError

QEMU = "qemu-system-x86_64"
PROBE_SECONDS = 8.0
OVERRIDE = "BPFVIEW_ACCEL"
# Printed when a kernel without a root file system has initialised everything else.
_KERNEL_IS_UP = "VFS: Unable to mount root fs"
_KVM = Path("/dev/kvm")


@dataclass(frozen=True)
class Acceleration:
    """The accelerator in use, ``kvm`` or ``tcg``, and why."""

    name: str
    reason: str

    def args(self) -> list[str]:
        """QEMU arguments that select this accelerator."""
        return ["-accel", "kvm" if self.name == "kvm" else "tcg,thread=multi"]

    def __str__(self) -> str:
        slow = "" if self.name == "kvm" else " (software emulation, several times slower)"
        return f"{self.name}{slow}: {self.reason}"


def detect(kernel: Path | None = None) -> Acceleration:
    """Find the accelerator; if no answer is remembered, ``kernel`` is booted to prove one.

    Without a kernel at hand one that the lab or a kernel build left in the cache is used; if there
    is none the answer is ``tcg``, and not remembered.
    """
    override = os.environ.get(OVERRIDE, "")
    if override in ("kvm", "tcg"):
        return Acceleration(override, f"set by {OVERRIDE}")
    if override:
        raise BpfviewError(f"{OVERRIDE} is {override!r}", "Set it to kvm or tcg, or not at all")
    if not _KVM.exists():
        return Acceleration("tcg", f"{_KVM} does not exist")
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return Acceleration("tcg", f"{_KVM} is not accessible to this user")
    memory = _memory()
    remembered = _recall(memory)
    if remembered:
        return remembered
    kernel = kernel or _some_kernel()
    if kernel is None:
        return Acceleration("tcg", "KVM is not proved: there is no kernel to try it with yet")
    answer = probe(kernel)
    _remember(memory, answer)
    return answer


def probe(kernel: Path, seconds: float = PROBE_SECONDS) -> Acceleration:
    """Boot ``kernel`` under KVM without a disk; kvm if it gets through its initialisation."""
    command = [QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
               "-machine", "q35", "-cpu", "max", "-m", "256", "-accel", "kvm", "-serial", "stdio",
               "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]  # fmt: skip
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
        output, errors = done.stdout, done.stderr.decode(errors="replace").strip()
    except subprocess.TimeoutExpired as late:
        output, errors = late.stdout or b"", ""
    took = time.monotonic() - started
    if _KERNEL_IS_UP in output.decode(errors="replace"):
        return Acceleration("kvm", f"a kernel booted under it in {took:.1f} s")
    if errors:
        return Acceleration("tcg", f"QEMU refuses KVM: {errors.splitlines()[0]}")
    return Acceleration("tcg", f"{_KVM} exists, but a kernel did not boot under it in {took:.0f} s")


def _some_kernel() -> Path | None:
    found = [*cache_root().glob("lab-image/*/vmlinuz"), *cache_root().glob("kernel/*/bzImage")]
    return min(found, default=None)


def forget() -> None:
    """Let the next question be answered by a new proof."""
    _memory().unlink(missing_ok=True)


def _memory() -> Path:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    key = hashlib.sha256(f"{boot} {qemu_version()}".encode()).hexdigest()[:16]
    return cache_root() / "accel" / f"{key}.json"


def qemu_version() -> str:
    """First line of ``qemu-system-x86_64 --version``; FileNotFoundError if it is not installed."""
    done = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def _recall(memory: Path) -> Acceleration | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Acceleration(**json.loads(memory.read_text(encoding="utf-8")))
    return None


def _remember(memory: Path, answer: Acceleration) -> None:
    make_folder(memory.parent)
    text = json.dumps(asdict(answer)) + "\n"
    write_atomic(memory, text.encode())
