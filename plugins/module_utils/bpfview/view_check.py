# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a view says the truth: its values against the kernel's own files of the same cgroup.

What was set has to be equal. What only grows has to lie between what the kernel's file says right
before and right after. What goes up and down may pass those two in between, so it is looked at
again, and has to lie within all that the file has said by then. Every comparison is counted, so
that an empty one cannot pass.
"""

from __future__ import annotations

import errno
import itertools
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from .cgroup_tree import shown
from .view_text import NotAView, Number, parse, plain
from .views_desired import KeyCheck, View

# A value that jumps at random lies beyond 2n readings of it with the probability 2/(2n+1) the n-th
# time, so beyond all of them once in a thousand million.
ATTEMPTS = 12
_PAUSE = 0.05  # seconds
_NO_FILE = "absent"
_ABSENT = {errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP}


@dataclass(frozen=True)
class Mismatch:
    """One value that is not what it has to be, or a file that cannot be read."""

    view: str
    cgroup: str
    key: str
    got: str
    expected: str

    @property
    def absent(self) -> bool:
        """Whether the whole file is."""
        return not self.key and self.got == _NO_FILE

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
    young: int = 0  # cgroups that came since the last reconciliation and have no file yet
    mismatches: list[Mismatch] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add another one's counts."""
        self.read += other.read
        self.compared += other.compared
        self.consistent += other.consistent
        self.omitted += other.omitted
        self.vanished += other.vanished
        self.young += other.young
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
    comparison = _Comparison(view, cgroup, files, dict(view.keys))
    wrong: dict[str, Mismatch] = {}
    for _attempt in range(attempts):
        wrong = comparison.once(result)
        if not wrong:
            break
        if "" in wrong:  # the file itself, which may be on its way
            time.sleep(_PAUSE)
            continue
        comparison.keep(wrong)
        if not comparison.pending:  # only keys that nobody knows
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
    """One look: the native values around a read of the view, and a read after that.

    ``seen`` are the native values of this look and those before it, in the order of their reading.
    """

    view: View
    before: Mapping[str, Number | None]
    values: Mapping[str, Number]
    after: Mapping[str, Number | None]
    later: Mapping[str, Number]
    seen: Mapping[str, Sequence[Number]]

    def judge(self, key: str, check: KeyCheck) -> tuple[_Verdict, str]:
        """Return what a key is, and what it has to be if it is wrong."""
        got = self.values.get(key)
        if got is None and check.may_be_absent:
            return _Verdict.OMITTED, ""
        if check.relation in {"equal", "bracketed"}:
            return self._judge_native(key, check, got)
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

    def _judge_native(self, key: str, check: KeyCheck, got: Number | None) -> tuple[_Verdict, str]:
        first, last = self.before[key], self.after[key]
        name = f"{check.file} {check.key}".strip()
        if first is None and last is None and got is None:
            return _Verdict.NOTHING, ""
        if first is None or last is None:
            return _Verdict.WRONG, f"absent, as there is no {name}"
        if check.relation == "equal" and first != last:
            words = f"{name}, which changed from {plain(first)} to {plain(last)}"
            return _Verdict.WRONG, words
        low, high = self._bounds(key, first, last)
        if got is not None and low <= got <= high:
            return _Verdict.COMPARED, ""
        if low == high:
            return _Verdict.WRONG, f"{plain(low)} as {name} says"
        return _Verdict.WRONG, f"from {plain(low)} to {plain(high)} as {name} said around it"

    def _bounds(self, key: str, first: Number, last: Number) -> tuple[Number, Number]:
        """Return what a value has to lie within."""
        seen = self.seen[key]
        moves_both_ways = any(later < earlier for earlier, later in itertools.pairwise(seen))
        if moves_both_ways and self.view.keys[key].relation == "bracketed":
            return min(seen), max(seen)
        return min(first, last), max(first, last)

    def _parts(self, of: str) -> Number:
        return sum(
            self.values.get(key, 0)
            for key, check in self.view.keys.items()
            if check.relation == "part" and check.of == of
        )


@dataclass
class _Comparison:
    """One view in one cgroup, looked at until nothing is pending or patience ends."""

    view: View
    cgroup: str
    files: Files
    pending: dict[str, KeyCheck]
    seen: dict[str, list[Number]] = field(default_factory=dict)

    def keep(self, keys: Collection[str]) -> None:
        """Leave only these keys pending."""
        self.pending = {key: check for key, check in self.pending.items() if key in keys}

    def once(self, result: Tally) -> dict[str, Mismatch]:
        """Compare the pending keys once; count the good ones, return the others."""
        look = self._look()
        if isinstance(look, tuple):
            return {"": self._mismatch("", *look)}
        wrong = {}
        for key, check in self.pending.items():
            verdict, expected = look.judge(key, check)
            if verdict is _Verdict.WRONG:
                wrong[key] = self._mismatch(key, _words(look.values.get(key)), expected)
            elif verdict is not _Verdict.NOTHING:
                setattr(result, verdict, getattr(result, verdict) + 1)
        for key in set(look.values) - set(self.view.keys):
            wrong[key] = self._mismatch(key, _words(look.values[key]), "a key of the catalogue")
        return wrong

    def _mismatch(self, key: str, got: str, expected: str) -> Mismatch:
        return Mismatch(self.view.name, shown(self.cgroup), key, got, expected)

    def _look(self) -> _Look | tuple[str, str]:
        """Read all that the checks need; else return what was got and what was expected."""
        entry = self.view.entry
        try:
            # the native files come first: reading them makes the kernel add its counters up
            before = self._natives()
            text = self.files.read(self.cgroup, entry)
            after = self._natives()
            later = self.files.read(self.cgroup, entry)
            if text is None or later is None:
                return _NO_FILE, f"a file {entry}"
            return _Look(self.view, before, parse(text), after, parse(later), self.seen)
        except OSError as error:
            return f"unreadable ({error.strerror})", "readable"
        except NotAView as error:
            return f"no view's text ({error})", "lines of a key and a value"

    def _natives(self) -> dict[str, Number | None]:
        """Return what the kernel's own files say now, and note it as seen."""
        names = {check.file for check in self.pending.values() if check.file}
        texts = {name: self.files.read(self.cgroup, name) for name in sorted(names)}
        values = {
            key: native_value(check, texts[check.file])
            for key, check in self.pending.items()
            if check.file
        }
        for key, value in values.items():
            if value is not None:
                self.seen.setdefault(key, []).append(value)
        return values


def _words(value: Number | None) -> str:
    return "absent" if value is None else str(plain(value))
