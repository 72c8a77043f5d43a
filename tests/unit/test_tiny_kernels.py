# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels that lack something: what each lacks, and that none is built twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bpfview_fleet import tiny_kernels
from bpfview_fleet.tiny_kernels import TINY_KERNELS, build_all, options
from plugins.module_utils.bpfview import kernel_key
from plugins.module_utils.bpfview.kernel_series import Patch
from plugins.module_utils.bpfview.kernel_source import Package


@pytest.mark.parametrize(
    ("fragment", "option"),
    [
        ("tiny-no-bpf.config", "CONFIG_BPF_SYSCALL"),
        ("tiny-no-cgroups.config", "CONFIG_CGROUPS"),
        ("tiny-no-fsnotify.config", "CONFIG_FSNOTIFY"),
    ],
)
def test_each_lacks_what_the_smallest_kernel_with_views_has(fragment: str, option: str) -> None:
    assert fragment in {tiny.fragment for tiny in TINY_KERNELS}
    assert options()[option] == "y"
    assert options(fragment)[option] == "n"
    others = {"CONFIG_BPF_SYSCALL", "CONFIG_CGROUPS", "CONFIG_FSNOTIFY"} - {option}
    assert all(options(fragment)[other] == "y" for other in others)


class FakeTree:
    """Makes what a build leaves, and notes in which order."""

    def __init__(self, folder: Path) -> None:
        self.did: list[str] = []
        self._folder = folder

    def apply(self, _patch: Patch) -> None:
        self.did.append("patch")

    def build(self, name: str, _options: object) -> Path:
        self.did.append(name)
        out = self._folder / name
        (out / "arch/x86/boot").mkdir(parents=True)
        (out / "arch/x86/boot/bzImage").write_text(name, "utf-8")
        (out / ".config").write_text("", "utf-8")
        return out


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTree:
    fake = FakeTree(tmp_path / "work")

    @contextmanager
    def unpacked(*_: object) -> Iterator[FakeTree]:
        fake.did.append("unpack")
        yield fake

    monkeypatch.setattr(tiny_kernels, "unpacked", unpacked)
    monkeypatch.setattr(tiny_kernels, "choose", lambda _, name: Package(name, "6.1.2-1"))
    monkeypatch.setattr(kernel_key, "toolchain", lambda: {"gcc": "gcc 12"})
    return fake


def test_the_stock_kernel_is_built_before_anything_is_patched(
    tree: FakeTree, tmp_path: Path
) -> None:
    kernels = build_all("6.1", tmp_path)
    names = [tiny.name for tiny in TINY_KERNELS]
    assert {name: path.read_text("utf-8") for name, path in kernels.items()} == {
        name: name for name in names
    }
    assert tree.did[:2] == ["unpack", "stock"]
    assert set(tree.did[2 : -len(names) + 1]) == {"patch"}
    assert tree.did[-len(names) + 1 :] == names[1:]


def test_what_is_there_is_not_built_again(tree: FakeTree, tmp_path: Path) -> None:
    build_all("6.1", tmp_path)
    tree.did.clear()
    build_all("6.1", tmp_path)
    assert tree.did == []


def test_another_option_is_another_kernel(
    tree: FakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build_all("6.1", tmp_path)
    tree.did.clear()
    same, more = options, {"CONFIG_TTY": "n"}
    monkeypatch.setattr(
        tiny_kernels,
        "options",
        lambda fragment="": {**same(fragment), **(more if "cgroups" in fragment else {})},
    )
    second = build_all("6.1", tmp_path)
    assert [name for name in first if first[name] != second[name]] == ["no-cgroups"]
    assert "stock" not in tree.did
    assert tree.did[-1] == "no-cgroups"
