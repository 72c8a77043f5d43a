# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a long run is: one line in a file, that one side writes and the other shows."""

from __future__ import annotations

import re
import time
from pathlib import Path

from .cache import write_atomic

_COMPILE = re.compile(r"^  (?:CC|AS)\b")
_INTERVAL = 1.0  # seconds between two writes of the file


def is_compile_step(line: str) -> bool:
    """Tell whether a line of the kernel's make says that a source file is being compiled."""
    return bool(_COMPILE.match(line))


def describe(label: str, phase: str, count: int, total: int) -> str:
    """Return the one line that says how far a run is; ``total`` is 0 if not known."""
    if not count:
        return f"{label}: {phase}"
    return f"{label}: {phase} {count}/{max(total, count) if total else '…'}"


class Reporter:
    """Writes the file as a run goes on; without a path it only counts."""

    def __init__(self, path: Path | None, label: str) -> None:
        self._path = path
        self._label = label
        self._started = time.monotonic()
        self._written = 0.0
        self._phase = "starting"
        self._total = 0
        self.count = 0

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    def phase(self, name: str, total: int = 0) -> None:
        """Begin a phase; ``total`` is its number of steps if known."""
        self._phase, self._total, self.count = name, total, 0
        self._write()

    def step(self) -> None:
        """Count one step of the phase."""
        self.count += 1
        if time.monotonic() - self._written >= _INTERVAL:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        if self._path is None:
            return
        line = describe(self._label, self._phase, self.count, self._total)
        try:
            write_atomic(self._path, line.encode())
        except OSError:
            # nobody fails a build because its progress could not be shown
            self._path = None
