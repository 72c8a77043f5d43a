# SPDX-License-Identifier: GPL-3.0-or-later
import hashlib
import os
import subprocess

import pytest

from plugins.module_utils.bpfview import deb_write
from plugins.module_utils.bpfview.deb_contents import members
from tests.unit.deb_fixture import fill, make_deb

FILES = {"usr/bin/tool": b"#!/bin/sh\n", "usr/share/doc/b": b"2" * 1025, "usr/share/a": b"1"}


@pytest.fixture
def umask():
    """Set the umask for the length of a test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def test_folder_order_umask_and_zone_do_not_show(tmp_path, umask, monkeypatch):
    one = make_deb(tmp_path / "one.deb", tmp_path / "tree", FILES)
    umask(0o077)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    other = make_deb(
        tmp_path / "two.deb", tmp_path / "elsewhere" / "deep", dict(reversed(FILES.items()))
    )
    assert other.read_bytes() == one.read_bytes()


def test_everything_is_roots_and_programs_stay_programs(tmp_path, umask):
    umask(0o077)
    folder = tmp_path / "tree"
    fill(folder, FILES)
    (folder / "usr/bin/tool").chmod(0o700)
    (folder / "usr/bin/link").symlink_to("tool")
    deb_write.pack(folder, tmp_path / "x.deb", epoch=1000)
    found = members(tmp_path / "x.deb")
    assert {facts["owner"] for facts in found.values()} == {"0:0"}
    assert found["data/usr/bin/tool"]["mode"] == "0755"
    assert found["data/usr/share/a"]["mode"] == "0644"
    assert found["data/usr/bin"]["mode"] == "0755"
    assert found["data/usr/bin/link"]["holds"] == "tool"
    assert found["control/control"]["mode"] == "0644"


def test_size_and_checksums_are_of_what_is_in_it_now(tmp_path):
    folder = tmp_path / "tree"
    package = make_deb(tmp_path / "x.deb", folder, FILES)
    assert "Installed-Size: 8\n" in (folder / "DEBIAN/control").read_text()
    again = tmp_path / "again"
    deb_write.unpack(package, again)
    (again / "usr/share/doc/b").write_bytes(b"other")
    deb_write.pack(again, package, epoch=1000)
    lines = (again / "DEBIAN/md5sums").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == sorted(FILES)
    assert hashlib.md5(b"other", usedforsecurity=False).hexdigest() in lines[2]
    text = (again / "DEBIAN/control").read_text()
    assert text.count("Installed-Size: 7\n") == text.count("Installed-Size") == 1


def test_a_time_after_the_epoch_is_cut_and_one_before_is_kept(tmp_path):
    folder = tmp_path / "tree"
    fill(folder, FILES)
    os.utime(folder / "usr/share/a", (500, 500))
    deb_write.pack(folder, tmp_path / "x.deb", epoch=1000)
    listing = subprocess.run(
        ["dpkg-deb", "--contents", tmp_path / "x.deb"], env={**os.environ, "TZ": "UTC"},
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    times = {line.split()[5]: line.split()[4] for line in listing}
    assert times["./usr/share/a"] == "00:08"
    assert set(times.values()) == {"00:08", "00:16"}
