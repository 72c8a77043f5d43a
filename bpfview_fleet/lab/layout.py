# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a lab keeps its files."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from plugins.module_utils.bpfview.errors import BpfviewError

PROJECT = Path(__file__).resolve().parents[2]
LABS = PROJECT / "build" / "lab"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


def is_name(name: str) -> bool:
    """Whether a lab or a VM can have this name."""
    return bool(_NAME.fullmatch(name))


def check_name(name: str, what: str) -> str:
    """Return ``name`` if it can be a host name; raises BpfviewError that says what is wrong."""
    if not is_name(name):
        raise BpfviewError(
            f"{name!r} cannot be the name of a {what}",
            "Use up to 32 lower-case letters, digits and inner hyphens",
        )
    return name


@dataclass(frozen=True)
class Layout:
    """The paths of one lab; two labs share none of them."""

    name: str
    folder: Path

    @classmethod
    def of(cls, name: str, folder: str | Path | None = None) -> Layout:
        """The lab ``name``, in ``folder`` or under this checkout's build/."""
        check_name(name, "lab")
        path = Path(folder) if folder else LABS / name
        # one spelling, since a VM is recognised by its paths
        return cls(name, path.expanduser().resolve())

    @property
    def state(self) -> Path:
        """Which VMs the lab has: JSON."""
        return self.folder / "lab.json"

    @property
    def inventory(self) -> Path:
        """For Ansible."""
        return self.folder / "inventory.yml"

    @property
    def ssh_config(self) -> Path:
        """For ssh -F and Fabric."""
        return self.folder / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        """The host keys of the VMs, written here before they ever boot."""
        return self.folder / "known_hosts"

    @property
    def key(self) -> Path:
        """The private key that opens the VMs."""
        return self.folder / "id_ed25519"

    @property
    def consoles(self) -> Path:
        """Folder of the console logs; outlives the VMs."""
        return self.folder / "console"

    def console(self, vm: str) -> Path:
        """The serial console log of a VM."""
        return self.consoles / f"{vm}.log"

    def vm(self, vm: str) -> Path:
        """The folder of a VM, deleted with it."""
        return self.folder / "vm" / vm

    def disk(self, vm: str) -> Path:
        """What the VM wrote, over the base image."""
        return self.vm(vm) / "disk.qcow2"

    def seed(self, vm: str) -> Path:
        """The VM's name and keys, as a tar archive on a disk."""
        return self.vm(vm) / "seed.tar"

    def pidfile(self, vm: str) -> Path:
        """Written by QEMU; its path also marks the process as this VM's."""
        return self.vm(vm) / "pid"

    def vm_of(self, pidfile: Path) -> str | None:
        """The VM of this lab that a pid file belongs to; None if it is not one of this lab's."""
        name = pidfile.parent.name
        return name if pidfile == self.pidfile(name) else None

    @property
    def runtime(self) -> Path:
        """Folder of the sockets: short, because a socket's path has about 100 bytes."""
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]
        return Path(os.sep, "tmp", f"bpfview-{os.getuid()}-{digest}")

    def console_socket(self, vm: str) -> Path:
        """The serial console of a running VM."""
        return self.runtime / vm

    def make(self) -> None:
        """Create the folders; raises BpfviewError if one is not ours."""
        for path in (self.folder, self.consoles, self.folder / "vm"):
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BpfviewError(
                    f"The folder {path} cannot be created: {error.strerror}",
                    "Name another one with --dir",
                ) from error
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        found = self.runtime.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise BpfviewError(
                f"{self.runtime} must be a folder that only this user can enter",
                "Remove it and try again",
            )
