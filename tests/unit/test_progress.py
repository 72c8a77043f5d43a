# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from plugins.action import kernel_build as action
from plugins.module_utils.bpfview import progress


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("  CC      kernel/fork.o", True),
        ("  CC [M]  fs/x.o", True),
        ("  AS      arch/x86/entry/entry.o", True),
        ("  LD      vmlinux", False),
        ("  HOSTCC  scripts/basic/fixdep", False),
        ("kernel/fork.c:1:1: error: x", False),
        ("CC", False),
    ],
)
def test_which_lines_are_compile_steps(line, counts):
    assert progress.is_compile_step(line) is counts


def test_a_total_that_is_not_known_is_not_made_up():
    assert progress.describe("kernel x", "CC", 5, 0) == "kernel x: CC 5/…"
    assert progress.describe("kernel x", "CC", 5, 9) == "kernel x: CC 5/9"
    assert progress.describe("kernel x", "CC", 12, 9) == "kernel x: CC 12/12"
    assert progress.describe("kernel x", "patching", 0, 0) == "kernel x: patching"


def test_the_watcher_reads_what_the_build_writes(tmp_path):
    path = tmp_path / "progress"
    assert action.read_line(path) == ""
    reporter = progress.Reporter(path, "kernel x")
    reporter.phase("CC", 9)
    assert action.read_line(path) == "kernel x: CC"
    reporter._written = 0.0
    reporter.step()
    assert action.read_line(path) == "kernel x: CC 1/9"
    assert action.elapsed(192.7) == "03:12 elapsed"


def test_progress_that_cannot_be_written_does_not_fail_the_build(tmp_path):
    reporter = progress.Reporter(tmp_path / "absent" / "progress", "kernel x")
    reporter.phase("CC")
    reporter.step()
    assert reporter.count == 1


def test_files_are_named_from_where_ansible_was_started(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    known = action.from_here({"config_file": "my.config", "config_fragments": ["a", "/b"], "x": 1})
    assert known == {
        "config_file": f"{tmp_path}/my.config",
        "config_fragments": [f"{tmp_path}/a", "/b"],
        "x": 1,
    }
    assert action.from_here({"jobs": 2}) == {"jobs": 2}
