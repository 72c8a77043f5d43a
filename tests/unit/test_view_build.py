# SPDX-License-Identifier: GPL-3.0-or-later
import json
import shutil

import pytest

from plugins.module_utils.bpfview import elf, view_build
from plugins.module_utils.bpfview.digest import sha256_bytes, sha256_file
from plugins.module_utils.bpfview.errors import BpfviewError
from tests.unit.test_elf import write_elf

CATALOG = {"memory": {"file": "view.memory", "source": "memory.bpf.c", "keys": {}}}
GOOD = """\
#include "vmlinux.h"
char _license[] __attribute__((section("license"), used)) = "GPL";
struct two { int a; };
__attribute__((section("view/cgroup"), used)) int show(struct two *ctx) { return ctx->a & 1; }
"""
SECTIONS = {"view/cgroup": b"x", "license": b"GPL\0", ".BTF": b"x", ".BTF.ext": b"x"}

needs_clang = pytest.mark.skipif(
    not (shutil.which("clang-16") and shutil.which("llvm-strip-16")), reason="clang-16 is missing"
)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "bpf"
    (folder / "include").mkdir(parents=True)
    (folder / "memory.bpf.c").write_text(GOOD)
    return folder


@pytest.fixture
def kernel(tmp_path):
    folder = tmp_path / "kernel"
    folder.mkdir()
    (folder / "vmlinux.btf").write_bytes(b"types")
    manifest = {
        "release": "6.1.5-bpfview-x",
        "key": "kk",
        "files": {"vmlinux.btf": {"sha256": sha256_bytes(b"types"), "size": 5}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def wanted(source, kernel, tmp_path, monkeypatch):
    real = view_build.output

    def output(argv, **options):
        if argv[1] == "--version":
            return f"{argv[0]} version 1.0"
        return "typedef int header;\n" if argv[0] == "bpftool" else real(argv, **options)

    monkeypatch.setattr(view_build, "output", output)
    views = view_build.read_catalog(source, CATALOG)
    return view_build.Request(source, views, kernel, tmp_path / "cache")


@pytest.mark.parametrize(
    ("catalog", "words"),
    [
        ({}, "empty"),
        ({"Memory": CATALOG["memory"]}, "'Memory'"),
        ({"my-view": CATALOG["memory"]}, "'my-view'"),
        ({"memory": {"file": "view.a-b", "source": "memory.bpf.c"}}, r"'view\.a-b'"),
        ({"memory": {"file": "memory.view", "source": "memory.bpf.c"}}, r"'memory\.view'"),
        ({"memory": {"file": "view.memory", "source": "no.bpf.c"}}, r"'no\.bpf\.c'"),
        ({"memory": {"file": "view.memory", "source": "../x"}}, r"'\.\./x'"),
        ({"memory": CATALOG["memory"], "other": CATALOG["memory"]}, r"two views.*view\.memory"),
    ],
)
def test_a_bad_catalogue_is_refused(source, catalog, words):
    with pytest.raises(BpfviewError, match=words):
        view_build.read_catalog(source, catalog)


def test_the_key_follows_what_shows_in_the_objects(wanted, source, kernel):
    first = view_build.plan(wanted).key
    assert view_build.plan(wanted).key == first
    (source / "include/extra.h").write_text("")
    second = view_build.plan(wanted).key
    (source / "memory.bpf.c").write_text(f"{GOOD}\n")
    third = view_build.plan(wanted).key
    manifest = json.loads((kernel / "manifest.json").read_text())
    (kernel / "manifest.json").write_text(json.dumps({**manifest, "key": "other"}))
    assert len({first, second, third, view_build.plan(wanted).key}) == 4


def test_without_a_kernel_the_user_is_told_to_build_one(wanted, kernel):
    (kernel / "manifest.json").unlink()
    with pytest.raises(BpfviewError, match=r"no built kernel in .*Build it first"):
        view_build.plan(wanted)


def test_type_information_of_another_kernel_is_refused(wanted, kernel):
    (kernel / "vmlinux.btf").write_bytes(b"others")
    with pytest.raises(BpfviewError, match="not the one that the kernel's manifest names"):
        view_build.plan(wanted)


@needs_clang
def test_objects_are_named_by_digest_and_built_once(wanted):
    planned = view_build.plan(wanted)
    assert view_build.build(planned) is True
    assert view_build.build(planned) is False
    manifest = view_build.load(planned.entry)
    known = manifest["objects"]["memory"]
    assert known["entry"] == "view.memory"
    assert known["file"] == f"memory-{known['sha256'][:12]}.bpf.o"
    assert sha256_file(planned.entry / known["file"]) == known["sha256"]
    assert manifest["kernel"] == {"release": "6.1.5-bpfview-x", "key": "kk"}
    names = {section.name for section in elf.read_elf(planned.entry / known["file"]).sections}
    assert not {name for name in names if name.startswith(".debug")}


@needs_clang
def test_equal_sources_elsewhere_give_equal_objects(wanted, tmp_path):
    view_build.build(view_build.plan(wanted))
    first = view_build.load(view_build.plan(wanted).entry)
    moved = tmp_path / "elsewhere" / "bpf"
    shutil.copytree(wanted.source_dir, moved)
    other = view_build.Request(
        moved, view_build.read_catalog(moved, CATALOG), wanted.kernel_dir, tmp_path / "other"
    )
    view_build.build(view_build.plan(other))
    assert view_build.load(view_build.plan(other).entry) == first


@needs_clang
def test_a_compile_error_shows_the_compilers_words_and_leaves_nothing(wanted, source, tmp_path):
    (source / "memory.bpf.c").write_text(GOOD.replace("ctx->a", "ctx->b"))
    with pytest.raises(BpfviewError, match=r"view memory does not compile:[\s\S]*no member named"):
        view_build.build(view_build.plan(wanted))
    assert list((tmp_path / "cache/views").iterdir()) == []


@needs_clang
def test_an_object_without_a_view_is_refused(wanted, source):
    (source / "memory.bpf.c").write_text(GOOD.replace("view/cgroup", "iter/cgroup"))
    with pytest.raises(BpfviewError, match="no program in a section view/cgroup"):
        view_build.build(view_build.plan(wanted))


@pytest.mark.parametrize(
    ("machine", "sections", "words"),
    [
        (62, SECTIONS, "machine 62"),
        (247, {"license": b""}, "no program in a section"),
        (247, {"view/cgroup": b""}, r"lacks \.BTF, \.BTF\.ext, license"),
    ],
)
def test_what_is_no_view_object_is_refused(tmp_path, machine, sections, words):
    path = write_elf(tmp_path / "o", machine, sections)
    with pytest.raises(BpfviewError, match=words):
        view_build.require_view_object(path, "memory")


def test_a_sleepable_view_is_a_view(tmp_path):
    sections = {**SECTIONS, "view.s/cgroup": b""}
    del sections["view/cgroup"]
    view_build.require_view_object(write_elf(tmp_path / "o", 247, sections), "memory")


@needs_clang
def test_a_changed_object_is_refused(wanted):
    planned = view_build.plan(wanted)
    view_build.build(planned)
    (path,) = planned.entry.glob("*.o")
    path.write_bytes(b"other")
    with pytest.raises(BpfviewError, match="were changed since they were built: memory"):
        view_build.load(planned.entry)
