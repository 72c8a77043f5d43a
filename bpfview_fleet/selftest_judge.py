# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs of the same tests, on the stock and on the patched kernel, side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .selftest_log import Console, Outcome
from .table import table

Rows = Mapping[str, Outcome]

# registers, addresses, process and line numbers: two reports of one fault differ in them
_NUMBER = re.compile(r"\b(?:0x)?[0-9a-f]*\d[0-9a-f]*\b")


@dataclass(frozen=True)
class Row:
    """One test in both runs. ``about_views``: it tests what only the patched kernel has.

    ``repeats`` are further runs of it on the stock and the patched kernel.
    """

    name: str
    stock: Outcome
    patched: Outcome
    about_views: bool
    repeats: tuple[tuple[Outcome, Outcome], ...] = ()

    @property
    def test(self) -> str:
        """The test that the row is a part of."""
        return self.name.partition("/")[0]

    @property
    def worse(self) -> bool:
        """Whether this row speaks against the series, each time that it ran."""
        if self.about_views:
            return self.patched is not Outcome.OK
        on_stock, on_patched = self._outcomes
        return max(on_patched) < max(on_stock)

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The row as the user sees it."""
        on_stock, on_patched = self._outcomes
        stock = "no views" if self.about_views else _counted(on_stock)
        if self.worse:
            verdict = "FAILS" if self.about_views else "WORSE"
        elif self.about_views:
            verdict = "passes"
        elif self.repeats:
            verdict = "unsteady"
        else:
            verdict = "same" if self.patched == self.stock else "better"
        return self.name, stock, _counted(on_patched), verdict

    @property
    def _outcomes(self) -> tuple[list[Outcome], list[Outcome]]:
        pairs = [(self.stock, self.patched), *self.repeats]
        return [stock for stock, _ in pairs], [patched for _, patched in pairs]


def _counted(outcomes: list[Outcome]) -> str:
    """The best of some runs, with how many of them had it."""
    best = max(outcomes)
    count = f" {outcomes.count(best)}/{len(outcomes)}" if len(outcomes) > 1 else ""
    return f"{best}{count}"


@dataclass
class Comparison:
    """All rows, and what is wrong with the runs themselves."""

    rows: list[Row]
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing is worse and the runs can be believed."""
        return not self.problems and not any(row.worse for row in self.rows)

    @property
    def doubtful(self) -> set[str]:
        """The tests whose rows should run again: a test that is unsteady may fail on any kernel."""
        return {row.test for row in self.rows if row.worse and not row.about_views}

    def repeated(self, later: Comparison) -> Comparison:
        """Return this with what a later run of the doubtful tests found about the same rows."""
        found = {row.name: (row.stock, row.patched) for row in later.rows}
        absent = (Outcome.ABSENT, Outcome.ABSENT)
        doubted = {row.name for row in self.rows if row.repeats or row.worse}
        rows = [
            replace(row, repeats=(*row.repeats, found.get(row.name, absent)))
            if row.name in doubted and not row.about_views
            else row
            for row in self.rows
        ]
        return Comparison(rows, self.problems + later.problems)

    def summary(self) -> str:
        """The last line for the user."""
        worse = sum(row.worse for row in self.rows)
        views = sum(row.about_views for row in self.rows)
        passing = sum(row.patched is Outcome.OK for row in self.rows)
        line = f"{len(self.rows)} rows, {views} of them about views: {passing} pass on patched"
        line += f", {worse} worse than on stock" if worse else ", none worse than on stock"
        if unsteady := sum(bool(row.repeats) and not row.worse for row in self.rows):
            line += f", {unsteady} unsteady"
        if self.problems:
            line += f", {len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        return line

    def __str__(self) -> str:
        lines = [table(("TEST", "STOCK", "PATCHED", "VERDICT"), [row.cells for row in self.rows])]
        lines += [f"problem: {problem}" for problem in self.problems]
        return "\n".join(lines)


def compare(stock: Rows, patched: Rows, about_views: frozenset[str]) -> Comparison:
    """Put both runs' rows side by side. ``about_views`` names the tests that need the series."""
    rows = [
        Row(
            name,
            stock.get(name, Outcome.ABSENT),
            patched.get(name, Outcome.ABSENT),
            name.partition("/")[0] in about_views,
        )
        for name in sorted({*stock, *patched})
    ]
    found = Comparison(rows)
    found.problems += [
        f"{row.name} reported nothing on either kernel"
        for row in rows
        if not row.about_views and not (row.stock or row.patched)
    ]
    # a kernel that passes a test of views has them: then the columns compare nothing
    found.problems += [
        f"{row.name} passes on the stock kernel, so that is none"
        for row in rows
        if row.about_views and row.stock is Outcome.OK
    ]
    return found


def run_problems(stock: Console, patched: Console) -> list[str]:
    """What is wrong with either run, and what only the patched kernel complained about."""
    problems = [f"stock kernel: {problem}" for problem in stock.problems]
    problems += [f"patched kernel: {problem}" for problem in patched.problems]
    problems += [
        f"{kind} kernel: {name} was ended by {said.signal}"
        for kind, console in (("stock", stock), ("patched", patched))
        for name, said in console.outputs.items()
        if said.signal
    ]
    known = {_NUMBER.sub("N", splat) for splat in stock.splats}
    problems += [
        f"the patched kernel says: {splat}"
        for splat in patched.splats
        if _NUMBER.sub("N", splat) not in known
    ]
    return problems
