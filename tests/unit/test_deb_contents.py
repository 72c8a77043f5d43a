# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from plugins.module_utils.bpfview import deb_write
from plugins.module_utils.bpfview.deb_contents import contents_sha256, differences, members
from plugins.module_utils.bpfview.errors import BpfviewError
from tests.unit.deb_fixture import fill, make_deb

FILES = {"usr/a": b"one", "usr/b": b"two"}


@pytest.fixture
def package(tmp_path):
    return make_deb(tmp_path / "one.deb", tmp_path / "one", FILES)


def test_members_are_those_of_both_archives(package):
    found = members(package)
    assert {"control/control", "control/md5sums", "data/usr/a", "data/usr/b"} <= found.keys()
    assert found["data/usr/a"]["size"] == 3
    assert found["data/usr/a"]["holds"] != found["data/usr/b"]["holds"]


def test_time_and_compression_do_not_count(package, tmp_path):
    fill(tmp_path / "later", FILES)
    later = tmp_path / "later.deb"
    deb_write.pack(tmp_path / "later", later, epoch=999_999)
    assert later.read_bytes() != package.read_bytes()
    assert contents_sha256(later) == contents_sha256(package)
    assert differences(package, later) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda tree: (tree / "usr/a").write_bytes(b"eno"), "data/usr/a: holds "),
        (lambda tree: (tree / "usr/a").chmod(0o755), "data/usr/a: mode 0644 and 0755"),
        (lambda tree: (tree / "usr/c").write_bytes(b""), "data/usr/c: only in "),
        (lambda tree: (tree / "DEBIAN/postinst").write_text("#!/bin/sh\n"), "control/postinst: "),
        (
            lambda tree: ((tree / "usr/a").unlink(), (tree / "usr/a").symlink_to("b")),
            "data/usr/a: kind 0 and 2",
        ),
    ],
)
def test_whatever_a_host_would_get_otherwise_counts_and_is_named(package, tmp_path, change, line):
    tree = tmp_path / "other"
    fill(tree, FILES)
    change(tree)
    for script in tree.glob("DEBIAN/postinst"):
        script.chmod(0o755)
    other = tmp_path / "folder" / "one.deb"
    other.parent.mkdir()
    deb_write.pack(tree, other, epoch=1000)
    assert contents_sha256(other) != contents_sha256(package)
    assert any(said.startswith(line) for said in differences(package, other))


@pytest.mark.parametrize("cut", [0, 20, 300])
def test_a_damaged_package_is_named(package, cut):
    package.write_bytes(package.read_bytes()[:cut])
    with pytest.raises(BpfviewError, match=r"one\.deb cannot be read as a Debian package"):
        members(package)
