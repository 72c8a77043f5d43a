# SPDX-License-Identifier: GPL-3.0-or-later
"""What a view may be called, and the file that it shows as: one rule for every place that asks."""

from __future__ import annotations

import re

RULE = "a small letter, then at most 30 small letters, digits and _"
_NAME = r"[a-z][a-z0-9_]{0,30}"
_VIEW_NAME = re.compile(_NAME)
_FILE_NAME = re.compile(rf"view\.{_NAME}")


def is_view_name(value: object) -> bool:
    """Tell whether a value can be a view's name."""
    return isinstance(value, str) and bool(_VIEW_NAME.fullmatch(value))


def is_file_name(value: object) -> bool:
    """Tell whether a value can be the name of a view's file."""
    return isinstance(value, str) and bool(_FILE_NAME.fullmatch(value))
