# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Debian's package of a kernel source, with a tree of a few files."""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from plugins.module_utils.bpfview.kernel_source import Package

PACKAGE = Package("linux-source-6.1", "6.1.5-1")
CHANGELOG = """\
linux (6.1.5-1) bookworm; urgency=medium

  * A change.

 -- Some Body <some@body.invalid>  Mon, 16 Nov 2026 10:17:00 +0100

linux (6.1.4-1) bookworm; urgency=medium

 -- Some Body <some@body.invalid>  Mon, 01 Jun 2026 10:17:00 +0100
"""
TREE = {"Makefile": b"VERSIO"}


def source_package(
    folder: Path, files: Mapping[str, bytes] = TREE, version: str = PACKAGE.version
) -> Path:
    """Make a .deb laid out like a linux-source package, of a tree with these files."""
    tree = folder / "tree"
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"linux-source-6.1/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    for name, data in {
        "usr/src/linux-source-6.1.tar.xz": inner.getvalue(),
        "usr/share/doc/linux-source-6.1/changelog.Debian.gz": gzip.compress(CHANGELOG.encode()),
        "usr/src/config.amd64_none_cloud-amd64.xz": lzma.compress(b"CONFIG_A=y\n"),
        "DEBIAN/control": (
            f"Package: linux-source-6.1\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: Some Body <some@body.invalid>\nDescription: test\n"
        ).encode(),
    }.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    archive = folder / f"linux-source-6.1_{version}_all.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, archive],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    shutil.rmtree(tree)
    return archive
