# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut the power, or kill the control node, at random moments of a deployment, over and over.

``python -m bpfview_fleet.faults.power_cuts``: see `make test-power-cuts`. Exit status: 0 the host
came back each time and the next deployment completed, 1 it did not once, 2 it could not be tried.
"""

from __future__ import annotations

import argparse
import random
import secrets
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bpfview_fleet.lab import driver
from bpfview_fleet.lab.layout import LABS, Layout
from bpfview_fleet.verdicts import GOOD
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_log import find_splats

from .deploy import ROOT, Deployment, built_release
from .run import VARIABLES
from .victim import NAME, Victim

FOLDER = ROOT / "build" / "power-cuts"
KINDS = ("vm", "controller")
_LONGEST = 180.0  # seconds; a deployment to a fresh VM takes about so long
_DEPLOY_SECONDS = 900.0
_SETTLE_SECONDS = 300.0


@dataclass
class Cut:
    """One round: when it was cut, and how it ended."""

    after: float  # seconds since the deployment began
    kernel: str | None = None  # that the host came back with
    verdict: str = ""  # of the deployment that followed
    trials: int = 0  # boots of the new kernel until it was promoted
    problems: list[str] = field(default_factory=list)


def moments(seed: int, rounds: int) -> list[float]:
    """The seconds after which each round is cut; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    return [round(chance.uniform(0, _LONGEST), 1) for _ in range(rounds)]


def judge(cut: Cut, kind: str, kernels: Sequence[str], console: str) -> Cut:
    """Note what is wrong with a round; ``kernels`` are those that the host may come back with."""
    if cut.kernel not in kernels:
        cut.problems.append(f"it came back with {cut.kernel or 'nothing'}")
    if cut.verdict not in GOOD:
        cut.problems.append(f"the next deployment came to {cut.verdict}")
    # a cut may end a trial, which is then repeated; a control node that goes ends none
    allowed = 2 if kind == "vm" else 1
    if cut.trials > allowed:
        cut.problems.append(f"the new kernel was tried {cut.trials} times")
    cut.problems += [f"the kernel says: {splat}" for splat in find_splats(console)]
    return cut


def _round(victim: Victim, number: int, after: float, kind: str, new: str) -> Cut:
    victim.up(lambda _line: None)
    former = victim.must("uname -r")
    folder = FOLDER / str(number)
    inventory = victim.layout.inventory
    start = victim.mark()
    cut = Cut(after)
    deployment = Deployment(folder / "cut", inventory, NAME, "kernel.yml", VARIABLES)
    time.sleep(after)
    if kind == "controller":
        deployment.kill()
    else:
        victim.cut_power()
        victim.give_power()
        deployment.wait(_DEPLOY_SECONDS)
    cut.kernel = victim.settled(_SETTLE_SECONDS)
    if cut.kernel:
        again = Deployment(folder / "again", inventory, NAME, "kernel.yml", VARIABLES)
        cut.verdict, _reason = again.wait(_DEPLOY_SECONDS)
        if victim.settled(_SETTLE_SECONDS) != new:
            cut.problems.append("it does not run the new kernel at the end")
    cut.trials = victim.started(start).count(new)
    return judge(cut, kind, (former, new), victim.console(start))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bpfview_fleet.faults.power_cuts", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run, to repeat it")
    parser.add_argument("--kill", choices=KINDS, default="vm")
    return parser.parse_args(argv)


def _all(victim: Victim, options: argparse.Namespace, seed: int) -> int:
    new = built_release("6.1")
    bad = 0
    for number, after in enumerate(moments(seed, options.rounds), 1):
        cut = _round(victim, number, after, options.kill, new)
        head = "not ok" if cut.problems else "ok"
        print(
            f"{head} {number}: {options.kill} cut after {after} s, back with {cut.kernel},"
            f" then {cut.verdict}; the new kernel was started {cut.trials} times",
            flush=True,
        )
        for problem in cut.problems:
            print(f"   # {problem}", flush=True)
        bad += bool(cut.problems)
    print(f"{options.rounds - bad} of {options.rounds} rounds ended well; logs: {FOLDER}")
    print(f"again with: --rounds {options.rounds} --seed {seed} --kill {options.kill}")
    return 1 if bad else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit status."""
    options = _arguments(argv)
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    layout = Layout.of("power-cuts", LABS / "power-cuts")
    shutil.rmtree(FOLDER, ignore_errors=True)
    try:
        return _all(Victim(layout), options, seed)
    except BpfviewError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        driver.down(layout, [])


if __name__ == "__main__":
    sys.exit(main())
