# SPDX-License-Identifier: GPL-3.0-or-later
"""The one rule for names of views and of their files."""

from __future__ import annotations

import pytest

from plugins.module_utils.bpfview.view_name import is_file_name, is_view_name


@pytest.mark.parametrize("name", ["memory", "m", "run_queue2", "a" * 31])
def test_names(name: str) -> None:
    assert is_view_name(name)
    assert is_file_name(f"view.{name}")
    assert not is_file_name(name)


@pytest.mark.parametrize("name", ["", "Memory", "a-b", "2a", "_a", "a" * 32, "a\n", "a/b", 1, None])
def test_no_names(name: object) -> None:
    assert not is_view_name(name)
    assert not is_file_name(name)
