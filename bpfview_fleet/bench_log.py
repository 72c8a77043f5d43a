# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bench machine has said on its console: times, and facts about what was timed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_log import find_splats, message

_TIME = re.compile(r"^time (\S+\.\S+) (\d+) (\d+)$")
_FACT = re.compile(r"^fact (\S+\.\S+) (-?\d+)$")
_END = "# end of bench"


@dataclass
class Boot:
    """One boot's times, in nanoseconds for doing the thing once and in the order of the rounds."""

    times: dict[str, list[float]] = field(default_factory=dict)
    facts: dict[str, list[int]] = field(default_factory=dict)

    def series(self, name: str) -> list[float]:
        """The times of a subject. Raises BpfviewError if it has none."""
        return self.times.get(name) or _lacks(name)

    def facts_of(self, name: str) -> list[float]:
        """All that was said of a fact. Raises BpfviewError if nothing was."""
        return [float(value) for value in self.facts.get(name) or _lacks(name)]

    def fact(self, name: str) -> float:
        """The first thing that was said of it. Raises BpfviewError if nothing was."""
        return self.facts_of(name)[0]


def _lacks(name: str) -> list[float]:
    raise BpfviewError(
        f"The machine has told nothing of {name}",
        "Let bench/ and bpfview_fleet/bench_figures.py name it alike",
    )


def read_boot(log: Path, trouble: str | None) -> Boot:
    """Read the console in ``log``; ``trouble`` is what booting has returned.

    Raises BpfviewError unless the machine came to its end with nothing wrong.
    """
    text = log.read_text("utf-8", "replace") if log.is_file() else ""
    boot = Boot()
    ended = False
    wrong: list[str] = [trouble] if trouble else []
    wrong += [f"the kernel says: {splat}" for splat in find_splats(text)]
    for line in text.splitlines():
        said = message(line)
        if match := _TIME.match(said):
            name, nsec, ops = match.groups()
            if int(ops):
                boot.times.setdefault(name, []).append(int(nsec) / int(ops))
        elif match := _FACT.match(said):
            boot.facts.setdefault(match[1], []).append(int(match[2]))
        elif said == _END:
            ended = True
        elif said.startswith(("# ", "Bail out!")):
            wrong.append(said)
    if not ended:
        wrong.append("it did not come to its end")
    if wrong:
        raise BpfviewError(f"The bench machine failed: {'; '.join(wrong)}", f"Its console is {log}")
    return boot
