# SPDX-License-Identifier: GPL-3.0-or-later
"""Selectors: what they match, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.bpfview import cgroup_tree
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.host_layout import Host


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Host:
    for cgroup in ("system.slice/a.service/inner", "system.slice/b.service", "user.slice/x"):
        (tmp_path / "sys/fs/cgroup" / cgroup).mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/system.slice/memory.max").write_text("max\n")
    (tmp_path / "proc/self").mkdir(parents=True)
    return Host(tmp_path)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("/", [""]),
        ("system.slice", ["system.slice"]),
        ("/system.slice/", ["system.slice"]),
        ("system.slice/*.service", ["system.slice/a.service", "system.slice/b.service"]),
        ("system.slice/[b]*", ["system.slice/b.service"]),
        ("*.slice", ["system.slice", "user.slice"]),
        ("*", ["system.slice", "user.slice"]),
        ("**/inner", ["system.slice/a.service/inner"]),
        (
            "system.slice/**",
            [
                "system.slice",
                "system.slice/a.service",
                "system.slice/a.service/inner",
                "system.slice/b.service",
            ],
        ),
        ("system.slice/memory.max", []),
        ("system.slice/*.max", []),
        ("nothing", []),
        ("system.slice/*/*/*", []),
    ],
)
def test_a_selector_means_cgroups(host: Host, selector: str, expected: list[str]) -> None:
    found, unmatched = cgroup_tree.select(host, [selector])
    assert found == expected
    assert unmatched == ([] if expected else [selector])


def test_a_cgroup_that_two_selectors_match_is_there_once(host: Host) -> None:
    assert cgroup_tree.select(host, ["user.slice", "user*"]) == (["user.slice"], [])


def test_the_outermost_of_cgroups() -> None:
    assert cgroup_tree.outermost(["a", "a-b", "a/b/c", "d/e"]) == ["a", "a-b", "d/e"]
    assert cgroup_tree.outermost(["", "a", "a/b"]) == [""]
    assert cgroup_tree.outermost([]) == []


def test_cgroups_with_all_below(host: Host) -> None:
    everything = cgroup_tree.with_all_below(host, [""])
    assert everything == cgroup_tree.select(host, ["**"])[0]
    below = cgroup_tree.with_all_below(host, ["system.slice", "system.slice"])
    assert below == [path for path in everything if path.split("/")[0] == "system.slice"]
    assert len(below) > 1


@pytest.mark.parametrize("selector", ["", "  ", "../etc", "a/../../b", "/sys/fs/cgroup/user.slice"])
def test_what_cannot_be_a_cgroup_is_refused(selector: str) -> None:
    with pytest.raises(BpfviewError, match="selector"):
        cgroup_tree.parse_selector(selector)


@pytest.mark.parametrize(
    "mounts",
    [
        "",
        "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
        "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\ntmpfs /sys/fs/cgroup tmpfs rw 0 0\n",
    ],
)
def test_a_host_without_cgroup_v2_is_told_what_to_do(host: Host, mounts: str) -> None:
    host.path("/proc/self/mounts").write_text(mounts)
    with pytest.raises(BpfviewError, match="unified_cgroup_hierarchy=1"):
        cgroup_tree.check_unified(host)


def test_a_host_with_cgroup_v2_passes(host: Host) -> None:
    host.path("/proc/self/mounts").write_text("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n")
    cgroup_tree.check_unified(host)
