# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults, in the order in which they are tried on one VM, and how each has to end.

A kernel is made bad by what the host starts, or leaves out, under it alone, so that it is the real
kernel which panics, hangs or comes up without a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_SYSTEM = "/etc/systemd/system"
_UNIT = f"{_SYSTEM}/fault.service"
_TEXT = """\
[Unit]
ConditionKernelVersion=*-bpfview-*
{when}
[Service]
Type={type}
ExecStart=/bin/sh -c '{command}'
"""
_SKIPPED = "[Unit]\nConditionKernelVersion=!*-bpfview-*\n"


class Meanwhile(Enum):
    """What happens to somebody while the deployment runs."""

    NOTHING = ""
    POWER_CUT_IN_DPKG = "the VM loses its power while dpkg runs"
    POWER_CUT_IN_TRIAL = "the VM loses its power while the new kernel boots"
    CONTROLLER_KILLED = "the control node is killed once the new kernel boots"


@dataclass(frozen=True)
class Trap:
    """Files of the host that make the new kernel a bad one, and the links that start them."""

    files: dict[str, str]
    links: tuple[str, ...] = ()


def _early(command: str) -> Trap:
    """Run a command before any service is started."""
    when = "DefaultDependencies=no\nAfter=systemd-remount-fs.service\n"
    text = _TEXT.format(when=when, type="oneshot", command=command)
    return Trap({_UNIT: text}, (f"{_SYSTEM}/sysinit.target.wants/fault.service",))


def _late(command: str) -> Trap:
    """Run a command once the host can be reached."""
    text = _TEXT.format(when="After=ssh.service\n", type="simple", command=command)
    return Trap({_UNIT: text}, (f"{_SYSTEM}/multi-user.target.wants/fault.service",))


def _in_initramfs(when: str, command: str) -> Trap:
    """Run a command in the initramfs, as one of its scripts: ``init-top`` is the first of all."""
    path = f"/etc/initramfs-tools/scripts/{when}/fault"
    case = f"case $(uname -r) in *-bpfview-*) {command} ;; esac"
    return Trap({path: f'#!/bin/sh\n[ "$1" = prereqs ] && exit 0\n{case}\n'})


def _emergency() -> Trap:
    """Have the local file systems fail, upon which systemd starts next to nothing."""
    when = "DefaultDependencies=no\nBefore=local-fs.target\n"
    text = _TEXT.format(when=when, type="oneshot", command="false")
    return Trap({_UNIT: text}, (f"{_SYSTEM}/local-fs.target.requires/fault.service",))


def _without(unit: str) -> Trap:
    """Leave a unit out."""
    return Trap({f"{_SYSTEM}/{unit}.d/fault.conf": _SKIPPED})


@dataclass(frozen=True)
class Fault:
    """One fault. ``what`` says what the host meets; times are in seconds.

    ``runs`` are the verdicts of the deployments that follow one another. ``ends_on`` is the
    kernel at the end: the host's former one, the new one of 6.1 or the newer one of 6.12; ``boots``
    is how often any is started.
    """

    name: str
    what: str
    runs: tuple[str, ...]
    boots: int
    ends_on: str = "former"
    playbook: str = "kernel.yml"
    trap: Trap = Trap({})
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    variables: dict[str, Any] = field(default_factory=dict)
    meanwhile: Meanwhile = Meanwhile.NOTHING
    may_say: tuple[str, ...] = ()  # what the kernel may report besides nothing
    says: str = ""  # what the reason has to name


_CRASH = "echo c > /proc/sysrq-trigger"
_PANIC = (r"sysrq: Trigger a crash", r"Kernel panic - not syncing", r"Oops", r"BUG: ", r"cut here")
_FILL = "fallocate -l $(($(df -B1 --output=avail /boot | tail -1) - 20000000)) /boot/full"
_SOON = {"kernel_install_confirm_seconds": 90, "kernel_install_soak_seconds": 10}
# of all kernels of ours that are there; for those that come, the installation does it
_INITRAMFS = (
    "chmod -f +x /etc/initramfs-tools/scripts/*/fault; cd /boot;"
    " for image in vmlinuz-*-bpfview-*; do"
    " test ! -e $image || update-initramfs -u -k ${image#vmlinuz-}; done"
)
_STAGE_ONLY = {"kernel_install_reboot_ok": False}

