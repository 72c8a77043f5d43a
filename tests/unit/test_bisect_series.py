# SPDX-License-Identifier: GPL-3.0-or-later
"""A series step by step: each step is asked for what it must do already, and judged by itself."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from bpfview_fleet import bisect_series, boottest, tiny_kernels
from bpfview_fleet.bisect_series import PROVED_FROM, Step, boot_after
from bpfview_fleet.boottest import Boot
from bpfview_fleet.ktap import Report, Result
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_series import Patch, read_series

PATCHES = [Patch(Path(f"000{number}-a.patch"), "") for number in (1, 2, 3)]
PASSED = Report(results=[Result(1, "as-ever: a", "passed")])
FAILED = Report(results=[Result(1, "as-ever: a", "failed", "a.c:1: no")])


class FakeTree:
    """Remembers what it was asked for; what it raises is by the number of the patch."""

    def __init__(self, *, no_fit: int = 0, no_build: int = 0) -> None:
        self.applied: list[str] = []
        self._no_fit = no_fit
        self._no_build = no_build

    def apply(self, patch: Patch) -> None:
        self.applied.append(patch.name)
        if len(self.applied) == self._no_fit:
            raise BpfviewError("hunk 1 fails", "Port it")

    def build(self, name: str, options: object) -> Path:
        assert options == tiny_kernels.options()
        if len(self.applied) == self._no_build:
            raise BpfviewError("inode.c:1: error", "Correct it")
        return Path("out") / name


def _steps(monkeypatch: pytest.MonkeyPatch, tree: FakeTree, *reports: Report) -> Iterator[Step]:
    answers = iter(reports)
    monkeypatch.setattr(boottest, "run", lambda *_: next(answers))
    return bisect_series.bisect(tree, PATCHES, Path("initrd"))  # type: ignore[arg-type]


def test_every_step_is_built_and_booted(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FakeTree()
    steps = list(_steps(monkeypatch, tree, PASSED, PASSED, PASSED))
    assert tree.applied == [patch.name for patch in PATCHES]
    assert [step.trouble for step in steps] == ["", "", ""]
    assert str(steps[1]).startswith("ok 2 0002-a.patch: 1 passed, 0 failed in ")


def test_a_step_that_fails_its_tests_says_why_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = list(_steps(monkeypatch, FakeTree(), PASSED, FAILED, PASSED))
    assert [bool(step.trouble) for step in steps] == [False, True, False]
    assert "a.c:1: no" in str(steps[1])
    assert str(steps[1]).startswith("not ok 2 ")


@pytest.mark.parametrize("report", [Report(problems=["the kernel says: BUG: a"]), Report()])
def test_a_kernel_that_complains_or_tests_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    assert next(_steps(monkeypatch, FakeTree(), report)).trouble


def test_a_step_that_does_not_build_is_not_booted(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = list(_steps(monkeypatch, FakeTree(no_build=2), PASSED, PASSED))
    assert [bool(step.trouble) for step in steps] == [False, True, False]
    assert "inode.c:1: error" in steps[1].trouble


def test_a_patch_that_does_not_fit_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FakeTree(no_fit=2)
    with pytest.raises(BpfviewError, match="hunk 1 fails"):
        list(_steps(monkeypatch, tree, PASSED, PASSED, PASSED))
    assert tree.applied == ["0001-a.patch", "0002-a.patch"]


def test_what_a_step_must_prove_grows_to_all_that_a_tiny_kernel_can() -> None:
    sets = [set(boot_after(number).proves) for number in range(1, max(PROVED_FROM.values()) + 1)]
    assert sets[0] == {"as-ever", "rule-2"}
    assert all(before <= after for before, after in pairwise(sets))
    # the views that are shipped need controllers
    assert sets[-1] == set(boottest.COMPLETE.proves) - {"shipped-views"}
    assert boot_after(7) == Boot("patch-7", boot_after(7).proves, ("boottest.patches=7",))


def test_the_tests_agree_on_what_holds_from_which_patch() -> None:
    header = (boottest.SOURCES / "since.h").read_text("utf-8")
    since = {name: int(number) for name, number in re.findall(r"\t(\w+)\s*= (\d+),", header)}
    found: dict[str, int] = {}
    for path in boottest.SOURCES.glob("*.c"):
        rows = re.findall(
            r'\{ "([a-z0-9-]+)", "[^"]+",\s+\w+, (SINCE_\w+) \}', path.read_text("utf-8")
        )
        for rule, name in rows:
            found[rule] = min(found.get(rule, 99), since[name])
    assert found == PROVED_FROM


@pytest.mark.parametrize("baseline", ["6.1", "6.12"])
def test_the_patches_are_numbered_as_the_tests_count_them(baseline: str) -> None:
    series = read_series(tiny_kernels.KERNEL_DIR, baseline)
    assert [int(patch.name[:4]) for patch in series] == list(range(1, len(series) + 1))
    assert len(series) >= max(PROVED_FROM.values())
