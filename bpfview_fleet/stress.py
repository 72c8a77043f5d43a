# SPDX-License-Identifier: GPL-3.0-or-later
"""Stress the kernel series with random operations, on a kernel that checks itself.

``python -m bpfview_fleet.stress --baseline 6.1`` boots the debug kernel that was built last for the
baseline with the driver in ``kernel/stress``; ``--fragment kcsan`` the one that looks for data
races; ``--rounds N`` the plain one, to measure the memory that N rounds leave behind. Exit status:
0 nothing was found, 1 something was, 2 the run could not be started.
"""

from __future__ import annotations

import argparse
import re
import secrets
import shlex
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_log import find_splats, message

from . import direct_boot, kcsan
from .accel import detect
from .initramfs import build_initramfs

SOURCES = direct_boot.ROOT / "kernel" / "stress"
TESTS = direct_boot.ROOT / "kernel" / "tests"
# What of the boot test is in the driver too.
SHARED = ("files", "objects", "say", "memory", "mounts", "option")
MEMORY_MIB = 2048
OPS = 1_000_000
# A bound, not an expectation: what takes so long has gone wrong.
OPS_PER_SECOND_AT_LEAST = 200
ROUNDS_PER_SECOND_AT_LEAST = 50
# To boot, to clean up and to look for leaks.
OTHER_SECONDS = 600
# After as many rounds caches are as large as they get.
SLAB_TOLERANCE = 0.01

# What the kernel must be able to do, or the run proves less than it says.
NEEDED = {
    "debug": ("failslab", "kmemleak", "kasan", "lockdep", "odebug", "hung_task"),
    "kcsan": ("failslab", "kcsan", "hung_task"),
}

_PROBLEM = re.compile(r"^stress: problem: (.*)$")
_LACKS = re.compile(r"^stress: lacks (\w+)$")
_SEED = re.compile(r"^stress: seed (\d+), \d+ operations, first choices [0-9a-f]+$")
_OPS = re.compile(r"^stress: (\d+) of \d+ operations in (\d+) s$")
_KIND = re.compile(r"^stress: kind (\S+): (\d+) done, (\d+) succeeded$")
_SLAB = re.compile(r"^stress: slab after (\d+) rounds: (-?\d+) KiB$")
_ENDED = re.compile(r"^stress: ended, (\d+) problems$")
_TOLD = re.compile(r"^stress: (?!kind )")


@dataclass(frozen=True)
class Wanted:
    """What a run is to do: operations of a seed, or rounds."""

    baseline: str
    fragment: str = "debug"
    ops: int = OPS
    seed: int = 1
    rounds: int = 0
    anyway: bool = False

    @property
    def seconds(self) -> int:
        """How long the operations may take."""
        return self.ops // OPS_PER_SECOND_AT_LEAST + 60

    @property
    def timeout(self) -> float:
        """How long the machine may run, in seconds."""
        rounds = self.rounds / ROUNDS_PER_SECOND_AT_LEAST
        return OTHER_SECONDS + (rounds if self.rounds else self.seconds)

    @property
    def options(self) -> str:
        """What the driver is told on the kernel's command line."""
        if self.rounds:
            return f"stress.rounds={self.rounds}"
        return f"stress.ops={self.ops} stress.seed={self.seed} stress.seconds={self.seconds}"

    @property
    def needed(self) -> tuple[str, ...]:
        """What of the kernel's own checks the run cannot do without."""
        if self.rounds or self.anyway:
            return ()
        return NEEDED.get(self.fragment, NEEDED["debug"])


