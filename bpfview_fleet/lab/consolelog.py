# SPDX-License-Identifier: GPL-3.0-or-later
"""The serial console logs, which outlive the VMs: a panic leaves no other trace."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

KEPT = 5
_TAIL_BYTES = 16384


def rotate(log: Path) -> None:
    """Set the log of an earlier VM of this name aside, and forget all but the newest few."""
    if log.exists():
        when = datetime.fromtimestamp(log.stat().st_mtime, UTC).strftime("%Y%m%dT%H%M%S")
        log.rename(log.with_name(f"{log.stem}.{when}.log"))
    earlier = sorted(log.parent.glob(f"{log.stem}.*.log"))
    for old in earlier[:-KEPT]:
        old.unlink(missing_ok=True)


def mark(log: Path, event: str) -> None:
    """Write what was done to the VM between the lines of its console."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"\n=== lab: {event} {now} ===\n")


def tail(log: Path) -> str:
    """The end of a log as text; empty if there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


def current(folder: Path) -> list[Path]:
    """The logs of the newest VM of each name."""
    return sorted(path for path in folder.glob("*.log") if path.name.count(".") == 1)
