# SPDX-License-Identifier: GPL-3.0-or-later
"""A view's text."""

from __future__ import annotations

import math

import pytest

from plugins.module_utils.bpfview.view_text import NotAView, parse, plain


def test_lines_are_keys_and_values() -> None:
    values = parse("memory_usage_bytes 4096\nmemory_max_bytes +Inf\n")
    assert values == {"memory_usage_bytes": 4096, "memory_max_bytes": math.inf}
    assert {key: plain(value) for key, value in values.items()} == {
        "memory_usage_bytes": 4096,
        "memory_max_bytes": "+Inf",
    }
    assert parse("") == {}


@pytest.mark.parametrize(
    "text",
    ["a 1", "a  1\n", "a one\n", "A 1\n", "a -1\n", "a 1\na 2\n", "a 1\n\n", "a Inf\n", "\0\n"],
)
def test_what_is_no_such_line_is_refused(text: str) -> None:
    with pytest.raises(NotAView):
        parse(text)
