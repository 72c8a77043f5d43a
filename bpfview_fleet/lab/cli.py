# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's command line."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

from bpfview_fleet import accel
from plugins.module_utils.bpfview.errors import BpfviewError

from . import attach, check, consolelog, driver, image, inventory, state, vm
from .layout import Layout, check_name
from .tools import need_tools

DEFAULT_LAB = "demo"
Command = Callable[[Layout, argparse.Namespace], int]


def say(line: str) -> None:
    """Tell the user what is going on; results go to standard output, this does not."""
    print(line, file=sys.stderr, flush=True)


def _up(layout: Layout, options: argparse.Namespace) -> int:
    wanted = [_parse_vm(text) for text in options.vm]
    if not wanted:
        known = state.load(layout)
        if options.vms is not None or not known:
            count = options.vms if options.vms is not None else driver.DEFAULT_COUNT
            wanted = driver.default_wanted(count)
    changed = driver.up(
        layout, wanted, say, size=driver.Size(options.memory, options.cpus),
        seconds=options.timeout, parallel=options.parallel,
    )  # fmt: skip
    if options.json:
        vms = inventory.instances(layout, state.load(layout).values())
        print(json.dumps({"changed": changed, "inventory": str(layout.inventory), "vms": vms}))
    else:
        say("the lab is up" if changed else "the lab was up already; nothing changed")
        say(f"inventory: {layout.inventory}\nssh: ssh -F {layout.ssh_config} NAME")
    return 0


def _parse_vm(text: str) -> driver.Wanted:
    name, _, groups = text.partition("=")
    return driver.Wanted(name, tuple(group for group in groups.split(",") if group) or ("fleet",))


def _down(layout: Layout, options: argparse.Namespace) -> int:
    if options.all:
        if options.names:
            raise BpfviewError("--all takes no names", "Leave out the names, or --all")
        return _down_all(options)
    gone = driver.down(layout, options.names)
    if options.json:
        print(json.dumps({"changed": bool(gone), "vms": gone}))
    else:
        say(f"deleted: {', '.join(gone)}" if gone else f"the lab {layout.name} has no VM")
        if gone:
            say(f"console logs are kept in {layout.consoles}")
    return 0


def _down_all(options: argparse.Namespace) -> int:
    found = driver.labs()
    gone = [f"{lab.name}/{name}" for lab in found for name in driver.down(lab, [])]
    if options.json:
        print(json.dumps({"changed": bool(gone), "vms": gone}))
    else:
        say(f"deleted: {', '.join(gone)}" if gone else "no lab of this checkout has a VM")
    return 0


def _status(layout: Layout, options: argparse.Namespace) -> int:
    rows = driver.status(layout)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    if not rows:
        print(f"the lab {layout.name} has no VM")
    for row in rows:
        power = f"on (pid {row.pid})" if row.pid else "off"
        answer = "answers" if row.ssh else "silent"
        print(f"{row.name}  {power}  ssh port {row.port} {answer}  {','.join(row.groups)}")
        print(f"    console log: {layout.console(row.name)}")
    return 0


def _ssh(layout: Layout, options: argparse.Namespace) -> int:
    machine = driver.pick(layout, [options.name])[0]
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    return subprocess.run(vm.ssh_command(layout, machine.name, *words), check=False).returncode


def _console(layout: Layout, options: argparse.Namespace) -> int:
    if options.log:
        return _print_log(layout, options.name)
    machine = driver.pick(layout, [options.name])[0]
    attach.attach(layout.console_socket(machine.name), machine.name)
    return 0


def _print_log(layout: Layout, name: str) -> int:
    log = layout.console(check_name(name, "VM"))
    if not log.exists():
        raise BpfviewError(f"There is no console log {log}", "It is written when the VM starts")
    sys.stdout.write(log.read_text(encoding="utf-8", errors="replace"))
    return 0


