# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that reaches a user: what is wrong, and what to do about it."""

from __future__ import annotations


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


class BpfviewError(Exception):
    """A problem the user can act on.

    ``message`` says what is wrong and names the thing concerned, ``remedy`` says what to do.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{_sentence(self.message)} {_sentence(self.remedy)}"
