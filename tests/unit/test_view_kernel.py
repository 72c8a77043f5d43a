# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the kernel, as far as it can be seen without one that has views."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.bpfview import bpf_call, view_kernel
from plugins.module_utils.bpfview.view_kernel import Kernel
from tests.unit.view_fixture import Tree, btf

GENERATION = "/sys/fs/bpf/bpfview/memory/0123"


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_the_subtree_flag_is_the_running_kernels(tree: Tree) -> None:
    assert view_kernel.subtree_flag(tree.host) == 1 << 24
    tree.describe(btf("bpf_view_cgroup", BPF_F_VIEW_SUBTREE=1 << 27))
    assert view_kernel.subtree_flag(tree.host) == 1 << 27
    tree.describe(btf("bpf_view_cgroup"))
    assert view_kernel.subtree_flag(tree.host) is None


def test_a_kernel_without_btf_serves_no_subtrees(tree: Tree) -> None:
    (tree.root / "sys/kernel/btf/vmlinux").unlink()
    assert view_kernel.subtree_flag(tree.host) is None


def test_a_kernel_without_the_flag_never_exposes_a_single_file_instead(tree: Tree) -> None:
    tree.describe(btf("bpf_view_cgroup"))
    with pytest.raises(OSError, match=r"knows no subtrees.*view\.memory"):
        Kernel(tree.host).expose(GENERATION, "view.memory", below=True)


def pin(tree: Tree, **programs: str) -> None:
    """Put files in the generation's folder where a kernel has pins; each holds a program's id."""
    folder = tree.host.path(GENERATION)
    folder.mkdir(parents=True)
    for name, program in programs.items():
        (folder / name).write_text(program)


def test_a_generation_from_before_programs_were_pinned_runs_its_own(tree: Tree) -> None:
    pin(tree, view="7")
    assert Kernel(tree.host).runs_its_own(GENERATION)


def test_pins_that_cannot_be_opened_are_not_taken_for_well(tree: Tree) -> None:
    pin(tree, program="7", view="7")  # on a file system that is no bpffs
    with pytest.raises(OSError, match="program"):
        Kernel(tree.host).runs_its_own(GENERATION)


@pytest.mark.parametrize(("linked", "own"), [("7", True), ("8", False)])
def test_a_generation_runs_its_own_if_the_links_program_is_the_pinned_one(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, linked: str, own: bool
) -> None:
    pin(tree, program="7", view=linked)
    monkeypatch.setattr(bpf_call, "program_of", lambda path: int(Path(path).read_text()))
    assert Kernel(tree.host).runs_its_own(GENERATION) is own


def test_the_link_that_is_handed_over_takes_the_others_place(tree: Tree) -> None:
    for name in ("old", "new"):
        folder = tree.pins / "memory" / name
        folder.mkdir(parents=True)
        (folder / "view").write_text(name)
    Kernel(tree.host).hand_over("/sys/fs/bpf/bpfview/memory/old", "/sys/fs/bpf/bpfview/memory/new")
    assert (tree.pins / "memory/new/view").read_text() == "old"
    assert not (tree.pins / "memory/old/view").exists()
