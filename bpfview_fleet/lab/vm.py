# SPDX-License-Identifier: GPL-3.0-or-later
"""One VM's life: made, started, waited for, its power cut, deleted."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from bpfview_fleet import accel
from plugins.module_utils.bpfview.errors import BpfviewError

from . import consolelog, keys, process
from .layout import Layout
from .machine import Machine, qemu_command
from .ports import ADDRESS, is_free
from .tools import last_lines, run

_BANNER = b"SSH-2.0-"
_EARLY = 90.0
_PATIENCE = {False: 5.0, True: 30.0}
_READY = (
    "systemctl is-system-running --wait >/dev/null; uname -r;"
    " systemctl list-units --failed --plain --no-legend"
)


@dataclass(frozen=True)
class Ready:
    """What a VM said of itself once it was up."""

    kernel: str
    failed_units: tuple[str, ...]


def create(layout: Layout, machine: Machine, base: Path) -> None:
    """Make the VM's folder, disk, keys and seed, all or nothing."""
    name = machine.name
    parent = layout.vm(name).parent
    draft = Path(mkdtemp(prefix=f".{name}-", dir=parent))
    try:
        draft.chmod(0o700)
        host_key = draft / "host_key"
        keys.make_key(host_key, name)
        public = keys.public_path(host_key)
        login = keys.public_path(layout.key)
        seed = keys.seed_archive(
            name, host_key.read_bytes(), public.read_bytes(), login.read_bytes()
        )
        (draft / "seed.tar").write_bytes(seed)
        host_key.unlink()
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base),
             str(draft / "disk.qcow2")])  # fmt: skip
        consolelog.rotate(layout.console(name))
        draft.rename(layout.vm(name))
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def start(layout: Layout, machine: Machine) -> bool:
    """Start the VM if it is off; returns whether it was. Raises BpfviewError if QEMU refuses."""
    name = machine.name
    if process.find(layout.pidfile(name)):
        return False
    if not layout.disk(name).exists():
        raise BpfviewError(f"The VM {name} of the lab {layout.name} has no disk", "Run `up`")
    if not is_free(machine.port):
        raise BpfviewError(
            f"Port {machine.port} of {ADDRESS}, which is {name}'s, is taken by another program",
            f"Stop that program, or run `down {name}` and `up` to get another port",
        )
    layout.make()
    consolelog.mark(layout.console(name), "power on")
    command = qemu_command(machine, layout, accel.detect())
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BpfviewError(
            f"QEMU does not start {name}:\n{last_lines(done.stderr, 5)}",
            f"If the base image is gone, run `down {name}` and `up`",
        )
    return True


def delete(layout: Layout, name: str) -> int:
    """Cut the VM's power and delete all but its console log; returns how many processes ended."""
    ended = process.kill(layout.pidfile(name))
    layout.console_socket(name).unlink(missing_ok=True)
    for path in (layout.vm(name), *layout.vm(name).parent.glob(f".{name}-*")):
        shutil.rmtree(path, ignore_errors=True)
    return ended


def has_banner(port: int, seconds: float = 5.0) -> bool:
    """Whether an SSH server says its first words on ``port``.

    QEMU accepts connections long before the guest listens, so an open port means nothing.
    """
    with contextlib.suppress(OSError), socket.create_connection((ADDRESS, port), seconds) as link:
        return link.recv(len(_BANNER)) == _BANNER
    return False


def wait(
    layout: Layout,
    machine: Machine,
    seconds: float,
    stop: threading.Event | None = None,
    say: Callable[[str], None] | None = None,
) -> float:
    """Wait for the VM's SSH server; returns the seconds it took.

    Raises BpfviewError with the last console lines if the VM ends or the time is up.
    """
    name, started, told = machine.name, time.monotonic(), 0.0
    stop = stop or threading.Event()
    # patient only later: a connection made before the guest has a network may never be answered,
    # while a busy machine needs long for the first words, and every attempt costs it more
    while not has_banner(machine.port, _PATIENCE[time.monotonic() - started > _EARLY]):
        took = time.monotonic() - started
        if not process.find(layout.pidfile(name)):
            raise _did_not_come(layout, name, f"ended after {took:.0f} s")
        if took > seconds:
            raise _did_not_come(layout, name, f"did not answer on SSH within {seconds:.0f} s")
        if stop.wait(0.3):
            raise BpfviewError(f"Waiting for {name} was given up", "Run `up` to go on, or `down`")
        if say and took - told >= 30:
            told = took
            say(f"{name}: booting for {took:.0f} s; log: {layout.console(name)}")
    return time.monotonic() - started


def _did_not_come(layout: Layout, name: str, what: str) -> BpfviewError:
    tail = last_lines(consolelog.tail(layout.console(name)), 15)
    return BpfviewError(
        f"The VM {name} of the lab {layout.name} {what}; the last lines of its console:\n{tail}",
        f"All lines are in {layout.console(name)}. On a busy machine, give it more --timeout",
    )


def ask_ready(layout: Layout, machine: Machine, seconds: float) -> Ready:
    """Wait over SSH until the VM has finished booting; raises BpfviewError if it is silent."""
    try:
        done = subprocess.run(
            ssh_command(layout, machine.name, _READY),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        raise _did_not_come(layout, machine.name, "did not finish booting in time") from late
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise BpfviewError(
            f"SSH to {machine.name} fails: {done.stderr.strip() or 'no answer'}",
            f"Look at its console: {layout.console(machine.name)}",
        )
    return Ready(lines[0], tuple(line.split()[0] for line in lines[1:] if line.strip()))


def ssh_command(layout: Layout, name: str, *words: str) -> list[str]:
    """The ssh command line for a VM of this lab."""
    return ["ssh", "-F", str(layout.ssh_config), name, *words]
