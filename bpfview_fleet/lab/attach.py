# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal on a VM's serial console, for when SSH does not answer."""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
import tty
from pathlib import Path

from plugins.module_utils.bpfview.errors import BpfviewError

_LEAVE = b"\x1d"  # Ctrl-]


def attach(console: Path, name: str) -> None:
    """Connect this terminal to the console until Ctrl-] or the VM's end."""
    if not sys.stdin.isatty():
        raise BpfviewError("The console needs a terminal", "Use `console --log` to print the log")
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(str(console))
        except OSError as error:
            raise BpfviewError(
                f"{name} has no console: {error.strerror}", "Start it with power-on"
            ) from error
        sys.stderr.write(f"console of {name}; Ctrl-] leaves it, Enter asks for a prompt\n")
        before = termios.tcgetattr(sys.stdin)
        try:
            tty.setraw(sys.stdin)
            _relay(link)
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
            sys.stderr.write("\n")


def _relay(link: socket.socket) -> None:
    keyboard, screen = sys.stdin.fileno(), sys.stdout.fileno()
    while True:
        ready, _, _ = select.select([keyboard, link], [], [])
        if keyboard in ready:
            typed = os.read(keyboard, 1024)
            if not typed or _LEAVE in typed:
                return
            link.sendall(typed)
        if link in ready:
            shown = link.recv(4096)
            if not shown:
                return
            os.write(screen, shown)
