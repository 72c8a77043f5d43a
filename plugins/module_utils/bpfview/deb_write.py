# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing Debian package files of which the same folder always gives the same bytes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from .process import output, plain_environment

_SIZE = re.compile(r"^Installed-Size: .*\n", re.MULTILINE)
_BLOCK = 1024  # bytes that Installed-Size counts by


def environment(epoch: int) -> dict[str, str]:
    """What decides the bytes of a package beside the folder; ``epoch`` is its newest time."""
    return {
        "SOURCE_DATE_EPOCH": str(epoch),
        "DPKG_DEB_COMPRESSOR_LEVEL": "3",
        # the compressor's result depends on whether it may use several
        "DPKG_DEB_THREADS_MAX": "1",
    }


def unpack(package: Path, folder: Path) -> None:
    """Unpack a package with its control files (in DEBIAN) into a folder that is not there yet."""
    output(["dpkg-deb", "--raw-extract", str(package), str(folder)], timeout=600)


def pack(folder: Path, package: Path, epoch: int) -> None:
    """Make a package of a folder, with the size and the checksums of what is in it now.

    Everything in it belongs to root and has a usual mode, whoever runs this under whatever umask.
    """
    _set_modes(folder)
    control = folder / "DEBIAN/control"
    rest = _SIZE.sub("", control.read_text("utf-8"))
    size = sum(_blocks(path) for path in _members(folder))
    before, mark, after = rest.partition("Maintainer: ")
    _write(control, f"{before}Installed-Size: {size}\n{mark}{after}")
    _write(folder / "DEBIAN/md5sums", "".join(_checksums(folder)))
    output(
        ["dpkg-deb", "--root-owner-group", "-Zzstd", "--build", str(folder), str(package)],
        env=plain_environment(environment(epoch)),
        timeout=600,
    )


def _members(folder: Path) -> list[Path]:
    own = folder / "DEBIAN"
    return sorted(path for path in folder.rglob("*") if path != own and own not in path.parents)


def _set_modes(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            program = path.is_dir() or path.stat().st_mode & 0o111
            path.chmod(0o755 if program else 0o644)


def _blocks(path: Path) -> int:
    """Return the size of a member as dpkg reckons it: by blocks, one for what is no file."""
    plain = path.is_file() and not path.is_symlink()
    return -(-path.stat().st_size // _BLOCK) if plain else 1


def _checksums(folder: Path) -> Iterator[str]:
    for path in _members(folder):
        if path.is_file() and not path.is_symlink():
            # dpkg's own format, against bad disks, not against anybody
            digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            yield f"{digest}  {path.relative_to(folder)}\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(0o644)


def write_fields(path: Path, *paragraphs: Mapping[str, str]) -> None:
    """Write a control file from the fields of its paragraphs, in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = ["".join(f"{name}: {value}\n" for name, value in each.items()) for each in paragraphs]
    _write(path, "\n".join(texts))
