# SPDX-License-Identifier: GPL-3.0-or-later
"""The QEMU processes of a VM, known by their command line and not by a remembered number alone."""

from __future__ import annotations

import itertools
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from plugins.module_utils.bpfview.errors import BpfviewError

_PROC = Path("/proc")


def pidfile_of(cmdline: list[str]) -> str | None:
    """The pid file that QEMU was given with these arguments; None for any other program."""
    if not cmdline or not Path(cmdline[0]).name.startswith("qemu-system-"):
        return None
    pairs = itertools.pairwise(cmdline)
    return next((value for option, value in pairs if option == "-pidfile"), None)


def is_vm(cmdline: list[str], pidfile: Path) -> bool:
    """Whether a process with these arguments is the VM whose pid file this is."""
    return pidfile_of(cmdline) == str(pidfile)


def read_cmdline(pid: int, proc: Path = _PROC) -> list[str]:
    """The arguments of a process; empty if it is gone or not ours to see."""
    try:
        data = (proc / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(part) for part in data.split(b"\0")[:-1]]


def find(pidfile: Path, proc: Path = _PROC) -> list[int]:
    """The running processes of a VM: also when its pid file is lost, as after a killed start."""
    return [pid for pid in _pids(proc) if is_vm(read_cmdline(pid, proc), pidfile)]


def pidfiles(proc: Path = _PROC) -> set[Path]:
    """The pid files of all running VMs, whether or not the files are still there."""
    named = (pidfile_of(read_cmdline(pid, proc)) for pid in _pids(proc))
    return {Path(name) for name in named if name}


def _pids(proc: Path) -> Iterator[int]:
    for entry in proc.iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def kill(pidfile: Path, seconds: float = 10.0) -> int:
    """Cut the power of a VM; returns how many processes were ended, 0 if it was off.

    Raises BpfviewError if one does not end in time or belongs to another user.
    """
    ended = 0
    for pid in find(pidfile):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            # the number may have passed to another process before the handle was open
            if is_vm(read_cmdline(pid), pidfile):
                _end(handle, pid, seconds)
                ended += 1
        finally:
            os.close(handle)
    pidfile.unlink(missing_ok=True)
    return ended


def _end(handle: int, pid: int, seconds: float) -> None:
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise BpfviewError(
            f"QEMU process {pid} belongs to another user", "Stop it as the user who started it"
        ) from error
    if not select.select([handle], [], [], seconds)[0]:
        raise BpfviewError(
            f"QEMU process {pid} did not end within {seconds:.0f} s", "Look at that process"
        )
