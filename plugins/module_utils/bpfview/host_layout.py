# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are on a host, and how commands are run there; both replaceable in a test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import BpfviewError

_TAIL = 15  # lines of a failed command's output that a message repeats
_NOT_FOUND = 127
TIMED_OUT = 124


@dataclass(frozen=True)
class Output:
    """What a command left: its status, and its output with errors mixed in."""

    status: int
    text: str

    @property
    def tail(self) -> str:
        """The last lines, for a message."""
        return "\n".join(self.text.strip().splitlines()[-_TAIL:])


Runner = Callable[[Sequence[str]], Output]


def run(arguments: Sequence[str]) -> Output:
    """Run a command without a shell and without a terminal; a missing one gives status 127."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
        )
    except FileNotFoundError:
        return Output(_NOT_FOUND, f"{arguments[0]}: command not found")
    return Output(done.returncode, done.stdout.decode("utf-8", "replace"))


@dataclass(frozen=True)
class Host:
    """A host's files below ``root`` and the way to run commands on it."""

    root: Path = Path("/")
    runner: Runner = field(default=run)

    def path(self, absolute: str) -> Path:
        """Return where an absolute path of the host is found."""
        return self.root / absolute.lstrip("/")

    def text(self, absolute: str) -> str:
        """Return a file's text, or nothing when it cannot be read."""
        try:
            return self.path(absolute).read_text("utf-8", "surrogateescape")
        except OSError:
            return ""

    def within(self, seconds: int, arguments: Sequence[str]) -> Output:
        """Run a command that may hang, for so long at most; then its status is TIMED_OUT."""
        return self.runner(["timeout", "--kill-after=5", str(seconds), *arguments])

    def must(self, arguments: Sequence[str], remedy: str) -> str:
        """Run a command that has to succeed; BpfviewError with the end of its output if not."""
        output = self.runner(arguments)
        if output.status:
            raise BpfviewError(
                f"`{' '.join(arguments)}` failed with status {output.status}:\n{output.tail}\n",
                remedy,
            )
        return output.text


def write_durably(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a file so that after a power cut there is the old content or the new, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.bpfview-new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    draft.rename(path)
    flush_directory(path.parent)


def remove_durably(path: Path) -> bool:
    """Remove a file if it is there; tell whether it was."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    flush_directory(path.parent)
    return True


def flush_directory(path: Path) -> None:
    """Wait until a directory's own entries are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
