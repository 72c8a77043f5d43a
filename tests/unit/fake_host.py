# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian host in a temporary directory, with stand-ins for the tools that change it."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path

from plugins.module_utils.bpfview import grub_config, grub_env
from plugins.module_utils.bpfview.debian_packages import PackageFile
from plugins.module_utils.bpfview.digest import sha256_bytes
from plugins.module_utils.bpfview.host_layout import Host, Output
from plugins.module_utils.bpfview.kernel_wanted import WantedKernel
from tests.unit.grub_fixture import OURS, STOCK, UUID, grub_cfg

FUNCTION = "bpf_view_cgroup"
BUILD_IDS = {STOCK: "aa" * 20, OURS: "bb" * 20}
MOUNTS = """\
/dev/vda1 / ext4 rw,relatime 0 0
cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime 0 0
bpf /sys/fs/bpf bpf rw,nosuid,nodev,noexec,relatime,mode=700 0 0
"""
DEB = b"the package's bytes"


class PowerCutError(Exception):
    """The power went."""


def btf(*functions: str) -> bytes:
    """BTF with a FUNC_PROTO and these functions."""
    names = b"\0"
    types = struct.pack("=III", 0, 13 << 24, 0)
    for function in functions:
        types += struct.pack("=III", len(names), 12 << 24 | 1, 1)
        names += function.encode() + b"\0"
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names))
    return header + types + names


def notes(build_id: str) -> bytes:
    """ELF notes: one of another kind, then the build id."""
    linux = struct.pack("=III", 6, 4, 0x100) + b"Linux\0\0\0" + b"\1\2\3\4"
    return linux + struct.pack("=III", 4, 20, 3) + b"GNU\0" + bytes.fromhex(build_id)


def wanted_kernel(release: str = OURS) -> WantedKernel:
    """A kernel as kernel_packages describes it."""
    package = PackageFile(
        file=f"linux-image-{release}_1_amd64.deb",
        sha256=sha256_bytes(DEB),
        size=len(DEB),
        package=f"linux-image-{release}",
        version="1",
        architecture="amd64",
        boot_bytes=8192,
        other_bytes=4096,
    )
    return WantedKernel(release, BUILD_IDS[release], (package,))


