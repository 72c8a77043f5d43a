# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's program as one file: equal sources, equal bytes, for its digest decides on change."""

from __future__ import annotations

import ast
import io
import zipfile
from typing import Protocol

_PACKAGE = "bpfview"
AGENT = "view_agent"
_SHEBANG = b"#!/usr/bin/python3\n"
_MAIN = """\
import sys

from {package}.{entry} import main

sys.exit(main())
"""
_WHEN = (1980, 1, 1, 0, 0, 0)  # the earliest a zip file can say
_UNIX = 3
_MODE = 0o100644 << 16


class Folder(Protocol):
    """Where sources are: a folder, or one in a zip file, as Ansible brings modules to a host."""

    def joinpath(self, name: str, /) -> Folder:
        """Return what has this name in it."""

    def read_bytes(self) -> bytes:
        """Return its content."""


def modules(folder: Folder, entry: str = AGENT) -> list[str]:
    """Return the modules a program consists of: its entry and what that imports, in order."""
    found: set[str] = set()
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(folder.joinpath(f"{name}.py").read_bytes().decode())
    return sorted(found)


def _imports(source: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names += [node.module] if node.module else [alias.name for alias in node.names]
    return names


def build(folder: Folder, entry: str = AGENT) -> bytes:
    """Return a program's zip file, made of the sources in ``folder``."""
    stream = io.BytesIO(_SHEBANG)
    stream.seek(len(_SHEBANG))
    with zipfile.ZipFile(stream, "a") as archive:
        main = _MAIN.format(package=_PACKAGE, entry=entry)
        _add(archive, "__main__.py", main.encode())
        _add(archive, f"{_PACKAGE}/__init__.py", b"")
        for name in modules(folder, entry):
            source = folder.joinpath(f"{name}.py").read_bytes()
            _add(archive, f"{_PACKAGE}/{name}.py", source)
    return stream.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    item = zipfile.ZipInfo(name, _WHEN)
    item.create_system = _UNIX
    item.external_attr = _MODE
    # stored, not deflated: what deflating makes depends on the zlib at hand
    archive.writestr(item, content, zipfile.ZIP_STORED)
