# SPDX-License-Identifier: GPL-3.0-or-later
import json
from dataclasses import replace

import pytest

from plugins.module_utils.bpfview import (
    cache,
    kernel_build,
    kernel_key,
    kernel_make,
    kernel_source,
)
from plugins.module_utils.bpfview.deb_contents import contents_sha256
from plugins.module_utils.bpfview.digest import sha256_bytes
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_source import Package
from plugins.module_utils.bpfview.progress import Reporter
from tests.unit.deb_fixture import make_deb
from tests.unit.test_elf import note, write_elf

GENERATED = "#\n# Automatically generated file; DO NOT EDIT.\n#\nCONFIG_CC_IS_GCC=y\nCONFIG_U=m\n"


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    monkeypatch.setattr(kernel_key, "toolchain", lambda: {"gcc": "gcc 12.2.0"})
    monkeypatch.setattr(
        kernel_source, "choose", lambda root, name, pin: Package(name, pin or "6.1.5-1")
    )


@pytest.fixture
def request_for(tmp_path):
    kernel = tmp_path / "kernel"
    (kernel / "6.1").mkdir(parents=True)
    (kernel / "config").mkdir()
    (kernel / "6.1/series").write_text("0001-a.patch")
    (kernel / "6.1/0001-a.patch").write_text("")
    (kernel / "config/lab.config").write_text("CONFIG_L=y\n")
    (kernel / "config/distro.config").write_text("CONFIG_D=y\n")
    (kernel / "config/bpf_view.config").write_text("CONFIG_V=y\n")

    def make(**changes):
        request = kernel_build.Request("6.1", kernel, tmp_path / "cache", config_base="lab")
        return replace(request, **changes)

    return make


def tree_of(path):
    return sorted(str(item.relative_to(path)) for item in path.rglob("*"))


def test_planning_writes_nothing(request_for, tmp_path):
    before = tree_of(tmp_path)
    planned = kernel_build.plan(request_for())
    assert planned.inputs.release.startswith("6.1.5-bpfview-")
    assert tree_of(tmp_path) == before


def test_each_base_asks_for_its_own_and_the_common_options(request_for, tmp_path):
    assert kernel_build.plan(request_for()).required == {"CONFIG_L": "y", "CONFIG_V": "y"}
    distro = kernel_build.plan(request_for(config_base="distro"))
    assert distro.required == {"CONFIG_D": "y", "CONFIG_V": "y"}
    assert distro.config_package == Package("linux-config-6.1", "6.1.5-1")


def test_a_users_list_must_survive_and_a_generated_file_need_not(request_for, tmp_path):
    path = tmp_path / "user.config"
    path.write_text("CONFIG_U=y\n")
    listed = kernel_build.plan(request_for(config_base="file", config_file=path))
    assert listed.required == {"CONFIG_U": "y", "CONFIG_V": "y"}
    path.write_text(GENERATED)
    whole = kernel_build.plan(request_for(config_base="file", config_file=path))
    assert whole.required == {"CONFIG_V": "y"}
    assert whole.inputs.options["CONFIG_U"] == "m"


def test_a_users_fragment_comes_last(request_for, tmp_path):
    path = tmp_path / "extra.config"
    path.write_text("CONFIG_L=n\n")
    planned = kernel_build.plan(request_for(fragments=[path]))
    assert planned.required["CONFIG_L"] == "n"


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"baseline": "9.9"}, r"'9\.9'.*6\.1"), ({"config_base": "mine"}, r"'mine'.*lab, distro")],
)
def test_what_is_unknown_is_named_with_what_is_known(request_for, changes, words):
    with pytest.raises(BpfviewError, match=words):
        kernel_build.plan(request_for(**changes))


class FakeTree:
    """Stands in for the kernel's makefiles: leaves what a build leaves."""

    def __init__(self, monkeypatch):
        self.runs = 0
        self.config = "CONFIG_L=y\nCONFIG_V=y\n"
        self.compile_error = None
        monkeypatch.setattr(kernel_make, "require_tools", lambda: None)
        monkeypatch.setattr(kernel_source, "fetch", lambda root, package: root / "x.deb")
        monkeypatch.setattr(kernel_source, "changelog_time", lambda archive, package: 0)
        monkeypatch.setattr(kernel_source, "unpack", self.unpack)
        monkeypatch.setattr(kernel_make, "configure", self.configure)
        monkeypatch.setattr(kernel_make.Make, "quiet", lambda make, *_: f"{make.release}\n")
        monkeypatch.setattr(kernel_make, "compile_tree", self.compile_tree)
        monkeypatch.setattr(kernel_make, "package", self.package)

    def unpack(self, archive, package, into):
        into.mkdir()
        return into

    def configure(self, make, options, local_version, minimal):
        (make.tree / ".config").write_text(self.config)

    def compile_tree(self, make, reporter):
        self.runs += 1
        if self.compile_error:
            make.log.write_text("half a log")
            raise self.compile_error
        image = make.tree / "arch/x86/boot/bzImage"
        image.parent.mkdir(parents=True)
        image.write_bytes(b"image")
        notes = note(b"GNU\0", 3, b"\xab" * 20)
        write_elf(make.tree / "vmlinux", 62, {".notes": notes, ".BTF": b"types"})

    def package(self, make, reporter):
        found = []
        for stem in ("linux-image", "linux-headers"):
            found.append(make.tree.parent / f"{stem}-{make.release}_6.1.5-1_amd64.deb")
            make_deb(found[-1], make.tree.parent / stem, {"usr/file": stem.encode()})
        return found


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(kernel_build, "_ROOM", {"lab": 0, "distro": 0, "file": 0})
    return FakeTree(monkeypatch)


