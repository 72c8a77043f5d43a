# SPDX-License-Identifier: GPL-3.0-or-later
"""After a trial boot: judge the kernel that runs, and make it the default if it proved itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from . import (
    apt_protection,
    kernel_record,
    running_kernel,
    trial_evidence,
    trial_record,
    trial_units,
    trial_wait,
)
from .errors import BpfviewError
from .grub_boot import GrubBoot
from .host_layout import Host
from .kernel_record import Decided, Record, Trial
from .kernel_staging import remember_environment
from .kernel_survey import Settings
from .kernel_verdict import Judgement, Verdict, judge
from .kernel_wanted import WantedKernel
from .running_kernel import RunningKernel
from .trial_lock import locked
from .trial_record import HEALTHY, Status
from .view_failure import explain


@dataclass(frozen=True)
class Settled:
    """What became of a judgement once it was acted on."""

    judgement: Judgement
    changed: bool
    goes_back: bool = False  # the guard is about to take the host to its former kernel
    evidence: str = ""  # what the boot that failed left


def examine(
    host: Host, wanted: WantedKernel, settings: Settings
) -> tuple[Judgement, RunningKernel]:
    """Judge what runs; writes nothing."""
    running = running_kernel.read(host, settings.function)
    record = kernel_record.read(host)
    grub = GrubBoot(host)
    entry = grub.config().entry_for(running.release)
    default = grub.default_entry()
    trial = _trial(record, wanted.release)
    if default and record.proven == wanted.release == default.release:
        trial = None  # promoted long since; only its settings are being put right
    arguments = entry.arguments if entry else ()
    return judge(wanted, running, trial, settings.function, arguments), running


def await_health(
    host: Host, judgement: Judgement, running: RunningKernel, seconds: float
) -> Judgement:
    """Return the judgement with the guard's word on it, after waiting for that."""
    trial = kernel_record.read(host).trial
    if judgement.verdict is not Verdict.PROMOTED:
        return judgement
    return _with_word(judgement, trial_wait.settled(host, trial, running, seconds))


def object_to(judgement: Judgement, objections: Sequence[str]) -> Judgement:
    """Return the judgement of a kernel that somebody else has something against."""
    if not objections or judgement.verdict is not Verdict.PROMOTED:
        return judgement
    return Judgement(Verdict.WRONG_KERNEL, tuple(objections))


def settle(host: Host, wanted: WantedKernel, judgement: Judgement, settings: Settings) -> Settled:
    """Act on a judgement: promote, or see to it that the next boot is the old kernel."""
    grub = GrubBoot(host)
    with locked(host):
        record = kernel_record.read(host)
        running = running_kernel.read(host, settings.function)
        said = trial_wait.word(host, record.trial, running)
        if judgement.verdict is Verdict.PROMOTED:
            judgement = _with_word(judgement, said)
        if judgement.verdict is Verdict.PROMOTED:
            judgement, changed = _promote(grub, record, wanted.release, judgement, settings)
            if judgement.verdict is Verdict.PROMOTED or said is None:
                return Settled(judgement, changed)
        if said is not None:
            trial_record.refuse(host, running.boot_id, judgement.reasons)
            return Settled(judgement, changed=True, goes_back=True)
        return _close(grub, record, wanted.release, judgement)


def _with_word(judgement: Judgement, said: Status | None) -> Judgement:
    if said is None or said.state == HEALTHY:
        return judgement
    return Judgement(Verdict.WRONG_KERNEL, said.reasons)


def _close(grub: GrubBoot, record: Record, release: str, judgement: Judgement) -> Settled:
    """End a trial that came to nothing, on a host that runs another kernel or has no guard."""
    host = grub.host
    changed = grub.environment() is not None and bool(grub.variable("next_entry"))
    if changed:
        remember_environment(host, grub, record)
        grub.set_variables({"next_entry": None})
    changed |= trial_units.remove(host)
    trial = _trial(record, release)
    if trial is None:
        return Settled(judgement, changed)
    if judgement.verdict is Verdict.FELL_BACK:
        why = trial_wait.went_back(host, release)
        judgement = Judgement(judgement.verdict, (*judgement.reasons, *why))
    evidence = trial_evidence.collect(host) if record.trial else ""
    record.decided = Decided(trial, judgement.verdict.value, judgement.reasons)
    record.trial = None
    try:
        changed |= kernel_record.write(host, record)
    except OSError as error:
        # The verdict matters more than the note of it.
        judgement = _with_reason(judgement, judgement.verdict, explain(error, "Noting the verdict"))
    return Settled(judgement, changed, evidence=evidence)


def _promote(
    grub: GrubBoot,
    record: Record,
    release: str,
    judgement: Judgement,
    settings: Settings,
) -> tuple[Judgement, bool]:
    host = grub.host
    fallback = _fallback(grub, record, release)
    saved = grub.variable("saved_entry") or None
    try:
        changed = remember_environment(host, grub, record)
        changed |= apt_protection.protect(host, (release, fallback))
        changed |= grub.pin(release, settings.panic_timeout)
        record.fallback = fallback
        record.proven = release
        record.history = [*(one for one in record.history if one != release), release]
        record.trial = record.decided = None
        changed |= kernel_record.write(host, record)
    except (BpfviewError, OSError) as error:
        with suppress(BpfviewError, OSError):
            grub.set_variables({"saved_entry": saved})
        why = explain(error, "Promoting it")
        reason = f"it runs {release}, which could not be made the default: {why}"
        return _with_reason(judgement, Verdict.WRONG_KERNEL, reason), True
    # nothing is left to guard, and a guard that cannot be taken away leaves by itself
    with suppress(OSError):
        changed |= trial_units.remove(host)
    return judgement, changed


def _with_reason(judgement: Judgement, verdict: Verdict, reason: str) -> Judgement:
    return Judgement(verdict, (*judgement.reasons, reason))


def _trial(record: Record, release: str) -> Trial | None:
    trial = record.last_trial
    return trial if trial and trial.release == release else None


def _fallback(grub: GrubBoot, record: Record, promoted: str) -> str:
    """Return the release to go back to: the default so far, else what was known before."""
    default = grub.default_entry()
    if default and default.release not in ("", promoted):
        return default.release
    if record.last_trial and record.last_trial.previous != promoted:
        return record.last_trial.previous
    return record.fallback
