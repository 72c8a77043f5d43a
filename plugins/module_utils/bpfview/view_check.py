# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a view says the truth: its values against the kernel's own files of the same cgroup.

What was set has to be equal, what moves has to lie between what the kernel's file says right before
and right after. Every comparison is counted, so that an empty one cannot pass.
"""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from .cgroup_tree import shown
from .view_text import NotAView, Number, parse, plain
from .views_desired import KeyCheck, View

ATTEMPTS = 8
_PAUSE = 0.05  # seconds
_ABSENT = {errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP}


@dataclass(frozen=True)
class Mismatch:
    """One value that is not what it has to be, or a file that cannot be read."""

    view: str
    cgroup: str
    key: str
    got: str
    expected: str

    def facts(self) -> dict[str, str]:
        """The same as plain data."""
        return dict(vars(self))

    def __str__(self) -> str:
        where = f"{self.view} in {self.cgroup}"
        key = f"{self.key} is" if self.key else "it is"
        return f"{where}: {key} {self.got}, expected {self.expected}"


@dataclass
class Tally:
    """What was compared: with the kernel's own files, and within the view."""

    read: int = 0  # files read
    compared: int = 0  # values compared with the kernel's own files
    consistent: int = 0  # values that have no native file and hold together
    omitted: int = 0  # values a view left out although it may show them
    vanished: int = 0  # cgroups that went during the comparison
    mismatches: list[Mismatch] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add another one's counts."""
        self.read += other.read
        self.compared += other.compared
        self.consistent += other.consistent
        self.omitted += other.omitted
        self.vanished += other.vanished
        self.mismatches += other.mismatches

    def facts(self) -> dict[str, Any]:
        """The same as plain data."""
        return {**vars(self), "mismatches": [item.facts() for item in self.mismatches]}


class Files:
    """Reads a cgroup's files; a test puts another in its place."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def exists(self, cgroup: str) -> bool:
        """Tell whether the cgroup is still there."""
        return (self._root / cgroup).is_dir()

    def read(self, cgroup: str, name: str) -> str | None:
        """Return a file's text; None if the cgroup has no such file. OSError for other failures."""
        try:
            return (self._root / cgroup / name).read_text("utf-8")
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise


def native_value(check: KeyCheck, text: str | None) -> Number | None:
    """Return the value a check names in the text of a native file, None if it is not in it."""
    if text is None:
        return None
    if check.count == "lines":
        return len(text.splitlines())
    if check.key:
        for line in text.splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == check.key:
                return int(words[1])
        return None
    words = text.split()
    if check.column >= len(words):
        return None
    return math.inf if words[check.column] == "max" else int(words[check.column])


def check_view(view: View, cgroup: str, files: Files, attempts: int = ATTEMPTS) -> Tally:
    """Compare one view in one cgroup, again for what had moved too fast to tell."""
    result = Tally()
    pending = dict(view.keys)
    wrong: dict[str, Mismatch] = {}
    for _attempt in range(attempts):
        wrong = _compare(view, cgroup, files, pending, result)
        if not wrong:
            break
        if "" in wrong:  # the file itself, which may be on its way
            time.sleep(_PAUSE)
            continue
        pending = {key: check for key, check in pending.items() if key in wrong}
        if not pending:  # only keys that nobody knows
            break
    if wrong and not files.exists(cgroup):
        return Tally(vanished=1)
    result.read = 0 if "" in wrong else 1
    result.mismatches = [wrong[key] for key in sorted(wrong)]
    return result


class _Verdict(StrEnum):
    """What one look at a key found."""

    COMPARED = "compared"
    CONSISTENT = "consistent"
    OMITTED = "omitted"
    NOTHING = "nothing"  # neither the kernel nor the view has it
    WRONG = "wrong"


