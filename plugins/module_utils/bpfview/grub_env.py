# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's environment block: 1024 bytes that GRUB itself rewrites in place while it boots."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .errors import BpfviewError
from .named_errors import naming

_SIGNATURE = b"# GRUB Environment Block\n"
_REMEDY = "Save what it holds and make a new one with: grub-editenv {path} create"


@dataclass(frozen=True)
class EnvBlock:
    """What a block holds, in its order, with the comment lines it begins with."""

    variables: tuple[tuple[str, str], ...]
    header: bytes
    size: int  # bytes

    def get(self, name: str) -> str:
        """Return a variable's value; GRUB treats an empty one as unset, and so does this."""
        return dict(self.variables).get(name, "")

    def has(self, name: str) -> bool:
        """Tell whether the variable stands in the block, be it empty."""
        return name in dict(self.variables)

    def edited(self, changes: dict[str, str | None]) -> EnvBlock:
        """Return a block with ``changes`` made: None removes a variable, a new one goes last."""
        kept = [(name, changes.get(name, value)) for name, value in self.variables]
        added = [(name, value) for name, value in changes.items() if not self.has(name)]
        variables = tuple((name, value) for name, value in kept + added if value is not None)
        return EnvBlock(variables, self.header, self.size)


def parse(data: bytes, path: str) -> EnvBlock:
    """Read a block; ``path`` only names it in the BpfviewError for what is no such block."""
    if not data.startswith(_SIGNATURE):
        raise BpfviewError(
            f"{path} is no GRUB environment block ({len(data)} bytes)", _REMEDY.format(path=path)
        )
    rest = data[len(_SIGNATURE) :]
    header = _SIGNATURE
    # Newer GRUB adds a warning line; padding is '#' without a line end, so it never looks like one.
    while rest.startswith(b"# ") and b"\n" in rest:
        warning, rest = rest.split(b"\n", 1)
        header += warning + b"\n"
    variables = []
    for line in _lines(rest):
        name, separator, value = line.partition("=")
        if separator:
            variables.append((name, value))
    return EnvBlock(tuple(variables), header, len(data))


def _lines(data: bytes) -> list[str]:
    """Split at line ends that no backslash protects, and take the backslashes away."""
    lines: list[str] = []
    current = ""
    escaped = False
    for char in data.decode("utf-8", "surrogateescape"):
        if escaped:
            current += char
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == "\n":
            lines.append(current)
            current = ""
        elif char == "#" and not current:
            break
        else:
            current += char
    return lines


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\\n")


def render(block: EnvBlock, path: str) -> bytes:
    """Return the block's bytes, padded to its size; BpfviewError if the variables do not fit."""
    body = "".join(f"{name}={_escaped(value)}\n" for name, value in block.variables)
    data = block.header + body.encode("utf-8", "surrogateescape")
    if len(data) > block.size:
        raise BpfviewError(
            f"{path} has {block.size} bytes, its variables would need {len(data)}",
            f"Remove variables nobody needs: grub-editenv {path} list",
        )
    return data.ljust(block.size, b"#")


def read(path: Path) -> EnvBlock:
    """Read the block at ``path``; BpfviewError if there is none or it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BpfviewError(
            f"{path} cannot be read: {error.strerror}", _REMEDY.format(path=path)
        ) from error
    return parse(data, str(path))


def write_in_place(path: Path, block: EnvBlock) -> None:
    """Overwrite the block without truncating it, and wait until it is on the disk.

    grub-editenv truncates first, so a power cut at the wrong moment leaves an empty block and a
    host that boots its first entry. The length never changes here and neither do the disk blocks.
    """
    data = render(block, str(path))
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        with naming(str(path)):
            if os.fstat(descriptor).st_size != len(data):
                raise BpfviewError(f"{path} changed its size meanwhile", "Run again")
            os.pwrite(descriptor, data, 0)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
