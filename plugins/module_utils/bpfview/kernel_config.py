# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel configuration: reading fragments, merging them, and finding what was lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import BpfviewError

_SET = re.compile(r"^(CONFIG_\w+)=(.+)$")
_UNSET = re.compile(r"^# (CONFIG_\w+) is not set$")
_GENERATED = "# Automatically generated file; DO NOT EDIT."


@dataclass(frozen=True)
class Lost:
    """An option whose value is not the one asked for; ``n`` stands for off or unknown."""

    option: str
    wanted: str
    got: str

    def __str__(self) -> str:
        return f"{self.option} (wanted {self.wanted}, got {self.got})"


def parse(text: str, name: str) -> dict[str, str]:
    """Return the options of a configuration text; ``n`` for "is not set".

    Raises BpfviewError that names ``name`` and the line for one that is neither option nor comment.
    """
    options: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if found := _SET.match(line):
            options[found[1]] = found[2]
        elif found := _UNSET.match(line):
            options[found[1]] = "n"
        elif line and not line.startswith("#"):
            raise BpfviewError(
                f"{name} line {number} is no configuration option: {line[:80]}",
                "Write CONFIG_NAME=value, or # CONFIG_NAME is not set",
            )
    return options


def read(path: Path) -> dict[str, str]:
    """Parse a configuration file; raises BpfviewError if it cannot be read or parsed."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BpfviewError(
            f"the configuration file {path} cannot be read: {error}",
            "Name an existing text file of kernel options",
        ) from error
    return parse(text, str(path))


def is_generated(text: str) -> bool:
    """Tell whether a kernel's own configuration program wrote this text.

    Such a file also records what the compiler at the time could do, so not all of it is a wish.
    """
    return _GENERATED in text.splitlines()[:5]


def merge(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Merge in order; a later part overrides an earlier one."""
    merged: dict[str, str] = {}
    for part in parts:
        merged.update(part)
    return merged


def render(options: Mapping[str, str]) -> str:
    """Return options as a text that the kernel's configuration programs read."""
    lines = (
        f"# {name} is not set" if value == "n" else f"{name}={value}"
        for name, value in options.items()
    )
    return "".join(f"{line}\n" for line in lines)


def lost(wanted: Mapping[str, str], got: Mapping[str, str]) -> list[Lost]:
    """Return the options of ``wanted`` that have another value in ``got``."""
    return [
        Lost(name, value, got.get(name, "n"))
        for name, value in wanted.items()
        if got.get(name, "n") != value
    ]


def require(wanted: Mapping[str, str], got: Mapping[str, str]) -> None:
    """Raise BpfviewError naming every option that did not survive."""
    missing = lost(wanted, got)
    if missing:
        raise BpfviewError(
            f"{len(missing)} kernel option(s) did not survive the configuration: "
            + ", ".join(str(item) for item in missing),
            "Add what each depends on, or take it out of the fragment that asks for it",
        )
