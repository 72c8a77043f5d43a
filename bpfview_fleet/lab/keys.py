# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH keys, made on this machine before a VM boots, so that no host key is ever taken on trust."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from .ports import ADDRESS
from .tools import run


def make_key(path: Path, comment: str) -> None:
    """Make an ed25519 key pair at ``path`` and ``path``.pub, if there is none yet."""
    if path.exists():
        return
    with TemporaryDirectory(prefix=".key-", dir=path.parent) as folder:
        draft = Path(folder) / "key"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(draft)])
        public_path(draft).rename(public_path(path))
        draft.rename(path)


def public_path(private: Path) -> Path:
    """The public half of a key pair."""
    return private.with_name(private.name + ".pub")


def known_hosts(public_keys: Mapping[int, str]) -> str:
    """The known_hosts file for servers on these loopback ports."""
    lines = []
    for port, public in sorted(public_keys.items()):
        kind, key = public.split()[:2]
        lines.append(f"[{ADDRESS}]:{port} {kind} {key}\n")
    return "".join(lines)


def seed_archive(name: str, host_key: bytes, host_public: bytes, login_public: bytes) -> bytes:
    """What makes a copy of the base image this VM: a tar archive to unpack in its root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, "etc/hostname", f"{name}\n".encode(), 0o644)
        _add(archive, "etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n".encode(), 0o644)
        _add(archive, "etc/ssh/ssh_host_ed25519_key", host_key, 0o600)
        _add(archive, "etc/ssh/ssh_host_ed25519_key.pub", host_public, 0o644)
        folder = tarfile.TarInfo("root/.ssh")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(folder)
        _add(archive, "root/.ssh/authorized_keys", login_public, 0o600)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    archive.addfile(member, io.BytesIO(data))
