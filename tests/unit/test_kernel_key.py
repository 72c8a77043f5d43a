# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace
from pathlib import Path

import pytest

from plugins.module_utils.bpfview.kernel_key import Inputs, first_version_line
from plugins.module_utils.bpfview.kernel_series import Patch
from plugins.module_utils.bpfview.kernel_source import Package

ONE, TWO = Patch(Path("0001-a.patch"), "aa"), Patch(Path("0002-b.patch"), "bb")
INPUTS = Inputs(
    baseline="6.1",
    source=Package("linux-source-6.1", "6.1.192-2"),
    patches=[ONE, TWO],
    config_base="lab",
    config_origin={},
    options={"CONFIG_A": "y", "CONFIG_B": "n"},
    toolchain={"gcc": "gcc 12.2.0"},
)

CHANGES = {
    "source version": {"source": Package("linux-source-6.1", "6.1.192-3")},
    "patch order": {"patches": [TWO, ONE]},
    "patch content": {"patches": [ONE, Patch(Path("0002-b.patch"), "cc")]},
    "an option": {"options": {"CONFIG_A": "y", "CONFIG_B": "y"}},
    "base": {"config_base": "file"},
    "origin of the base": {"config_origin": {"version": "1"}},
    "compiler": {"toolchain": {"gcc": "gcc 12.2.1"}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_shows_in_the_result_changes_the_key(change):
    assert replace(INPUTS, **change).key != INPUTS.key


def test_what_does_not_show_does_not_change_it():
    moved = [Patch(Path("/elsewhere/0001-a.patch"), "aa"), TWO]
    turned = {"CONFIG_B": "n", "CONFIG_A": "y"}
    assert replace(INPUTS, patches=moved, options=turned).key == INPUTS.key


def test_the_release_is_known_before_the_build():
    assert INPUTS.release == f"6.1.192-bpfview-{INPUTS.key[:12]}"
    # the kernel refuses a longer one
    assert len(INPUTS.release) <= 64


@pytest.mark.parametrize(
    ("version", "upstream"),
    [
        ("6.1.192-2", "6.1.192"),
        ("6.12.117-1~deb12u1", "6.12.117"),
        ("1:6.1-1", "6.1"),
        ("6.1", "6.1"),
    ],
)
def test_the_upstream_part_of_a_debian_version(version, upstream):
    assert Package("p", version).upstream == upstream


def test_the_line_that_holds_the_version():
    assert first_version_line("/usr/lib/bpftool v7.1.0\nfeatures:\n") == "/usr/lib/bpftool v7.1.0"
    assert first_version_line("LLVM\n  LLVM version 16.0.6\n") == "LLVM version 16.0.6"
    assert first_version_line("") == ""


def test_a_kernel_without_the_series_does_not_say_that_it_has_it():
    stock = replace(INPUTS, patches=[])
    assert stock.release == f"6.1.192-stock-{stock.key[:12]}"
