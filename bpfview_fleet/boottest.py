# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot kernels directly under QEMU and check their behaviour, rule by rule.

``python -m bpfview_fleet.boottest --baseline 6.1`` takes the kernel that was built last for the
baseline and the tiny kernels that lack something, ``--kernel PATH`` one other kernel alone. The
tests are in ``kernel/tests``. Exit status: 0 all passed, 1 a test failed or a kernel reported a
problem, 2 the tests could not be run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plugins.module_utils.bpfview.cache import cache_root
from plugins.module_utils.bpfview.errors import BpfviewError

from . import direct_boot, tiny_kernels
from .accel import detect
from .initramfs import build_initramfs
from .ktap import Report, read_log
from .shipped_views import shipped_views

SOURCES = direct_boot.ROOT / "kernel" / "tests"
TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True)
class Boot:
    """A kernel by name, what its tests have to prove, and words for its command line."""

    name: str
    proves: tuple[str, ...]
    words: tuple[str, ...] = ()


COMPLETE = Boot(
    "complete",
    (
        "as-ever",
        *(f"rule-{number}" for number in range(1, 10)),
        "unlink",
        "link-update",
        "sleepable",
        "subtree",
        "limit",
        "security",
        "shipped-views",
    ),
)
# What a kernel without something proves: that each stub answers honestly, that nothing of the
# series is needed for a kernel to answer as ever, and that what has failed leaves nothing.
TINY = tuple(
    Boot(tiny.name, (tiny.proves,), (f"boottest.kernel={tiny.name}",))
    for tiny in tiny_kernels.TINY_KERNELS
)


def compile_tests(folder: Path) -> dict[str, bytes]:
    """Build the test program and its BPF objects in ``folder``; content by file name.

    Raises BpfviewError with the compiler's words.
    """
    programs = [path for path in SOURCES.glob("*.c") if not path.name.endswith(".bpf.c")]
    return {
        **direct_boot.compile_bpf(SOURCES.glob("*.bpf.c"), folder),
        "init": direct_boot.compile_program(programs, folder / "init"),
    }


def judge(log: Path, trouble: str | None, required: Sequence[str]) -> Report:
    """The report on a boot whose console is in ``log``; ``trouble`` is what boot() returned."""
    try:
        report = read_log(log.read_text(encoding="utf-8", errors="replace"), required)
    except OSError as error:
        report = Report(required, problems=[f"the console log cannot be read: {error}"])
    if trouble:
        report.problems.insert(0, trouble)
    return report


def run(boot: Boot, kernel: Path, initrd: Path, timeout: float = TIMEOUT_SECONDS) -> Report:
    """Boot ``kernel`` with the tests of ``initrd``; its console is left beside that."""
    log = initrd.parent / f"{boot.name}.log"
    command_line = " ".join((direct_boot.COMMAND_LINE, *boot.words))
    acceleration = detect(kernel)
    print(f"# {boot.name}: {kernel}, {acceleration}", flush=True)
    trouble = direct_boot.boot(
        kernel, initrd, log, acceleration, timeout, command_line=command_line
    )
    return judge(log, trouble, boot.proves)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bpfview_fleet.boottest", description=__doc__)
    parser.add_argument("--baseline", default="6.1", help="kernel source line (default: 6.1)")
    parser.add_argument("--kernel", type=Path, help="this bzImage alone, without rule 10")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, metavar="SECONDS")
    return parser.parse_args(argv)


def _run_all(kernels: dict[Boot, Path], initrd: Path, timeout: float) -> list[Report]:
    reports = []
    for boot, kernel in kernels.items():
        report = run(boot, kernel, initrd, timeout)
        for result in report.results:
            print(result)
        for problem in report.problems:
            print(f"problem: {problem}")
        reports.append(report)
    return reports


def summary(reports: Sequence[Report]) -> str:
    """The last line for the user, about all boots."""
    total = Report()
    for report in reports:
        total.results += report.results
        total.problems += report.problems
    return total.summary()


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit status."""
    arguments = _arguments(argv)
    folder = direct_boot.ROOT / "build" / "boottest" / arguments.baseline
    try:
        # A view is compiled for a baseline, and finds its way on any kernel of that line.
        built = direct_boot.built_kernel(arguments.baseline)
        kernels = {COMPLETE: arguments.kernel or built}
        if not arguments.kernel:
            tiny = tiny_kernels.build_all(
                arguments.baseline, cache_root(), lambda said: print(f"# {said}", flush=True)
            )
            kernels |= {boot: tiny[boot.name] for boot in TINY}
        with direct_boot.alone_in(folder):
            started = time.monotonic()
            initrd = folder / "initramfs.gz"
            initrd.write_bytes(
                build_initramfs({**compile_tests(folder), **shipped_views(built.parent)})
            )
            reports = _run_all(kernels, initrd, arguments.timeout)
    except BpfviewError as error:
        print(error, file=sys.stderr)
        return 2
    took = time.monotonic() - started
    print(f"{summary(reports)} in {took:.0f} s; consoles: {folder}/*.log")
    return 0 if all(report.passed for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
