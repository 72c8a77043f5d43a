# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m bpfview_fleet.faults``: see `make test-faults`.

Exit status: 0 every fault ended as it must, 1 one did not, 2 the faults could not be tried.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bpfview_fleet import accel
from bpfview_fleet.lab import driver
from bpfview_fleet.lab.layout import LABS, Layout
from plugins.module_utils.bpfview.errors import BpfviewError

from . import page, rows
from .deploy import ROOT, built_release
from .run import Round
from .victim import Victim

FOLDER = ROOT / "build" / "faults"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bpfview_fleet.faults", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="FAULT",
        choices=[fault.name for fault in rows.FAULTS], help="these, in the order of the catalogue",
    )  # fmt: skip
    parser.add_argument("--page", type=Path, help="write the table to this file")
    parser.add_argument("--keep", action="store_true", help="leave the VM running")
    return parser.parse_args(argv)


def _try(options: argparse.Namespace, victim: Victim) -> int:
    new, newer = built_release("6.1"), built_release("6.12")
    victim.up(lambda line: print(f"# {line}", flush=True))
    former = victim.must("uname -r")
    shutil.rmtree(FOLDER, ignore_errors=True)
    attempt = Round(victim, FOLDER, {"former": former, "new": new, "newer": newer})
    results = []
    for fault in rows.FAULTS:
        if options.only and fault.name not in options.only:
            continue
        started = time.monotonic()
        result = attempt.run(fault)
        results.append(result)
        took = time.monotonic() - started
        head = "not ok" if result.problems else "ok"
        said = ", ".join(result.verdicts) or "no deployment"
        away = "" if result.away is None else f", {result.away:.0f} s without a working kernel"
        print(f"{head} {fault.name}: {said}{away}; {took:.0f} s in all", flush=True)
        for problem in result.problems:
            print(f"   # {problem}", flush=True)
        if options.page:
            text = page.text(results, former, new, newer, str(accel.detect()))
            options.page.write_text(text, "utf-8")
        if result.stranded:
            break
    bad = sum(bool(result.problems) for result in results)
    print(f"{len(results) - bad} of {len(results)} faults ended as they must; logs: {FOLDER}")
    return 1 if bad else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit status."""
    options = _arguments(argv)
    layout = Layout.of("faults", LABS / "faults")
    victim = Victim(layout)
    try:
        return _try(options, victim)
    except BpfviewError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if not options.keep:
            driver.down(layout, [])


if __name__ == "__main__":
    sys.exit(main())
