# SPDX-License-Identifier: GPL-3.0-or-later
"""What of ours is pinned and exposed on a host, and the record of it.

A kernel does not tell which link made an entry in a cgroup, so what was made is recorded, by inode
number (which a kernel does not use twice), in /run: the record goes when the pins go, at reboot.
An entry is recorded before it is made, so a run killed in between does not leave one unclaimed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .cgroup_tree import ROOT
from .host_layout import Host, remove_durably, write_durably

BPFFS = "/sys/fs/bpf"
PINS = f"{BPFFS}/bpfview"
RUN = "/run/bpfview"
RECORD = f"{RUN}/entries.json"
VIEW_PIN = "view"
PROGRAM_PIN = "program"
STAGING = "new-"
TRIAL = ".trial"
_SCHEMA = 1


@dataclass(frozen=True)
class Entry:
    """An entry we made, or were about to make or replace when the run ended (``inode`` 0).

    With ``subtree`` the kernel keeps one in every cgroup below as well, which are not recorded.
    """

    view: str
    sha256: str
    inode: int = 0
    subtree: bool = False


def entry_path(cgroup: str, entry: str) -> str:
    """Return an entry's path relative to the cgroup root."""
    return f"{cgroup}/{entry}" if cgroup else entry


def inode_of(host: Host, path: str) -> int | None:
    """Return the inode number of what stands at a path below the cgroup root, None if nothing."""
    try:
        return host.path(f"{ROOT}/{path}").lstat().st_ino
    except OSError:
        return None


def load_record(host: Host) -> dict[str, Entry] | None:
    """Return what was recorded, by path below the cgroup root; None if nothing ever was."""
    text = host.text(RECORD)
    if not text:
        return None
    try:
        data = json.loads(text)
        if data["schema"] != _SCHEMA:
            return None
        return {path: _entry(item) for path, item in data["entries"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _entry(item: Mapping[str, Any]) -> Entry:
    # a later agent may have written more
    known = {field.name for field in fields(Entry)}
    return Entry(**{name: value for name, value in item.items() if name in known})


def _facts(entry: Entry) -> dict[str, Any]:
    """Return an entry as plain data, with what earlier agents do not know only if it says more."""
    facts = dict(vars(entry))
    if not entry.subtree:
        del facts["subtree"]
    return facts


def save_record(host: Host, record: dict[str, Entry]) -> None:
    """Write the record, whole or not at all."""
    data = {"schema": _SCHEMA, "entries": {path: _facts(item) for path, item in record.items()}}
    write_durably(host.path(RECORD), json.dumps(data, sort_keys=True).encode(), 0o600)


def pinned(host: Host) -> tuple[dict[str, set[str]], list[tuple[str, str]]]:
    """Return the whole generations by view, and (view, folder) of unfinished ones."""
    generations: dict[str, set[str]] = {}
    unfinished: list[tuple[str, str]] = []
    for folder in _folders(host.path(PINS)):
        generations[folder.name] = set()
        for generation in _folders(folder):
            # the link is pinned last and unpinned first: without it the rest is of no use
            if generation.name.startswith(STAGING) or not (generation / VIEW_PIN).exists():
                unfinished.append((folder.name, generation.name))
            else:
                generations[folder.name].add(generation.name)
    return generations, unfinished


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(item for item in path.iterdir() if item.is_dir())
    except OSError:
        return []


def present(host: Host) -> bool:
    """Tell whether anything of ours is pinned or recorded."""
    return host.path(PINS).is_dir() or host.path(RECORD).exists()


def remove_files(host: Host, files: Sequence[str], folders: Sequence[str]) -> list[str]:
    """Remove files, folders with all that is in them, and parents of theirs left empty."""
    removed = []
    for name in files:
        if remove_durably(host.path(name)):
            removed.append(name)
    for name in folders:
        if host.path(name).is_dir():
            shutil.rmtree(host.path(name))
            removed.append(name)
    for name in (*files, *folders):
        parent = host.path(name).parent
        if parent.name == "bpfview" and parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()
    return removed
