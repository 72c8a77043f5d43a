# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a view: one ``key value`` line a fact."""

from __future__ import annotations

import math
import re

_LINE = re.compile(r"([a-z][a-z0-9_]*) (\d+|\+Inf)")

Number = int | float  # an integer, or infinity for "no limit"


class NotAView(ValueError):
    """A text that is no view's; says which line and why."""


def parse(text: str) -> dict[str, Number]:
    """Return a view's values by key; NotAView for a line that is none or a key given twice."""
    values: dict[str, Number] = {}
    if text and not text.endswith("\n"):
        raise NotAView("its last line is cut off")
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if not match:
            raise NotAView(f"{line!r} is no line of a key and a value")
        key, value = match.groups()
        if key in values:
            raise NotAView(f"{key} stands there twice")
        values[key] = math.inf if value == "+Inf" else int(value)
    return values


def plain(value: Number) -> int | str:
    """Return a value as JSON can say it: infinity is ``+Inf``."""
    return "+Inf" if value == math.inf else int(value)