@dataclass
class Report:
    """What a console log says about a run. ``noise`` are races that are not the series'."""

    problems: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    kinds: dict[str, tuple[int, int]] = field(default_factory=dict)
    ops: int = 0
    seconds: int = 0
    slab: dict[int, int] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the run did what it was to do and nothing was wrong."""
        return not self.problems

    def summary(self) -> str:
        """The last line for the user."""
        count = len(self.problems)
        found = f"{count} problem{'s' if count != 1 else ''}" if count else "nothing found"
        if self.slab:
            return f"{max(self.slab)} rounds, {found}"
        done = sum(succeeded for _, succeeded in self.kinds.values())
        return (
            f"{self.ops} operations of {len(self.kinds)} kinds in {self.seconds} s, "
            f"{done} succeeded, {found}"
        )


def read_log(text: str, wanted: Wanted, functions: set[str]) -> Report:
    """What was found. ``functions`` are those of the series, for the races to be told apart."""
    report = Report()
    if not text.strip():
        report.problems.append("the console log is empty: the kernel did not start")
        return report
    seed: int | None = None
    ended: int | None = None
    for line in text.splitlines():
        said = message(line)
        if match := _PROBLEM.match(said):
            report.problems.append(match[1])
        elif match := _LACKS.match(said):
            if match[1] in wanted.needed:
                report.problems.append(f"this kernel has no {match[1]}")
        elif match := _SEED.match(said):
            seed = int(match[1])
        elif match := _OPS.match(said):
            report.ops, report.seconds = int(match[1]), int(match[2])
        elif match := _KIND.match(said):
            report.kinds[match[1]] = int(match[2]), int(match[3])
        elif match := _SLAB.match(said):
            report.slab[int(match[1])] = int(match[2])
        elif match := _ENDED.match(said):
            ended = int(match[1])
    report.problems += _unfinished(ended, len(report.problems))
    report.problems += _wrong_rounds(report, wanted) if wanted.rounds else []
    report.problems += [] if wanted.rounds else _wrong_ops(report, wanted, seed)
    _judge_kernel(report, text, functions)
    return report


def _unfinished(ended: int | None, printed: int) -> list[str]:
    if ended is None:
        return ["the driver did not run to its end"]
    if ended > printed:
        return [f"the driver found {ended} problems, of which it printed fewer"]
    return []


def _wrong_ops(report: Report, wanted: Wanted, seed: int | None) -> list[str]:
    problems = []
    if seed != wanted.seed:
        problems.append(f"the driver ran with seed {seed}, not {wanted.seed}")
    if report.ops != wanted.ops:
        problems.append(f"only {report.ops} of {wanted.ops} operations were done")
    if not report.kinds:
        problems.append("no kind of operation was reported")
    elif (counted := sum(done for done, _ in report.kinds.values())) != report.ops:
        problems.append(f"{report.ops} operations were done and {counted} counted")
    problems += [
        f"{kind} never succeeded in {done} times"
        for kind, (done, succeeded) in report.kinds.items()
        if not succeeded
    ]
    return problems


def _wrong_rounds(report: Report, wanted: Wanted) -> list[str]:
    if len(report.slab) != 2 or max(report.slab) != wanted.rounds:
        return [f"there are no two figures of slab memory up to {wanted.rounds} rounds"]
    before, after = (report.slab[rounds] for rounds in sorted(report.slab))
    if min(before, after) <= 0:
        return ["slab memory could not be measured"]
    change = (after - before) / before
    if abs(change) > SLAB_TOLERANCE:
        return [f"slab memory went from {before} to {after} KiB, by {change:+.1%}"]
    return []


def _judge_kernel(report: Report, text: str, functions: set[str]) -> None:
    # Races are judged below, each by its stacks.
    splats = [splat for splat in find_splats(text) if not kcsan.is_header(splat)]
    report.problems += [f"the kernel says: {splat}" for splat in splats]
    for race in kcsan.find_races(text):
        if race.is_about(functions):
            report.problems.append(f"KCSAN: {race.title}")
        else:
            report.noise.append(race.title)


def judge(log: Path, trouble: str | None, wanted: Wanted, functions: set[str]) -> Report:
    """The report on a boot whose console is in ``log``; ``trouble`` is what boot() returned."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        report = Report(problems=[f"the console log cannot be read: {error}"])
    else:
        report = read_log(text, wanted, functions)
    if trouble:
        report.problems.insert(0, trouble)
    return report


def compile_driver(folder: Path) -> dict[str, bytes]:
    """Build the driver and its views in ``folder``; content by file name. Raises BpfviewError."""
    views = [TESTS / "views.bpf.c", *SOURCES.glob("*.bpf.c")]
    programs = [path for path in SOURCES.glob("*.c") if not path.name.endswith(".bpf.c")]
    programs += [TESTS / f"{name}.c" for name in SHARED]
    files = direct_boot.compile_bpf(views, folder)
    files["init"] = direct_boot.compile_program(programs, folder / "init")
    return files


def progress(text: str) -> list[str]:
    """What of a part of the console log the user wants to see while it runs."""
    said = [message(line) for line in text.splitlines()]
    return [line for line in said if _TOLD.match(line) or find_splats(line)]


def follow(log: Path, over: threading.Event, seconds: float = 2.0) -> None:
    """Show the progress in a growing log until it is over, looking so often."""
    seen = 0
    while not over.wait(seconds):
        if not log.is_file():
            continue
        with log.open("rb") as console:
            console.seek(seen)
            lines, newline, _ = console.read().rpartition(b"\n")
        seen += len(lines) + len(newline)
        for line in progress(lines.decode(errors="replace")):
            print(f"  {line}", flush=True)


