# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from plugins.module_utils.bpfview import kernel_source
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_source import Package
from tests.unit.source_fixture import PACKAGE, source_package

POLICY = """\
linux-source-6.1:
  Installed: (none)
  Candidate: {}
  Version table:
     6.1.5-1 500
"""


@pytest.fixture
def apt(monkeypatch, tmp_path):
    """An apt with one package, or with none if its ``offers`` is emptied."""

    class Apt:
        offers = "6.1.5-1"
        reachable = True
        calls = 0

        def output(self, argv, *, cwd=None, timeout=0):
            if argv[0] == "apt-cache":
                return POLICY.format(self.offers or "(none)")
            self.calls += 1
            if not self.reachable:
                raise BpfviewError("apt-get failed: Temporary failure resolving", "x")
            return str(source_package(cwd))

    fake = Apt()
    monkeypatch.setattr(kernel_source, "output", fake.output)
    return fake


def test_the_candidate_of_apt_is_taken(apt, tmp_path):
    assert kernel_source.choose(tmp_path, PACKAGE.name) == PACKAGE
    assert not list(tmp_path.iterdir())


def test_a_pinned_version_is_taken_unasked(apt, tmp_path):
    assert kernel_source.choose(tmp_path, PACKAGE.name, "6.1.3-1").version == "6.1.3-1"


def test_a_missing_package_is_named_with_a_remedy(apt, tmp_path):
    apt.offers = ""
    with pytest.raises(BpfviewError, match=r"no package linux-source-6\.1.*apt-get update"):
        kernel_source.choose(tmp_path, PACKAGE.name)


def test_without_apt_lists_the_newest_cached_is_taken(apt, tmp_path):
    apt.offers = ""
    for version in ("6.1.9-1", "6.1.10-1", "6.1.10-1~rc1"):
        (tmp_path / "source" / Package(PACKAGE.name, version).slug).mkdir(parents=True)
    assert kernel_source.choose(tmp_path, PACKAGE.name).version == "6.1.10-1"


def test_a_package_is_downloaded_once(apt, tmp_path):
    first = kernel_source.fetch(tmp_path, PACKAGE)
    assert kernel_source.fetch(tmp_path, PACKAGE) == first
    assert apt.calls == 1


def test_a_failed_download_leaves_nothing_and_says_what_is_cached(apt, tmp_path):
    apt.reachable = False
    (tmp_path / "source" / "linux-source-6.1_6.1.4-1").mkdir(parents=True)
    with pytest.raises(BpfviewError, match=r"6\.1\.5-1 cannot be downloaded.*cached: 6\.1\.4-1"):
        kernel_source.fetch(tmp_path, PACKAGE)
    assert [path.name for path in (tmp_path / "source").iterdir()] == ["linux-source-6.1_6.1.4-1"]


def test_a_changed_package_is_refused(apt, tmp_path):
    archive = kernel_source.fetch(tmp_path, PACKAGE)
    with archive.open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(BpfviewError, match="not the one that was verified"):
        kernel_source.fetch(tmp_path, PACKAGE)


def test_the_time_of_a_source_is_its_newest_changelog_entry(tmp_path):
    archive = source_package(tmp_path)
    assert kernel_source.changelog_time(archive, PACKAGE) == 1794820620


def test_a_packed_file_is_read_unpacked(tmp_path):
    archive = source_package(tmp_path)
    assert kernel_source.read_member(archive, "_cloud-amd64.xz") == b"CONFIG_A=y\n"
    with pytest.raises(BpfviewError, match="no file that ends in _rt"):
        kernel_source.read_member(archive, "_rt")


def test_the_tree_is_unpacked(tmp_path):
    archive = source_package(tmp_path)
    tree = kernel_source.unpack(archive, PACKAGE, tmp_path / "work")
    assert (tree / "Makefile").read_text() == "VERSIO"


def test_a_package_without_a_kernel_is_refused(tmp_path):
    archive = source_package(tmp_path, {"x": b""})
    with pytest.raises(BpfviewError, match="holds no kernel tree"):
        kernel_source.unpack(archive, PACKAGE, tmp_path / "work")
    with pytest.raises(BpfviewError, match="cannot be unpacked"):
        kernel_source.unpack(archive, Package("linux-source-9", "1"), tmp_path / "other")
