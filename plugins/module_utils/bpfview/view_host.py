# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host needs before it can have views, and what it has of them."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

from . import cgroup_tree, libbpf, view_pins
from .digest import sha256_bytes
from .elf import EM_BPF
from .errors import BpfviewError
from .host_layout import Host
from .running_kernel import BTF, btf_has_function
from .view_kernel import Kernel, subtree_flag
from .view_plan import Observed
from .views_desired import View

_ELF_HEAD = b"\x7fELF\x02\x01"


@dataclass(frozen=True)
class Targets:
    """The cgroups of each view, and (view, selector) of selectors that match none.

    ``roots`` are those of its cgroups where the kernel can serve all below.
    """

    cgroups: dict[str, list[str]]
    unmatched: list[tuple[str, str]]
    roots: dict[str, list[str]]


def kernel_lack(host: Host) -> BpfviewError | None:
    """Return why the running kernel carries no views, None if it does."""
    release = host.text("/proc/sys/kernel/osrelease").strip()
    try:
        btf = host.path(BTF).read_bytes()
    except OSError:
        return BpfviewError(
            f"The running kernel {release} offers no BTF ({BTF} cannot be read)",
            "Boot a kernel built with CONFIG_DEBUG_INFO_BTF=y: ansible-playbook -i inventory"
            " playbooks/kernel.yml",
        )
    if not btf_has_function(btf, libbpf.VIEW_FUNCTION):
        return BpfviewError(
            f"The running kernel {release} does not carry the bpf_view series (its BTF has no"
            f" {libbpf.VIEW_FUNCTION})",
            "Install and boot a kernel that does: ansible-playbook -i inventory"
            " playbooks/kernel.yml",
        )
    return None


def check_bpffs(host: Host) -> None:
    """Raise BpfviewError unless bpffs is mounted where pins go."""
    for line in host.text("/proc/self/mounts").splitlines():
        words = line.split()
        if len(words) > 2 and words[1] == view_pins.BPFFS and words[2] == "bpf":
            return
    raise BpfviewError(
        f"No BPF filesystem is mounted on {view_pins.BPFFS}",
        f"Mount it: mount -t bpf bpf {view_pins.BPFFS} (systemd does at boot)",
    )


def library_present() -> bool:
    """Tell whether the distribution's libbpf is installed."""
    try:
        ctypes.CDLL(libbpf.LIBRARY)
    except OSError:
        return False
    return True


def targets(host: Host, views: Sequence[View], *, kernel_to_come: bool = False) -> Targets:
    """Resolve every view's selectors; a kernel that is to come serves subtrees."""
    found = Targets({}, [], {})
    for view in views:
        selected, missing = cgroup_tree.select(host, view.selectors)
        found.unmatched.extend((view.name, selector) for selector in missing)
        if view.subtree:
            if kernel_to_come or subtree_flag(host) is not None:
                found.roots[view.name] = cgroup_tree.outermost(selected)
            selected = cgroup_tree.with_all_below(host, selected)
        found.cgroups[view.name] = selected
    return found


def refuse_unmatched(found: Targets) -> None:
    """Raise BpfviewError if a selector matched nothing."""
    if found.unmatched:
        words = "; ".join(f"{selector!r} of the view {view}" for view, selector in found.unmatched)
        raise BpfviewError(
            f"No cgroup matches the selector {words}",
            "Start the service that makes the cgroup, or change the selector in view_deploy_views"
            " (list the cgroups with: systemd-cgls)",
        )


def observe(host: Host, kernel: Kernel, views: Sequence[View], found: Targets) -> Observed:
    """Read what is pinned, recorded and exposed."""
    generations, unfinished = view_pins.pinned(host)
    record = view_pins.load_record(host)
    paths = set(record or {})
    for view in views:
        paths |= {view_pins.entry_path(cgroup, view.entry) for cgroup in found.cgroups[view.name]}
    inodes = {}
    for path in paths:
        inode = view_pins.inode_of(host, path)
        if inode is not None:
            inodes[path] = inode
    astray = {
        (view.name, view.sha256)
        for view in views
        if view.sha256 in generations.get(view.name, ())
        and not kernel.runs_its_own(f"{view_pins.PINS}/{view.name}/{view.sha256}")
    }
    return Observed(generations, unfinished, record, inodes, found.cgroups, found.roots, astray)


def read_object(host: Host, view: View) -> bytes:
    """Return an object's bytes, proved to be the ones that are wanted."""
    again = "Deploy the views again: ansible-playbook -i inventory playbooks/views.yml"
    try:
        content = host.path(view.object_path).read_bytes()
    except OSError as error:
        raise BpfviewError(
            f"The object of the view {view.name} cannot be read ({error})", again
        ) from error
    check_object(content, view)
    return content


def check_object(content: bytes, view: View) -> None:
    """Raise BpfviewError unless the bytes have the wanted digest and are a BPF object."""
    found = sha256_bytes(content)
    if found != view.sha256:
        raise BpfviewError(
            f"The object of the view {view.name} has the digest {found}, wanted is {view.sha256}",
            "Remove it and deploy the views again; if it happens again, see who changes the file",
        )
    machine = int.from_bytes(content[18:20], "little")
    if content[: len(_ELF_HEAD)] != _ELF_HEAD or machine != EM_BPF:
        raise BpfviewError(
            f"The object of the view {view.name} ({view.sha256}) is no ELF file for BPF",
            "Build the views again: make views",
        )


def missing_objects(host: Host, views: Sequence[View]) -> list[str]:
    """Return the digests of wanted objects that the host does not have, or not whole."""
    missing = []
    for view in views:
        try:
            whole = sha256_bytes(host.path(view.object_path).read_bytes()) == view.sha256
        except OSError:
            whole = False
        if not whole:
            missing.append(view.sha256)
    return sorted(set(missing))
