# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host is well under the kernel it runs: what must hold, and not once but for a while."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .host_layout import TIMED_OUT, Host
from .kernel_log import find_splats
from .running_kernel import faults, taint_words
from .trial_record import Command, Guard

_ASK_SECONDS = 20  # for what systemd and the kernel are asked
_NUMBER = re.compile(r"\b(?:0x)?[0-9a-f]*\d[0-9a-f]*\b")
_SHOWN = 3  # lines of the kernel's log in a message


def failed_units(host: Host) -> tuple[str, ...]:
    """Return the units that have failed."""
    listed = host.within(
        _ASK_SECONDS, ["systemctl", "list-units", "--state=failed", "--plain", "--no-legend"]
    )
    return tuple(sorted(line.split()[0] for line in listed.text.splitlines() if line.split()))


def reports(host: Host) -> list[str]:
    """Return what the kernel that runs has reported of itself; nothing if its log is not read."""
    log = host.within(_ASK_SECONDS, ["dmesg", "--notime"])
    return find_splats(log.text) if not log.status else []


def kinds(reported: Sequence[str]) -> tuple[str, ...]:
    """Return reports without their numbers, in which two of one kind differ."""
    return tuple(sorted({_NUMBER.sub("N", report) for report in reported}))


def incurable(host: Host, guard: Guard | None) -> list[str]:
    """Return what no waiting mends: faults that the kernel itself has reported in this boot.

    What the former kernel had reported likewise is the machine's, not this kernel's.
    """
    mask = int(host.text("/proc/sys/kernel/tainted").strip() or 0)
    found = [f"the kernel is tainted: {taint_words(mask)}"] if faults(mask) else []
    known = guard.said_before if guard else ()
    new = [report for report in reports(host) if kinds([report])[0] not in known]
    if new:
        found.append(f"the kernel reported {'; '.join(new[:_SHOWN])}")
    return found


def lacking(host: Host, guard: Guard) -> list[str]:
    """Return what does not hold yet, or no more; empty if the host is well."""
    if host.within(_ASK_SECONDS, ["systemctl", "is-active", "--quiet", "default.target"]).status:
        return ["the host has not finished booting"]
    found = []
    new = [unit for unit in failed_units(host) if unit not in guard.failed_before]
    if new:
        found.append(f"failed since the trial boot: {', '.join(new)}")
    for unit in guard.units:
        state = (
            host.within(_ASK_SECONDS, ["systemctl", "is-active", unit]).text.strip() or "no answer"
        )
        if state != "active":
            found.append(f"{unit} is {state}, it has to be active")
    for check in guard.commands:
        found += _command(host, check)
    return found


def _command(host: Host, check: Command) -> list[str]:
    done = host.within(check.timeout, check.command)
    if done.status == 0:
        return []
    if done.status == TIMED_OUT:
        return [f"the check {check.name!r} took longer than {check.timeout} s"]
    said = done.tail.splitlines()[-1:] or ["nothing"]
    return [f"the check {check.name!r} ended with status {done.status} and said: {said[0]}"]
