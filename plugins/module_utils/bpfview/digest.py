# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests and the one way a structure becomes bytes to digest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

_BLOCK = 1024 * 1024  # bytes read at a time


def sha256_bytes(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Return the hexadecimal SHA-256 of a file's content; raises OSError if it cannot be read."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def canonical_json(value: object) -> bytes:
    """Return ``value`` as JSON with sorted keys and no spare blanks: equal values, equal bytes.

    Raises TypeError or ValueError for what JSON cannot say exactly (NaN, sets, objects).
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")
