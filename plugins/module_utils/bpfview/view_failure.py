# SPDX-License-Identifier: GPL-3.0-or-later
"""What to tell a user when the system itself refuses a call."""

from __future__ import annotations

import errno

from .cgroup_tree import MAX_ENTRIES, ROOT, shown
from .errors import BpfviewError

_AS_ROOT = "Run it as root (become: true)"
_REMEDIES = {
    errno.EACCES: _AS_ROOT,
    errno.EPERM: _AS_ROOT,
    errno.ENOSPC: "Make room on that file system (df, df -i; a cgroup's directory holds"
    f" {MAX_ENTRIES} entries) and run again",
    errno.EDQUOT: "Make room on that file system (df, df -i) and run again",
    errno.EROFS: "Mount that file system so that it can be written (dmesg may say why it is not)",
    errno.ENOMEM: "Free memory on the host and run again",
    errno.ENODEV: "What it belongs to went meanwhile; run again",
    errno.ENOENT: "What it belongs to went meanwhile; run again",
}
_ELSE = "See the kernel's log (dmesg), and run again: a run that stopped is finished by the next"


def explain(error: BpfviewError | OSError, doing: str) -> str:
    """Return what went wrong and the remedy; ``doing`` says what the run was about."""
    if isinstance(error, BpfviewError):
        return str(error)
    what = f"{error.filename}: " if error.filename else ""
    remedy = _REMEDIES.get(error.errno or 0, _ELSE)
    return str(BpfviewError(f"{doing} failed: {what}{error.strerror or error}", remedy))


class Full(BpfviewError):
    """A cgroup's directory takes no more entries."""

    def __init__(self, view: str, cgroup: str) -> None:
        super().__init__(
            f"The view {view} cannot be exposed in {shown(cgroup)}: its directory holds"
            f" {MAX_ENTRIES} entries already",
            room_in(cgroup),
        )


def room_in(cgroup: str) -> str:
    """Return what to do about a full directory."""
    return (
        f"Write rm to entries in {ROOT}/{cgroup} that nobody needs, and find out who made them:"
        " whoever owns a delegated cgroup can"
    )
