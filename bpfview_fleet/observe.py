# SPDX-License-Identifier: GPL-3.0-or-later
"""What `fab status` and `fab read` ask the hosts, and how they show the answers."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.view_name import is_view_name

from .connections import Answer
from .table import table

CGROUPS = PurePosixPath("/sys/fs/cgroup")
RECORD = "/var/lib/bpfview/kernel.json"
# Sections are separated by a byte that no text file of these has.
_STATUS = (
    "sh -c '"
    'uname -r; printf "\\000"; cat /proc/uptime; printf "\\000"; '
    f'if test -e {RECORD}; then cat {RECORD}; fi; printf "\\000"; '
    f'find {CGROUPS} -name "view.*" -printf "%f\\n"\''
)
STATUS_HEAD = ("host", "kernel", "proven", "state", "up", "views")


def status_command() -> str:
    """Return the command that tells a host's kernel, uptime, proven release and views."""
    return _STATUS


def status_row(answer: Answer) -> list[str]:
    """Make a line of the status table of what a host said; unknown things show as "-"."""
    if answer.error:
        return [answer.name, *["-"] * (len(STATUS_HEAD) - 1)]
    release, uptime, record, views = (part.strip() for part in answer.output.split("\0"))
    proven, state = _proven(release, record)
    counts = Counter(name.removeprefix("view.") for name in views.split())
    shown = " ".join(f"{name}:{count}" for name, count in sorted(counts.items()))
    up = _duration(float(uptime.split()[0]))
    return [answer.name, release, proven, state, up, shown or "none"]


def read_command(view: str, cgroup: str | None) -> str:
    """Return the command that prints a view's file: of one cgroup, or of all that have it."""
    if not is_view_name(view):
        raise BpfviewError(
            f"{view!r} is no view's name", "Give the name after `view.`, as in `fab read memory`"
        )
    if cgroup is not None:
        path = cgroup_path(cgroup)
        return f"cat -- {shlex.quote(str(path / f'view.{view}'))}"
    return f"find {CGROUPS} -name view.{view} -printf '\\0%h\\n' -exec cat -- '{{}}' ';'"


def cgroup_path(given: str) -> PurePosixPath:
    """Place a cgroup given as "system.slice", "/system.slice" or its full path below the root."""
    path = PurePosixPath("/", given)
    if path.is_relative_to(CGROUPS):
        path = PurePosixPath("/", path.relative_to(CGROUPS))
    if ".." in path.parts:
        raise BpfviewError(f"The cgroup {given} leaves {CGROUPS}", "Give a path without `..`")
    return CGROUPS / path.relative_to("/")


def read_blocks(answer: Answer, cgroup: str | None) -> list[tuple[str, str]]:
    """Split what a host printed into (cgroup, text of the file), sorted by cgroup."""
    if cgroup is not None:
        return [(_shown(str(cgroup_path(cgroup))), answer.output)]
    blocks = []
    for block in answer.output.split("\0")[1:]:
        folder, _, text = block.partition("\n")
        blocks.append((_shown(folder), text))
    return sorted(blocks)


def show_status(answers: Iterable[Answer]) -> bool:
    """Print the status table and, below it, what went wrong; true when nothing did."""
    known = list(answers)
    rows = []
    errors = []
    for answer in known:
        try:
            rows.append(status_row(answer))
        except ValueError as error:
            rows.append([answer.name, *["-"] * (len(STATUS_HEAD) - 1)])
            errors.append(f"{answer.name}: its answer cannot be read: {error}")
        if answer.error:
            errors.append(f"{answer.name}: {answer.error}")
    print("\n".join([table(STATUS_HEAD, rows), *errors]))
    return not errors


def show_view(answers: Iterable[Answer], view: str, cgroup: str | None) -> bool:
    """Print a view's files host by host as the answers come; true when every host had one."""
    well = True
    for answer in answers:
        error = answer.error
        blocks = [] if error and not answer.output else read_blocks(answer, cgroup)
        if not blocks and not error:
            error = f"no cgroup has a file view.{view}; deploy it, or see `fab status`"
        for path, text in blocks:
            print(f"== {answer.name} {path} view.{view}")
            print(text, end="" if text.endswith("\n") or not text else "\n")
        if error:
            well = False
            print(f"== {answer.name}: {error}")
    return well


def _proven(running: str, text: str) -> tuple[str, str]:
    """Read the host's record: the release that was proven, and how the running one stands to it."""
    record = json.loads(text) if text else {}
    proven = record.get("proven") or ""
    trial = record.get("trial") or {}
    if trial:
        return proven or "none", f"trial of {trial.get('release')} not decided"
    decided = record.get("decided") or {}
    if decided and running != proven:
        release = (decided.get("trial") or {}).get("release")
        return proven or "none", f"{release} {decided.get('verdict')}"
    if not proven:
        return "none", "nothing proven"
    return proven, "on the proven kernel" if running == proven else "NOT on the proven kernel"


def _shown(folder: str) -> str:
    inside = PurePosixPath(folder).relative_to(CGROUPS)
    return "/" if str(inside) == "." else str(inside)


def _duration(seconds: float) -> str:
    minutes = int(seconds) // 60
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    if days:
        return f"{days}d{hours}h"
    return f"{hours}h{minutes}m" if hours else f"{minutes}m{int(seconds) % 60}s"
