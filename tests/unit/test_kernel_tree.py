# SPDX-License-Identifier: GPL-3.0-or-later
"""Small kernels in folders of their own: what of a build's log is a warning of the series'."""

from pathlib import Path

import pytest

from bpfview_fleet.kernel_tree import Tree, warnings_of
from plugins.module_utils.bpfview import kernel_make, kernel_series
from plugins.module_utils.bpfview.digest import sha256_file
from plugins.module_utils.bpfview.errors import BpfviewError

TOUCHED = {"kernel/bpf/inode.c", "include/linux/bpf.h"}

PATCH = """\
--- a/kernel/bpf/inode.c
+++ b/kernel/bpf/inode.c
@@ -1 +1,2 @@
 int pinned;
+int unused;
"""

# stands in for the kernel's: configures to what was asked for, and says what the source says
MAKEFILE = """\
allnoconfig:
\t@cp $(KCONFIG_ALLCONFIG) $(O)/.config
bzImage:
\t@echo '  CC      kernel/bpf/inode.o'
\t@grep -q unused kernel/bpf/inode.c && echo "../tree/kernel/bpf/inode.c:2:5: warning: unused" || :
"""


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("kernel/bpf/inode.c:12:5: warning: unused variable 'a' [-Wunused-variable]", True),
        ("../tree/kernel/bpf/inode.c:12:5: warning: unused", True),
        ("/cache/work/tree/include/linux/bpf.h:3:1: warning: no prototype", True),
        ("kernel/bpf/inode.o: warning: objtool: bpf_init() falls through", True),
        ("kernel/bpf/inode.c:12:5: note: declared here", False),
        ("kernel/bpf/other_inode.c:12:5: warning: unused", False),
        ("fs/inode.c:12:5: warning: unused", False),
        ("  CC      kernel/bpf/inode.o", False),
    ],
)
def test_warnings_about_the_files_of_the_series(line: str, wanted: bool) -> None:
    log = f"  CC      a.o\n{line}\n  CC      b.o\n"
    assert warnings_of(log, TOUCHED) == ([line] if wanted else [])


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    source = tmp_path / "tree"
    (source / "kernel/bpf").mkdir(parents=True)
    (source / "kernel/bpf/inode.c").write_text("int pinned;\n", "utf-8")
    (source / "Makefile").write_text(MAKEFILE, "utf-8")
    make = kernel_make.Make(source, tmp_path / "log", tmp_path / "ccache", "6.1", 0, 1)
    return Tree(tmp_path, make)


def _apply(tree: Tree, folder: Path) -> None:
    path = folder / "0001.patch"
    path.write_text(PATCH, "utf-8")
    tree.apply(kernel_series.Patch(path, sha256_file(path)))


def test_a_build_is_in_a_folder_of_its_own(tree: Tree, tmp_path: Path) -> None:
    out = tree.build("small", {"CONFIG_BPF": "y", "CONFIG_NET": "n"})
    assert out == tmp_path / "small"
    assert (out / ".config").read_text("utf-8") == "CONFIG_BPF=y\n# CONFIG_NET is not set\n"


def test_a_warning_of_the_series_fails_the_build(tree: Tree, tmp_path: Path) -> None:
    # what the source said before it was patched is not held against the series
    tree.build("before", {})
    _apply(tree, tmp_path)
    with pytest.raises(BpfviewError, match=r"1 warning.*inode\.c:2:5"):
        tree.build("after", {})
