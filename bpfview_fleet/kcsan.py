# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of KCSAN's reports are about the kernel series.

A kernel has data races of its own, which nobody calls a mistake. A report is the series' if a
function that its patches add or change is among the topmost frames of one of the two that race.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from plugins.module_utils.bpfview.kernel_log import message

# The access itself is often in a helper that the function calls: a list, a bit, a reference count.
TOP_FRAMES = 3

_HEADER = re.compile(r"^BUG: KCSAN: (.+)$")
_ACCESS = re.compile(r"^(?:(?:read|write|read-write|assert no).* (?:to|at) 0x|race at unknown)")
_FRAME = re.compile(r"^\??\s*([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+")
_RULER = re.compile(r"^={20,}$")

_HUNK = re.compile(r"^@@ -\S+ \+\S+ @@ ?(.*)$")
# A definition begins in the first column and names the function before the parenthesis.
_FUNCTION = re.compile(r"^(?:[A-Za-z_][\w\s*]*[\s*])?([A-Za-z_]\w*)\(")
_KEYWORDS = frozenset({"if", "for", "while", "switch", "return", "sizeof", "defined"})


@dataclass(frozen=True)
class Race:
    """One report: its first line, and the functions of each of the stacks, innermost first."""

    title: str
    stacks: tuple[tuple[str, ...], ...]

    def is_about(self, functions: Iterable[str]) -> bool:
        """Whether one of these functions is near the access. Without stacks nobody can say no."""
        top = {name for stack in self.stacks for name in stack[:TOP_FRAMES]}
        return not top or not top.isdisjoint(functions)


def is_header(said: str) -> bool:
    """Whether this console message begins a report."""
    return bool(_HEADER.match(said))


def find_races(text: str) -> list[Race]:
    """All reports in a console log, in order."""
    races: list[Race] = []
    title: str | None = None
    stacks: list[list[str]] = []
    for line in [*text.splitlines(), "=" * 60]:
        said = message(line)
        header = _HEADER.match(said)
        if title is not None and (header or _RULER.match(said)):
            races.append(Race(title, tuple(tuple(stack) for stack in stacks)))
            title = None
        if header:
            title, stacks = header[1], []
        elif title is not None and _ACCESS.match(said):
            stacks.append([])
        elif title is not None and stacks and (frame := _FRAME.match(said)):
            # The compiler's clones are the function that they were made of.
            stacks[-1].append(frame[1].split(".")[0])
    return races


def changed_functions(patch: str) -> set[str]:
    """The functions of the kernel itself that a patch adds or changes."""
    functions: set[str] = set()
    in_kernel = False
    current: str | None = None
    for line in patch.splitlines():
        if line.startswith("diff --git "):
            in_kernel = _is_kernel_code(line.split()[-1])
            current = None
        elif not in_kernel or line.startswith(("--- ", "+++ ")):
            continue
        elif hunk := _HUNK.match(line):
            current = _defined(hunk[1])
        elif line[:1] in ("+", "-", " "):
            current = _defined(line[1:]) or current
            if line[0] != " " and line[1:].strip() and current:
                functions.add(current)
            if line[1:2] == "}":
                current = None
    return functions


def _is_kernel_code(path: str) -> bool:
    name = path.removeprefix("b/")
    return name.endswith((".c", ".h")) and not name.startswith("tools/")


def _defined(line: str) -> str | None:
    match = _FUNCTION.match(line)
    # A prototype or a call of a macro ends where a definition would go on.
    if not match or line.rstrip().endswith(";") or match[1] in _KEYWORDS:
        return None
    return match[1]


def series_functions(folder: Path) -> set[str]:
    """The functions that the patches in a baseline's folder add or change."""
    functions: set[str] = set()
    for patch in sorted(folder.glob("*.patch")):
        functions |= changed_functions(patch.read_text(encoding="utf-8"))
    return functions
