# SPDX-License-Identifier: GPL-3.0-or-later
"""The base disk of all lab VMs: Debian from packages, with GRUB and the stock kernel."""

from __future__ import annotations

import io
import os
import re
import shutil
import struct
import subprocess
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bpfview_fleet import accel
from plugins.module_utils.bpfview import cache
from plugins.module_utils.bpfview.digest import canonical_json, sha256_bytes
from plugins.module_utils.bpfview.errors import BpfviewError

from . import sources
from .tools import find_tool, last_lines, need_space, need_tools, run

KIND = "lab-image"
FORMAT = 1  # counts up when the same inputs must make a different image
DISK_BYTES = 4 << 30
NEEDED_BYTES = 3 << 30
KERNEL_PACKAGE = "linux-image-cloud-amd64"
PACKAGES = (
    "systemd-sysv", "dbus", "libpam-systemd", "udev", "kmod", "procps", "iproute2",
    "openssh-server", "python3", "python3-apt", KERNEL_PACKAGE, "initramfs-tools", "zstd",
    "libbpf1", "bpftool", "grub-pc", "less",
)  # fmt: skip
_ROOTFS = Path(__file__).with_name("rootfs")
_FIRST_SECTOR = 2048
_SECTOR = 512
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")
_IN_CHROOT = (
    "systemctl --quiet enable systemd-networkd.service lab-identity.service",
    "systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer"
    " e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-networkd-wait-online.service"
    " dev-hugepages.mount dev-mqueue.mount",
    "chmod a-x /etc/grub.d/05_debian_theme /etc/grub.d/20_linux_xen /etc/grub.d/30_os-prober"
    " /etc/grub.d/30_uefi-firmware",
    "update-initramfs -u",
)
_FORGOTTEN = ("/etc/ssh/ssh_host_*", "/etc/dpkg/dpkg.cfg.d/99mmdebstrap")
_BOOT_LOADER = "/usr/lib/lab-vm/install-boot-loader"
_BOOT_LOADER_DONE = b"LAB-BOOT-LOADER-INSTALLED"
_BOOT_LOADER_SECONDS = 600
Say = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """One entry of the cache."""

    key: str
    folder: Path

    @property
    def disk(self) -> Path:
        """The qcow2 disk that every VM's own disk is laid over."""
        return self.folder / "base.qcow2"


def compute_key(lines: list[str], kernel_version: str, rootfs: bytes) -> str:
    """The name of the image that these inputs make."""
    parts = {
        "format": FORMAT,
        "packages": list(PACKAGES),
        "hooks": [*_IN_CHROOT, *_FORGOTTEN, *_LEFT_OUT],
        "suites": sorted(line.split()[2] for line in lines),
        "kernel": kernel_version,
        "rootfs": sha256_bytes(rootfs),
        "disk_bytes": DISK_BYTES,
    }
    return sha256_bytes(canonical_json(parts))[:16]


def ensure(say: Say) -> Image:
    """Return the image, making it first if the cache has none; takes minutes then.

    Raises BpfviewError if a program, space, a package or the boot loader fails.
    """
    need_tools("apt-get", "apt-cache", "apt-config")
    found = sources.configured()
    rootfs = rootfs_tar(_ROOTFS)
    lines = [source.line() for source in found]
    key = compute_key(lines, sources.candidate(KERNEL_PACKAGE), rootfs)
    root = cache.cache_root()
    entry = cache.find(root, KIND, key)
    if entry:
        return Image(key, entry)
    say("the cache has no VM image yet")
    with cache.locked(root, KIND, key):
        entry = cache.find(root, KIND, key)
        if entry is None:
            need_tools("mmdebstrap", "mke2fs", "tar", "qemu-img", "qemu-system-x86_64")
            if os.geteuid():
                need_tools("fakeroot", "newuidmap")
            need_space(cache.make_folder(root), NEEDED_BYTES, "The VM image")
            with cache.publishing(root, KIND, key) as folder:
                _make(folder, lines, rootfs, say)
            entry = cache.entry_path(root, KIND, key)
    return Image(key, entry)


