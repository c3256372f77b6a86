"""Whether all is well is said in one line, and what is not has the worst first."""

from __future__ import annotations

import pytest

from fastlb.verdict import STARTING_FOR_S, Facts, judge

WELL = Facts(
    running_s=1000.0,
    hung_s=0.0,
    fetch_failure="",
    kept_apps=0,
    agreed_age_s=5.0,
    agreed_within_s=60.0,
    follows_events=True,
    stream_open=True,
    stream_failure="",
    ours=True,
    haproxy_up=True,
    gone="",
    reload_failed=False,
    left_out=(),
    without_servers=(),
    old_workers=1,
    old_limit=10,
)

CASES = {
    "well": ({}, "ok", "All is well"),
    "gone": ({"gone": "it was killed"}, "bad", "HAProxy is gone"),
    "silent": ({"haproxy_up": False}, "bad", "HAProxy does not answer"),
    "somebody else's": ({"haproxy_up": False, "ours": False}, "warn", "HAProxy cannot be asked"),
    "reload": ({"reload_failed": True}, "bad", "The last reload failed"),
    "hung": ({"hung_s": 11.0}, "bad", "fastlb hangs"),
    "marathon": ({"fetch_failure": "nobody there", "stream_open": False}, "bad", "Marathon cannot be read"),
    "behind": ({"agreed_age_s": 61.0}, "bad", "HAProxy is behind Marathon"),
    "starting": ({"agreed_age_s": None, "running_s": 1.0}, "warn", "fastlb is starting"),
    "still starting": ({"agreed_age_s": None, "running_s": STARTING_FOR_S}, "bad", "fastlb is starting"),
    "stream": ({"stream_open": False}, "warn", "Marathon's event stream is lost"),
    "poll": ({"stream_open": False, "follows_events": False}, "ok", "All is well"),
    "kept": ({"kept_apps": 7}, "bad", "7 apps missing all at once"),
    "limit": ({"old_workers": 10}, "warn", "Old workers are at their limit"),
    "one app": ({"left_out": ("/a",), "without_servers": ("/a",)}, "warn", "All is well, but for 1 app"),
    "apps": ({"left_out": ("/a",), "without_servers": ("/b",)}, "warn", "All is well, but for 2 apps"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_title_says_what_is_worst(name):
    fields, level, title = CASES[name]
    verdict = judge(WELL._replace(**fields))
    assert (verdict.level, verdict.title) == (level, title)
    assert bool(verdict.findings) == (level != "ok")


def test_the_worst_comes_first_and_nothing_is_said_twice():
    facts = WELL._replace(stream_open=False, old_workers=10, gone="it was killed", haproxy_up=False, left_out=("/a",))
    levels = [finding.level for finding in judge(facts).findings]
    assert levels == ["bad", "warn", "warn", "warn"]


def test_of_many_apps_a_few_are_named():
    (finding,) = judge(WELL._replace(left_out=tuple(f"/app-{number}" for number in range(4000)))).findings
    assert "/app-4 and 3995 more" in finding.detail
    assert len(finding.detail) < 200
