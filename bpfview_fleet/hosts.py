# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Ansible inventory says: which hosts there are and how each is reached."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.inventory_check import unreadable

HOSTS_GROUP = "bpfview_hosts"
DEFAULT_INVENTORIES = ("inventory", "build/lab/demo/inventory.yml")
_TIMEOUT = 120.0


@dataclass(frozen=True)
class Inventory:
    """One inventory: each group with the hosts of its children too, each host's variables."""

    source: Path
    groups: Mapping[str, tuple[str, ...]]
    variables: Mapping[str, Mapping[str, Any]]

    def hosts(self, group: str) -> tuple[str, ...]:
        """Hosts of a group in the inventory's order; a BpfviewError when there is no such group."""
        if group not in self.groups:
            known = ", ".join(sorted(self.groups)) or "none"
            near = difflib.get_close_matches(group, self.groups, n=1)
            raise BpfviewError(
                f"The inventory {self.source} has no group {group} (its groups: {known})",
                f"Did you mean that group where it says {near[0]}?"
                if near
                else "Name the group there as inventory.example does, or correct the name",
            )
        return self.groups[group]


def find_inventory(root: Path, given: str | None) -> Path:
    """Choose the inventory: the one given, else the checkout's own, else the running lab's."""
    if given is not None:
        path = Path(given).expanduser().absolute()
        if not path.exists():
            raise BpfviewError(f"There is no inventory {given}", "Correct the path")
        return path
    for name in DEFAULT_INVENTORIES:
        if (root / name).exists():
            return root / name
    raise BpfviewError(
        f"There is no inventory: none of {', '.join(DEFAULT_INVENTORIES)} exists in {root}",
        "Copy inventory.example to inventory and name your hosts, start the lab with "
        "`make lab-up`, or pass --inventory",
    )


def ansible_environment(root: Path) -> dict[str, str]:
    """Environment for Ansible's commands: this checkout's settings, this interpreter's programs."""
    # A module's own interpreter need not be on PATH: `.venv/bin/fab` works without activation.
    programs = str(Path(sys.executable).parent)
    return {
        "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        # Playbooks find build/ by it, and `fab` may be called from any folder of the checkout.
        "PWD": str(root),
    }


def load_inventory(root: Path, source: Path, limit: str | None = None) -> Inventory:
    """Read an inventory through `ansible-inventory`, so that any format Ansible knows will do.

    limit: an Ansible host pattern; a name in it that matches nothing is an error, not a warning.
    """
    command = ["ansible-inventory", "-i", str(source), "--list"]
    if limit is not None:
        command += ["--limit", limit]
    environment = {
        **os.environ,
        **ansible_environment(root),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
        "ANSIBLE_HOST_PATTERN_MISMATCH": "error",
        "ANSIBLE_NOCOLOR": "1",
    }
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        raise BpfviewError(
            "ansible-inventory is not installed beside this Python", "Run `make venv`"
        ) from None
    except subprocess.TimeoutExpired:
        raise BpfviewError(
            f"ansible-inventory did not finish reading {source} in {_TIMEOUT:.0f} s",
            "Try `ansible-inventory --list` by hand",
        ) from None
    if done.returncode != 0:
        if mistake := unreadable(source):
            raise BpfviewError(mistake, "Nothing was run")
        raise BpfviewError(
            f"Ansible cannot read {source}"
            + (f" with the limit {limit!r}" if limit is not None else "")
            + f":\n{done.stderr.strip()}\n",
            "Correct the inventory or the limit; nothing was run",
        )
    return parse_inventory(source, json.loads(done.stdout))


def parse_inventory(source: Path, listing: Mapping[str, Any]) -> Inventory:
    """Make an Inventory of what `ansible-inventory --list` printed."""
    names = [name for name in listing if name != "_meta"]
    return Inventory(
        source=source,
        groups={name: tuple(_flatten(listing, name, frozenset())) for name in names},
        variables=listing.get("_meta", {}).get("hostvars", {}),
    )


def _flatten(listing: Mapping[str, Any], group: str, above: frozenset[str]) -> Iterable[str]:
    if group in above:
        return []
    entry = listing.get(group, {})
    found = dict.fromkeys(entry.get("hosts", []))
    for child in entry.get("children", []):
        found.update(dict.fromkeys(_flatten(listing, child, above | {group})))
    return found
