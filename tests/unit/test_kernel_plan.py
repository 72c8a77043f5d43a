# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace

import pytest

from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_plan import Action, Situation, decide, pin_target
from plugins.module_utils.bpfview.kernel_record import Decided, Record, Trial
from plugins.module_utils.bpfview.running_kernel import RunningKernel
from tests.unit.fake_host import wanted_kernel
from tests.unit.grub_fixture import OURS, STOCK

WANTED = wanted_kernel()
INSTALLED = {OURS: WANTED.digests}
TRIAL = Trial(OURS, WANTED.build_id, "entry", "boot-1", 0, STOCK)


def situation(running=STOCK, default=STOCK, complete=False, **record):
    kernel = RunningKernel(running, WANTED.build_id, "boot-2", (), 0, True)
    return Situation(kernel, default, "", True, Record(**record), complete)


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (situation(), Action.STAGE),
        (situation(installed=INSTALLED), Action.STAGE),
        (situation(complete=True, installed={OURS: {"other": "0"}}), Action.STAGE),
        (situation(complete=True, installed=INSTALLED), Action.TRIAL),
        (situation(complete=True, installed=INSTALLED, proven=OURS), Action.TRIAL),
        (situation(OURS, STOCK, installed=INSTALLED, trial=TRIAL), Action.CONFIRM),
        (situation(OURS, OURS), Action.CONFIRM),
        (situation(OURS, STOCK, proven=OURS), Action.CONFIRM),
        (situation(OURS, OURS, proven=OURS), Action.UNCHANGED),
        (replace(situation(OURS, OURS, proven=OURS), one_shot="x"), Action.SETTLE),
        (replace(situation(OURS, OURS, proven=OURS), settings_current=False), Action.SETTLE),
    ],
)
def test_plans(state, action):
    assert decide(WANTED, state) is action


@pytest.mark.parametrize(
    "state",
    [
        situation(complete=True, default=OURS),
        situation(complete=True, proven=OURS),
        situation(complete=True, fallback=OURS),
    ],
)
def test_another_build_that_the_host_depends_on(state):
    with pytest.raises(BpfviewError, match="Another build"):
        decide(WANTED, state)


def test_another_build_that_runs():
    state = situation(OURS, OURS, proven=OURS)
    with pytest.raises(BpfviewError, match="another build"):
        decide(replace(WANTED, build_id="cc"), state)


@pytest.mark.parametrize(
    ("state", "pin"),
    [
        (situation(), STOCK),
        (situation("third", STOCK), "third"),
        (situation("third", STOCK, trial=replace(TRIAL, release="third")), STOCK),
        (
            situation("third", "third", trial=replace(TRIAL, release="third"), proven="third"),
            "third",
        ),
        (situation("third", "", trial=replace(TRIAL, release="third")), "third"),
        (
            situation(
                "third", STOCK, decided=Decided(replace(TRIAL, release="third"), "wrong_kernel", ())
            ),
            STOCK,
        ),
    ],
)
def test_what_stays_the_default(state, pin):
    assert pin_target(OURS, state) == pin