class FakeHost:
    """The host: `host` is what the code under test gets."""

    def __init__(self, root: Path, running: str = STOCK) -> None:
        self.root = root
        self.host = Host(root, self.run)
        self.packages = {f"linux-image-{STOCK}": ("ii", "6.1.176-1")}
        self.abstraction = ""
        self.filesystem = "ext2"
        self.architecture = "amd64"
        self.python = "3 11"
        self.late_arguments = ""  # what a script in /etc/grub.d puts behind every command line
        self.commands: list[list[str]] = []
        self.cut_after = -1  # commands until the power goes; -1 for never
        self.boots = 0
        self.failed: list[str] = []  # units of systemd
        self.kernel_log = ""
        self.statuses: dict[str, int] = {}  # of commands, by name; 0 for the others
        for tool in ("sbin/grub-mkconfig", "sbin/grub-probe", "bin/grub-editenv"):
            self.put(f"/usr/{tool}", "")
        self.put("/usr/sbin/update-initramfs", "")
        self.put("/etc/os-release", 'ID=debian\nVERSION_ID="12"\n')
        self.put("/proc/self/mounts", MOUNTS)
        self.put("/var/lib/dpkg/lock-frontend", "")
        self.put("/dev/watchdog", "")
        (root / "run").mkdir()
        self.add_kernel(STOCK)
        self.put("/boot/grub/grubenv", b"# GRUB Environment Block\n".ljust(1024, b"#"))
        self.put("/etc/default/grub.d/README", "")
        self.mkconfig(self.root / "boot/grub/grub.cfg")
        self.boot(running)

    def put(self, path: str, content: str | bytes) -> None:
        """Write a file of the host."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    def add_kernel(self, release: str) -> None:
        """Put a kernel's files in place, as unpacking and update-initramfs do."""
        self.put(f"/boot/vmlinuz-{release}", "kernel")
        self.put(f"/boot/initrd.img-{release}", "initramfs")
        (self.root / f"lib/modules/{release}").mkdir(parents=True, exist_ok=True)

    def drop_kernel(self, release: str) -> None:
        """Take them away, as purging does."""
        (self.root / f"boot/vmlinuz-{release}").unlink()
        (self.root / f"boot/initrd.img-{release}").unlink()

    def boot(self, release: str | None = None) -> str:
        """Start as GRUB would, one-shot entry first, or a kernel by name; return what runs."""
        config = grub_config.parse((self.root / "boot/grub/grub.cfg").read_text())
        path = self.root / "boot/grub/grubenv"
        env = grub_env.read(path)
        if release is None:
            choice = env.get("next_entry")
            entry = config.resolve(choice) if choice else None
            if choice:
                grub_env.write_in_place(path, env.edited({"next_entry": ""}))
            entry = entry or config.default_entry(env.get("saved_entry"))
        else:
            entry = config.entry_for(release)
        self.boots += 1
        self.put("/proc/sys/kernel/osrelease", f"{entry.release}\n")
        self.put("/proc/sys/kernel/random/boot_id", f"boot-{self.boots}\n")
        self.put("/proc/sys/kernel/tainted", "0\n")
        self.put("/proc/uptime", "10.00 20.00\n")
        arguments = " ".join(entry.arguments)
        self.put("/proc/cmdline", f"BOOT_IMAGE={entry.kernel} {arguments}\n")
        self.put("/sys/kernel/notes", notes(BUILD_IDS[entry.release]))
        functions = (FUNCTION, "other") if entry.release == OURS else ("other",)
        self.put("/sys/kernel/btf/vmlinux", btf(*functions))
        return entry.release

    def default(self) -> str:
        """The release a plain reboot starts."""
        config = grub_config.parse((self.root / "boot/grub/grub.cfg").read_text())
        env = grub_env.read(self.root / "boot/grub/grubenv")
        return config.default_entry(env.get("saved_entry")).release

    def files(self) -> dict[str, bytes]:
        """Everything on the disk, for a comparison."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and path.relative_to(self.root).parts[0] not in ("proc", "sys")
        }

    # The tools

    def run(self, arguments: Sequence[str]) -> Output:
        """Run a stand-in; when the power is to go, the command has done its work."""
        command = list(arguments)
        while command[0] == "env" or "=" in command[0]:
            command = command[1:]
        if command[0] == "timeout":
            command = command[3:]
        self.commands.append(command)
        tool = Path(command[0]).name.replace("-", "_")
        text = getattr(self, tool)(*command[1:])
        if self.cut_after == 0:
            raise PowerCutError
        self.cut_after -= 1
        return Output(self.statuses.get(tool, 0), text or "")

    def mkconfig(self, target: Path) -> None:
        """Write a grub.cfg of the kernels there are, newest first."""
        found = [path.name.split("-", 1)[1] for path in (self.root / "boot").glob("vmlinuz-*")]
        settings = self.root / "etc/default/grub.d/bpfview.cfg"
        ours = settings.read_text() if settings.exists() else ""
        default = "${saved_entry}" if "GRUB_DEFAULT=saved" in ours else "0"
        panic = re.search(r"panic=\d+", ours)
        words = ["console=ttyS0", panic[0] if panic else "", self.late_arguments]
        arguments = " ".join(word for word in words if word)
        # As in a version comparison, 6.1.192 is newer than 6.1.0.
        releases = sorted(found, reverse=True)
        target.write_text(grub_cfg(releases, default=default, arguments=arguments))

    def grub_mkconfig(self, _option: str, target: str) -> None:
        self.mkconfig(Path(target))

    def grub_editenv(self, path: str, action: str) -> str:
        if action == "create":
            Path(path).write_bytes(b"# GRUB Environment Block\n".ljust(1024, b"#"))
            return ""
        env = grub_env.read(Path(path))
        return "".join(f"{name}={value}\n" for name, value in env.variables)

    def grub_probe(self, target: str, _directory: str) -> str:
        return self.abstraction if target == "--target=abstraction" else self.filesystem

    def python3(self, _option: str, _program: str) -> str:
        return self.python

    def systemctl(self, *arguments: str) -> str:
        if "list-units" in arguments:
            return "".join(f"{unit} loaded failed failed\n" for unit in self.failed)
        return "active\n" if "is-active" in arguments else ""

    def dmesg(self, *_options: str) -> str:
        return self.kernel_log

    def journalctl(self, *_options: str) -> str:
        return "the last words of the boot before\n"

    def dpkg_query(self, *arguments: str) -> str:
        names = arguments[2:]
        lines = [
            f"{status}|{name}|{version}"
            for name, (status, version) in self.packages.items()
            if any(Path(name).match(pattern) for pattern in names)
        ]
        return "\n".join(lines)

    def dpkg_deb(self, _field: str, file: str, *_names: str) -> str:
        release = Path(file).name.removeprefix("linux-image-").split("_")[0]
        return f"Package: linux-image-{release}\nVersion: 1\nArchitecture: amd64\n"

    def dpkg(self, action: str, *names: str) -> str:
        if action == "--print-architecture":
            return self.architecture
        for name in names:
            if action == "--install":
                release = Path(name).name.removeprefix("linux-image-").split("_")[0]
                self.add_kernel(release)
                self.packages[f"linux-image-{release}"] = ("ii", "1")
            else:
                del self.packages[name]
                self.drop_kernel(name.removeprefix("linux-image-"))
        # A hook that finds its way to update-grub nevertheless must not endanger the host.
        self.mkconfig(self.root / "boot/grub/grub.cfg")
        return ""

    def deliver(self, wanted: WantedKernel, content: bytes = DEB) -> None:
        """Bring the packages, as the copy task does."""
        for package in wanted.packages:
            self.put(f"/var/lib/bpfview/packages/{package.file}", content)


__all__ = ["BUILD_IDS", "FUNCTION", "OURS", "STOCK", "UUID", "FakeHost", "wanted_kernel"]
