# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent as one file: equal sources make equal bytes, for its digest decides on change."""

from __future__ import annotations

import ast
import io
import zipfile
from pathlib import Path

_PACKAGE = "bpfview"
_ENTRY = "view_agent"
_SHEBANG = b"#!/usr/bin/python3\n"
_MAIN = f"""\
import sys

from {_PACKAGE}.{_ENTRY} import main

sys.exit(main())
"""
_WHEN = (1980, 1, 1, 0, 0, 0)  # the earliest a zip file can say
_UNIX = 3
_MODE = 0o100644 << 16


def modules(folder: Path) -> list[str]:
    """Return the modules the agent consists of: its entry and what that imports, in order."""
    found: set[str] = set()
    waiting = [_ENTRY]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports((folder / f"{name}.py").read_text("utf-8"))
    return sorted(found)


def _imports(source: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names += [node.module] if node.module else [alias.name for alias in node.names]
    return names


def build(folder: Path) -> bytes:
    """Return the agent's zip file, made of the sources in ``folder``."""
    stream = io.BytesIO(_SHEBANG)
    stream.seek(len(_SHEBANG))
    with zipfile.ZipFile(stream, "a") as archive:
        _add(archive, "__main__.py", _MAIN.encode())
        _add(archive, f"{_PACKAGE}/__init__.py", b"")
        for name in modules(folder):
            _add(archive, f"{_PACKAGE}/{name}.py", (folder / f"{name}.py").read_bytes())
    return stream.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    item = zipfile.ZipInfo(name, _WHEN)
    item.create_system = _UNIX
    item.external_attr = _MODE
    # stored, not deflated: what deflating makes depends on the zlib at hand
    archive.writestr(item, content, zipfile.ZIP_STORED)
