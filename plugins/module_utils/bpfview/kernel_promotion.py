# SPDX-License-Identifier: GPL-3.0-or-later
"""After a trial boot: judge the kernel that runs, and make it the default if it proved itself."""

from __future__ import annotations

from contextlib import suppress

from . import apt_protection, kernel_record, running_kernel
from .errors import BpfviewError
from .grub_boot import GrubBoot
from .host_layout import Host
from .kernel_record import Record
from .kernel_survey import Settings
from .kernel_verdict import Judgement, Verdict, judge
from .kernel_wanted import WantedKernel
from .running_kernel import RunningKernel


def examine(
    host: Host, wanted: WantedKernel, settings: Settings
) -> tuple[Judgement, RunningKernel]:
    """Judge what runs; writes nothing."""
    running = running_kernel.read(host, settings.function)
    record = kernel_record.read(host)
    entry = GrubBoot(host).config().entry_for(running.release)
    trial = record.trial if record.trial and record.trial.release == wanted.release else None
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
    changed = grub.environment() is not None and bool(grub.variable("next_entry"))
    if changed:
        grub.set_variables({"next_entry": None})
    if judgement.verdict is not Verdict.PROMOTED:
        return judgement, changed
    fallback = _fallback(grub, record, wanted.release)
    saved = grub.variable("saved_entry") or None
    try:
        grub.pin(wanted.release, settings.panic_timeout)
    except BpfviewError as error:
        with suppress(BpfviewError):
            grub.set_variables({"saved_entry": saved})
        reason = f"it runs {wanted.release}, which could not be made the default: {error}"
        return Judgement(Verdict.WRONG_KERNEL, (*judgement.reasons, reason)), True
    record.fallback = fallback
    record.proven = wanted.release
    record.trial = None
    kernel_record.write(host, record)
    apt_protection.protect(host, (record.proven, record.fallback))
    return judgement, True


def _fallback(grub: GrubBoot, record: Record, promoted: str) -> str:
    """Return the release to go back to: the default so far, else what was known before."""
    default = grub.default_entry()
    if default and default.release not in ("", promoted):
        return default.release
    if record.trial and record.trial.previous != promoted:
        return record.trial.previous
    return record.fallback
