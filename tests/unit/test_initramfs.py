# SPDX-License-Identifier: GPL-3.0-or-later
"""The initramfs, read back with cpio."""

import gzip
import shutil
import subprocess

import pytest

from bpfview_fleet.initramfs import build_initramfs


def test_it_is_the_same_whatever_the_order() -> None:
    first = build_initramfs({"init": b"one", "a.o": b"two"})
    assert first == build_initramfs({"a.o": b"two", "init": b"one"})


def test_every_member_starts_at_a_multiple_of_four() -> None:
    archive = gzip.decompress(build_initramfs({"init": b"12345", "x": b""}))
    at = archive.find(b"070701")
    seen = 0
    while at >= 0:
        assert at % 4 == 0
        seen += 1
        at = archive.find(b"070701", at + 6)
    assert seen == len(["dev", "dev/console", "init", "x", "TRAILER!!!"])


@pytest.mark.skipif(not shutil.which("cpio"), reason="cpio is not installed")
def test_cpio_lists_the_files() -> None:
    archive = gzip.decompress(build_initramfs({"init": b"#!" * 33, "views.bpf.o": b"\x7fELF"}))
    done = subprocess.run(
        ["cpio", "-itv", "--quiet"], input=archive, capture_output=True, check=True
    )
    listing = done.stdout.decode().splitlines()
    assert [line.split()[-1] for line in listing] == ["dev", "dev/console", "init", "views.bpf.o"]
    assert listing[1].startswith("crw-------")
    assert listing[2].startswith("-rwxr-xr-x")
    assert " 66 " in listing[2]


@pytest.mark.parametrize("name", ["", "dev", "a/b", "/init", "..", "TRAILER!!!"])
def test_a_name_it_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="root of an initramfs"):
        build_initramfs({name: b""})
