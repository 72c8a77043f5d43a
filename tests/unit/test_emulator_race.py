# SPDX-License-Identifier: GPL-3.0-or-later
"""Which panics may be QEMU's own."""

import pytest

from bpfview_fleet.accel import Acceleration
from bpfview_fleet.emulator_race import explains

OLD = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"
TCG = Acceleration("tcg", "test")
PANIC = "[    0.5] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI"


@pytest.mark.parametrize("panic", [PANIC, "[    0.5] int3: 0000 [#1] PREEMPT SMP NOPTI"])
def test_a_breakpoint_under_an_old_multi_threaded_emulator(panic: str) -> None:
    assert explains(panic, TCG, OLD)


@pytest.mark.parametrize(
    ("console", "acceleration", "version"),
    [
        ("[    0.5] Oops: 0002 [#1] PREEMPT SMP", TCG, OLD),
        ("ok 1 rule-1: it holds", TCG, OLD),
        (PANIC, Acceleration("kvm", "test"), OLD),
        (PANIC, TCG, "QEMU emulator version 8.1.0"),
        (PANIC, TCG, "QEMU emulator version 10.0.2"),
        (PANIC, TCG, "no version at all"),
    ],
)
def test_nothing_else_is_excused(console: str, acceleration: Acceleration, version: str) -> None:
    assert not explains(console, acceleration, version)
