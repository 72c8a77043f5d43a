# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from plugins.module_utils.bpfview import kernel_series
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_series import Patch, Reject

ORIGINAL = "".join(f"line {number}\n" for number in range(1, 31))
PATCH = """\
--- a/dir/file.c
+++ b/dir/file.c
@@ -9,7 +9,7 @@
 line 9
 line 10
 line 11
-line 12
+line twelve
 line 13
 line 14
 line 15
"""


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    (folder / "dir").mkdir(parents=True)
    (folder / "dir/file.c").write_text(ORIGINAL)
    return folder


@pytest.fixture
def patch(tmp_path):
    path = tmp_path / "0001-change.patch"
    path.write_text(PATCH)
    return Patch(path, "")


def series(tmp_path, baseline, text, files=()):
    folder = tmp_path / baseline
    folder.mkdir()
    (folder / "series").write_text(text)
    for name in files:
        (folder / name).write_text(name)


def test_the_series_is_read_in_its_order(tmp_path):
    series(
        tmp_path,
        "6.1",
        "# head\n\n0002-b.patch\n0001-a.patch # why\n",
        ["0001-a.patch", "0002-b.patch"],
    )
    patches = kernel_series.read_series(tmp_path, "6.1")
    assert [patch.name for patch in patches] == ["0002-b.patch", "0001-a.patch"]
    assert patches[0].sha256 != patches[1].sha256


def test_an_unknown_baseline_lists_the_known(tmp_path):
    for name in ("6.12", "6.1"):
        series(tmp_path, name, "")
    with pytest.raises(BpfviewError, match=r"'5\.10'.*Choose one of: 6\.1, 6\.12"):
        kernel_series.read_series(tmp_path, "5.10")


@pytest.mark.parametrize("name", ["../up.patch", "absent.patch"])
def test_a_patch_that_is_not_in_the_folder_is_named(tmp_path, name):
    series(tmp_path, "6.1", f"{name}\n")
    (tmp_path / "up.patch").write_text("")
    with pytest.raises(BpfviewError, match=name.replace(".", r"\.")):
        kernel_series.read_series(tmp_path, "6.1")


@pytest.mark.parametrize(("count", "left"), [(None, 3), (0, 0), (2, 2), (3, 3)])
def test_a_series_can_be_cut_short(tmp_path, count, left):
    names = ["a.patch", "b.patch", "c.patch"]
    series(tmp_path, "6.1", "\n".join(names), names)
    patches = kernel_series.read_series(tmp_path, "6.1", count)
    assert [patch.name for patch in patches] == names[:left]


@pytest.mark.parametrize("count", [-1, 2])
def test_more_patches_than_there_are_is_refused(tmp_path, count):
    series(tmp_path, "6.1", "a.patch", ["a.patch"])
    with pytest.raises(BpfviewError, match="which has 1"):
        kernel_series.read_series(tmp_path, "6.1", count)


def test_a_patch_listed_twice_is_named(tmp_path):
    series(tmp_path, "6.1", "a.patch\na.patch\n", ["a.patch"])
    with pytest.raises(BpfviewError, match=r"a\.patch twice"):
        kernel_series.read_series(tmp_path, "6.1")


def test_an_exact_patch_applies(tree, patch):
    kernel_series.apply_patch(patch, tree)
    assert "line twelve" in (tree / "dir/file.c").read_text()
    assert [path.name for path in (tree / "dir").iterdir()] == ["file.c"]


def test_an_offset_is_refused_by_patch_file_and_hunk(tree, patch):
    (tree / "dir/file.c").write_text(f"new first\n{ORIGINAL}")
    with pytest.raises(BpfviewError, match=r"0001-change\.patch.*dir/file\.c hunk 1.*offset 1"):
        kernel_series.apply_patch(patch, tree)


def test_other_context_is_refused(tree, patch):
    (tree / "dir/file.c").write_text(ORIGINAL.replace("line 9\n", "line nine\n"))
    with pytest.raises(BpfviewError, match=r"dir/file\.c hunk 1: Hunk #1 FAILED"):
        kernel_series.apply_patch(patch, tree)


def test_a_patch_that_is_in_already_is_refused(tree, patch):
    kernel_series.apply_patch(patch, tree)
    with pytest.raises(BpfviewError, match=r"0001-change\.patch"):
        kernel_series.apply_patch(patch, tree)


def test_a_patch_for_a_file_that_is_not_there_is_refused(tree, patch):
    (tree / "dir/file.c").unlink()
    with pytest.raises(BpfviewError, match=r"can't find file to patch"):
        kernel_series.apply_patch(patch, tree)


def test_a_broken_patch_is_refused(tree, patch):
    patch.path.write_text(PATCH.replace("@@ -9,7 +9,7 @@", "@@ -9,9 +9,7 @@"))
    with pytest.raises(BpfviewError, match="malformed"):
        kernel_series.apply_patch(patch, tree)


def test_each_refused_hunk_is_told_by_its_file():
    text = """\
patching file kernel/bpf/inode.c
Hunk #1 succeeded at 10.
Hunk #2 succeeded at 123 (offset 3 lines).
patching file 'fs/a b.c'
Hunk #3 succeeded at 7 with fuzz 1.
Hunk #4 FAILED at 100.
1 out of 4 hunks FAILED -- saving rejects to file 'fs/a b.c.rej'
"""
    assert kernel_series.parse_rejects(text) == [
        Reject("kernel/bpf/inode.c", 2, "Hunk #2 succeeded at 123 (offset 3 lines)."),
        Reject("fs/a b.c", 3, "Hunk #3 succeeded at 7 with fuzz 1."),
        Reject("fs/a b.c", 4, "Hunk #4 FAILED at 100."),
    ]


@pytest.mark.parametrize(
    ("head", "hunk", "there", "words"),
    [
        ("--- a/y.c\n+++ b/y.c", "@@ -1 +1 @@\n-old\n+new", "",
         "can't find file to patch at input line 12"),
        ("--- a/y.c\n+++ /dev/null", "@@ -1 +0,0 @@\n-old", "",
         "the patch would delete it, which does not exist"),
        ("--- /dev/null\n+++ b/y.c", "@@ -0,0 +1 @@\n+new", "other",
         "the patch would create it, which already exists"),
    ],
)  # fmt: skip
def test_a_file_that_was_skipped_is_told_by_its_name_and_its_part_kept(
    tmp_path, head, hunk, there, words
):
    (tmp_path / "x.c").write_text("one\n")
    if there:
        (tmp_path / "y.c").write_text(there)
    before = "diff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-one\n+two\n"
    skipped = f"diff --git a/y.c b/y.c\n{head}\n{hunk}\n"
    patch = Patch(tmp_path / "a.patch", "")
    patch.path.write_text(f"Why\n---\n{before}{skipped}")
    outcome = kernel_series.try_patch(patch, tmp_path)
    assert outcome.failed
    assert outcome.rejects == (Reject("y.c", 0, words),)
    assert kernel_series.skipped_parts(patch, outcome) == {"y.c": skipped}
