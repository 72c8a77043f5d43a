# SPDX-License-Identifier: GPL-3.0-or-later
"""After a trial boot: judge the kernel that runs, and make it the default if it proved itself."""

from __future__ import annotations

from contextlib import suppress

from . import apt_protection, kernel_record, running_kernel
from .errors import BpfviewError
from .grub_boot import GrubBoot
from .host_layout import Host
from .kernel_record import Decided, Record, Trial
from .kernel_staging import remember_environment
from .kernel_survey import Settings
from .kernel_verdict import Judgement, Verdict, judge
from .kernel_wanted import WantedKernel
from .running_kernel import RunningKernel
from .view_failure import explain


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


def settle(
    host: Host, wanted: WantedKernel, judgement: Judgement, settings: Settings
) -> tuple[Judgement, bool]:
    """Act on a judgement: promote, or see to it that the next boot is the old kernel.

    Returns the judgement, which a failing promotion changes, and whether anything was changed.
    """
    grub = GrubBoot(host)
    record = kernel_record.read(host)
    if judgement.verdict is Verdict.PROMOTED:
        return _promote(grub, record, wanted.release, judgement, settings)
    changed = grub.environment() is not None and bool(grub.variable("next_entry"))
    if changed:
        remember_environment(host, grub, record)
        grub.set_variables({"next_entry": None})
    trial = _trial(record, wanted.release)
    if trial is None:
        return judgement, changed
    record.decided = Decided(trial, judgement.verdict.value, judgement.reasons)
    record.trial = None
    try:
        changed |= kernel_record.write(host, record)
    except OSError as error:
        # The verdict matters more than the note of it.
        judgement = _with_reason(judgement, judgement.verdict, explain(error, "Noting the verdict"))
    return judgement, changed


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
        record.trial = record.decided = None
        changed |= kernel_record.write(host, record)
    except (BpfviewError, OSError) as error:
        with suppress(BpfviewError, OSError):
            grub.set_variables({"saved_entry": saved})
        why = explain(error, "Promoting it")
        reason = f"it runs {release}, which could not be made the default: {why}"
        return _with_reason(judgement, Verdict.WRONG_KERNEL, reason), True
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
