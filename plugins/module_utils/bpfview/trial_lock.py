# SPDX-License-Identifier: GPL-3.0-or-later
"""A promotion and a way back must not cross: whoever decides holds this lock."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from .host_layout import Host

# A directory that is there whatever a bad kernel cannot mount, so that no file has to be made.
_LOCKED = "/run"


@contextmanager
def locked(host: Host) -> Iterator[None]:
    """Hold the lock; waits for whoever holds it."""
    descriptor = os.open(host.path(_LOCKED), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
