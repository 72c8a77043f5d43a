# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a trial boot, judged by identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .kernel_record import Trial
from .kernel_wanted import WantedKernel
from .running_kernel import RunningKernel, faults, taint_words


class Verdict(str, Enum):  # noqa: UP042 - StrEnum needs Python 3.11, hosts may be older
    """The verdicts an installation can end with; the views' stages add their own."""

    PROMOTED = "promoted"
    UNCHANGED = "unchanged"
    FELL_BACK = "fell_back"
    WRONG_KERNEL = "wrong_kernel"
    UNREACHABLE = "unreachable"
    NOT_ATTEMPTED = "not_attempted"


@dataclass(frozen=True)
class Judgement:
    """A verdict and the sentences that found it."""

    verdict: Verdict
    reasons: tuple[str, ...]


def judge(
    wanted: WantedKernel,
    running: RunningKernel,
    trial: Trial | None,
    function: str,
    arguments: Sequence[str],
) -> Judgement:
    """Judge the running kernel.

    ``trial`` is what was recorded before the trial boot, None if the kernel is not on trial;
    ``function`` is what BTF must describe, ``arguments`` the command line of its boot entry.
    """
    if trial and trial.release == wanted.release and trial.boot_id_before == running.boot_id:
        return Judgement(
            Verdict.NOT_ATTEMPTED,
            (f"the host did not reboot: it still runs {running.release}, same boot id",),
        )
    if running.release != wanted.release:
        expected = f"it runs {running.release}, expected was {wanted.release}"
        if trial and running.release == trial.previous:
            reason = f"{expected}: the trial boot failed and the host went back by itself"
            return Judgement(Verdict.FELL_BACK, (reason,))
        return Judgement(Verdict.WRONG_KERNEL, (expected,))
    reasons = tuple(_identity(wanted, running, trial, function, arguments))
    return Judgement(Verdict.WRONG_KERNEL if reasons else Verdict.PROMOTED, reasons)


def _identity(
    wanted: WantedKernel,
    running: RunningKernel,
    trial: Trial | None,
    function: str,
    arguments: Sequence[str],
) -> list[str]:
    reasons = []
    if running.build_id != wanted.build_id:
        reasons.append(
            f"it runs {running.release} with build id {running.build_id or 'none'},"
            f" expected was {wanted.build_id}"
        )
    if not running.has_function:
        reasons.append(f"the BTF of {running.release} does not describe {function}")
    # Without a trial boot the entry may have changed since this kernel was started.
    lacking = missing_arguments(arguments, running.arguments) if trial else []
    if lacking:
        reasons.append(
            f"its command line lacks {' '.join(lacking)}, so it was not started by its boot entry"
        )
    # A boot starts without taint, so a fault is this kernel's even if the former one had it too.
    if faults(running.taint):
        reason = f"the kernel is tainted: {taint_words(running.taint)}"
        before = faults(trial.taint_before) if trial else 0
        also = f"; the kernel before it was as well: {taint_words(before)}" if before else ""
        reasons.append(reason + also)
    return reasons


def missing_arguments(entry: Sequence[str], running: Sequence[str]) -> list[str]:
    """Return the words of an entry's command line that the running kernel did not get."""
    return [word for word in _plain(entry) if word not in set(_plain(running))]


def _plain(words: Sequence[str]) -> list[str]:
    """Split into words without quotes, which GRUB and the kernel do not set alike."""
    return " ".join(words).replace('"', "").replace("'", "").split()