FAULTS = (
    Fault(
        "boot-full", "`/boot` is full", ("not_attempted",), boots=0,
        before=(_FILL,),
        after=("rm /boot/full",), says="no room",
    ),
    Fault(
        "environment", "GRUB's environment block cannot be written", ("not_attempted",), boots=0,
        before=("chattr +i /boot/grub/grubenv",), after=("chattr -i /boot/grub/grubenv",),
        says="cannot be written",
    ),
    Fault(
        "dpkg", "the power goes while `dpkg` installs; then it is staged again",
        ("unreachable", "not_attempted"), boots=1, variables=_STAGE_ONLY,
        meanwhile=Meanwhile.POWER_CUT_IN_DPKG,
    ),
    Fault(
        "drain", "a hook that drains the host fails", ("not_attempted",), boots=0,
        variables={
            "kernel_install_drain": [{"name": "leave", "command": ["false"]}],
            "kernel_install_undrain": [{"name": "join", "command": ["touch", "/srv/joined"]}],
        },
        after=("rm /srv/joined",), says="could not be drained",
    ),
    Fault(
        "panic-early", "the kernel panics in its initramfs", ("fell_back",), boots=2,
        trap=_in_initramfs("init-top", _CRASH), before=(_INITRAMFS,), after=(_INITRAMFS,),
        may_say=_PANIC,
    ),
    Fault(
        "no-root", "the kernel does not find its root file system", ("fell_back",), boots=2,
        trap=_in_initramfs("local-top", "echo ROOT=/dev/vdz9 > /conf/param.conf"),
        before=(_INITRAMFS,), after=(_INITRAMFS,),
    ),
    Fault(
        "panic", "the kernel panics before any service has started", ("fell_back",), boots=2,
        trap=_early(_CRASH), may_say=_PANIC,
    ),
    Fault(
        "panic-in-soak", "the kernel panics while the host soaks", ("fell_back",), boots=2,
        trap=_late(f"sleep 8; {_CRASH}"), variables={"kernel_install_soak_seconds": 60},
        may_say=_PANIC,
    ),
    Fault(
        "hang", "nothing but two real-time loops gets a processor; the watchdog bites",
        ("fell_back",), boots=2,
        trap=_late(
            "sleep 3; sysctl -w kernel.sched_rt_runtime_us=-1;"
            ' for n in 1 2; do chrt -f 99 sh -c "while :; do :; done" & done; wait'
        ),
        may_say=(r"soft lockup", r"rcu", r"stall", r"blocked for more", r"INFO: "),
    ),
    Fault(
        "sshd", "the host boots, its SSH server does not", ("fell_back",), boots=2,
        trap=_without("ssh.service"), variables=_SOON,
        says="no control node promoted it",
    ),
    Fault(
        "network", "the host boots without a network", ("fell_back",), boots=2,
        trap=_without("systemd-networkd.service"), variables=_SOON,
    ),
    Fault(
        "emergency", "a file system is missing: the host ends in emergency mode", ("fell_back",),
        boots=2, trap=_emergency(), variables=_SOON, says="has not finished booting",
    ),
    Fault(
        "health", "the host boots, a check of the user's never holds", ("fell_back",), boots=2,
        variables={
            **_SOON,
            "kernel_install_health_commands": [{"name": "shop", "command": ["false"]}],
        },
        says="the check 'shop' ended with status 1",
    ),
    Fault(
        "port", "the control node cannot connect to a port of the host", ("fell_back",), boots=2,
        variables={"kernel_install_reachable_ports": [1], "kernel_install_reachable_seconds": 5},
        says="cannot connect to port 1",
    ),
    Fault(
        "failed-unit", "a unit fails that did not under the former kernel", ("fell_back",), boots=2,
        trap=_late("false"), variables=_SOON, says="failed since the trial boot: fault.service",
    ),
    Fault(
        "power-cut", "the power goes while the new kernel boots", ("fell_back",), boots=2,
        meanwhile=Meanwhile.POWER_CUT_IN_TRIAL,
    ),
    Fault(
        "controller", "the control node is killed right after the reboot; then it is run again",
        ("killed", "promoted"), boots=1, ends_on="new", meanwhile=Meanwhile.CONTROLLER_KILLED,
    ),
    Fault("again", "nothing: the same release again", ("unchanged",), boots=0, ends_on="new"),
    Fault(
        "stays", "nothing: a reboot and a power cut of the promoted kernel", (), boots=2,
        ends_on="new",
    ),
    Fault(
        "newer", "nothing: a kernel of another baseline, 6.12", ("promoted",), boots=1,
        ends_on="newer", variables={"kernel_install_baseline": "6.12"},
    ),
    Fault(
        "rollback", "nothing: `playbooks/rollback.yml`", ("promoted",), boots=1, ends_on="new",
        playbook="rollback.yml",
    ),
)  # fmt: skip
