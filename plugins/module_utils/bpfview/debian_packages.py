# SPDX-License-Identifier: GPL-3.0-or-later
"""Package files and the packages of a Debian host, by dpkg."""

from __future__ import annotations

import fcntl
import os
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import IO, cast

from .errors import BpfviewError
from .host_layout import Host, write_durably

_BLOCK = 4096  # bytes a small file takes on most filesystems
_LOCK = "/var/lib/dpkg/lock-frontend"
_LOCK_PATIENCE = 180.0  # seconds to wait for another package manager
_HOOKS = "/var/lib/bpfview/hooks"


@dataclass(frozen=True)
class PackageFile:
    """A package file and the room its content takes once unpacked, in bytes."""

    file: str  # name without a directory
    sha256: str
    size: int
    package: str
    version: str
    architecture: str
    boot_bytes: int
    other_bytes: int

    def facts(self) -> dict[str, object]:
        """The same as plain data."""
        return asdict(self)


def fields(host: Host, file: Path) -> tuple[str, str, str]:
    """Return a package file's package, version and architecture."""
    text = host.must(
        ["dpkg-deb", "--field", str(file), "Package", "Version", "Architecture"],
        f"{file.name} is no Debian package or is damaged: build the kernel again",
    )
    found = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return found.get("Package", ""), found.get("Version", ""), found.get("Architecture", "")


def content_sizes(file: Path) -> tuple[int, int]:
    """Return the bytes a package file unpacks to below /boot, and elsewhere."""
    boot = other = 0
    with Popen(
        ["dpkg-deb", "--fsys-tarfile", str(file)], stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
    ) as unpacker:
        try:
            with tarfile.open(fileobj=cast(IO[bytes], unpacker.stdout), mode="r|") as archive:
                for member in archive:
                    size = -(-max(member.size, 1) // _BLOCK) * _BLOCK
                    if member.name.lstrip("./").startswith("boot/"):
                        boot += size
                    else:
                        other += size
        except tarfile.TarError as error:
            raise BpfviewError(
                f"{file.name} cannot be unpacked: {error}", "Build the kernel again"
            ) from error
    return boot, other


def installed(host: Host, names: Sequence[str]) -> dict[str, str]:
    """Return the version of each package that is completely installed; patterns are allowed."""
    return {
        name: version for name, (status, version) in known(host, names).items() if status == "ii"
    }


def known(host: Host, names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return status (as dpkg abbreviates it) and version of each package dpkg knows."""
    if not names:
        return {}
    form = "${db:Status-Abbrev}|${Package}|${Version}\n"
    # A status of 1 only says that some name is unknown.
    output = host.runner(["dpkg-query", "--show", f"--showformat={form}", *names])
    found = {}
    for line in output.text.splitlines():
        if line.count("|") == 2:
            status, name, version = line.split("|")
            if status.strip() not in ("un", ""):
                found[name] = (status.strip(), version)
    return found


@contextmanager
def _locked(host: Host) -> Iterator[None]:
    """Hold the lock every package manager takes, waiting for who holds it."""
    with host.path(_LOCK).open("w") as stream:
        deadline = time.monotonic() + _LOCK_PATIENCE
        while True:
            try:
                fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise BpfviewError(
                        f"Another package manager has held {_LOCK} for {_LOCK_PATIENCE:.0f} s",
                        "Let it finish, then run again",
                    ) from error
                time.sleep(1)
        yield


def _dpkg(host: Host, arguments: Sequence[str], remedy: str) -> str:
    """Run dpkg with the kernel hooks' update-grub silenced.

    update-grub truncates grub.cfg before it writes it; the caller renews it atomically instead.
    """
    hooks = host.path(_HOOKS)
    shim = hooks / "update-grub"
    path = f"{hooks}:/usr/sbin:/usr/bin:/sbin:/bin"
    write_durably(shim, b"#!/bin/sh\nexit 0\n", 0o755)
    try:
        with _locked(host):
            settings = ["env", f"PATH={path}", "DPKG_FRONTEND_LOCKED=1"]
            return host.must([*settings, "dpkg", *arguments], remedy)
    finally:
        shim.unlink(missing_ok=True)
        hooks.rmdir()
        os.sync()


def install(host: Host, files: Sequence[Path]) -> None:
    """Install package files; the caller has to renew grub.cfg afterwards."""
    _dpkg(
        host,
        ["--install", *map(str, files)],
        "The host still boots the kernel it runs. Repair what dpkg complains of, then run again",
    )


def purge(host: Host, names: Sequence[str]) -> None:
    """Purge packages; the caller has to renew grub.cfg afterwards."""
    _dpkg(host, ["--purge", *names], "Repair what dpkg complains of, then run again")