def _power_off(layout: Layout, options: argparse.Namespace) -> int:
    cut = driver.power_off(layout, options.names)
    for name in cut:
        consolelog.mark(layout.console(name), "power cut")
    say(f"power cut: {', '.join(cut)}" if cut else "all of them were off")
    return 0


def _power_on(layout: Layout, options: argparse.Namespace) -> int:
    driver.power_on(layout, options.names, 0 if options.no_wait else options.timeout, say)
    return 0


def _check_console(layout: Layout, options: argparse.Namespace) -> int:
    findings = check.check_consoles(layout, options.names)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def _image(_layout: Layout, _options: argparse.Namespace) -> int:
    print(image.ensure(say).disk)
    return 0


def _accel(_layout: Layout, options: argparse.Namespace) -> int:
    need_tools(accel.QEMU)
    if options.again:
        accel.forget()
    print(accel.detect())
    return 0


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--lab", help=f"name of the lab (default: $BPFVIEW_LAB or {DEFAULT_LAB})")
    common.add_argument("--dir", help="folder of the lab (default: build/lab/NAME in the checkout)")
    main_parser = argparse.ArgumentParser(
        prog="python -m bpfview_fleet.lab", parents=[common],
        description="Debian VMs under QEMU, made from packages only.")  # fmt: skip
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, function: Command, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, parents=[common], help=summary, description=summary)
        sub.set_defaults(function=function)
        return sub

    sub = command("up", _up, "make and start the VMs, and wait until they are ready")
    sub.add_argument("--vms", type=_positive, metavar="N", help="how many VMs (default 2)")
    sub.add_argument("--vm", action="append", default=[], metavar="NAME[=GROUP,...]",
                     help="a VM and its groups; may be given several times")  # fmt: skip
    sub.add_argument("--memory", type=_positive, default=1024, metavar="MIB")
    sub.add_argument("--cpus", type=_positive, default=2, metavar="N")
    sub.add_argument("--parallel", type=_positive, metavar="N", help="boots at once")
    _timeout(sub)
    sub.add_argument("--json", action="store_true")
    sub = command("down", _down, "stop VMs and delete their disks; console logs stay")
    sub.add_argument("names", nargs="*", metavar="NAME")
    sub.add_argument("--all", action="store_true", help="every lab in build/lab of this checkout")
    sub.add_argument("--json", action="store_true")
    sub = command("status", _status, "say what each VM is doing")
    sub.add_argument("--json", action="store_true")
    sub = command("ssh", _ssh, "run a command on a VM, or log in")
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    sub = command("console", _console, "a terminal on the serial console, or its log")
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("--log", action="store_true", help="print the log instead")
    sub = command("power-off", _power_off, "cut the power of VMs, keeping their disks")
    sub.add_argument("names", nargs="+", metavar="NAME")
    sub = command("power-on", _power_on, "start VMs again")
    sub.add_argument("names", nargs="+", metavar="NAME")
    sub.add_argument("--no-wait", action="store_true", help="do not wait for SSH")
    _timeout(sub)
    sub = command("check-console", _check_console, "fail on kernel trouble in any console log")
    sub.add_argument("names", nargs="*", metavar="NAME")
    command("image", _image, "make the VMs' base image if the cache has none, and say where it is")
    sub = command("accel", _accel, "say which accelerator is in use, and why")
    sub.add_argument("--again", action="store_true", help="prove it anew")
    return main_parser


def _timeout(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--timeout", type=float, default=driver.BOOT_SECONDS, metavar="SECONDS",
                     help="limit for one boot (default %(default)s)")  # fmt: skip


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    name = getattr(options, "lab", None) or os.environ.get("BPFVIEW_LAB") or DEFAULT_LAB
    try:
        result: int = options.function(Layout.of(name, getattr(options, "dir", None)), options)
    except BpfviewError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; what is running stays: `up` goes on from here, `down` removes it")
        return 130
    return result
