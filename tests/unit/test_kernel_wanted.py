# SPDX-License-Identifier: GPL-3.0-or-later
import json
import subprocess

import pytest

from plugins.module_utils.bpfview import kernel_wanted
from plugins.module_utils.bpfview.digest import sha256_file
from plugins.module_utils.bpfview.errors import BpfviewError
from tests.unit.fake_host import FUNCTION, btf

RELEASE = "6.1.192-bpfview-0123456789ab"
CONTROL = f"""\
Package: linux-image-{RELEASE}
Version: 6.1.192-1
Architecture: amd64
Maintainer: nobody <nobody@example.org>
Description: a kernel
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A directory as kernel_build leaves it, with a real package."""
    directory = tmp_path_factory.mktemp("built")
    tree = directory / "tree"
    for path, size in (("boot/vmlinuz", 5000), ("lib/modules/x/a.ko", 10), ("lib/modules/b", 4096)):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(b"x" * size)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(CONTROL)
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, directory / "image.deb"],
        check=True,
        capture_output=True,
    )
    (directory / "vmlinux.btf").write_bytes(btf(FUNCTION))
    return directory


def manifest(built, tmp_path, **changes):
    names = ["image.deb", "vmlinux.btf"]
    data = {
        "schema": 1,
        "kind": "kernel",
        "release": RELEASE,
        "build_id": "AB",
        "files": {name: {"sha256": sha256_file(built / name)} for name in names},
        "packages": ["image.deb"],
        **changes,
    }
    for name in names:
        (tmp_path / name).symlink_to(built / name)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(data))
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def test_a_package_is_unpacked_once(built, tmp_path, monkeypatch):
    path = manifest(built, tmp_path)
    first = kernel_wanted.from_manifest(path, FUNCTION)
    monkeypatch.setattr(kernel_wanted.debian_packages, "content_sizes", None)
    assert kernel_wanted.from_manifest(path, FUNCTION) == first


def test_a_manifest_becomes_what_the_modules_take(built, tmp_path):
    wanted = kernel_wanted.from_manifest(manifest(built, tmp_path), FUNCTION)
    assert wanted.build_id == "ab"
    (package,) = wanted.packages
    assert (package.package, package.architecture) == (f"linux-image-{RELEASE}", "amd64")
    assert package.boot_bytes >= 8192
    assert package.other_bytes >= 8192
    assert kernel_wanted.from_facts(json.loads(json.dumps(wanted.facts()))) == wanted


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"kind": "views"}, "manifest of views"),
        ({"schema": 2}, "schema 2"),
        ({"packages": []}, "no packages"),
        ({"packages": ["other.deb"]}, "no digest of other.deb"),
        ({"packages": ["../image.deb"]}, "no digest"),
        ({"build_id": ""}, "no build id"),
        ({"release": "6.1.0-other"}, "is of 6.1.0-other"),
        ({"files": {"image.deb": {"sha256": "0"}}}, "its manifest says 0"),
        ({"files": []}, "no kernel manifest"),
    ],
)
def test_bad_manifests(built, tmp_path, changes, match):
    with pytest.raises(BpfviewError, match=match):
        kernel_wanted.from_manifest(manifest(built, tmp_path, **changes), FUNCTION)


def test_a_kernel_without_the_function_is_refused(built, tmp_path):
    with pytest.raises(BpfviewError, match="no BTF for another_function"):
        kernel_wanted.from_manifest(manifest(built, tmp_path), "another_function")


def test_no_manifest(tmp_path):
    with pytest.raises(BpfviewError, match="make kernel"):
        kernel_wanted.from_manifest(tmp_path / "manifest.json", FUNCTION)


@pytest.mark.parametrize("data", [{}, {"release": "x", "packages": [{"file": "y"}]}])
def test_incomplete_description(data):
    with pytest.raises(BpfviewError, match="incomplete"):
        kernel_wanted.from_facts(data)


def test_the_release_of_the_build_has_to_be_the_manifests(built, tmp_path):
    path = manifest(built, tmp_path)
    assert kernel_wanted.read(path, FUNCTION, RELEASE, predict=False).built
    assert kernel_wanted.read(path, FUNCTION, "", predict=False).built
    with pytest.raises(BpfviewError, match=r"the build made 6\.2"):
        kernel_wanted.read(path, FUNCTION, "6.2", predict=False)


def test_check_mode_goes_by_the_release_of_the_build(built, tmp_path):
    absent = tmp_path / "absent.json"
    prediction = kernel_wanted.WantedKernel("6.2")
    assert kernel_wanted.read(absent, FUNCTION, "6.2", predict=True) == prediction
    path = manifest(built, tmp_path)
    assert kernel_wanted.read(path, FUNCTION, "6.2", predict=True) == prediction
    with pytest.raises(BpfviewError, match="make kernel"):
        kernel_wanted.read(absent, FUNCTION, "", predict=True)


def test_a_kernel_that_was_built_here_is_found_by_its_release(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = tmp_path / "bpfview-fleet/kernel/0123456789abcdef/manifest.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    assert kernel_wanted.kept_manifest(RELEASE) == kept
    for other in ("6.1.192-bpfview-ba9876543210", ""):
        with pytest.raises(BpfviewError, match="rollback_manifest"):
            kernel_wanted.kept_manifest(other)