@dataclass(frozen=True)
class _Look:
    """One look: the native values around a read of the view, and a read after that."""

    view: View
    before: Mapping[str, Number | None]
    values: Mapping[str, Number]
    after: Mapping[str, Number | None]
    later: Mapping[str, Number]

    def judge(self, key: str, check: KeyCheck) -> tuple[_Verdict, str]:
        """Return what a key is, and what it has to be if it is wrong."""
        got = self.values.get(key)
        if got is None and check.may_be_absent:
            return _Verdict.OMITTED, ""
        if check.relation in {"equal", "bracketed"}:
            return self._judge_native(check, self.before[key], got, self.after[key])
        if got is None:
            return _Verdict.WRONG, "a value"
        if check.relation == "grows":
            later = self.later.get(key)
            if later is None or later < got:
                words = "absent" if later is None else plain(later)
                return _Verdict.WRONG, f"not to go back: the next read was {words}"
        else:
            total, whole = self._parts(check.of), self.values.get(check.of)
            if total != whole:
                return _Verdict.WRONG, f"to make {check.of} with others: they make {total}/{whole}"
        return _Verdict.CONSISTENT, ""

    def _judge_native(
        self, check: KeyCheck, first: Number | None, got: Number | None, last: Number | None
    ) -> tuple[_Verdict, str]:
        if first is None and last is None and got is None:
            return _Verdict.NOTHING, ""
        if got is None or first is None or last is None or not _holds(check, first, got, last):
            return _Verdict.WRONG, _expectation(check, first, last)
        return _Verdict.COMPARED, ""

    def _parts(self, of: str) -> Number:
        return sum(
            self.values.get(key, 0)
            for key, check in self.view.keys.items()
            if check.relation == "part" and check.of == of
        )


def _look(
    view: View, cgroup: str, files: Files, checks: Mapping[str, KeyCheck]
) -> _Look | tuple[str, str]:
    """Read all that the checks need; else return what was got and what was expected."""
    try:
        # the native files come first: reading them makes the kernel bring its counters up to date
        before = _natives(files, cgroup, checks)
        text = files.read(cgroup, view.entry)
        after = _natives(files, cgroup, checks)
        later = files.read(cgroup, view.entry)
        if text is None or later is None:
            return "absent", f"a file {view.entry}"
        return _Look(view, before, parse(text), after, parse(later))
    except OSError as error:
        return f"unreadable ({error.strerror})", "readable"
    except NotAView as error:
        return f"no view's text ({error})", "lines of a key and a value"


def _natives(files: Files, cgroup: str, checks: Mapping[str, KeyCheck]) -> dict[str, Number | None]:
    names = {check.file for check in checks.values() if check.file}
    texts = {name: files.read(cgroup, name) for name in sorted(names)}
    return {
        key: native_value(check, texts[check.file]) for key, check in checks.items() if check.file
    }


def _compare(
    view: View, cgroup: str, files: Files, pending: Mapping[str, KeyCheck], result: Tally
) -> dict[str, Mismatch]:
    """Compare the pending keys once; count the good ones, return the others."""
    look = _look(view, cgroup, files, pending)
    if isinstance(look, tuple):
        return {"": Mismatch(view.name, shown(cgroup), "", *look)}
    wrong = {}
    for key, check in pending.items():
        verdict, expected = look.judge(key, check)
        if verdict is _Verdict.WRONG:
            got = look.values.get(key)
            words = "absent" if got is None else str(plain(got))
            wrong[key] = Mismatch(view.name, shown(cgroup), key, words, expected)
        elif verdict is not _Verdict.NOTHING:
            setattr(result, verdict, getattr(result, verdict) + 1)
    for key in set(look.values) - set(view.keys):
        words = str(plain(look.values[key]))
        wrong[key] = Mismatch(view.name, shown(cgroup), key, words, "a key of the catalogue")
    return wrong


def _holds(check: KeyCheck, first: Number, got: Number, last: Number) -> bool:
    if check.relation == "equal":
        return first == got == last
    return min(first, last) <= got <= max(first, last)


def _expectation(check: KeyCheck, first: Number | None, last: Number | None) -> str:
    name = f"{check.file} {check.key}".strip()
    if first is None or last is None:
        return f"absent, as there is no {name}"
    if first == last:
        return f"{plain(first)} as {name} says"
    if check.relation == "equal":
        return f"{name}, which changed from {plain(first)} to {plain(last)}"
    return f"from {plain(min(first, last))} to {plain(max(first, last))} as {name} said around it"
