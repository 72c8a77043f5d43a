# SPDX-License-Identifier: GPL-3.0-or-later
"""A series of three patches on sources that are newer in one way or another."""

import subprocess

import pytest

from bpfview_fleet import kernel_rebase
from bpfview_fleet.rebase_tree import RebaseTree, message_of
from plugins.module_utils.bpfview import kernel_series, kernel_source
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_series import Patch
from tests.unit.source_fixture import PACKAGE, source_package

LINES = [f"line {number}" for number in range(1, 31)]
IGNORE = ".*\n*.o\n*.rej\n/*\n!/debian/\n"
HEAD = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Some Body <some@body.invalid>
Date: Sun, 22 Nov 2026 11:30:11 +0100
Subject: [PATCH] {}

Why it is so.

    indented, and # no comment

Signed-off-by: Some Body <some@body.invalid>
---
"""


def text_of(lines):
    return "".join(f"{line}\n" for line in lines)


def source(tmp_path, lines=LINES, version=PACKAGE.version):
    files = {"Makefile": "", "fs/file.c": text_of(lines), ".gitignore": IGNORE}
    return source_package(
        tmp_path, {name: text.encode() for name, text in files.items()}, version=version
    )


@pytest.fixture
def series(tmp_path, monkeypatch):
    """The folder of a baseline with a series that git made of the first source."""
    folder = tmp_path / "kernel/6.1"
    folder.mkdir(parents=True)
    monkeypatch.setattr(kernel_rebase, "KERNEL", tmp_path / "kernel")
    monkeypatch.setattr(kernel_rebase, "WORK", tmp_path / "rebase")
    tree = RebaseTree(tmp_path / "origin")
    kernel_source.unpack(source(tmp_path), PACKAGE, tree.folder)
    tree.begin("first")
    steps = [
        ("Change 5", "fs/file.c", text_of(LINES).replace("line 5\n", "line five\n")),
        ("Add a file", "fs/new.c", "new\n"),
        ("Change 25", "fs/file.c", None),
    ]
    for number, (subject, name, text) in enumerate(steps, 1):
        path = tree.folder / name
        path.write_text(text or path.read_text().replace("line 25\n", "line 25a\nline 25b\n"))
        subprocess.run(["git", "add", "-A"], cwd=tree.folder, check=True)
        # a mail's head and git's diff make a patch
        draft = tmp_path / f"{number}.mail"
        draft.write_text(HEAD.format(subject) + tree.git("diff", "--cached", "--full-index"))
        tree._commit(Patch(draft, ""))
    tree.export(folder)
    return folder


def run(*arguments):
    return kernel_rebase.main(["--baseline", "6.1", *map(str, arguments)])


def verdicts(text):
    lines = [line for line in text.splitlines() if line.startswith(("exact ", "moved ", "FAILS "))]
    return [line.split(" ", 1)[0] for line in lines]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_series_that_fits_is_exported_byte_by_byte(series, tmp_path, capsys):
    before = contents(series)
    assert sorted(before) == [
        "0001-Change-5.patch", "0002-Add-a-file.patch", "0003-Change-25.patch", "series"
    ]  # fmt: skip
    assert run("--source", source(tmp_path)) == 0
    assert verdicts(capsys.readouterr().out) == ["exact"] * 3
    assert run("--export") == 0
    assert contents(series) == before


def test_a_patch_at_another_line_is_told_and_renewed(series, tmp_path, capsys):
    newer = source(tmp_path, ["new first", *LINES], version="6.1.6-1")
    assert run("--source", newer) == 0
    said = capsys.readouterr().out
    assert "on 6.1.6-1" in said
    assert verdicts(said) == ["moved", "exact", "moved"]
    assert "fs/file.c hunk 1: Hunk #1 succeeded at 3 (offset 1 line)." in said
    assert run("--export") == 0
    tree = tmp_path / "newer"
    kernel_source.unpack(newer, PACKAGE, tree)
    for patch in kernel_series.read_series(series.parent, "6.1"):
        kernel_series.apply_patch(patch, tree)
    assert (tree / "fs/file.c").read_text().startswith("new first\n")


def test_a_patch_in_other_context_is_told(series, tmp_path, capsys):
    changed = ["line two" if line == "line 2" else line for line in LINES]
    assert run("--source", source(tmp_path, changed)) == 0
    said = capsys.readouterr().out
    assert verdicts(said) == ["moved", "exact", "exact"]
    assert "hunk 1: Hunk #1 succeeded at 2 with fuzz" in said


@pytest.fixture
def half(series, tmp_path, capsys):
    """The work tree on a source where the first patch fails."""
    changed = ["line V" if line == "line 5" else line for line in LINES]
    assert run("--source", source(tmp_path, changed)) == 1
    return tmp_path / "rebase/6.1"


def test_a_patch_that_fails_is_told_with_its_hunk_and_left_to_mend(half, capsys):
    said = capsys.readouterr().out
    assert verdicts(said) == ["FAILS", "exact", "exact"]
    assert "fs/file.c hunk 1: Hunk #1 FAILED at 2." in said
    assert "(on what a patch that fails left)" in said
    assert "fs/file.c.rej" in said and "STEP=continue" in said
    assert (half / "fs/file.c.rej").is_file()
    # nothing of the later patches is in it
    assert not (half / "fs/new.c").exists()
    assert "line 25\n" in (half / "fs/file.c").read_text()


def test_nothing_is_taken_for_mended_while_hunks_are_left(half, capsys):
    assert run("--continue") == 2
    assert "fs/file.c.rej" in capsys.readouterr().err


def test_mending_goes_on_to_a_series_that_applies(half, series, tmp_path, capsys):
    (half / "fs/file.c.rej").unlink()
    path = half / "fs/file.c"
    path.write_text(path.read_text().replace("line V\n", "line five (V)\n"))
    assert run("--continue") == 0
    log = RebaseTree(half).git("log", "--format=%an <%ae> %aI %s", "base..")
    assert log.splitlines()[-1] == (
        "Some Body <some@body.invalid> 2026-11-22T11:30:11+01:00 Change 5"
    )
    assert run("--export") == 0
    assert b"+line five (V)" in (series / "0001-Change-5.patch").read_bytes()
    assert b"    indented, and # no comment" in (series / "0001-Change-5.patch").read_bytes()
    assert (series / "series").read_text().split() == sorted(contents(series))[:3]


def test_a_commit_by_hand_is_taken(half, series):
    (half / "fs/file.c.rej").unlink()
    (half / "fs/file.c").write_text("by hand\n")
    for command in (
        ["git", "add", "-A"],
        ["git", "-c", "user.name=Me", "-c", "user.email=me@x", "commit", "-qm", "Mine"],
    ):
        subprocess.run(command, cwd=half, check=True)
    # the third no longer fits, which is another patch to mend
    assert run("--continue") == 1
    log = RebaseTree(half).git("log", "--format=%s", "base..")
    assert log.split("\n")[:2] == ["Add a file", "Mine"]


def test_work_is_not_thrown_away(half, series, tmp_path, capsys):
    fits = source(tmp_path)
    assert run("--source", fits) == 2
    assert f"rm -r {half}" in capsys.readouterr().err
    (half / "fs/file.c.rej").unlink()
    (half / "fs/file.c").write_text(text_of(LINES).replace("line 5\n", "line V5\n"))
    assert run("--continue") == 0
    # mended, and not yet exported
    assert run("--source", fits) == 2
    assert run("--export") == 0
    assert run("--source", source(tmp_path)) in (0, 1)


def test_a_patch_that_patch_cannot_read_is_not_forgotten(series, tmp_path, capsys):
    path = series / "0001-Change-5.patch"
    path.write_text(path.read_text().replace("@@ -2,7 +2,7 @@", "@@ -2,70 +2,70 @@"))
    assert run("--source", source(tmp_path)) == 1
    assert "    0001-Change-5.patch.rej" in capsys.readouterr().out
    assert run("--continue") == 2
    assert "0001-Change-5.patch.rej" in capsys.readouterr().err


@pytest.fixture
def moved(series, tmp_path, capsys):
    """The work tree on a source that has the file of the first patch under another name."""
    newer = tmp_path / "linux-6.2/lib"
    newer.mkdir(parents=True)
    (newer / "file.c").write_text(text_of(LINES))
    subprocess.run(["tar", "-caf", "l.tar.xz", "linux-6.2"], cwd=tmp_path, check=True)
    assert run("--source", tmp_path / "l.tar.xz") == 1
    return tmp_path / "rebase/6.1"


def test_a_file_that_moved_is_named_and_its_hunks_are_kept(moved, capsys):
    said = capsys.readouterr().out
    assert "fs/file.c: can't find file to patch" in said
    assert "    fs/file.c.rej (of a file that is not in this source" in said
    assert "+line five" in (moved / "fs/file.c.rej").read_text()


def test_hunks_for_a_file_that_moved_are_not_forgotten(moved, series, capsys):
    assert run("--continue") == 2
    assert "fs/file.c.rej" in capsys.readouterr().err
    log = RebaseTree(moved).git("log", "--format=%s", "base..")
    assert log == ""


def test_a_kept_hunk_can_be_put_where_the_file_moved(moved, capsys):
    path = moved / "fs/file.c.rej"
    subprocess.run(["patch", "--input", path, "lib/file.c"], cwd=moved, check=True)
    path.unlink()
    # the third changes the same file
    assert run("--continue") == 1
    assert "Change 25" in capsys.readouterr().out.replace("-", " ")
    tree = RebaseTree(moved)
    assert tree.git("log", "--format=%s", "base..").split("\n")[:2] == ["Add a file", "Change 5"]
    assert "+line five" in tree.git("show", "HEAD~")


def test_half_a_series_is_not_exported(half, series, capsys):
    before = contents(series)
    assert run("--export") == 2
    assert "0001-Change-5.patch waits" in capsys.readouterr().err
    assert contents(series) == before


def test_a_change_that_no_commit_holds_is_not_left_behind(series, tmp_path, capsys):
    assert run("--source", source(tmp_path)) == 0
    (tmp_path / "rebase/6.1/fs/more.c").write_text("")
    assert run("--export") == 2
    assert "fs/more.c is not committed" in capsys.readouterr().err


def test_a_tar_file_will_do(series, tmp_path, capsys):
    tree = tmp_path / "linux-6.2/fs"
    tree.mkdir(parents=True)
    (tree / "file.c").write_text(text_of(LINES))
    subprocess.run(["tar", "-caf", "l.tar.xz", "linux-6.2"], cwd=tmp_path, check=True)
    assert run("--source", tmp_path / "l.tar.xz") == 0
    assert "on l.tar.xz" in capsys.readouterr().out


@pytest.mark.parametrize("step", ["--continue", "--export"])
def test_without_a_tree_there_is_no_next_step(series, capsys, step):
    assert run(step) == 2
    assert "no work tree" in capsys.readouterr().err


def test_a_patch_that_is_no_mail_is_named(tmp_path):
    path = tmp_path / "x.patch"
    path.write_text("--- a/x\n+++ b/x\n")
    with pytest.raises(BpfviewError, match=r"x\.patch has no From"):
        message_of(Patch(path, ""))
