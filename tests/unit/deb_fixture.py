# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Debian package file, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plugins.module_utils.bpfview import deb_write


def fill(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files and the control file of a package into a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    fields = {
        "Package": "thing",
        "Version": "1",
        "Architecture": "all",
        "Maintainer": "Some Body <some@body.invalid>",
        "Description": "test",
    }
    deb_write.write_fields(folder / "DEBIAN/control", fields)


def make_deb(package: Path, folder: Path, files: Mapping[str, bytes]) -> Path:
    """Make a package of files by way of a folder, which stays."""
    fill(folder, files)
    deb_write.pack(folder, package, epoch=1000)
    return package
