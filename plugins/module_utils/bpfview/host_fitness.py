# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host is one that this toolkit serves at all."""

from __future__ import annotations

import re
import shlex
import sys

from .host_layout import Host

_FAMILY = "debian"
# what the view modules and the agent are written for; looked at before a kernel is staged
_PYTHON = (3, 11)
_UNITS_PYTHON = "/usr/bin/python3"  # runs the agent, whichever Python runs the modules
_SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def os_names(release_file: str) -> set[str]:
    """Return ID and ID_LIKE of an os-release file's text."""
    names: set[str] = set()
    for line in release_file.splitlines():
        key, _, value = line.partition("=")
        if key in ("ID", "ID_LIKE"):
            names.update(" ".join(shlex.split(value)).split())
    return names


def filesystem_at(mounts: str, directory: str) -> str:
    """Return the type of the last filesystem mounted at a directory, by the text of mounts."""
    kinds = re.findall(rf"^\S+ {re.escape(directory)} (\S+) ", mounts, re.MULTILINE)
    return kinds[-1] if kinds else ""


def problems(host: Host, architectures: set[str]) -> list[str]:
    """Say what keeps this host from running views; ``architectures`` are the packages'."""
    names = os_names(host.text("/etc/os-release"))
    if _FAMILY not in names:
        found = ", ".join(sorted(names)) or "no /etc/os-release"
        return [f"the host is not of the Debian family ({found}): take it out of the inventory"]
    found_problems = []
    mounts = host.text("/proc/self/mounts")
    if filesystem_at(mounts, "/sys/fs/cgroup") != "cgroup2":
        found_problems.append(
            "cgroup v2 is not mounted at /sys/fs/cgroup: boot the host with"
            " systemd.unified_cgroup_hierarchy=1"
        )
    if filesystem_at(mounts, "/sys/fs/bpf") != "bpf":
        found_problems.append(
            "bpffs is not mounted at /sys/fs/bpf: unmask sys-fs-bpf.mount or add it to /etc/fstab"
        )
    found_problems += _python_problems(host)
    wanted = architectures - {"all"}
    if wanted:
        own = host.runner(["dpkg", "--print-architecture"]).text.strip()
        if wanted != {own}:
            found_problems.append(
                f"the kernel is for {', '.join(sorted(wanted))} and the host is {own}:"
                " build a kernel for it"
            )
    return found_problems


def _python_problems(host: Host) -> list[str]:
    needed = ".".join(map(str, _PYTHON))
    found = []
    asked = host.runner([_UNITS_PYTHON, "-c", "import sys; print(*sys.version_info[:2])"])
    own = re.fullmatch(r"(\d+) (\d+)", asked.text.strip())
    if asked.status or not own:
        found.append(f"{_UNITS_PYTHON} does not run, and the views' units need it: install python3")
    elif (int(own[1]), int(own[2])) < _PYTHON:
        found.append(
            f"{_UNITS_PYTHON} is Python {own[1]}.{own[2]} and the views' units, which run it, take"
            f" {needed} or later: upgrade the host to a Debian that has it (12 or later)"
        )
    if tuple(sys.version_info[:2]) < _PYTHON:
        found.append(
            f"{sys.executable}, which runs the modules, is Python {sys.version_info[0]}."
            f"{sys.version_info[1]} and views take {needed} or later: set"
            " ansible_python_interpreter to one that is"
        )
    return found


def no_watchdog(host: Host) -> list[str]:
    """Say that nothing resets a host whose kernel hangs; empty if something does."""
    if host.path("/dev/watchdog").exists():
        return []
    return [
        "the host has no watchdog device (/dev/watchdog), so that somebody would have to"
        " power-cycle it should the kernel hang: load the driver of its watchdog, or accept that"
        " with kernel_install_accept_no_watchdog"
    ]


def secure_boot(host: Host) -> list[str]:
    """Say that the firmware starts signed kernels only; empty if it does not."""
    try:
        enforced = host.path(_SECURE_BOOT).read_bytes()[-1:] == b"\1"
    except OSError:
        enforced = False
    if not enforced:
        return []
    return [
        "Secure Boot is on and the kernel's package is not signed, so the firmware would not start"
        " it: turn Secure Boot off in the host's firmware setup"
    ]
