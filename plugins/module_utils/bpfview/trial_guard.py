# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a trial boot: takes the host back to its kernel unless the new one is promoted.

It never acts where the boot loader's default is the kernel that runs: that is the former kernel, or
one that was promoted. Anywhere else every boot goes back, and so all that it does is to boot.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from . import host_health, kernel_record, trial_evidence, trial_record, trial_units
from .errors import BpfviewError
from .grub_boot import GrubBoot
from .host_layout import Host
from .kernel_record import RECORD, Record, Trial
from .trial_lock import locked
from .trial_record import GOING_BACK, HEALTHY, WATCHING, Status

LOOK_SECONDS = 3.0
BEFORE = "this boot came before the trial"
# ways to reboot, the orderly one first, and the seconds each gets before the next is taken
_WAYS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (300.0, ("systemctl", "--no-wall", "reboot")),
    (60.0, ("systemctl", "--force", "reboot")),
    (60.0, ("systemctl", "--force", "--force", "reboot")),
)
_SYSRQ = "/proc/sysrq-trigger"


class Found(NamedTuple):
    """What a look at the host came to."""

    over: str = ""  # why there is nothing to guard (any more)
    fatal: tuple[str, ...] = ()  # why to go back at once
    lacking: tuple[str, ...] = ()  # what has to hold yet


@dataclass
class Watch:
    """One boot under guard. ``pause`` waits so many seconds."""

    host: Host
    confirm_seconds: int
    pause: Callable[[float], None] = time.sleep
    healthy_since: float | None = field(default=None, init=False)
    noted: Status | None = field(default=None, init=False)

    def run(self) -> str:
        """Guard until it is over; return why. Does not return where it takes the host back."""
        while True:
            try:
                if over := self.step():
                    return over
            except Exception as error:
                # what it could not find out does not hold
                self._unwell((f"the guard could not look at the host: {error}",), None)
            self.pause(LOOK_SECONDS)

    def step(self) -> str:
        """Look once and act on it; return why it is over, if it is."""
        record = read_record(self.host)
        trial = record.trial if record else None
        found = look(self.host, record)
        if found.over:
            return found.over
        if found.fatal:
            return self._go_back(found.fatal)
        if found.lacking:
            return self._unwell(found.lacking, trial)
        return self._well(trial)

    def _well(self, trial: Trial | None) -> str:
        now = uptime(self.host)
        if self.healthy_since is None:
            self.healthy_since = now
        soak = trial.guard.soak_seconds if trial and trial.guard else 0
        left = soak - (now - self.healthy_since)
        if left <= 0:
            self._note(HEALTHY, ())
            return self._deadline(trial, (f"no control node promoted it{self._within(trial)}",))
        soaking = (f"all is well, and has to stay so for {soak} s",)
        self._note(WATCHING, soaking)
        return self._deadline(trial, (f"it was not well for {soak} s on end{self._within(trial)}",))

    def _unwell(self, reasons: tuple[str, ...], trial: Trial | None) -> str:
        self.healthy_since = None
        self._note(WATCHING, reasons)
        return self._deadline(trial, reasons)

    def _seconds(self, trial: Trial | None) -> int:
        return trial.guard.confirm_seconds if trial and trial.guard else self.confirm_seconds

    def _within(self, trial: Trial | None) -> str:
        return f" within {self._seconds(trial)} s of its start"

    def _deadline(self, trial: Trial | None, reasons: tuple[str, ...]) -> str:
        if uptime(self.host) < self._seconds(trial):
            return ""
        return self._go_back(reasons)

    def _note(self, state: str, reasons: tuple[str, ...]) -> None:
        status = Status(boot_id(self.host), release(self.host), state, reasons)
        if status == self.noted:
            return
        try:
            trial_record.write_status(self.host, status)
        except OSError as error:
            print(f"bpfview: {error}", file=sys.stderr)
        else:
            self.noted = status
        print(f"bpfview: {state}: {'; '.join(reasons) or 'all is well'}", flush=True)

    def _go_back(self, reasons: tuple[str, ...]) -> str:
        """Take the host back, unless it was promoted while that was decided."""
        with locked(self.host):
            if _runs_the_default(self.host):
                return "it was promoted meanwhile"
            self._note(GOING_BACK, reasons)
            trial_evidence.keep(self.host)
            for seconds, way in _WAYS:
                self.host.within(30, way)
                self.pause(seconds)
            self.host.path(_SYSRQ).write_text("b")
        raise BpfviewError("The host did not reboot", "Power-cycle it")


def look(host: Host, record: Record | None) -> Found:
    """Find out what is to be done; BpfviewError or OSError if that cannot be told."""
    trial = record.trial if record else None
    if trial and trial.boot_id_before == boot_id(host):
        return Found(over=BEFORE)
    if _runs_the_default(host):
        return Found(over=f"the boot loader's default is the running kernel, {release(host)}")
    if record and (trial is None or trial.release != release(host)):
        return Found(over=f"{release(host)} runs, which is not on trial")
    refused = trial_record.refusal(host, boot_id(host))
    guard = trial.guard if trial else None
    if fatal := (*refused, *host_health.incurable(host, guard)):
        return Found(fatal=fatal)
    if guard is None:
        return Found(lacking=(f"{RECORD} is gone or cannot be understood",))
    return Found(lacking=tuple(host_health.lacking(host, guard)))


def read_record(host: Host) -> Record | None:
    """Return the host's record, None if it is gone or cannot be understood."""
    try:
        return kernel_record.read(host) if host.text(RECORD) else None
    except BpfviewError:
        return None


def _runs_the_default(host: Host) -> bool:
    try:
        entry = GrubBoot(host).default_entry()
    except (BpfviewError, OSError, ValueError):
        # a boot loader that cannot be read has nobody's kernel as its default
        return False
    return entry is not None and entry.release == release(host)


def boot_id(host: Host) -> str:
    """Return what tells this boot from all others."""
    return host.text("/proc/sys/kernel/random/boot_id").strip()


def release(host: Host) -> str:
    """Return the running kernel's release."""
    return host.text("/proc/sys/kernel/osrelease").strip()


def uptime(host: Host) -> float:
    """Return the seconds since the kernel was started."""
    return float((host.text("/proc/uptime").split() or ["0"])[0])


def main(arguments: Sequence[str] | None = None) -> int:
    """Guard this boot. Returns 0, after which it is not started again."""
    parser = argparse.ArgumentParser(prog="guard.pyz", description=__doc__)
    parser.add_argument("--confirm-seconds", type=int, default=600, metavar="SECONDS")
    options = parser.parse_args(arguments)
    host = Host()
    over = Watch(host, options.confirm_seconds).run()
    print(f"bpfview: nothing to guard: {over}", flush=True)
    if over != BEFORE:
        trial_units.remove(host)
    return 0
