# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to happen to a host's kernel, decided from what was read off the host."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .errors import BpfviewError
from .kernel_record import Record
from .kernel_wanted import WantedKernel
from .running_kernel import RunningKernel


class Action(str, Enum):  # noqa: UP042 - StrEnum needs Python 3.11, hosts may be older
    """The steps that are still to be done, from none to all."""

    UNCHANGED = "unchanged"  # runs, is proven, is the default
    SETTLE = "settle"  # as above, but GRUB settings or a left-over one-shot need care
    CONFIRM = "confirm"  # runs, but was not promoted
    TRIAL = "trial"  # installed, does not run
    STAGE = "stage"  # not installed


REBOOTS = (Action.TRIAL, Action.STAGE)


@dataclass(frozen=True)
class Situation:
    """What was read off a host."""

    running: RunningKernel
    default_release: str
    one_shot: str
    settings_current: bool
    record: Record
    complete: bool  # the wanted kernel's packages, files and menu entry are all there


def decide(wanted: WantedKernel, situation: Situation) -> Action:
    """Return what is to be done; BpfviewError if the host holds another build of that release."""
    record = situation.record
    running = situation.running
    if running.release == wanted.release:
        if wanted.build_id and running.build_id != wanted.build_id:
            raise BpfviewError(
                f"It runs another build of {wanted.release}: build id"
                f" {running.build_id or 'none'}, the manifest says {wanted.build_id}",
                "Deploy the manifest it was installed from, or run playbooks/remove.yml first;"
                " a running kernel is never overwritten",
            )
        promoted = record.proven == wanted.release == situation.default_release
        if not promoted:
            return Action.CONFIRM
        settled = situation.settings_current and not situation.one_shot
        return Action.UNCHANGED if settled else Action.SETTLE
    recorded = record.installed.get(wanted.release, {})
    same_build = not wanted.built or recorded == wanted.digests
    if situation.complete and same_build:
        return Action.TRIAL
    if situation.complete and wanted.release in (
        situation.default_release,
        record.proven,
        record.fallback,
    ):
        raise BpfviewError(
            f"Another build of {wanted.release} is installed as the default or the fallback",
            "Deploy the manifest it was installed from, or run playbooks/remove.yml first",
        )
    return Action.STAGE


def pin_target(wanted: str, situation: Situation) -> str:
    """Return the release that stays the default while ``wanted`` is on trial.

    That is the running kernel, unless the running one is itself an unproven trial.
    """
    running = situation.running.release
    if situation.record.unproven(running) and situation.default_release not in ("", wanted):
        return situation.default_release
    return running
