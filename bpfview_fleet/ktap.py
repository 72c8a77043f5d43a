# SPDX-License-Identifier: GPL-3.0-or-later
"""What a console log says about the tests that ran, and whether it can be believed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from plugins.module_utils.bpfview.kernel_log import find_splats, message

_RESULT = re.compile(r"^(ok|not ok) (\d+) (.+?)(?: # SKIP(?: (.*))?)?$")
_PLAN = re.compile(r"^1\.\.(\d+)$")
_REASON = re.compile(r"^# (.+)$")
_RULE = re.compile(r"^([a-z][a-z0-9]*(?:-[a-z0-9]+)*): ")
_END = "# end of tests"


@dataclass(frozen=True)
class Result:
    """How one test ended: ``passed``, ``failed`` or ``skipped``."""

    number: int
    name: str
    outcome: str
    reason: str = ""

    def __str__(self) -> str:
        line = f"{'not ok' if self.outcome == 'failed' else 'ok'} {self.number} {self.name}"
        if self.outcome == "skipped":
            line += f" # SKIP {self.reason}".rstrip()
        elif self.reason:
            line += f"\n   # {self.reason}"
        return line


@dataclass
class Report:
    """What a console log says about a run. ``problems`` are what is wrong with the run itself."""

    # Each of these needs a test that passed. Tests of anything else may come beside them.
    required: Sequence[str] = ()
    results: list[Result] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def count(self, outcome: str) -> int:
        """How many tests ended so."""
        return sum(result.outcome == outcome for result in self.results)

    @property
    def unproved(self) -> list[str]:
        """The required rules of which no test passed."""
        names = [_RULE.match(item.name) for item in self.results if item.outcome == "passed"]
        proved = {name[1] for name in names if name}
        return [rule for rule in self.required if rule not in proved]

    @property
    def passed(self) -> bool:
        """Whether every test that ran passed, at least one did, and nothing else was wrong."""
        return not self.problems and not self.count("failed") and self.count("passed") > 0

    def summary(self) -> str:
        """The last line for the user."""
        line = f"{self.count('passed')} passed, {self.count('failed')} failed"
        if self.count("skipped"):
            line += f", {self.count('skipped')} skipped"
        if self.problems:
            line += f", {len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        return line


def read_log(text: str, required: Sequence[str]) -> Report:
    """Results of the tests in a console log, and everything that keeps them from being believed.

    A rule of ``required`` without a test, or with nothing but skipped ones, is not proved.
    """
    report = Report(required)
    if not text.strip():
        report.problems.append("the console log is empty: the kernel did not start")
        return report
    planned: int | None = None
    ended = False
    for line in text.splitlines():
        said = message(line)
        if match := _RESULT.match(said):
            ok, number, name, why = match.groups()
            skipped = " # SKIP" in said
            outcome = "skipped" if skipped else "passed" if ok == "ok" else "failed"
            report.results.append(Result(int(number), name, outcome, why or ""))
        elif match := _PLAN.match(said):
            planned = int(match.group(1))
        elif said.startswith("Bail out!"):
            report.problems.append(said)
        elif said.startswith(_END):
            ended = True
        elif match := _REASON.match(said):
            _give_reason(report, match.group(1))
    report.problems += _mismatches(report, planned, ended)
    report.problems += [f"the kernel says: {splat}" for splat in find_splats(text)]
    return report


def _give_reason(report: Report, reason: str) -> None:
    last = report.results[-1] if report.results else None
    if last is None:
        report.problems.append(reason)
    elif last.outcome == "failed" and not last.reason:
        report.results[-1] = Result(last.number, last.name, last.outcome, reason)


def _mismatches(report: Report, planned: int | None, ended: bool) -> list[str]:
    problems = []
    if not ended:
        problems.append("the tests did not run to their end")
    if not report.results:
        problems.append("no test ran")
    elif report.unproved:
        problems.append(f"no test passed for {', '.join(report.unproved)}")
    numbers = [result.number for result in report.results]
    if numbers != list(range(1, len(numbers) + 1)):
        problems.append(f"the results are not numbered 1 to {len(numbers)}")
    if ended and planned != len(numbers):
        problems.append(f"{planned} tests were announced and {len(numbers)} reported")
    problems += [
        f"test {result.number} names no rule"
        for result in report.results
        if not _RULE.match(result.name)
    ]
    return problems
