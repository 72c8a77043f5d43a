# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each host, read off the events of one ansible-runner run and never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

VERDICTS = (
    "promoted",
    "unchanged",
    "fell_back",
    "wrong_kernel",
    "views_failed",
    "unreachable",
    "not_attempted",
)
GOOD = frozenset({"promoted", "unchanged"})
# Not verdicts: what is said of a host that has none.
FAILED = "failed"
NO_VERDICT = "no_verdict"
CHECKED = "checked"
IN_PROGRESS = "in_progress"

VERDICT_KEY = "bpfview_verdict"
DETAIL_KEY = "bpfview_detail"
_DETAIL_LIMIT = 500


@dataclass
class Seen:
    """What the events of a run tell about one host."""

    first: str | None = None
    last: str | None = None
    published: Any = None
    detail: str = ""
    problem: str = ""

    @property
    def seconds(self) -> float | None:
        """Time from the host's first event to its last, in seconds."""
        if self.first is None or self.last is None:
            return None
        return (
            datetime.fromisoformat(self.last) - datetime.fromisoformat(self.first)
        ).total_seconds()


@dataclass
class Collector:
    """Takes the events of a run one by one; `stats` stays None when the run was cut off."""

    hosts: dict[str, Seen] = field(default_factory=dict)
    stats: Mapping[str, Any] | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Note what an ansible-runner event tells."""
        kind = event.get("event", "")
        data = event.get("event_data") or {}
        if kind == "playbook_on_stats":
            self.stats = data
            return
        host = data.get("host")
        if not host or not kind.startswith("runner_"):
            return
        seen = self.hosts.setdefault(host, Seen())
        seen.first = seen.first or event.get("created")
        seen.last = event.get("created") or seen.last
        result = data.get("res")
        if not isinstance(result, Mapping):
            return
        if kind in {"runner_on_failed", "runner_on_unreachable"} and not data.get("ignore_errors"):
            seen.problem = f"{data.get('task', 'a task')}: {_shorten(result.get('msg', 'failed'))}"
        stats = result.get("ansible_stats")
        if kind == "runner_on_ok" and isinstance(stats, Mapping) and stats.get("per_host"):
            published = stats.get("data") or {}
            seen.published = published.get(VERDICT_KEY, seen.published)
            seen.detail = str(published.get(DETAIL_KEY, seen.detail))


@dataclass(frozen=True)
class Outcome:
    """A host's verdict (or the word for having none), its duration in seconds, and the reason."""

    verdict: str
    seconds: float | None = None
    detail: str = ""

    def well(self, *, check: bool) -> bool:
        """Tell whether the rollout may go on past this host."""
        return self.verdict in GOOD or (check and self.verdict == CHECKED)


def judge(host: str, collected: Collector, *, check: bool) -> Outcome:
    """Decide what became of a host of the wave that was just run."""
    seen = collected.hosts.get(host, Seen())
    verdict, detail = _judge(host, seen, collected.stats, check=check)
    return Outcome(verdict, seen.seconds, detail)


def _judge(
    host: str, seen: Seen, stats: Mapping[str, Any] | None, *, check: bool
) -> tuple[str, str]:
    if stats is None:
        if seen.first is not None:
            return NO_VERDICT, "the run was cut off while it worked on this host"
        return "not_attempted", "the run ended before it came to this host"
    if not (stats.get("processed") or {}).get(host):
        return "not_attempted", "the run did not come to this host"
    if (stats.get("dark") or {}).get(host):
        before = f" (it had published {seen.published} before)" if seen.published else ""
        return "unreachable", seen.problem + before
    failed = bool((stats.get("failures") or {}).get(host))
    return _said(seen, failed=failed, check=check)


def _said(seen: Seen, *, failed: bool, check: bool) -> tuple[str, str]:
    verdict, detail = str(seen.published), seen.detail
    if check and not failed:
        verdict = CHECKED
    elif verdict in VERDICTS and verdict not in GOOD:
        detail = seen.detail or seen.problem
    elif failed:
        verdict, detail = FAILED, seen.problem
    elif seen.published is None:
        verdict, detail = NO_VERDICT, f"its tasks passed, but none published {VERDICT_KEY}"
    elif verdict not in VERDICTS:
        detail = f"the playbook published {_shorten(verdict)}, which is no verdict"
        verdict = NO_VERDICT
    return verdict, detail


def _shorten(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _DETAIL_LIMIT else text[:_DETAIL_LIMIT] + "…"
