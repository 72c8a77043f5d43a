# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole lab: bring VMs up side by side, take them down, cut their power."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bpfview_fleet import accel
from plugins.module_utils.bpfview.cache import locked
from plugins.module_utils.bpfview.errors import BpfviewError

from . import image, keys, ports, process, state, vm
from .layout import LABS, Layout, check_name, is_name
from .machine import Machine
from .tools import need_space, need_tools

Say = Callable[[str], None]
DEFAULT_COUNT = 2
BOOT_SECONDS = 600.0
# QEMU stops a VM without a word when its disk finds no room to grow.
DISK_ROOM = 1 << 30


@dataclass(frozen=True)
class Wanted:
    """A VM that the user asks for."""

    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Size:
    """What a new VM gets: MiB of memory and virtual processors."""

    memory: int = 1024
    cpus: int = 2


STANDARD = Size()


@dataclass(frozen=True)
class Status:
    """What can be seen of a VM from outside."""

    name: str
    port: int
    groups: tuple[str, ...]
    pid: int | None
    ssh: bool


def default_wanted(count: int) -> list[Wanted]:
    """``count`` VMs, the first one being the canary."""
    return [
        Wanted(f"bpfview-{number}", ("canary" if number == 1 else "fleet",))
        for number in range(1, count + 1)
    ]


@contextmanager
def lab_lock(layout: Layout) -> Iterator[None]:
    """Let one command at a time change the lab."""
    with locked(layout.folder, "lab", layout.name):
        yield


def up(  # noqa: PLR0913 - what the command line offers
    layout: Layout,
    wanted: Sequence[Wanted],
    say: Say,
    *,
    size: Size = STANDARD,
    seconds: float = BOOT_SECONDS,
    parallel: int | None = None,
) -> bool:
    """Bring the VMs up and wait until each is ready; returns whether anything changed.

    VMs that the lab has beside the wanted ones stay as they are; ``size`` is for new ones.
    ``seconds`` is the limit for each boot. Raises BpfviewError; what was started stays for the
    next ``up``.
    """
    need_tools("qemu-system-x86_64", "qemu-img", "ssh", "ssh-keygen")
    for item in wanted:
        check_name(item.name, "VM")
    layout.make()
    with lab_lock(layout):
        machines, fresh = _settle(layout, wanted, say, size)
    chosen = [machines[item.name] for item in wanted] or list(machines.values())
    off = [item for item in chosen if not process.find(layout.pidfile(item.name))]
    if off:
        say(f"acceleration: {accel.detect()}")
    boots = _side_by_side(
        lambda machine, stop: _bring_up(layout, machine, _Boot(seconds, stop, say)),
        chosen,
        parallel or max(1, os.cpu_count() or 1),
    )
    return bool(fresh) or any(boots)


def _settle(
    layout: Layout, wanted: Sequence[Wanted], say: Say, size: Size
) -> tuple[dict[str, Machine], set[str]]:
    machines = state.load(layout)
    keys.make_key(layout.key, f"lab {layout.name}")
    fresh = {item.name for item in wanted if not layout.disk(item.name).exists()}
    fresh |= {name for name in machines if not layout.disk(name).exists()}
    for item in wanted:
        known = machines.get(item.name)
        port = known.port if known else _choose_port(layout, item.name, machines.values())
        if known is None or item.name in fresh:
            machines[item.name] = Machine(item.name, port, item.groups, size.memory, size.cpus)
        elif known.groups != item.groups:
            machines[item.name] = replace(known, groups=item.groups)
    if fresh:
        need_space(layout.folder, len(fresh) * DISK_ROOM, "The disks of new VMs")
        base = image.ensure(say).disk
        for name in sorted(fresh):
            vm.delete(layout, name)
            vm.create(layout, machines[name], base)
    state.save(layout, machines.values())
    return machines, fresh


def _choose_port(layout: Layout, name: str, others: Iterable[Machine]) -> int:
    return ports.choose(f"{layout.folder} {name}", {other.port for other in others})


@dataclass(frozen=True)
class _Boot:
    seconds: float
    stop: threading.Event
    say: Say


def _bring_up(layout: Layout, machine: Machine, boot: _Boot) -> bool:
    with lab_lock(layout):
        if boot.stop.is_set():
            return False
        started = vm.start(layout, machine)
    took = vm.wait(layout, machine, boot.seconds, boot.stop, boot.say)
    if not started and took < 1:
        return False
    ready = vm.ask_ready(layout, machine, boot.seconds)
    if ready.failed_units:
        raise BpfviewError(
            f"{machine.name} is up, but these units failed: {', '.join(ready.failed_units)}",
            f"Look inside: python -m bpfview_fleet.lab --lab {layout.name} ssh {machine.name}",
        )
    boot.say(f"{machine.name}: ready, SSH after {took:.0f} s, kernel {ready.kernel}")
    return started


