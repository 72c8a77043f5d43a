# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab remembers between commands: its VMs, their ports and groups."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from plugins.module_utils.bpfview.cache import write_atomic
from plugins.module_utils.bpfview.errors import BpfviewError

from . import inventory, keys
from .layout import Layout
from .machine import Machine

_SCHEMA = 1


def load(layout: Layout) -> dict[str, Machine]:
    """The VMs of a lab by name, none for a new one; raises BpfviewError on a damaged file."""
    try:
        data: dict[str, Any] = json.loads(layout.state.read_text(encoding="utf-8"))
        if data["schema"] != _SCHEMA:
            raise ValueError(f"schema {data['schema']}")
        found = [Machine(**{**item, "groups": tuple(item["groups"])}) for item in data["vms"]]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise BpfviewError(
            f"{layout.state} cannot be understood ({error})",
            f"Run `down` for the lab {layout.name}, which deletes it, and then `up`",
        ) from error
    return {machine.name: machine for machine in found}


def save(layout: Layout, machines: Iterable[Machine]) -> None:
    """Write the lab's memory and the files made from it; a reader sees the old or the new."""
    machines = list(machines)
    data = {"schema": _SCHEMA, "lab": layout.name, "vms": [asdict(item) for item in machines]}
    write_atomic(layout.state, (json.dumps(data, indent=2) + "\n").encode())
    public = {}
    for machine in machines:
        path = layout.vm(machine.name) / "host_key.pub"
        if path.exists():
            public[machine.port] = path.read_text(encoding="ascii")
    write_atomic(layout.known_hosts, keys.known_hosts(public).encode())
    write_atomic(layout.ssh_config, inventory.ssh_config(layout, machines).encode())
    write_atomic(layout.inventory, inventory.inventory(layout, machines).encode())
