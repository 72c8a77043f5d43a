# SPDX-License-Identifier: GPL-3.0-or-later
"""Who goes when: the canary group first, the rest in waves."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from plugins.module_utils.bpfview.errors import BpfviewError

from .hosts import HOSTS_GROUP, Inventory

CANARY = "canary"
DEFAULT_SIZES = "10%,30%"


@dataclass(frozen=True)
class Wave:
    """Hosts that are deployed together; `name` is "canary" or the wave's number."""

    name: str
    hosts: tuple[str, ...]


def parse_sizes(text: str) -> tuple[str, ...]:
    """Split "5", "10%" or "1,10%,50%" into wave sizes; the last one is meant to repeat."""
    sizes = tuple(part.strip() for part in text.split(","))
    for size in sizes:
        match = re.fullmatch(r"(\d+)(%?)", size)
        if not match or int(match[1]) == 0 or (match[2] and int(match[1]) > 100):
            raise BpfviewError(
                f"{size!r} in the wave size {text!r} is no wave size",
                "Give a number of hosts (5), a share of the fleet (10%), or a list of them "
                "for growing waves (1,10%,50%)",
            )
    return sizes


def split(hosts: Sequence[str], sizes: Sequence[str]) -> list[tuple[str, ...]]:
    """Cut hosts into waves; a share counts of all these hosts and is rounded up."""
    waves: list[tuple[str, ...]] = []
    start = 0
    while start < len(hosts):
        size = sizes[min(len(waves), len(sizes) - 1)]
        count = math.ceil(len(hosts) * int(size[:-1]) / 100) if size.endswith("%") else int(size)
        waves.append(tuple(hosts[start : start + count]))
        start += count
    return waves


def plan(inventory: Inventory, canary_group: str, sizes: Sequence[str]) -> list[Wave]:
    """Order the hosts of bpfview_hosts into waves; a BpfviewError when there is no canary."""
    hosts = inventory.hosts(HOSTS_GROUP)
    if not hosts:
        raise BpfviewError(
            f"The group {HOSTS_GROUP} of {inventory.source} has no host here",
            "Name hosts in it, or widen --limit",
        )
    canaries = inventory.hosts(canary_group)
    if not canaries:
        raise BpfviewError(
            f"The canary group {canary_group} of {inventory.source} has no host here",
            "Put at least one host in it, or choose another with --canary-group; "
            "with --limit, keep a canary in the limit",
        )
    strangers = [host for host in canaries if host not in hosts]
    if strangers:
        raise BpfviewError(
            f"{', '.join(strangers)} of the canary group {canary_group} "
            f"is not in the group {HOSTS_GROUP}",
            f"Make {canary_group} a child of {HOSTS_GROUP}",
        )
    rest = [host for host in hosts if host not in set(canaries)]
    waves = [Wave(CANARY, canaries)]
    waves += [Wave(str(number), group) for number, group in enumerate(split(rest, sizes), 1)]
    return waves
