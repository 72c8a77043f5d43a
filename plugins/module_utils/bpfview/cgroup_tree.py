# SPDX-License-Identifier: GPL-3.0-or-later
"""The cgroups of a host, and which of them a selector means."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from .errors import BpfviewError
from .host_layout import Host

ROOT = "/sys/fs/cgroup"
MAX_ENTRIES = 256  # that a patched kernel lets a cgroup's directory hold beside its own files
ROOT_CGROUP = ""  # the root's path relative to itself, as used everywhere here

_UNIFIED = "Boot the host with systemd.unified_cgroup_hierarchy=1 on its kernel command line"


def check_unified(host: Host) -> None:
    """Raise BpfviewError unless cgroup v2 is mounted on /sys/fs/cgroup."""
    kinds = [
        words[2]
        for words in (line.split() for line in host.text("/proc/self/mounts").splitlines())
        if len(words) > 2 and words[1] == ROOT
    ]
    # the last mount is the one that is seen
    if not kinds or kinds[-1] != "cgroup2":
        raise BpfviewError(
            f"{ROOT} is not a cgroup v2 hierarchy ({kinds[-1] if kinds else 'nothing'} is mounted"
            " there), and views need one",
            _UNIFIED,
        )


def parse_selector(selector: str) -> tuple[str, ...]:
    """Return a selector's path components; ``/`` has none.

    ``*``, ``?`` and ``[…]`` match within one component, ``**`` any number of components.
    Raises BpfviewError for what cannot name a cgroup.
    """
    parts = tuple(part for part in selector.strip().split("/") if part)
    if not selector.strip():
        raise BpfviewError(
            "A cgroup selector is empty", 'Write "/" for the root cgroup, or a path below it'
        )
    if any(part in {".", ".."} for part in parts) or "\0" in selector:
        raise BpfviewError(
            f"The cgroup selector {selector!r} leads out of the cgroup tree",
            "Write a path or glob relative to the cgroup root, such as system.slice/*.service",
        )
    if parts[:3] == ("sys", "fs", "cgroup"):
        raise BpfviewError(
            f"The cgroup selector {selector!r} names a mount point",
            "Write it relative to the cgroup root, without /sys/fs/cgroup",
        )
    return parts


def matches(root: Path, parts: Sequence[str], base: str = ROOT_CGROUP) -> Iterator[str]:
    """Yield the cgroups below ``base`` that the components mean, relative to ``root``."""
    if not parts:
        yield base
        return
    head, rest = parts[0], parts[1:]
    if head == "**":
        yield from matches(root, rest, base)
        for name in _children(root / base):
            yield from matches(root, parts, _join(base, name))
    elif any(character in head for character in "*?["):
        for name in _children(root / base):
            if fnmatch.fnmatchcase(name, head):
                yield from matches(root, rest, _join(base, name))
    elif (root / base / head).is_dir():
        yield from matches(root, rest, _join(base, head))


def select(host: Host, selectors: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the selected cgroups in order, and the selectors that match none.

    A cgroup is given relative to the cgroup root; the root is the empty string.
    """
    root = host.path(ROOT)
    found: set[str] = set()
    unmatched: list[str] = []
    for selector in selectors:
        cgroups = set(matches(root, parse_selector(selector)))
        if not cgroups:
            unmatched.append(selector)
        found |= cgroups
    return sorted(found), unmatched


def outermost(cgroups: Sequence[str]) -> list[str]:
    """Return those of the cgroups that are in no other one of them."""
    among = set(cgroups)
    return [
        cgroup for cgroup in cgroups if not any(ancestor in among for ancestor in ancestors(cgroup))
    ]


def ancestors(cgroup: str) -> Iterator[str]:
    """Yield the cgroups that a cgroup is in, from the nearest to the root."""
    while cgroup != ROOT_CGROUP:
        cgroup = cgroup.rpartition("/")[0]
        yield cgroup


def with_all_below(host: Host, cgroups: Sequence[str]) -> list[str]:
    """Return the cgroups and all that are in them, in order."""
    root = host.path(ROOT)
    return sorted({found for cgroup in cgroups for found in matches(root, ("**",), cgroup)})


def may_be_full(host: Host, cgroup: str) -> bool:
    """Tell whether a cgroup's directory has as many files as it may hold entries.

    Nobody can say which are the cgroup's own; those are a few dozen.
    """
    try:
        with os.scandir(host.path(f"{ROOT}/{cgroup}")) as entries:
            files = sum(not entry.is_dir(follow_symlinks=False) for entry in entries)
    except OSError:
        return False
    return files >= MAX_ENTRIES


def shown(cgroup: str) -> str:
    """Return a cgroup as a user writes it: the root is ``/``."""
    return cgroup or "/"


def _join(base: str, name: str) -> str:
    return f"{base}/{name}" if base else name


def _children(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:  # a cgroup may go at any time
        return []
