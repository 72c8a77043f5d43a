# SPDX-License-Identifier: GPL-3.0-or-later
"""The files by which Ansible, ssh and Fabric find the VMs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from .layout import Layout
from .machine import Machine
from .ports import ADDRESS

PARENT = "bpfview_hosts"
CANARY, FLEET = "canary", "fleet"
_HEADER = "# Written by the lab; the next `up` or `down` replaces it.\n---\n"


def ssh_options(layout: Layout) -> dict[str, str]:
    """What ssh must know to reach the VMs, whoever calls it; host keys are always checked."""
    return {
        "UserKnownHostsFile": str(layout.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "8",
    }


def inventory(layout: Layout, machines: Iterable[Machine]) -> str:
    """The Ansible inventory: the VMs' groups, always canary and fleet, under one parent.

    The lab's VMs are there to be rebooted, run the small kernel made for them, and are looked at
    for a shorter time than a fleet's hosts.
    """
    groups: dict[str, dict[str, Any]] = {CANARY: {}, FLEET: {}}
    for machine in machines:
        for group in machine.groups:
            members = groups.setdefault(group, {})
            members[machine.name] = {"ansible_host": ADDRESS, "ansible_port": machine.port}
    options = " ".join(f"-o {shlex.quote(f'{k}={v}')}" for k, v in ssh_options(layout).items())
    parent: dict[str, Any] = {
        "vars": {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(layout.key),
            "ansible_ssh_common_args": f"-F /dev/null {options}",
            "ansible_control_path_dir": str(layout.runtime),
            "ansible_python_interpreter": "/usr/bin/python3",
            "kernel_install_reboot_ok": True,
            # the stock kernel has no driver for the watchdog of these VMs
            "kernel_install_accept_no_watchdog": True,
            "kernel_install_soak_seconds": 10,
        },
        "children": {name: {"hosts": hosts} for name, hosts in groups.items() if name != PARENT},
    }
    if PARENT in groups:
        parent["hosts"] = groups[PARENT]
    whole = {"vars": {"kernel_build_config": "lab"}, "children": {PARENT: parent}}
    import yaml  # noqa: PLC0415 - not of the standard library; `down` must work without .venv

    return _HEADER + yaml.safe_dump({"all": whole}, sort_keys=False, width=1000)


def instances(layout: Layout, machines: Iterable[Machine]) -> list[dict[str, str | int]]:
    """The VMs in the words of molecule's instance configuration."""
    return [
        {
            "instance": machine.name,
            "address": ADDRESS,
            "port": machine.port,
            "user": "root",
            "identity_file": str(layout.key),
        }
        for machine in machines
    ]


def ssh_config(layout: Layout, machines: Iterable[Machine]) -> str:
    """A client configuration that knows the VMs by name, and only them."""
    machines = list(machines)
    lines = []
    for machine in machines:
        lines += [f"Host {machine.name}", f"    HostName {ADDRESS}", f"    Port {machine.port}"]
    lines.append(f"Host {' '.join([ADDRESS, *(machine.name for machine in machines)])}")
    lines += ["    User root", f'    IdentityFile "{layout.key}"']
    lines += [f'    {key} "{value}"' for key, value in ssh_options(layout).items()]
    return "\n".join(lines) + "\n"
