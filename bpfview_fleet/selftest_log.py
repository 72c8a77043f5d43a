# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel's own tests said on the console of the machine that ran them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum
from signal import NSIG, Signals

from plugins.module_utils.bpfview.kernel_log import find_splats, message

_BEGIN = re.compile(r"^selftest begin (.+)$")
_END = re.compile(r"^selftest end (.+) (\d+)$")
_DONE = "selftest done"
# what a program printed; the rest of the log is the kernel's
_OUTPUT = "|"

_TEST_PROGS = re.compile(r"^#(\d+)(?:/(\d+))? +(.+?):(OK|SKIP|FAIL)(?: \(SKIP: \d+/\d+\))?$")
_TAP = re.compile(r"^(ok|not ok) (\d+) (?:# (SKIP|XFAIL|error) )?(.+)$")
_SKIPPED_STATUS = 4
# a shell adds the signal to this; -1, as some programs return it, is beyond all signals
_SIGNALLED = 128


class Outcome(IntEnum):
    """How a test ended, the better the greater."""

    ABSENT = 0
    FAIL = 1
    SKIP = 2
    OK = 3

    def __str__(self) -> str:
        return {0: "-", 1: "FAIL", 2: "skip", 3: "ok"}[self]


@dataclass(frozen=True)
class Output:
    """What one command said, and its exit status; None if it did not come to an end."""

    lines: tuple[str, ...]
    status: int | None

    @property
    def signal(self) -> str:
        """The signal that ended it, in words; empty if it ended by itself or not at all."""
        number = (self.status or 0) - _SIGNALLED
        if not 0 < number < NSIG:
            return ""
        if number == Signals.SIGKILL:
            return "SIGKILL, as its time limit does"
        return Signals(number).name if number in set(Signals) else f"signal {number}"


@dataclass
class Console:
    """One run: the commands' outputs by name, and what is wrong with the run or the kernel."""

    outputs: dict[str, Output] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    splats: list[str] = field(default_factory=list)


def read_console(text: str) -> Console:
    """Take a console log apart; every reason not to believe it is among the problems."""
    console = Console()
    said: list[str] = []
    kernel: list[str] = []
    running, done = "", False
    for raw in text.splitlines():
        line = message(raw)
        if line.startswith(_OUTPUT):
            said.append(line.removeprefix(_OUTPUT).removeprefix(" "))
        elif match := _BEGIN.match(line):
            running, said = match[1], []
        elif (match := _END.match(line)) and match[1] == running:
            console.outputs[running] = Output(tuple(said), int(match[2]))
            running = ""
        elif line == _DONE:
            done = True
        else:
            kernel.append(raw)
    if running:
        console.outputs[running] = Output(tuple(said), None)
        console.problems.append(f"the machine went down or hung in {running}")
    if not console.outputs:
        console.problems.append("no test ran")
    elif not done and not running:
        console.problems.append("the run did not come to its end")
    console.splats = find_splats("\n".join(kernel))
    return console


def test_progs_rows(name: str, output: Output) -> dict[str, Outcome]:
    """The rows of one run of test_progs for one test: the test and its subtests."""
    rows = {name: Outcome.ABSENT}
    number_of: dict[str, str] = {}
    for line in output.lines:
        if not (match := _TEST_PROGS.match(line)):
            continue
        row = match[3]
        # two subtests may have one name; a failed one is reported twice
        if number_of.setdefault(row, match[2]) != match[2]:
            row = f"{row} ({match[2]})"
        rows[row] = Outcome[match[4]]
    return _with_status(name, rows, output)


def tap_rows(name: str, output: Output) -> dict[str, Outcome]:
    """The rows of one program that reports as the kernel's other tests do."""
    rows = {name: Outcome.ABSENT}
    for line in output.lines:
        if not (match := _TAP.match(line)):
            continue
        expected = match[1] == "ok"
        outcome = Outcome.SKIP if match[3] == "SKIP" else Outcome.OK if expected else Outcome.FAIL
        rows[f"{name}/{match[4]}"] = outcome
    return _with_status(name, rows, output)


def status_rows(name: str, output: Output) -> dict[str, Outcome]:
    """The one row of a program of which only the exit status counts."""
    return {name: Outcome.OK if output.status == 0 else Outcome.FAIL}


def _with_status(name: str, rows: dict[str, Outcome], output: Output) -> dict[str, Outcome]:
    """Give the test itself what it said, or what follows from its exit status and its parts.

    It stays absent if it reported nothing, like a test that crashed or that is not there.
    """
    if len(rows) == 1 and not rows[name]:
        rows[name] = Outcome.SKIP if output.status == _SKIPPED_STATUS else Outcome.ABSENT
    elif output.status != 0:
        rows[name] = Outcome.FAIL
    elif not rows[name]:
        rows[name] = Outcome.OK
    return rows