def _side_by_side(
    work: Callable[[Machine, threading.Event], bool], machines: Sequence[Machine], width: int
) -> list[bool]:
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=width) as pool:
        waiting: set[Future[bool]] = {pool.submit(work, item, stop) for item in machines}
        results, problems = [], []
        try:
            while waiting:
                done, waiting = wait_for(waiting, timeout=1, return_when=FIRST_COMPLETED)
                for future in done:
                    error = future.exception()
                    if error is None:
                        results.append(future.result())
                    elif isinstance(error, BpfviewError):
                        problems.append(error)
                    else:
                        raise error
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    if problems:
        raise _together(problems)
    return results


def _together(problems: list[BpfviewError]) -> BpfviewError:
    if len(problems) == 1:
        return problems[0]
    return BpfviewError("\n".join(str(problem) for problem in problems), "See each one above")


def down(layout: Layout, names: Sequence[str]) -> list[str]:
    """Delete the named VMs, or the whole lab; returns the names of those that were there.

    Console logs stay. Nothing to delete is no error, and processes that a killed ``up`` left are
    found too, even if the lab's folder is gone.
    """
    if not layout.folder.is_dir() and not _running(layout):
        return []
    with lab_lock(layout):
        known = _known(layout, forgiving=not names)
        there = {path.name for path in layout.vm("x").parent.glob("[!.]*")} | set(known)
        there |= _running(layout)
        gone = []
        for name in sorted(names or there):
            ended = vm.delete(layout, check_name(name, "VM"))
            if ended or name in there:
                gone.append(name)
        rest = [item for name, item in known.items() if name not in gone]
        if names and rest:
            state.save(layout, rest)
        else:
            _forget(layout)
    return gone


def labs(folder: Path = LABS) -> list[Layout]:
    """The labs that have a folder in ``folder``, or a VM that still runs from there."""
    names = {path.name for path in folder.glob("[!.]*") if path.is_dir()}
    names |= {path.parents[2].name for path in process.pidfiles() if _is_below(path, folder)}
    return [Layout.of(name, folder / name) for name in sorted(filter(is_name, names))]


def _is_below(pidfile: Path, folder: Path) -> bool:
    # <folder>/<lab>/vm/<VM>/pid, as Layout has it
    return len(pidfile.parts) == len(folder.parts) + 4 and pidfile.is_relative_to(folder)


def _running(layout: Layout) -> set[str]:
    return {name for path in process.pidfiles() if (name := layout.vm_of(path))}


def _known(layout: Layout, forgiving: bool) -> dict[str, Machine]:
    try:
        return state.load(layout)
    except BpfviewError:
        if not forgiving:
            raise
        return {}


def _forget(layout: Layout) -> None:
    paths = (layout.state, layout.inventory, layout.ssh_config, layout.known_hosts, layout.key)
    for path in (*paths, keys.public_path(layout.key)):
        path.unlink(missing_ok=True)
    shutil.rmtree(layout.runtime, ignore_errors=True)
    shutil.rmtree(layout.vm("x").parent, ignore_errors=True)


def power_off(layout: Layout, names: Sequence[str]) -> list[str]:
    """Cut the power of VMs that exist, as a pulled plug does; returns those that were on."""
    with lab_lock(layout):
        return [
            machine.name
            for machine in pick(layout, names)
            if process.kill(layout.pidfile(machine.name))
        ]


def power_on(layout: Layout, names: Sequence[str], wait_seconds: float, say: Say) -> bool:
    """Start VMs that exist and wait for their SSH servers; 0 seconds do not wait."""
    changed = False
    machines = pick(layout, names)
    for machine in machines:
        with lab_lock(layout):
            changed |= vm.start(layout, machine)
    for machine in machines if wait_seconds else ():
        took = vm.wait(layout, machine, wait_seconds, say=say)
        say(f"{machine.name}: SSH after {took:.0f} s")
    return changed


def pick(layout: Layout, names: Sequence[str]) -> list[Machine]:
    """The named VMs, or all; raises BpfviewError naming one that the lab does not have."""
    known = state.load(layout)
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        has = ", ".join(known) or "no VM"
        raise BpfviewError(
            f"The lab {layout.name} has {has}" + (f", not {', '.join(unknown)}" if unknown else ""),
            "Run `up` first" if not known else "Use one of these names",
        )
    return [known[name] for name in names] or list(known.values())


def status(layout: Layout) -> list[Status]:
    """What each VM of the lab is doing."""
    return [
        Status(item.name, item.port, item.groups, pids[0] if pids else None,
               bool(pids) and vm.has_banner(item.port))
        for item in state.load(layout).values()
        for pids in [process.find(layout.pidfile(item.name))]
    ]  # fmt: skip
