# SPDX-License-Identifier: GPL-3.0-or-later
"""The durable record of a rollout, and the lock that keeps two of them apart."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.host_layout import write_durably


def now() -> str:
    """Current time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file so that a reader, or a power cut, finds the old text or the new one."""
    write_durably(path, (json.dumps(content, indent=1) + "\n").encode())


def new_folder(parent: Path) -> Path:
    """Make the folder of a new rollout, named after the time in UTC; readable by its owner only."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in range(1, 1000):
        folder = parent / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return folder
    raise BpfviewError(f"{parent} already holds a thousand rollouts of {stamp}", "Wait a second")


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the checkout's rollout lock; a BpfviewError that names the owner when it is taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BpfviewError(
                f"Another rollout runs from this checkout: {_owner(path)}",
                "Wait for it, or stop it with Ctrl-C where it runs",
            ) from None
        stream.truncate(0)
        json.dump(
            {
                "pid": os.getpid(),
                "user": getpass.getuser(),
                "host": socket.gethostname(),
                "since": now(),
            },
            stream,
        )
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return "process {pid} of {user} on {host}, since {since}".format(**owner)
    except (ValueError, KeyError, TypeError):
        return "its owner has not written its name yet"
