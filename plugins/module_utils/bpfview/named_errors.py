# SPDX-License-Identifier: GPL-3.0-or-later
"""The system does not always say which file it refused to write; these errors do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Have an OSError from within name ``path`` if it names no file itself."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = path
        raise