def run(planned):
    return kernel_build.build(planned, Reporter(None, "kernel"))


def test_a_build_gives_a_whole_entry_and_a_second_does_nothing(request_for, fake, tmp_path):
    planned = kernel_build.plan(request_for())
    assert run(planned) is True
    assert run(kernel_build.plan(request_for())) is False
    assert fake.runs == 1
    manifest = kernel_build.load(planned.entry)
    release = planned.inputs.release
    assert manifest["release"] == release
    assert manifest["build_id"] == "ab" * 20
    assert manifest["packages"] == [f"linux-image-{release}_6.1.5-1_amd64.deb"]
    headers, image = sorted(manifest["contents_sha256"])
    assert image == manifest["packages"][0] and headers.startswith("linux-headers-")
    assert manifest["contents_sha256"][image] == contents_sha256(planned.entry / image)
    assert manifest["files"]["vmlinux.btf"] == {"sha256": sha256_bytes(b"types"), "size": 5}
    assert set(manifest["files"]) == {
        "bzImage", "vmlinux.btf", "config", "build.log", manifest["packages"][0],
        f"linux-headers-{release}_6.1.5-1_amd64.deb",
    }  # fmt: skip
    assert not (tmp_path / "cache/work/kernel-6.1").exists()
    assert list((tmp_path / "cache/logs").iterdir()) == []


def test_a_lost_option_stops_before_the_compiler(request_for, fake):
    fake.config = "CONFIG_L=y\n"
    planned = kernel_build.plan(request_for())
    with pytest.raises(BpfviewError, match=r"CONFIG_V \(wanted y, got n\)"):
        run(planned)
    assert fake.runs == 0
    assert cache.find(planned.request.cache_root, "kernel", planned.inputs.key) is None


@pytest.mark.parametrize("error", [BpfviewError("x.c: error", "Correct it"), KeyboardInterrupt()])
def test_a_broken_off_build_leaves_its_log_and_nothing_else(request_for, fake, tmp_path, error):
    planned = kernel_build.plan(request_for())
    fake.compile_error = error
    with pytest.raises(type(error)):
        run(planned)
    assert list((tmp_path / "cache/kernel").iterdir()) == []
    assert not (tmp_path / "cache/work/kernel-6.1").exists()
    (log,) = (tmp_path / "cache/logs").iterdir()
    assert log.read_text() == "half a log"
    fake.compile_error = None
    assert run(planned) is True


def test_a_full_disk_is_told_before_anything_is_fetched(request_for, fake, monkeypatch):
    monkeypatch.setattr(kernel_build, "_ROOM", {"lab": 10**9})
    with pytest.raises(BpfviewError, match="GiB free, a lab kernel build needs"):
        run(kernel_build.plan(request_for()))


def test_a_source_of_another_version_is_refused(request_for, fake, monkeypatch):
    monkeypatch.setattr(kernel_make.Make, "quiet", lambda *_: "6.1.4-bpfview-x\n")
    with pytest.raises(BpfviewError, match=r"6\.1\.4-bpfview-x, not 6\.1\.5-bpfview"):
        run(kernel_build.plan(request_for()))


def test_a_changed_entry_is_refused_by_file(request_for, fake):
    planned = kernel_build.plan(request_for())
    run(planned)
    (planned.entry / "bzImage").write_bytes(b"other")
    with pytest.raises(BpfviewError, match=r"was changed since it was built: bzImage"):
        kernel_build.load(planned.entry)
    (planned.entry / "bzImage").unlink()
    with pytest.raises(BpfviewError, match="not whole"):
        kernel_build.load(planned.entry)


def test_the_manifest_is_the_same_bytes_each_time(request_for, fake, tmp_path):
    planned = kernel_build.plan(request_for())
    run(planned)
    first = (planned.entry / "manifest.json").read_bytes()
    other = kernel_build.plan(request_for(cache_root=tmp_path / "other"))
    run(other)
    assert (other.entry / "manifest.json").read_bytes() == first
    assert json.loads(first)["key"] == planned.inputs.key