def _boot(kernel: Path, folder: Path, wanted: Wanted) -> Report:
    initrd, log = folder / "initramfs.gz", folder / "console.log"
    initrd.write_bytes(build_initramfs(compile_driver(folder)))
    functions = kcsan.series_functions(direct_boot.ROOT / "kernel" / wanted.baseline)
    acceleration = detect(kernel)
    print(f"# {kernel}, {acceleration}", flush=True)
    log.unlink(missing_ok=True)
    over = threading.Event()
    follower = threading.Thread(target=follow, args=(log, over))
    follower.start()
    try:
        trouble = direct_boot.boot(
            kernel, initrd, log, acceleration, wanted.timeout,
            command_line=f"{direct_boot.COMMAND_LINE} {wanted.options}", memory_mib=MEMORY_MIB,
        )  # fmt: skip
    finally:
        over.set()
        follower.join()
    return judge(log, trouble, wanted, functions)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bpfview_fleet.stress", description=__doc__)
    parser.add_argument("--baseline", default="6.1", help="kernel source line (default: 6.1)")
    parser.add_argument(
        "--fragment", choices=("debug", "kcsan", ""), default="debug",
        help="which of the baseline's kernels; '' is the plain one (default: debug)",
    )  # fmt: skip
    parser.add_argument("--kernel", type=Path, help="a bzImage instead of the one that was built")
    parser.add_argument("--ops", type=int, default=OPS, help=f"how many (default: {OPS})")
    parser.add_argument("--seed", type=int, help="to get the same operations again")
    parser.add_argument(
        "--rounds", type=int, default=0,
        help="create, expose and remove so often instead, on the plain kernel",
    )  # fmt: skip
    parser.add_argument(
        "--without-debug", action="store_true",
        help="do not fail on a kernel that lacks checks of a debug kernel",
    )  # fmt: skip
    return parser.parse_args(argv)


def _wanted(arguments: argparse.Namespace) -> Wanted:
    if arguments.ops < 1 or arguments.rounds < 0:
        raise BpfviewError(
            "There is nothing to do", "Give --ops or --rounds a number greater than 0"
        )
    seed = secrets.randbelow(2**32) if arguments.seed is None else arguments.seed
    return Wanted(
        arguments.baseline,
        "" if arguments.rounds else arguments.fragment,
        arguments.ops,
        seed,
        arguments.rounds,
        arguments.without_debug,
    )


def replay(wanted: Wanted, kernel: Path | None) -> str:
    """The command that does the same again."""
    command = ["python", "-m", "bpfview_fleet.stress", "--baseline", wanted.baseline]
    if kernel:
        command += ["--kernel", str(kernel)]
    if wanted.rounds:
        command += ["--rounds", str(wanted.rounds)]
    else:
        command += ["--fragment", wanted.fragment, "--ops", str(wanted.ops)]
        command += ["--seed", str(wanted.seed)]
    if wanted.anyway:
        command.append("--without-debug")
    return shlex.join(command)


def _print(report: Report) -> None:
    for kind, (done, succeeded) in report.kinds.items():
        print(f"{kind:24}{done:9} done{succeeded:9} succeeded")
    for rounds, kib in report.slab.items():
        print(f"slab after {rounds} rounds: {kib} KiB")
    for race in sorted(set(report.noise)):
        print(f"a race that is none of the series': {race}")
    for problem in report.problems:
        print(f"problem: {problem}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit status."""
    arguments = _arguments(argv)
    try:
        wanted = _wanted(arguments)
        kernel = arguments.kernel or direct_boot.built_kernel(wanted.baseline, wanted.fragment)
        name = "-".join(
            filter(None, (wanted.baseline, wanted.fragment, "rounds" if wanted.rounds else ""))
        )
        folder = direct_boot.ROOT / "build" / "stress" / name
        print(f"# again with: {replay(wanted, arguments.kernel)}", flush=True)
        with direct_boot.alone_in(folder):
            started = time.monotonic()
            report = _boot(kernel, folder, wanted)
    except BpfviewError as error:
        print(error, file=sys.stderr)
        return 2
    _print(report)
    took = time.monotonic() - started
    print(f"{report.summary()}; {took:.0f} s in all; console: {folder / 'console.log'}")
    print(f"again with: {replay(wanted, arguments.kernel)}")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
