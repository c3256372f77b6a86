"""Routine is said at once when it is quiet, and once an interval when it is not; nothing is lost of the counts."""

from __future__ import annotations

import logging
from itertools import pairwise
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from fastlb.digest import INTERVAL_S, MOST_NAMES, Digest
from fastlb.journal import Journal
from fastlb.routine import Routine

ADDED = {"server(s) added": 1}


def test_a_single_change_after_a_quiet_time_is_said_at_once():
    digest = Digest("live")
    digest.add(100.0, ADDED, ["/web"], 0.009)
    assert digest.due_s == 100.0
    said = digest.take(100.0)
    assert said is not None
    assert said.text == "live: 1 server(s) added; /web (0.009 s after the event)"
    assert (digest.due_s, digest.take(1000.0)) == (inf, None)


def test_what_follows_waits_for_the_end_of_the_interval_and_is_one_line():
    digest = Digest("live")
    digest.add(100.0, ADDED, ["/web"], 0.009)
    digest.take(100.0)
    for number in range(30):
        digest.add(110.0 + number, {"server(s) added": 2, "weight(s) changed": 0}, [f"/app{number % 8}"], number / 10)
        assert digest.take(110.0 + number) is None
    assert digest.due_s == 100.0 + INTERVAL_S
    said = digest.take(160.0)
    assert said is not None
    assert said.text == (
        "live: 60 server(s) added; /app0, /app1, /app2, /app3, /app4 and 3 more "
        "(30 changes in 50 s, at most 2.900 s after the event)"
    )
    assert said.fields["counts"] == {"server(s) added": 60, "weight(s) changed": 0}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.0, 30.0), max_size=300))
def test_there_is_at_most_one_line_an_interval_and_no_count_is_lost(pauses):
    digest, now_s, lines, counted = Digest("x"), 0.0, [], 0
    for pause in pauses:
        now_s += pause
        digest.add(now_s, {"n": 1})
        if said := digest.take(now_s):
            lines.append(now_s)
            counted += said.fields["counts"]["n"]
    rest = digest.take(inf) if digest.due_s < inf else None
    assert counted + (rest.fields["counts"]["n"] if rest else 0) == len(pauses)
    assert all(later - earlier >= INTERVAL_S for earlier, later in pairwise(lines))


def test_however_many_names_there_are_few_are_kept():
    digest = Digest("x")
    for number in range(MOST_NAMES + 100):
        digest.add(0.0, {"n": 1}, [str(number)])
    said = digest.take(0.0)
    assert said is not None
    assert said.fields["names"] <= MOST_NAMES


def test_ten_thousand_routine_changes_are_one_line_for_info(caplog):
    caplog.set_level(logging.INFO)
    journal, routine = Journal(None), Routine()
    journal.listen(routine.hear)
    for number in range(10_000):
        effects = {"server(s) added": 1, "server(s) taken out": 1}
        journal.write("live", apps=[f"/a{number % 500}"], effects=effects, event_to_applied_s=0.01)
        journal.write("stopped", apps=[f"/a{number % 500}"], servers=1, ok=True)
        journal.write("event", event="status_update_event", apps=["/a"])
    assert [record.getMessage() for record in caplog.records] == [
        "live: 1 server(s) added, 1 server(s) taken out; /a0 (0.010 s after the event)"
    ]
    assert routine.due_s < inf
    routine.look(routine.due_s)
    assert "9999 server(s) added" in caplog.records[-1].getMessage()
