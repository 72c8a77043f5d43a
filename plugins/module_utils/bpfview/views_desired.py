# SPDX-License-Identifier: GPL-3.0-or-later
"""Which views a host is to have: the content of /etc/bpfview/views.json."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .cgroup_tree import parse_selector
from .errors import BpfviewError
from .host_layout import Host
from .view_name import is_file_name, is_view_name

FILE = "/etc/bpfview/views.json"
OBJECTS = "/usr/lib/bpfview/objects"
_SCHEMA = 1
_SHA256 = re.compile(r"[0-9a-f]{64}").fullmatch
_KEY = re.compile(r"[a-z][a-z0-9_]*").fullmatch
_RELATIONS = ("equal", "bracketed", "grows", "part")
_AGAIN = "Deploy the views again: ansible-playbook -i inventory playbooks/views.yml"


@dataclass(frozen=True)
class KeyCheck:
    """How one key of a view is proved; see bpf/catalog.yml for the words."""

    relation: str
    file: str = ""
    key: str = ""
    column: int = 0
    count: str = ""
    of: str = ""
    may_be_absent: bool = False


@dataclass(frozen=True)
class View:
    """One view: the object that makes it, the file it shows as, and where."""

    name: str
    entry: str
    sha256: str
    selectors: tuple[str, ...]
    keys: Mapping[str, KeyCheck] = field(default_factory=dict)
    subtree: bool = False  # in all cgroups below the selected ones, too

    @property
    def object_path(self) -> str:
        """Where the object lies on a host."""
        return f"{OBJECTS}/{self.sha256}.o"


def parse(data: object) -> tuple[View, ...]:
    """Make views of plain data; BpfviewError names the first thing wrong with it."""
    try:
        if not isinstance(data, Mapping) or data.get("schema") != _SCHEMA:
            raise ValueError(f"it is not of schema {_SCHEMA}")
        views = tuple(_view(item) for item in data["views"])
        for what in ("name", "entry"):
            values = [getattr(view, what) for view in views]
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice:
                raise ValueError(f"the {what} {twice} stands there twice")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        words = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise BpfviewError(
            f"The list of wanted views is not understood: {words}", _AGAIN
        ) from error
    return views


def _match(rule: Callable[[str], object], value: object, what: str) -> str:
    if not isinstance(value, str) or not rule(value):
        raise ValueError(f"{value!r} is no {what}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _view(item: Mapping[str, Any]) -> View:
    selectors = tuple(item["selectors"])
    if not selectors:
        raise ValueError(f"the view {item['name']} selects no cgroup")
    for selector in selectors:
        parse_selector(selector)
    return View(
        name=_match(is_view_name, item["name"], "view name"),
        entry=_match(is_file_name, item["entry"], "name of a view's file"),
        sha256=_match(_SHA256, item["sha256"], "SHA-256"),
        selectors=selectors,
        keys={
            _match(_KEY, key, "key"): _check(check) for key, check in item.get("keys", {}).items()
        },
        subtree=_flag(item.get("subtree", False)),
    )


def _check(item: Mapping[str, Any]) -> KeyCheck:
    check = KeyCheck(**item)
    if check.relation not in _RELATIONS:
        raise ValueError(f"{check.relation!r} is no relation")
    if check.relation in {"equal", "bracketed"} and not check.file:
        raise ValueError(f"a check that is {check.relation} names no file")
    if "/" in check.file:
        raise ValueError(f"{check.file} is no file of a cgroup")
    return check


def facts(views: tuple[View, ...]) -> dict[str, Any]:
    """Return views as plain data, as ``parse`` takes it."""
    return {"schema": _SCHEMA, "views": [_view_facts(view) for view in views]}


def _view_facts(view: View) -> dict[str, Any]:
    empty = KeyCheck("")
    return {
        "name": view.name,
        "entry": view.entry,
        "sha256": view.sha256,
        "selectors": list(view.selectors),
        "subtree": view.subtree,
        "keys": {
            key: {
                name: value
                for name, value in vars(check).items()
                if name == "relation" or value != getattr(empty, name)
            }
            for key, check in view.keys.items()
        },
    }


def dump(views: tuple[View, ...]) -> str:
    """Return the text of the file: stable, and readable in a diff."""
    return json.dumps(facts(views), indent=2, sort_keys=True) + "\n"


def load(host: Host) -> tuple[View, ...] | None:
    """Read a host's wanted views, None if it has no such list."""
    text = host.text(FILE)
    if not text:
        return None
    try:
        return parse(json.loads(text))
    except json.JSONDecodeError as error:
        raise BpfviewError(f"{FILE} is no JSON ({error})", _AGAIN) from error
