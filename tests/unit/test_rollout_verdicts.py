# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from bpfview_fleet.verdicts import GOOD, VERDICTS, Collector, judge


def event(kind: str, host: str, second: int = 0, **data: Any) -> dict[str, Any]:
    return {
        "event": kind,
        "created": f"2030-01-01T00:00:{second:02}.000000+00:00",
        "event_data": {"host": host, "task": "Some task", **data},
    }


def published(host: str, verdict: object, second: int = 0, **more: object) -> dict[str, Any]:
    data = {"bpfview_verdict": verdict, **more}
    stats = {"data": data, "per_host": True, "aggregate": True}
    return event("runner_on_ok", host, second, res={"ansible_stats": stats})


def stats(**counts: dict[str, int]) -> dict[str, Any]:
    return {"event": "playbook_on_stats", "event_data": counts}


def judged(*events: dict[str, Any], check: bool = False) -> tuple[str, str]:
    collector = Collector()
    for one in events:
        collector.take(one)
    outcome = judge("h", collector, check=check)
    return outcome.verdict, outcome.detail


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_published_verdict_is_taken_as_it_is(verdict):
    assert judged(published("h", verdict), stats(processed={"h": 1}))[0] == verdict


def test_the_last_published_verdict_counts():
    events = [published("h", "fell_back"), published("h", "promoted"), stats(processed={"h": 1})]
    assert judged(*events)[0] == "promoted"


def test_passed_tasks_are_no_verdict():
    verdict, detail = judged(event("runner_on_ok", "h", res={}), stats(processed={"h": 1}))
    assert verdict == "no_verdict"
    assert "none published bpfview_verdict" in detail


def test_a_word_that_is_no_verdict_is_not_believed():
    verdict, detail = judged(published("h", "great"), stats(processed={"h": 1}))
    assert (verdict, "great" in detail) == ("no_verdict", True)


def test_a_verdict_of_the_whole_run_is_not_a_hosts():
    one = published("h", "promoted")
    one["event_data"]["res"]["ansible_stats"]["per_host"] = False
    assert judged(one, stats(processed={"h": 1}))[0] == "no_verdict"


def test_unreachable_wins_over_what_was_published_before():
    verdict, detail = judged(
        published("h", "promoted"),
        event("runner_on_unreachable", "h", res={"msg": "no route"}),
        stats(processed={"h": 1}, dark={"h": 1}),
    )
    assert verdict == "unreachable"
    assert "no route" in detail
    assert "published promoted before" in detail


def test_a_failure_after_a_good_verdict_is_a_failure():
    verdict, detail = judged(
        published("h", "promoted"),
        event("runner_on_failed", "h", res={"msg": "disk\n full"}),
        stats(processed={"h": 1}, failures={"h": 1}),
    )
    assert (verdict, detail) == ("failed", "Some task: disk full")


def test_a_failure_keeps_the_bad_verdict_that_explains_it():
    verdict, detail = judged(
        published("h", "fell_back", bpfview_detail="no BTF"),
        event("runner_on_failed", "h", res={"msg": "fell back"}),
        stats(processed={"h": 1}, failures={"h": 1}),
    )
    assert (verdict, detail) == ("fell_back", "no BTF")


def test_a_host_absent_from_the_stats_was_not_attempted():
    assert judged(stats(processed={"other": 1}))[0] == "not_attempted"


def test_a_run_cut_off_leaves_no_verdict_even_where_one_was_published():
    assert judged(published("h", "promoted"))[0] == "no_verdict"
    assert judged(event("runner_on_start", "h"))[0] == "no_verdict"
    assert judged(event("runner_on_start", "other"))[0] == "not_attempted"


def test_check_mode_promotes_nobody():
    done = stats(processed={"h": 1})
    assert judged(published("h", "promoted"), done, check=True)[0] == "checked"
    assert judged(event("runner_on_ok", "h"), done, check=True)[0] == "checked"
    staged = published("h", "not_attempted", bpfview_detail="would run 6.1.1")
    assert judged(staged, done, check=True) == ("checked", "would run 6.1.1")
    failed = stats(processed={"h": 1}, failures={"h": 1})
    assert judged(event("runner_on_failed", "h"), failed, check=True)[0] == "failed"


def test_only_two_verdicts_let_a_rollout_go_on():
    assert {"promoted", "unchanged"} == GOOD
    collector = Collector()
    collector.take(stats(processed={"h": 1}))
    assert not judge("h", collector, check=False).well(check=False)


def test_seconds_are_counted_from_a_hosts_first_event_to_its_last():
    collector = Collector()
    for one in (event("runner_on_start", "h", 5), published("h", "promoted", 17)):
        collector.take(one)
    assert judge("h", collector, check=False).seconds == 12
    assert judge("other", collector, check=False).seconds is None


def test_an_ignored_failure_is_no_reason():
    verdict, detail = judged(
        event("runner_on_failed", "h", res={"msg": "harmless"}, ignore_errors=True),
        published("h", "unchanged"),
        stats(processed={"h": 1}, ignored={"h": 1}),
    )
    assert (verdict, detail) == ("unchanged", "")
