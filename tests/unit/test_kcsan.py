# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling the series' data races from the kernel's own: what cannot be told apart counts."""

from pathlib import Path

import pytest

from bpfview_fleet.kcsan import Race, changed_functions, find_races, is_header, series_functions

ROOT = Path(__file__).resolve().parent.parent.parent

PATCH = """\
From 0123 Mon Sep 17 00:00:00 2001
Subject: [PATCH] kernfs: Tell when a file was removed

not_a_function(in the message);
---
 fs/kernfs/dir.c | 9 ++++++++-

diff --git a/fs/kernfs/dir.c b/fs/kernfs/dir.c
index 1..2 100644
--- a/fs/kernfs/dir.c
+++ b/fs/kernfs/dir.c
@@ -10,3 +10,10 @@ static void only_the_hunk_header(struct kernfs_node *kn)
 \treturn;
 }

+static int
+added_on_two_lines(struct kernfs_node *kn)
+{
+\treturn helper_that_is_called(kn);
+}
+
 static const struct kernfs_ops *untouched(struct kernfs_node *kn)
 {
 \treturn NULL;
@@ -90,6 +100,7 @@ static void changed_by_its_hunk(struct kernfs_node *kn)
 \tif (kn)
 \t\tput(kn);
+\ttell(kn);
 }
@@ -190,7 +200,7 @@ static void before(void)
 }

 struct kernfs_node *shrunk(struct kernfs_root *root,
 \t\t\t   const char *name)
 {
-\tgone();
 \treturn NULL;
 }
diff --git a/include/linux/kernfs.h b/include/linux/kernfs.h
--- a/include/linux/kernfs.h
+++ b/include/linux/kernfs.h
@@ -1,2 +1,6 @@
+void only_declared(struct kernfs_node *kn);
+static inline void stub(struct kernfs_node *kn)
+{
+}
diff --git a/tools/lib/bpf/libbpf.c b/tools/lib/bpf/libbpf.c
--- a/tools/lib/bpf/libbpf.c
+++ b/tools/lib/bpf/libbpf.c
@@ -1,2 +1,5 @@
+static int in_user_space(void)
+{
+\treturn 0;
+}
"""


def report(title: str, first: list[str], second: list[str]) -> str:
    def stack(frames: list[str]) -> str:
        return "".join(f"[   9.1]  {frame}+0x1a/0x2b0\n" for frame in frames)

    return (
        f"[   9.0] {'=' * 66}\n[   9.0] BUG: KCSAN: data-race in {title}\n[   9.0] \n"
        f"[   9.1] write to 0xffff888004a21d38 of 8 bytes by task 77 on cpu 1:\n{stack(first)}"
        f"[   9.1] \n[   9.1] read to 0xffff888004a21d38 of 8 bytes by task 78 on cpu 0:\n"
        f"{stack(second)}[   9.2] \n[   9.2] value changed: 0x1 -> 0x2\n"
        f"[   9.2] Reported by Kernel Concurrency Sanitizer on:\n[   9.2] {'=' * 66}\n"
    )


def test_the_functions_that_a_patch_adds_or_changes() -> None:
    assert changed_functions(PATCH) == {
        "added_on_two_lines",
        "changed_by_its_hunk",
        "shrunk",
        "stub",
    }


@pytest.mark.parametrize("baseline", ["6.1", "6.12"])
def test_the_functions_of_the_series(baseline: str) -> None:
    functions = series_functions(ROOT / "kernel" / baseline)
    assert {"bpf_kernfs_removed", "bpf_pin_gone", "bpf_view_show_cgroup"} <= functions
    assert {"__kernfs_remove", "cgroup_mkdir", "kernfs_iop_unlink"} <= functions
    assert not {"kernfs_put", "schedule", "list_add"} & functions


def test_a_report_is_read_with_both_stacks() -> None:
    text = report("a / b", ["a", "b.constprop.0", "c"], ["d", "e.isra.1"])
    assert find_races(text) == [Race("data-race in a / b", (("a", "b", "c"), ("d", "e")))]


def test_other_lines_among_a_report_do_not_hide_it() -> None:
    text = report("a / b", ["a"], ["d"]).replace("[   9.2] value", "[   9.2] stress: x\nvalue")
    assert find_races(text)[0].stacks == (("a",), ("d",))


def test_all_reports_are_found_and_so_is_one_that_is_cut() -> None:
    text = report("a / b", ["a"], ["b"]) + report("c / d", ["c"], ["d"])
    cut = text[: text.rindex("read to")]
    assert [race.title for race in find_races(cut)] == ["data-race in a / b", "data-race in c / d"]


def test_a_race_of_unknown_origin_has_one_stack() -> None:
    text = (
        "[ 9.0] BUG: KCSAN: data-race in a+0x1/0x2\n[ 9.0] \n"
        "[ 9.0] race at unknown origin, with read to 0xffff888004a21d38 of 8 bytes by task 5 on"
        " cpu 0:\n[ 9.0]  a+0x1/0x2\n[ 9.0]  b+0x1/0x2\n"
    )
    assert find_races(text)[0].stacks == (("a", "b"),)


@pytest.mark.parametrize(
    ("stacks", "about"),
    [
        ((("ours", "x"), ("y",)), True),
        ((("x",), ("y", "z", "ours")), True),
        ((("x", "y", "z", "ours"), ("y",)), False),
        ((("x",), ("y",)), False),
        ((), True),
        (((), ()), True),
    ],
)
def test_whose_a_race_is(stacks: tuple[tuple[str, ...], ...], about: bool) -> None:
    assert Race("t", stacks).is_about({"ours"}) is about


def test_a_log_without_reports_has_none() -> None:
    assert find_races("") == []
    assert find_races(f"[ 1.0] kcsan: enabled early\n{'=' * 60}\n") == []
    assert not is_header("kcsan: enabled early")
    assert is_header("BUG: KCSAN: assert: race in a")