def rootfs_tar(folder: Path) -> bytes:
    """The lab's own files as a tar archive that depends on their content and mode only."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(item for item in folder.rglob("*") if item.is_file()):
            member = tarfile.TarInfo(str(path.relative_to(folder)))
            data = path.read_bytes()
            member.size = len(data)
            member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def partition_table(disk_bytes: int) -> bytes:
    """An MBR with one active Linux partition from sector 2048 to the end, and no boot code."""
    sectors = disk_bytes // _SECTOR - _FIRST_SECTOR
    entry = struct.pack(
        "<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", _FIRST_SECTOR, sectors
    )
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def _make(folder: Path, lines: list[str], rootfs: bytes, say: Say) -> None:
    log = cache.cache_root() / KIND / f"build-{os.getpid()}.log"
    log.unlink(missing_ok=True)
    started = time.monotonic()
    with TemporaryDirectory(prefix="work-", dir=folder) as name:
        work = Path(name)
        say("making the VM image: Debian packages (one to three minutes)")
        tree = _install_packages(work, lines, rootfs, log)
        kernel, initrd = _take_kernel(tree, folder / "vmlinuz", work / "initrd")
        say("making the VM image: disk")
        disk = _make_disk(work, tree, log)
        tree.unlink()
        chosen = accel.detect(kernel)
        say(f"making the VM image: boot loader, under {chosen}")
        _install_boot_loader(disk, kernel, initrd, chosen, log)
        run(["qemu-img", "convert", "-O", "qcow2", "-c", "-o", "compression_type=zstd",
             str(disk), str(folder / "base.qcow2")], log)  # fmt: skip
    log.replace(folder / "build.log")
    say(f"made the VM image in {time.monotonic() - started:.0f} s")


def _install_packages(work: Path, lines: list[str], rootfs: bytes, log: Path) -> Path:
    listing, overlay, tree = work / "sources.list", work / "rootfs.tar", work / "tree.tar"
    listing.write_text("\n".join(lines) + "\n", encoding="ascii")
    overlay.write_bytes(rootfs)
    command = ["mmdebstrap", "--mode=auto", "--variant=minbase", "--format=tar",
               "--architectures=amd64", f"--include={','.join(PACKAGES)}"]  # fmt: skip
    command += [f"--aptopt={option}" for option in sources.apt_options()]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    command += ["--dpkgopt=force-unsafe-io"]
    # grub-pc must not ask for a disk: there is none yet
    answer = "grub-pc grub-pc/install_devices_empty boolean true"
    command += [f'--essential-hook=echo {answer} | chroot "$1" debconf-set-selections']
    command += [f"--customize-hook=tar-in {overlay} /"]
    command += [f'--customize-hook=chroot "$1" {line}' for line in _IN_CHROOT]
    command += [f'--customize-hook=rm -f "$1"{pattern}' for pattern in _FORGOTTEN]
    # what a killed root leaves goes with the folder; an ordinary user's other identities cannot
    # enter it
    scratch = None if os.geteuid() else work
    run([*command, sources.SUITE, str(tree), str(listing)], log, scratch)
    return tree


def _take_kernel(tree: Path, kernel: Path, initrd: Path) -> tuple[Path, Path]:
    wanted = (
        (re.compile(r"(\./)?boot/vmlinuz-"), kernel),
        (re.compile(r"(\./)?boot/initrd\.img-"), initrd),
    )
    with tarfile.open(tree) as archive:
        for member in archive:
            for pattern, target in wanted:
                if pattern.match(member.name) and (stream := archive.extractfile(member)):
                    target.write_bytes(stream.read())
    for path in (kernel, initrd):
        if not path.exists():
            raise BpfviewError(
                f"The Debian tree has no {path.name} in /boot", f"Look at {KERNEL_PACKAGE}"
            )
    return kernel, initrd


def _make_disk(work: Path, tree: Path, log: Path) -> Path:
    disk, root = work / "disk.raw", work / "tree"
    root.mkdir(mode=0o755)
    with disk.open("wb") as stream:
        stream.write(partition_table(DISK_BYTES))
        stream.truncate(DISK_BYTES)
    blocks = (DISK_BYTES - _FIRST_SECTOR * _SECTOR) // 4096
    state = work / "fakeroot.state"
    save, load = [], []
    if os.geteuid():
        save, load = ["fakeroot", "-s", str(state), "--"], ["fakeroot", "-i", str(state), "--"]
    run(
        [*save, "tar", "-C", str(root), "--exclude=./dev/*", "--numeric-owner", "-xpf", str(tree)],
        log,
    )
    run([*load, find_tool("mke2fs") or "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096",
         "-L", "lab-root", "-m", "1", "-N", "131072",
         "-E", f"offset={_FIRST_SECTOR * _SECTOR},lazy_itable_init=0,lazy_journal_init=0",
         "-d", str(root), str(disk), str(blocks)], log)  # fmt: skip
    shutil.rmtree(root)
    return disk


def _install_boot_loader(
    disk: Path, kernel: Path, initrd: Path, chosen: accel.Acceleration, log: Path
) -> None:
    command = [accel.QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
               "-machine", "q35", *chosen.args(), "-cpu", "max", "-smp", "2", "-m", "1024",
               "-serial", "stdio", "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe",
               "-kernel", str(kernel), "-initrd", str(initrd),
               "-append", f"console=ttyS0 root=/dev/vda1 rw panic=-1 init={_BOOT_LOADER}",
               ]  # fmt: skip
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=_BOOT_LOADER_SECONDS, check=False,
        )  # fmt: skip
        output = done.stdout
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
    with log.open("ab") as stream:
        stream.write(output)
    if _BOOT_LOADER_DONE not in output:
        raise BpfviewError(
            "The boot loader could not be installed on the fresh disk; the VM's last lines:\n"
            + last_lines(output.decode(errors="replace"), 15),
            f"All lines are in {log}",
        )
