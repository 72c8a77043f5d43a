# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot a kernel directly under QEMU and check its behaviour, rule by rule.

``python -m bpfview_fleet.boottest --baseline 6.1`` takes the kernel that was built last for the
baseline, ``--kernel PATH`` any other. The tests are in ``kernel/tests``. Exit status: 0 all
passed, 1 a test failed or the kernel reported a problem, 2 the tests could not be run.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plugins.module_utils.bpfview.errors import BpfviewError

from . import direct_boot
from .accel import detect
from .console import find_splats, message
from .initramfs import build_initramfs
from .shipped_views import shipped_views

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "kernel" / "tests"
TIMEOUT_SECONDS = 300.0

# What a kernel has to prove: each of these needs a test that passed. Tests of anything else may
# come beside them, but a rule without one, or with nothing but skipped ones, is not proved.
REQUIRED = (
    *(f"rule-{number}" for number in range(1, 10)),
    "unlink",
    "link-update",
    "sleepable",
    "subtree",
    "shipped-views",
)

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
        return [rule for rule in REQUIRED if rule not in proved]

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


def read_log(text: str) -> Report:
    """Results of the tests in a console log, and everything that keeps them from being believed."""
    report = Report()
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


def compile_tests(folder: Path) -> dict[str, bytes]:
    """Build the test program and its BPF objects in ``folder``; content by file name.

    Raises BpfviewError with the compiler's words.
    """
    programs = [path for path in SOURCES.glob("*.c") if not path.name.endswith(".bpf.c")]
    return {
        **direct_boot.compile_bpf(SOURCES.glob("*.bpf.c"), folder),
        "init": direct_boot.compile_program(programs, folder / "init"),
    }


def judge(log: Path, trouble: str | None) -> Report:
    """The report on a boot whose console is in ``log``; ``trouble`` is what boot() returned."""
    try:
        report = read_log(log.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        report = Report(problems=[f"the console log cannot be read: {error}"])
    if trouble:
        report.problems.insert(0, trouble)
    return report


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bpfview_fleet.boottest", description=__doc__)
    parser.add_argument("--baseline", default="6.1", help="kernel source line (default: 6.1)")
    parser.add_argument("--kernel", type=Path, help="a bzImage instead of the one that was built")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, metavar="SECONDS")
    return parser.parse_args(argv)


def _test(kernel: Path, views_for: Path, folder: Path, timeout: float) -> Report:
    files = {**compile_tests(folder), **shipped_views(views_for)}
    initrd = folder / "initramfs.gz"
    initrd.write_bytes(build_initramfs(files))
    acceleration = detect(kernel)
    print(f"# {kernel}, {acceleration}", flush=True)
    log = folder / "console.log"
    return judge(log, direct_boot.boot(kernel, initrd, log, acceleration, timeout))


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit status."""
    arguments = _arguments(argv)
    folder = ROOT / "build" / "boottest" / arguments.baseline
    try:
        # A view is compiled for a baseline, and finds its way on any kernel of that line.
        built = direct_boot.built_kernel(arguments.baseline)
        kernel = arguments.kernel or built
        with direct_boot.alone_in(folder):
            started = time.monotonic()
            report = _test(kernel, built.parent, folder, arguments.timeout)
    except BpfviewError as error:
        print(error, file=sys.stderr)
        return 2
    for result in report.results:
        print(result)
    for problem in report.problems:
        print(f"problem: {problem}")
    took = time.monotonic() - started
    print(f"{report.summary()} in {took:.0f} s; console: {folder / 'console.log'}")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
