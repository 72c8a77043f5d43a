# SPDX-License-Identifier: GPL-3.0-or-later
"""Build and boot a kernel after each patch of a series, as somebody who bisects would.

``python -m bpfview_fleet.bisect_series --baseline 6.1`` prints one line a patch. Each kernel is the
smallest with views, and is asked for what the patches so far bring. Exit status: 0 every step
builds without a new warning, boots and passes; 1 one does not; 2 it could not be tried.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from plugins.module_utils.bpfview import kernel_series
from plugins.module_utils.bpfview.cache import cache_root
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_series import Patch

from . import boottest, direct_boot, tiny_kernels
from .initramfs import build_initramfs
from .kernel_tree import Tree, unpacked

FOLDER = direct_boot.ROOT / "build" / "bisect"

# The patch from which a rule has a test that holds; kernel/tests/since.h has the same of each test.
PROVED_FROM = {
    "as-ever": 1,
    "rule-2": 1,
    "rule-1": 3,
    "rule-3": 3,
    "rule-4": 3,
    "rule-5": 3,
    "rule-7": 3,
    "rule-8": 3,
    "rule-6": 4,
    "unlink": 9,
    "rule-9": 10,
    "link-update": 10,
    "sleepable": 11,
    "subtree": 12,
    "security": 12,
    "limit": 13,
}


@dataclass(frozen=True)
class Step:
    """How a kernel with the patches up to ``patch`` did; as it must, if there is no ``trouble``."""

    number: int
    patch: str
    seconds: float
    said: str = ""
    trouble: str = ""

    def __str__(self) -> str:
        head = f"{'not ok' if self.trouble else 'ok'} {self.number} {self.patch}"
        return f"{head}: {self.trouble or self.said} in {self.seconds:.0f} s"


def boot_after(number: int) -> boottest.Boot:
    """The boot of a kernel with the first ``number`` patches, and what it must prove."""
    proves = tuple(rule for rule, first in PROVED_FROM.items() if first <= number)
    return boottest.Boot(f"patch-{number}", proves, (f"boottest.patches={number}",))


def _boot(number: int, kernel: Path, initrd: Path) -> tuple[str, str]:
    """What the tests came to, and what was wrong."""
    report = boottest.run(boot_after(number), kernel, initrd)
    failed = [str(result) for result in report.results if result.outcome == "failed"]
    wrong = [*report.problems, *failed]
    if not report.passed and not wrong:
        wrong = ["no test passed"]
    return report.summary(), "; ".join(wrong)


def _step(tree: Tree, number: int, patch: Patch, initrd: Path) -> Step:
    started = time.monotonic()
    said = ""
    try:
        out = tree.build("kernel", tiny_kernels.options())
        said, trouble = _boot(number, out / "arch/x86/boot/bzImage", initrd)
    except BpfviewError as error:
        trouble = str(error)
    return Step(number, patch.name, time.monotonic() - started, said, trouble)


def bisect(tree: Tree, series: Sequence[Patch], initrd: Path) -> Iterator[Step]:
    """Apply one patch after the other; how each step does. A step that fails ends nothing.

    Raises BpfviewError for a patch that does not apply.
    """
    for number, patch in enumerate(series, 1):
        tree.apply(patch)
        yield _step(tree, number, patch, initrd)


def _initrd(folder: Path) -> Path:
    initrd = folder / "initramfs.gz"
    initrd.write_bytes(build_initramfs(boottest.compile_tests(folder)))
    return initrd


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bpfview_fleet.bisect_series", description=__doc__
    )
    parser.add_argument("--baseline", default="6.1", help="kernel source line (default: 6.1)")
    baseline = parser.parse_args(argv).baseline
    folder, root = FOLDER / baseline, cache_root()
    failed = 0
    try:
        series = kernel_series.read_series(tiny_kernels.KERNEL_DIR, baseline)
        source = tiny_kernels.source_of(baseline, root)
        with direct_boot.alone_in(folder), unpacked(root, source, f"bisect-{baseline}") as tree:
            for step in bisect(tree, series, _initrd(folder)):
                print(step, flush=True)
                failed += bool(step.trouble)
    except BpfviewError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(series) - failed} of {len(series)} patches hold; consoles: {folder}/*.log")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
