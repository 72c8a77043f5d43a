# SPDX-License-Identifier: GPL-3.0-or-later
"""Try faults one after the other on one VM, and see that none leaves it stranded."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plugins.module_utils.bpfview.kernel_log import find_splats

from .deploy import Deployment
from .rows import Fault, Meanwhile
from .victim import NAME, Victim, until

_DEPLOY_SECONDS = 900.0
_SETTLE_SECONDS = 240.0
_MEANWHILE_SECONDS = 300.0
_PREPARE_SECONDS = 240.0
# the lab's hosts are slow, and none of these faults needs the time of a fleet
VARIABLES: dict[str, Any] = {
    "kernel_install_panic_timeout": 5,
    "kernel_install_confirm_seconds": 240,
    "kernel_install_soak_seconds": 10,
}


@dataclass
class Result:
    """What became of the host in one row."""

    fault: Fault
    verdicts: list[str] = field(default_factory=list)
    reason: str = ""
    kernel: str | None = None
    boots: int = 0
    away: float | None = None  # seconds from the start of the bad kernel to a working one
    problems: list[str] = field(default_factory=list)

    @property
    def stranded(self) -> bool:
        """Whether nobody could reach the host at the end."""
        return self.kernel is None


class Round:
    """The rows of one run.

    ``kernels`` are the releases of the former kernel, with which the VM came, of the new and of the
    newer one.
    """

    def __init__(self, victim: Victim, folder: Path, kernels: dict[str, str]) -> None:
        self.victim, self.folder, self.kernels = victim, folder, kernels
        self.former, self.new = kernels["former"], kernels["new"]

    def run(self, fault: Fault) -> Result:
        """Try one fault; every way in which it did not end as it must is among the problems."""
        result = Result(fault)
        start = self.victim.mark()
        self._prepare(fault)
        if fault.runs:
            self._deploy(fault, result, start)
        else:
            self._restart(result)
        result.kernel = self.victim.settled(_SETTLE_SECONDS)
        if result.kernel:
            self._clean(fault)
        self._compare(result, start)
        console = self.folder / fault.name / "console.log"
        console.parent.mkdir(parents=True, exist_ok=True)
        console.write_text(self.victim.console(start), "utf-8")
        return result

    def _prepare(self, fault: Fault) -> None:
        for path, text in fault.trap.files.items():
            self.victim.put(path, text)
        for link in fault.trap.links:
            self.victim.must(f"mkdir -p $(dirname {link}) && ln -sf ../fault.service {link}")
        for command in fault.before:
            self.victim.must(command, _PREPARE_SECONDS)
        self.victim.must("sync")

    def _clean(self, fault: Fault) -> None:
        for path in (*fault.trap.links, *fault.trap.files):
            self.victim.must(f"rm -f {path}")
        for command in fault.after:
            self.victim.must(command, _PREPARE_SECONDS)
        self.victim.must("systemctl daemon-reload; sync")

    def _deploy(self, fault: Fault, result: Result, start: int) -> None:
        variables = {**VARIABLES, **fault.variables}
        for number, _expected in enumerate(fault.runs):
            folder = self.folder / fault.name / f"run-{number + 1}"
            deployment = Deployment(
                folder, self.victim.layout.inventory, NAME, fault.playbook, variables
            )
            if number == 0 and fault.meanwhile is not Meanwhile.NOTHING:
                self._interfere(fault.meanwhile, deployment, result, start)
            if number == 0:
                result.away = self._watch(deployment, start)
            verdict, reason = "killed", ""
            if not (number == 0 and fault.meanwhile is Meanwhile.CONTROLLER_KILLED):
                verdict, reason = deployment.wait(_DEPLOY_SECONDS)
            result.verdicts.append(verdict)
            result.reason = reason or result.reason
            if number + 1 < len(fault.runs):
                self.victim.settled(_SETTLE_SECONDS)

    def _interfere(
        self, what: Meanwhile, deployment: Deployment, result: Result, start: int
    ) -> None:
        def dpkg_runs() -> bool:
            # in brackets, lest it finds the shell that asks
            return self.victim.ask("pgrep -f '[d]pkg --install'") is not None

        def new_boots() -> bool:
            return self.new in self.victim.started(start)

        condition = dpkg_runs if what is Meanwhile.POWER_CUT_IN_DPKG else new_boots
        if not until(condition, _MEANWHILE_SECONDS):
            result.problems.append(f"it never came to this: {what.value}")
            return
        if what is Meanwhile.CONTROLLER_KILLED:
            deployment.kill()
            return
        self.victim.cut_power()
        self.victim.give_power()

    def _watch(self, deployment: Deployment, start: int) -> float | None:
        """Watch the console while the deployment runs; how long no working kernel was there."""
        gone = back = None
        while deployment.process.poll() is None:
            text = self.victim.console(start)
            now = time.monotonic()
            trial = text.rfind(f"Linux version {self.new} ")
            if trial >= 0 and gone is None:
                gone = now
            former = text.rfind(f"Linux version {self.former} ")
            if gone and back is None and former > trial and "login:" in text[former:]:
                back = now
            time.sleep(0.5)
        return back - gone if gone and back else None

    def _restart(self, result: Result) -> None:
        """A reboot that was ordered, and one that was not."""
        at = self.victim.mark()
        self.victim.ask("systemctl reboot")
        if not until(lambda: bool(self.victim.started(at)), _SETTLE_SECONDS):
            result.problems.append("it did not reboot")
        if self.victim.settled(_SETTLE_SECONDS) is None:
            result.problems.append("it did not come back from the reboot")
        self.victim.cut_power()
        self.victim.give_power()

    def _compare(self, result: Result, start: int) -> None:
        fault = result.fault
        expected = self.kernels[fault.ends_on]
        if result.kernel != expected:
            result.problems.append(f"it ends on {result.kernel or 'nothing'}, not on {expected}")
        if tuple(result.verdicts) != fault.runs:
            result.problems.append(
                f"verdicts: {', '.join(result.verdicts)}; expected: {', '.join(fault.runs)}"
            )
        if fault.says not in result.reason:
            result.problems.append(f"the reason does not name {fault.says!r}: {result.reason}")
        result.boots = len(self.victim.started(start))
        if result.boots != fault.boots:
            result.problems.append(f"it booted {result.boots} times, not {fault.boots}")
        allowed = re.compile("|".join(fault.may_say) or r"(?!)")
        result.problems += [
            f"the kernel says: {splat}"
            for splat in find_splats(self.victim.console(start))
            if not allowed.search(splat)
        ]
