# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guard says of the trial that runs, for those who are to promote it."""

from __future__ import annotations

import time
from collections.abc import Callable

from . import trial_record
from .grub_boot import GrubBoot
from .host_layout import Host
from .kernel_record import Trial
from .running_kernel import RunningKernel
from .trial_record import GOING_BACK, WATCHING, Status

_LOOK_SECONDS = 1.0


def word(host: Host, trial: Trial | None, running: RunningKernel) -> Status | None:
    """Return the guard's last word on this boot; None where no guard has a say.

    Such are a trial without a guard, another kernel than the one on trial, and one that is the
    default already: half a promotion, which is to be completed.
    """
    if trial is None or trial.guard is None or trial.release != running.release:
        return None
    default = GrubBoot(host).default_entry()
    if default and default.release == running.release:
        return None
    said = trial_record.read_status(host)
    if said is None or said.boot_id != running.boot_id:
        return Status(running.boot_id, running.release, WATCHING, ("the guard has not spoken",))
    return said


def settled(
    host: Host,
    trial: Trial | None,
    running: RunningKernel,
    seconds: float,
    pause: Callable[[float], None] = time.sleep,
) -> Status | None:
    """Wait up to ``seconds`` until the guard has come to an end; return its last word."""
    waited = 0.0
    said = word(host, trial, running)
    while said and said.state == WATCHING and waited < seconds:
        pause(_LOOK_SECONDS)
        waited += _LOOK_SECONDS
        said = word(host, trial, running)
    return said


def went_back(host: Host, release: str) -> tuple[str, ...]:
    """Return why the guard took the host back from a release; empty if it did not."""
    said = trial_record.read_status(host)
    if said is None or said.state != GOING_BACK or said.release != release:
        return ()
    return said.reasons
