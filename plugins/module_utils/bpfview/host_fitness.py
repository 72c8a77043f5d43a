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
    if tuple(sys.version_info[:2]) < _PYTHON:
        found_problems.append(
            f"{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]} and views take"
            " 3.11 or later: install one and name it in ansible_python_interpreter"
        )
    wanted = architectures - {"all"}
    if wanted:
        own = host.runner(["dpkg", "--print-architecture"]).text.strip()
        if wanted != {own}:
            found_problems.append(
                f"the kernel is for {', '.join(sorted(wanted))} and the host is {own}:"
                " build a kernel for it"
            )
    return found_problems
