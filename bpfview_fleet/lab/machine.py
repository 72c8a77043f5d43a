# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM is, and the QEMU command line that makes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from bpfview_fleet.accel import QEMU, Acceleration

from .layout import Layout
from .ports import ADDRESS


@dataclass(frozen=True)
class Machine:
    """One VM as the lab remembers it. ``memory`` is in MiB."""

    name: str
    port: int
    groups: tuple[str, ...]
    memory: int = 1024
    cpus: int = 2


def mac_address(layout: Layout, name: str) -> str:
    """A locally administered address that is the same at every start."""
    digest = hashlib.sha256(f"{layout.folder} {name}".encode()).hexdigest()
    return "52:54:00:" + ":".join(digest[i : i + 2] for i in (0, 2, 4))


def qemu_command(machine: Machine, layout: Layout, chosen: Acceleration) -> list[str]:
    """The command that starts the VM in the background.

    The guest reaches nothing outside itself; only its SSH server is reached, from this machine.
    """
    name = machine.name
    drive = "if=none,discard=unmap"
    return [
        QEMU, "-name", f"{layout.name}/{name}", "-nodefaults", "-no-user-config",
        "-display", "none", "-daemonize", "-pidfile", str(layout.pidfile(name)),
        "-machine", "q35", *chosen.args(), "-cpu", "max",
        "-smp", str(machine.cpus), "-m", str(machine.memory),
        "-drive", f"id=root,file={_escape(layout.disk(name))},format=qcow2,{drive}",
        "-device", "virtio-blk-pci,drive=root,serial=lab-root,bootindex=0",
        "-drive", f"id=seed,file={_escape(layout.seed(name))},format=raw,readonly=on,{drive}",
        "-device", "virtio-blk-pci,drive=seed,serial=lab-seed",
        "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:{ADDRESS}:{machine.port}-:22",
        "-device", f"virtio-net-pci,netdev=net,mac={mac_address(layout, name)},romfile=",
        "-chardev", f"socket,id=console,path={_escape(layout.console_socket(name))},server=on,"
        f"wait=off,logfile={_escape(layout.console(name))},logappend=on",
        "-serial", "chardev:console",
        "-device", "virtio-rng-pci",
        "-device", "i6300esb", "-action", "watchdog=reset",
    ]  # fmt: skip


def _escape(path: object) -> str:
    return str(path).replace(",", ",,")
