# SPDX-License-Identifier: GPL-3.0-or-later
"""The VM that the faults are tried on: its console, its power, and what it says of itself."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable

from bpfview_fleet.lab import driver
from bpfview_fleet.lab.layout import Layout
from plugins.module_utils.bpfview.errors import BpfviewError

NAME = "bpfview-1"
_ASK_SECONDS = 15
_PAUSE = 0.5
# without its time stamp, which a kernel without one does not have
_STARTED = re.compile(r"Linux version (\S+) \(")


class Victim:
    """The VM of one lab."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.log = layout.console(NAME)

    def up(self, say: driver.Say) -> None:
        """Make it anew and start it."""
        driver.down(self.layout, [])
        driver.up(self.layout, [driver.Wanted(NAME, ("canary",))], say)

    def console(self, since: int = 0) -> str:
        """What it said on its console, from a position of the log on."""
        with self.log.open("rb") as stream:
            stream.seek(since)
            return stream.read().decode(errors="replace")

    def mark(self) -> int:
        """The present end of its console log."""
        return self.log.stat().st_size

    def started(self, since: int) -> list[str]:
        """The releases that it has started, in order."""
        return _STARTED.findall(self.console(since))

    def ask(self, command: str, seconds: float = _ASK_SECONDS) -> str | None:
        """What a shell command says; None if the VM does not answer or the command fails."""
        line = ["ssh", "-F", str(self.layout.ssh_config), "-o", "ConnectTimeout=5", NAME, command]
        try:
            done = subprocess.run(
                line, capture_output=True, text=True, check=False, timeout=seconds,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        return None if done.returncode else done.stdout.strip()

    def must(self, command: str, seconds: float = _ASK_SECONDS) -> str:
        """The same for a command that has to succeed; BpfviewError if not."""
        said = self.ask(command, seconds)
        if said is None:
            raise BpfviewError(f"{NAME}: `{command}` failed", f"See its console: {self.log}")
        return said

    def put(self, path: str, text: str) -> None:
        """Write a file of the VM; BpfviewError if that fails."""
        quoted = text.replace("'", "'\\''")
        self.must(f"mkdir -p $(dirname {path}) && printf %s '{quoted}' > {path}")

    def cut_power(self) -> None:
        """Pull the plug."""
        driver.power_off(self.layout, [NAME])

    def give_power(self) -> None:
        """Start it again, without waiting for it."""
        driver.power_on(self.layout, [NAME], 0, lambda _line: None)

    def settled(self, seconds: float) -> str | None:
        """Wait until it has booted and answers; return its kernel, None if it does not in time."""
        said: list[str] = []

        def up() -> bool:
            answer = self.ask("systemctl is-active --quiet multi-user.target && uname -r")
            said[:] = [answer] if answer else []
            return bool(said)

        return said[0] if until(up, seconds) else None


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; tell whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE)
    return True
