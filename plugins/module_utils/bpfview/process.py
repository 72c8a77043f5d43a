# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs: short ones for their output, long ones line by line, none left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from .errors import BpfviewError

_TICK = 1.0  # seconds between looks at whether anybody still wants the result
_GRACE = 5.0  # seconds between asking a group to end and killing it


class Interrupted(BpfviewError):
    """The run was asked to end, or whoever started it is gone."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the run was interrupted ({reason})", "Start it again; nothing was kept")


def plain_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment with nothing of the caller's in it that could change a result."""
    path = os.environ.get("PATH", "/usr/bin:/bin").split(":")
    path += [folder for folder in ("/usr/sbin", "/sbin") if folder not in path]
    kept = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
    return {**kept, "PATH": ":".join(path), "LC_ALL": "C", "TZ": "UTC", **(extra or {})}


def output(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> str:
    """Run a program and return its standard output.

    ``timeout`` is in seconds. Raises BpfviewError with the program's own last words if it is
    missing, fails or takes too long.
    """
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env=plain_environment() if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise BpfviewError(
            f"the program {argv[0]} is not installed", "Install it, `make deps` knows the packages"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise BpfviewError(
            f"{' '.join(argv[:3])} did not end within {timeout:g} s", "Look at what it waits for"
        ) from error
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
        raise BpfviewError(
            f"{' '.join(argv[:3])} failed with status {done.returncode}: {'; '.join(words[-8:])}",
            "Correct what it complains about and run again",
        )
    return done.stdout


def _wanted_by() -> list[tuple[int, str]]:
    """Return the processes that this one works for, each with its start time.

    They are those above it in its session, and the one that started the session: a worker of
    Ansible's leads a session of its own, and outlives the ansible-playbook that was killed.
    """
    session, found, pid = os.getsid(0), [], os.getppid()
    while pid > 1:
        fields = _stat(pid)
        if fields is None:
            break
        found.append((pid, fields[19]))
        if int(fields[3]) != session:
            break
        pid = int(fields[1])
    return found


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return None
    # the name in brackets may hold blanks, so count from its end: state is number 0
    return text.rpartition(")")[2].split()


def _gone(ancestors: list[tuple[int, str]]) -> bool:
    for pid, started in ancestors:
        fields = _stat(pid)
        if fields is None or fields[19] != started or fields[0] in "ZX":
            return True
    return False


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Turn the signals that end a program into Interrupted, so that clean-up code runs."""

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        raise Interrupted(signal.Signals(number).name)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
    # members that outlived their leader
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def stream(
    argv: Sequence[str],
    on_line: Callable[[str], None],
    *,
    cwd: Path,
    env: Mapping[str, str],
) -> int:
    """Run a program in a group of its own, hand each output line over, return its status.

    Standard error joins standard output. If the caller is interrupted, or whoever started the
    caller is gone, the whole group ends and Interrupted is raised.
    """
    ancestors = _wanted_by()
    process = subprocess.Popen(
        list(argv),
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        _pump(process, on_line, ancestors)
        return process.wait()
    except BaseException:
        _end_group(process)
        raise
    finally:
        if process.stdout:
            process.stdout.close()


def _pump(
    process: subprocess.Popen[bytes],
    on_line: Callable[[str], None],
    ancestors: list[tuple[int, str]],
) -> None:
    assert process.stdout is not None  # noqa: S101 - asked for above, for the type checker
    descriptor, rest = process.stdout.fileno(), b""
    looked = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if selector.select(_TICK):
                data = os.read(descriptor, 65536)
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    on_line(line.decode("utf-8", "replace"))
            if time.monotonic() - looked >= _TICK:
                looked = time.monotonic()
                if _gone(ancestors):
                    raise Interrupted("the program that started it ended")
    if rest:
        on_line(rest.decode("utf-8", "replace"))
