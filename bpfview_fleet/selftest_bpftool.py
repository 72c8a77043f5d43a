# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tree's bpftool, and fdinfo, have to say of a view on the patched kernel."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from .selftest_log import Output

TARGET = "cgroup"


def _fdinfo(text: str) -> bool:
    fields = dict(re.findall(r"^(\w+):\s*(\S+)$", text, re.M))
    return fields.get("link_type") == "view" and fields.get("target_name") == TARGET


def _link(text: str) -> bool:
    named = re.search(r"^\d+: view  prog \d+\s*$", text, re.M)
    return bool(named and re.search(rf"^\s*target_name {TARGET}\s*$", text, re.M))


def _entries(text: str) -> Iterable[dict[str, object]]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    found = found if isinstance(found, list) else [found]
    return [entry for entry in found if isinstance(entry, dict)]


def _link_json(text: str) -> bool:
    return any(
        entry.get("type") == "view" and entry.get("target_name") == TARGET
        for entry in _entries(text)
    )


def _program(text: str) -> bool:
    return bool(re.search(r"^\d+: tracing  name show_id  tag ", text, re.M))


# by the name of the command whose output it looks at
CHECKS: dict[str, Callable[[str], bool]] = {
    "fdinfo": _fdinfo,
    "bpftool link show": _link,
    "bpftool -j link show": _link_json,
    "bpftool prog show": _program,
}


def says_what_it_should(name: str, output: Output) -> bool:
    """Whether the command of that name succeeded and named the view as a view."""
    return output.status == 0 and CHECKS[name]("\n".join(output.lines))


def differences(stock: Output, patched: Output) -> list[str]:
    """The lines that only one of two probes has, marked with a sign."""
    return [
        *(f"-{line}" for line in stock.lines if line not in patched.lines),
        *(f"+{line}" for line in patched.lines if line not in stock.lines),
    ]
