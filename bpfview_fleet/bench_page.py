# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that the bench writes: all figures, of all baselines side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .bench_figures import Figure, Group, Ratio, Verdict

_HEAD = """\
<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
# What views cost

Written by `make bench`; the next run writes it anew.

Every figure is a ratio of two things that one machine did in one run, in short rounds and one right
after the other. Shown are the median of several boots (of rounds, for the 10,000 cgroups), each the
median of its rounds, and in brackets the least and the greatest. The machine boots directly with
nothing but the bench. The patched and the stock kernel take turns, and each of these boots is
measured by what `mkdir` and `rmdir` take on tmpfs in it. A figure with an aim says whether it is
met, or that this is not decided, because boots of the stock kernel lie as far apart.
"""

_TCG = """\

**Software emulation distorts.** Under TCG what a processor does in one step, such as copying a
string or dividing, takes many, and waiting for memory takes none. Where a function lies in memory
makes a difference from boot to boot. The ratios tell where the time goes and whether a change
helped; a host with a processor of its own will see others.
"""

_TAIL = """\

The ten keys are the usage, the limits `high` and `max`, swap, the statistics `anon`, `file` and
`kernel` and the events `high`, `max` and `oom_kill` of `view.memory`: compiled from its source,
with the rest left out. The native files stay open and are read from their beginning. An iterator
can be read only once, so it is opened for every read. What one native file takes is what the files
of the memory controller take, divided by their number, in cgroups that have the controller with and
without its files. Memory is slab memory, once what can be reclaimed is.
"""


@dataclass(frozen=True)
class Machine:
    """What a run was made on."""

    processor: str
    cores: int
    acceleration: str
    emulator: str
    guest: str
    kernels: Mapping[str, Sequence[str]]

    @property
    def is_emulated(self) -> bool:
        """Whether the processor was software."""
        return self.acceleration == "tcg"


def page(machine: Machine, results: Mapping[str, Sequence[Group]]) -> str:
    """The whole page, for the results by baseline."""
    parts = [_HEAD, _TCG if machine.is_emulated else "", "\n", _machine(machine)]
    parts += [_group(number, results) for number in range(len(next(iter(results.values()))))]
    return "".join([*parts, _TAIL])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _table(*head: str) -> str:
    return _row(*head) + _row(*("---" for _ in head))


def _machine(machine: Machine) -> str:
    speed = "software emulation" if machine.is_emulated else "hardware virtualisation"
    rows = [
        _row("Processor", f"{machine.processor}, {machine.cores} cores"),
        _row("Acceleration", f"{machine.acceleration.upper()} ({speed}), {machine.emulator}"),
        _row("Virtual machine", machine.guest),
    ]
    rows += [
        _row(f"Kernels of {baseline}", ", ".join(f"`{release}`" for release in releases))
        for baseline, releases in machine.kernels.items()
    ]
    return _table("Machine", "") + "".join(rows)


def _group(number: int, results: Mapping[str, Sequence[Group]]) -> str:
    groups = [groups[number] for groups in results.values()]
    text = f"\n## {groups[0].title}\n\n" + _table("", "aim", *results)
    for figures in zip(*(group.figures for group in groups), strict=True):
        aim = figures[0].aim.words if figures[0].aim else ""
        text += _row(figures[0].what, aim, *map(_cell, figures))
    return text


def _cell(figure: Figure) -> str:
    verdict = figure.verdict
    if verdict is None:
        return _ratio(figure.ratio)
    return f"{_ratio(figure.ratio)}, " + (
        f"**{verdict}**" if verdict is Verdict.MISSED else verdict
    )


def _ratio(ratio: Ratio) -> str:
    if ratio.low == ratio.high:
        return _number(ratio.middle)
    return f"{_number(ratio.middle)} ({_number(ratio.low)} to {_number(ratio.high)})"


def _number(value: float) -> str:
    """No more digits than the rounds agree on."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:.{digits}f}"
