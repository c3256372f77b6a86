"""What happened last is kept, no more of it than that, and what happens again and again is said once."""

from __future__ import annotations

import itertools

import pytest

from fastlb.journal import Journal
from fastlb.recent import (
    LONGEST_TEXT,
    MOST_INCIDENTS,
    MOST_LATENCIES,
    MOST_RELOADS,
    MOST_SAMPLES,
    SENTENCES,
    SHOWN_REASONS,
    Recent,
)

RELOAD = {"ok": True, "seconds": 0.3, "event_to_applied_s": 0.5, "reasons": ["new backend"]}


@pytest.fixture
def heard():
    """What is kept, by a clock that counts; ``write`` of its journal is how it hears."""
    recent, journal = Recent(itertools.count(1).__next__), Journal(None)
    journal.listen(recent.hear)
    return recent, journal.write


def test_a_reload_is_kept_with_its_reasons_and_its_latency(heard):
    recent, write = heard
    write("reload", **RELOAD)
    (reload,), (latency,) = recent.reloads, recent.latencies
    assert (reload.ok, reload.seconds, reload.after_event_s, reload.reasons) == (True, 0.3, 0.5, ("new backend",))
    assert (latency.seconds, latency.how) == (0.5, "reload")


def test_a_reload_that_failed_went_wrong_and_has_no_latency(heard):
    recent, write = heard
    write("reload", **{**RELOAD, "ok": False})
    assert (recent.latencies, recent.incidents[0].said) == ((), "a reload failed")


def test_a_reload_by_signal_has_no_event(heard):
    recent, write = heard
    write("reload", ok=True, seconds=0.1, reasons=["SIGUSR1"])
    assert (recent.reloads[0].after_event_s, recent.latencies) == (None, ())


def test_nothing_grows_without_bound(heard):
    recent, write = heard
    for number in range(1000):
        write("reload", **{**RELOAD, "reasons": ["x" * 5000] * 100})
        write("old_workers", workers=number, connections=0, resident_bytes=0, oldest_s=0.0)
        write("doubt", said=str(number))
    sizes = [len(each) for each in (recent.reloads, recent.latencies, recent.old_workers, recent.incidents)]
    assert sizes == [MOST_RELOADS, MOST_LATENCIES, MOST_SAMPLES, MOST_INCIDENTS]
    assert len(recent.reloads[0].reasons) == SHOWN_REASONS
    assert len(recent.reloads[0].reasons[0]) == LONGEST_TEXT + len("...")
    assert (recent.old_workers[-1].workers, recent.incidents[0].said[-3:]) == (999, "999")


def test_the_event_stream_is_open_or_there_is_a_reason(heard):
    recent, write = heard
    write("stream_opened", url="http://m:8080")
    assert (recent.stream_url, recent.stream_failure) == ("http://m:8080", "")
    write("stream_lost", reason="it hung")
    assert (recent.stream_url, recent.stream_failure) == ("", "it hung")


def test_what_goes_wrong_again_and_again_is_one_incident(heard):
    recent, write = heard
    for reason in ("nobody there", "nobody there", "nobody there", "refused"):
        write("fetch_failed", reason=reason)
    newest, older = recent.incidents
    assert (newest.times, older.times, older.first_s, older.at_s) == (1, 3, 1, 3)


ENTRIES = {
    "stream_lost": {"reason": "x"},
    "fetch_failed": {"reason": "x"},
    "repaired": {"apps": ["/x"]},
    "haproxy_exited": {"said": "x", "pid": 1},
    "doubt": {"said": "x"},
    "drift": {"repairs": ["x"], "differences": 1},
    "old_worker_ended": {"ok": True, "why": "x"},
    "old_workers_limit": {"said": "x", "workers": 1},
    "refused": {"app": "/a", "reason": "x"},
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_each_kind_of_trouble_is_said_in_a_sentence(heard, kind):
    recent, write = heard
    write(kind, **ENTRIES[kind])
    assert (recent.incidents[0].kind, recent.incidents[0].said.endswith("x")) == (kind, True)
