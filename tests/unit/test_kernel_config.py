# SPDX-License-Identifier: GPL-3.0-or-later
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import kernel_config
from plugins.module_utils.bpfview.errors import BpfviewError

TEXT = """\
# a comment
CONFIG_A=y
# CONFIG_B is not set
CONFIG_C="x=y # z"

CONFIG_D=n
"""


def test_reading_and_writing_agree():
    options = kernel_config.parse(TEXT, "t")
    assert options == {
        "CONFIG_A": "y",
        "CONFIG_B": "n",
        "CONFIG_C": '"x=y # z"',
        "CONFIG_D": "n",
    }
    assert kernel_config.parse(kernel_config.render(options), "t") == options


@pytest.mark.parametrize("line", ["config_a=y", "CONFIG_A", "CONFIG_A y", "A=y"])
def test_a_line_that_is_no_option_is_named(line):
    with pytest.raises(BpfviewError, match=r"some\.config line 2"):
        kernel_config.parse(f"# first\n{line}\n", "some.config")


def test_a_later_part_wins():
    merged = kernel_config.merge([{"CONFIG_A": "y", "CONFIG_B": "m"}, {"CONFIG_A": "n"}])
    assert merged == {"CONFIG_A": "n", "CONFIG_B": "m"}


def test_every_lost_option_is_named_with_what_was_wanted_and_got():
    wanted = {"CONFIG_A": "y", "CONFIG_B": "n", "CONFIG_C": "y", "CONFIG_D": "n"}
    got = {"CONFIG_A": "m", "CONFIG_B": "y", "CONFIG_C": "y"}
    with pytest.raises(BpfviewError) as caught:
        kernel_config.require(wanted, got)
    text = str(caught.value)
    assert "2 kernel option(s)" in text
    assert "CONFIG_A (wanted y, got m)" in text
    assert "CONFIG_B (wanted n, got y)" in text
    assert "CONFIG_C" not in text
    assert "CONFIG_D" not in text


def test_an_option_unknown_to_the_kernel_is_lost():
    assert [str(item) for item in kernel_config.lost({"CONFIG_X": "y"}, {})] == [
        "CONFIG_X (wanted y, got n)"
    ]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BpfviewError, match=r"no\.config"):
        kernel_config.read(tmp_path / "no.config")


def test_a_generated_file_is_known_by_its_head():
    assert kernel_config.is_generated("#\n# Automatically generated file; DO NOT EDIT.\n#\n")
    assert not kernel_config.is_generated("CONFIG_A=y\n")


@pytest.mark.parametrize("path", sorted(Path("kernel/config").glob("*.config")), ids=str)
def test_our_fragments_say_each_option_once(path):
    text = path.read_text("utf-8")
    lines = [line for line in text.splitlines() if kernel_config.parse(line, "t")]
    assert len(lines) == len(kernel_config.parse(text, str(path)))
