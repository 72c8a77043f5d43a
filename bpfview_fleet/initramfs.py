# SPDX-License-Identifier: GPL-3.0-or-later
"""A small initramfs made of a few files, without root and always the same for the same files."""

from __future__ import annotations

import gzip
import stat
from collections.abc import Mapping

_TRAILER = "TRAILER!!!"
_CONSOLE = (5, 1)


def _header(inode: int, mode: int, size: int, name_size: int, device: tuple[int, int]) -> bytes:
    fields = (inode, mode, 0, 0, 1, 0, size, 0, 0, *device, name_size, 0)
    return b"070701" + b"".join(b"%08X" % field for field in fields)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _member(
    inode: int, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)
) -> bytes:
    encoded = name.encode() + b"\0"
    header = _header(inode, mode, len(data), len(encoded), device)
    return _padded(header + encoded) + _padded(data)


def build_initramfs(files: Mapping[str, bytes]) -> bytes:
    """A gzip-compressed cpio archive with ``files`` in its root, all of them executable.

    There is a ``/dev/console`` besides, so that the first program has its standard streams.
    Raises ValueError for a name with a folder in it, for which there would be no folder.
    """
    members = [
        ("dev", stat.S_IFDIR | 0o755, b"", (0, 0)),
        ("dev/console", stat.S_IFCHR | 0o600, b"", _CONSOLE),
    ]
    for name in sorted(files):
        if "/" in name or name in ("", "dev", ".", "..", _TRAILER):
            raise ValueError(f"not a file name for the root of an initramfs: {name!r}")
        members.append((name, stat.S_IFREG | 0o755, files[name], (0, 0)))
    archive = b"".join(_member(i, *member) for i, member in enumerate(members, start=1))
    return gzip.compress(archive + _member(0, _TRAILER, 0), mtime=0)
