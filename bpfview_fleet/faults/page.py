# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a run, as docs/faults.md shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .rows import FAULTS
from .run import Result

_HEAD = """\
<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
# What became of hosts with bad kernels

Written by `make test-faults`; the next run writes it anew. One VM of the lab, whose own kernel is
`{former}`, was given `{new}` (or `{newer}`)
once for each row, with the fault in place.
"Away" are the seconds between the start of the new kernel and the login prompt of one that works;
`—` stands where that was never in doubt. Machine: {machine}.

| Fault | Verdict | Reason | Ends on | Boots | Away |
|---|---|---|---|---|---|
"""
_LONGEST = 160


def text(results: Sequence[Result], former: str, new: str, newer: str, machine: str) -> str:
    """Return the page."""
    kernels = {former: "its own", new: "the new one", newer: "the newer one"}
    lines = "".join(_line(result, kernels) for result in results)
    text = _HEAD.format(machine=machine, former=former, new=new, newer=newer) + lines
    tried = {result.fault.name for result in results}
    missing = [fault.what for fault in FAULTS if fault.name not in tried]
    return f"{text}\nNot tried in this run: {'; '.join(missing)}.\n" if missing else text


def _line(result: Result, kernels: Mapping[str, str]) -> str:
    kernel = kernels.get(result.kernel or "", "**stranded**")
    away = "—" if result.away is None else f"{result.away:.0f} s"
    verdict = ", ".join(f"`{verdict}`" for verdict in result.verdicts) or "—"
    reason = " ".join(result.reason.replace("|", "/").split())
    if len(reason) > _LONGEST:
        reason = f"{reason[:_LONGEST]}…"
    what = f"{result.fault.what}{' **(did not end as it must)**' if result.problems else ''}"
    return f"| {what} | {verdict} | {reason or '—'} | {kernel} | {result.boots} | {away} |\n"
