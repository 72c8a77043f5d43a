# SPDX-License-Identifier: GPL-3.0-or-later
"""Building twice and comparing, with builds that take a moment and are alike or not."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from bpfview_fleet import kernel_reproduce
from plugins.module_utils.bpfview import (
    bpftool_build,
    kernel_build,
    kernel_source,
)
from plugins.module_utils.bpfview.deb_contents import contents_sha256
from plugins.module_utils.bpfview.errors import BpfviewError
from tests.unit.builder_fixture import kernel_dir
from tests.unit.deb_fixture import make_deb
from tests.unit.source_fixture import PACKAGE

__all__ = ["kernel_dir"]  # a fixture is used by its name alone
PLAIN = {"usr/file": b"plain"}


class Builder:
    """Stands in for both builders: publishes a package of ``files()`` and a log."""

    def __init__(self):
        self.files = lambda: PLAIN
        self.fails = False

    def build(self, planned, manifest):
        if self.fails:
            raise BpfviewError("x.c:1: error", "Correct it")
        planned.entry.mkdir(parents=True)
        folder = planned.entry / "deb"
        make_deb(planned.entry / "x.deb", folder, self.files())
        shutil.rmtree(folder)
        (planned.entry / "build.log").write_text(str(planned.entry))
        facts = kernel_build.described(planned.entry)
        kernel_build.write_manifest(planned.entry / manifest, facts)
        return True


@pytest.fixture
def builder(monkeypatch):
    one = Builder()
    monkeypatch.setattr(
        kernel_build, "build", lambda plan, _: one.build(plan, kernel_build.MANIFEST)
    )
    monkeypatch.setattr(
        bpftool_build, "build", lambda plan, _: one.build(plan, bpftool_build.MANIFEST)
    )
    return one


def build_first(request):
    """Build kernel and bpftool into the cache, in place of what is there."""
    for kind in ("kernel", "bpftool"):
        shutil.rmtree(request.cache_root / kind, ignore_errors=True)
    kernel = kernel_build.plan(request)
    kernel_build.build(kernel, None)
    bpftool_build.build(bpftool_build.plan(kernel), None)


@pytest.fixture
def request_(tmp_path, monkeypatch, builder, kernel_dir):
    """A request whose kernel and bpftool are in the cache."""
    source = tmp_path / "cache/source" / PACKAGE.slug
    source.mkdir(parents=True)
    (source / "source.deb").write_text("source")
    monkeypatch.setattr(kernel_source, "fetch", lambda *_: source / "source.deb")
    # nobody else may look into the folder of a test
    monkeypatch.setattr(kernel_reproduce, "other_user", lambda: None)
    request = kernel_build.Request("6.1", kernel_dir, tmp_path / "cache", config_base="lab")
    build_first(request)
    (tmp_path / "place").mkdir()
    return request


def manifests(tmp_path):
    return [
        json.loads(next((tmp_path / "cache").glob(f"{kind}/*/{name}")).read_text())
        for kind, name in (("kernel", "manifest.json"), ("bpftool", "bpftool.json"))
    ]


def test_builds_that_are_alike_are_recorded_and_leave_nothing(request_, tmp_path, capsys):
    before = manifests(tmp_path)
    assert kernel_reproduce.run(request_, tmp_path / "place") == 0
    assert list((tmp_path / "place").iterdir()) == []
    for old, new in zip(before, manifests(tmp_path), strict=True):
        proof = new.pop("reproduced")
        assert new == old
        assert proof["alike"] == ["x.deb"]
        assert {"folder", "umask", "time zone"} <= set(proof["changed"])
        assert "user" not in proof["changed"]
    assert capsys.readouterr().out.count("\nalike: ") == 2


def test_a_manifest_of_an_older_builder_gets_its_packages_contents(request_, tmp_path):
    path = next((tmp_path / "cache").glob("kernel/*/manifest.json"))
    facts = json.loads(path.read_text())
    del facts["contents_sha256"]
    path.write_text(json.dumps(facts))
    assert kernel_reproduce.run(request_, tmp_path / "place") == 0
    assert manifests(tmp_path)[0]["contents_sha256"] == {
        "x.deb": contents_sha256(path.parent / "x.deb")
    }


def mask():
    """The process's umask, which can only be read by setting it."""
    now = os.umask(0)
    os.umask(now)
    return now


@pytest.mark.parametrize(
    "leak",
    [
        lambda: str(Path.cwd()),
        lambda: str(mask()),
        lambda: time.tzname[0],
        lambda: os.environ.get("LC_ALL", ""),
        lambda: os.environ["HOME"],
    ],
    ids=["folder", "umask", "zone", "locale", "home"],
)
def test_what_shows_in_a_build_is_found_and_named(request_, builder, tmp_path, capsys, leak):
    builder.files = lambda: {**PLAIN, "usr/leak": leak().encode()}
    build_first(request_)
    assert kernel_reproduce.run(request_, tmp_path / "place") == 1
    said = capsys.readouterr().out
    assert said.count("NOT ALIKE: ") == 2
    assert "\n        data/usr/leak: " in said and "data/usr/file" not in said
    assert "reproduced" not in manifests(tmp_path)[0]
    # what differs can be looked at
    assert list((tmp_path / "place").rglob("x.deb"))


def test_a_second_build_that_fails_proves_nothing(request_, builder, tmp_path, capfd):
    builder.fails = True
    with pytest.raises(BpfviewError, match="second build failed"):
        kernel_reproduce.run(request_, tmp_path / "place")
    assert "x.c:1: error" in capfd.readouterr().err
    assert "reproduced" not in manifests(tmp_path)[0]


def test_without_a_first_build_there_is_nothing_to_compare(request_, tmp_path):
    other = next((tmp_path / "cache/kernel").glob("[0-9a-f]*"))
    other.rename(tmp_path / "gone")
    with pytest.raises(BpfviewError, match="nothing to compare with"):
        kernel_reproduce.run(request_, tmp_path / "place")
    assert list((tmp_path / "place").iterdir()) == []


def test_a_number_of_patches_that_is_none_is_refused(capsys):
    assert kernel_reproduce.main(["--patches", "al"]) == 2
    assert "'al' is no number of patches" in capsys.readouterr().err
