# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the mistakes an inventory can hold before any host is touched."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def unknown_variables(
    names: Iterable[str], options: Mapping[str, Iterable[str]]
) -> dict[str, str | None]:
    """Tell which variables look like a role's and are not.

    names: variable names a host sees. options: role name to the argument names it takes.
    Returns the unknown names, each with the nearest known name or None.
    """
    known = {name for role in options.values() for name in role}
    prefixes = tuple(f"{role}_" for role in options)
    result: dict[str, str | None] = {}
    for name in sorted(set(names) - known):
        if name.startswith(prefixes):
            near = difflib.get_close_matches(name, known, n=1)
            result[name] = near[0] if near else None
    return result


def problems(
    group: str,
    hosts: Iterable[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    options: Mapping[str, Iterable[str]],
) -> list[str]:
    """List in plain sentences what is wrong with the inventory; empty when nothing is."""
    names = list(hosts)
    if not names:
        return [
            f"The inventory has no host in the group {group}. Name the hosts there, as "
            "inventory.example does, and pass the file with -i."
        ]
    found: dict[str, list[str]] = {}
    nearest: dict[str, str | None] = {}
    for host in names:
        for name, near in unknown_variables(hostvars[host].keys(), options).items():
            found.setdefault(name, []).append(host)
            nearest[name] = near
    return [
        _unknown_sentence(name, hosts_with, nearest[name]) for name, hosts_with in found.items()
    ]


def _unknown_sentence(name: str, hosts: list[str], near: str | None) -> str:
    where = ", ".join(hosts[:3]) + (f" and {len(hosts) - 3} more" if len(hosts) > 3 else "")
    hint = f" Did you mean {near}?" if near else " Remove it; no role takes it."
    return f"Unknown variable {name} (on {where}).{hint}"
