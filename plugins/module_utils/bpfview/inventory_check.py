# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the mistakes an inventory can hold before any host is touched."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_SHOWN = 3  # hosts named in a sentence
# How alike a name must be to a role's variable, to count although it lacks the role's name.
_ALIKE = 0.9
_BUILD = ("kernel_build_", "view_build_")
_EXAMPLE = "as inventory.example does"


@dataclass(frozen=True)
class Roles:
    """What the roles take and leave: arguments by role, their defaults, and names of facts."""

    options: Mapping[str, Iterable[str]]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    facts: frozenset[str] = frozenset()

    @property
    def known(self) -> set[str]:
        """Names of all arguments."""
        return {name for role in self.options.values() for name in role}


@dataclass(frozen=True)
class Inventory:
    """Where an inventory was read, its groups, and each host's variables as they are written."""

    sources: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    variables: Mapping[str, Mapping[str, Any]]

    def __str__(self) -> str:
        return f"The inventory {', '.join(self.sources)}" if self.sources else "The inventory"


def unknown_variables(names: Iterable[str], roles: Roles) -> dict[str, str | None]:
    """Tell which variables look like a role's and are not.

    Returns the unknown names, each with the nearest known name or None.
    """
    known = roles.known
    prefixes = tuple(f"{role}_" for role in roles.options)
    result: dict[str, str | None] = {}
    for name in sorted(set(names) - known - roles.facts):
        ours = name.startswith(prefixes)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6 if ours else _ALIKE)
        if near or ours:
            result[name] = near[0] if near else None
    return result


def problems(
    group: str, inventory: Inventory, roles: Roles, builders: Sequence[str], *, need_hosts: bool
) -> list[str]:
    """List in plain sentences what is wrong with the inventory; empty when nothing is.

    builders: the hosts that build, whose variables are known too. need_hosts: whether an empty
    group is wrong.
    """
    hosts = list(inventory.groups.get(group, ()))
    if need_hosts and not hosts:
        return [_no_host(group, inventory)]
    found: dict[str, list[str]] = {}
    for host in dict.fromkeys([*hosts, *builders]):
        for name in inventory.variables[host]:
            found.setdefault(name, []).append(host)
    unknown = unknown_variables(found, roles)
    sentences = [
        f"{inventory} sets {name} (on {_listed(found[name])}), which no role takes. "
        + (f"Did you mean {near}?" if near else "Remove it.")
        for name, near in unknown.items()
    ]
    return sentences + _not_built(hosts, inventory, roles, builders)


def _no_host(group: str, inventory: Inventory) -> str:
    for source in inventory.sources:
        if mistake := unreadable(Path(source)):
            return mistake
    others = sorted(set(inventory.groups) - {"all", "ungrouped", group})
    near = difflib.get_close_matches(group, others, n=1)
    if near:
        remedy = f"Did you mean that group where it says {near[0]}?"
    else:
        listed = f" (its groups: {', '.join(others)})" if others else ""
        remedy = f"Name the hosts there, {_EXAMPLE}{listed}, and pass the file with -i."
    return f"{inventory} has no host in the group {group}. {remedy}"


def unreadable(source: Path) -> str | None:
    """Say in one sentence why nothing can be read there; None if that cannot be told."""
    if not source.exists():
        if "," in str(source):  # a list of hosts
            return None
        return (
            f"There is no inventory {source}. Correct the path after -i, or copy inventory.example "
            "and name your hosts."
        )
    # Only the line that YAML stumbles over is told; a script or an INI file is no YAML.
    try:
        text = source.read_text("utf-8")
        if text.lstrip().startswith(("---", "all:", "#")):
            yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = f"{source}{line} is no YAML: {error.problem}"
        return f"{problem}. Correct it; inventory.example shows the form."
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return None


def _not_built(
    hosts: Sequence[str], inventory: Inventory, roles: Roles, builders: Sequence[str]
) -> list[str]:
    """Say which of the build's variables are set on hosts, where nobody reads them."""
    wrong: dict[tuple[str, str, str], list[str]] = {}
    names = {name for name in roles.known if name.startswith(_BUILD)}
    for builder in builders:
        used = {**roles.defaults, **inventory.variables[builder]}
        for host in hosts:
            variables = inventory.variables[host]
            for name in sorted(names & variables.keys()):
                if str(variables[name]) != str(used.get(name)):
                    key = (name, builder, str(used.get(name)))
                    wrong.setdefault(key, []).append(host)
    return [
        f"{inventory} sets {name} on {_listed(where)}, but the build runs on {builder}, where "
        f"it is {value!r}. Set it for all hosts (all: vars:), {_EXAMPLE}."
        for (name, builder, value), where in wrong.items()
    ]


def _listed(hosts: Sequence[str]) -> str:
    more = f" and {len(hosts) - _SHOWN} more" if len(hosts) > _SHOWN else ""
    return ", ".join(hosts[:_SHOWN]) + more
