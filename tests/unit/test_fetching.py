"""What the loop is told of a reading, and when, whatever becomes of it; the client says what the test has it say."""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from types import SimpleNamespace

import pytest

from fastlb.asking import Asking
from fastlb.errors import MarathonUnreachable
from fastlb.fetching import SHOWN_APPS, Fetcher, listed
from fastlb.inbox import AppsFailed, AppsFetched, Fetched, FetcherBroke, FetchFailed
from fastlb.marathon import Told
from fastlb.marks import Reading

DEADLINE_S = 10.0
MOST_SINGLE = 50
EVERYTHING = Reading(everything=True)


class Client:
    """Answers at once, but not about what is in ``failing``, by id with the reason, and not yet about ``slow``."""

    def __init__(self):
        self.received_bytes = 0
        self.failing = {}
        self.slow = set()
        self.dropped = []
        self.asked = []
        self.closed = False
        self._under_way = []
        self._woken = threading.Event()

    def ask(self, app_ids):
        self.asked += app_ids
        self._under_way += app_ids

    def drop(self, app_ids):
        self.dropped += app_ids
        self._under_way = [app_id for app_id in self._under_way if app_id not in app_ids]

    def told(self, within_s):
        ready = [app_id for app_id in self._under_way if app_id not in self.slow]
        if not ready:
            self._woken.wait(min(within_s, 0.01))
            self._woken.clear()
        self._under_way = [app_id for app_id in self._under_way if app_id not in ready]
        return [self._answer(app_id) for app_id in ready]

    def _answer(self, app_id):
        if app_id in self.failing:
            return Told(app_id, failure=MarathonUnreachable(self.failing[app_id]))
        self.received_bytes += 1
        return Told(app_id, [{"id": "/a"}, {"id": "/b"}] if app_id is None else {"id": app_id, "alone": True})

    def wake(self):
        self._woken.set()

    def let(self, app_id):
        self.slow.discard(app_id)
        self.wake()

    def close(self):
        self.closed = True


@pytest.fixture
def bench():
    """A fetcher with its client; `read` orders, `end` ends the thread and gives what the loop was not told before."""
    client, inbox = Client(), SimpleQueue()
    fetcher = Fetcher(client, Asking(MOST_SINGLE), inbox)

    def end():
        client.slow.clear()
        fetcher.stop()
        fetcher._thread.join(DEADLINE_S)
        assert client.closed
        return drained(inbox)

    def next_message():
        return inbox.get(timeout=DEADLINE_S)

    yield SimpleNamespace(client=client, read=fetcher.fetch, end=end, next=next_message, inbox=inbox)
    end()


def drained(inbox):
    messages = []
    try:
        while True:
            messages.append(inbox.get_nowait())
    except Empty:
        return messages


def single(*app_ids, marked_at_s=None):
    return Reading(False, frozenset(app_ids), marked_at_s)


def until_asked(bench, *app_ids):
    deadline_s = time.monotonic() + DEADLINE_S
    while not set(app_ids) <= set(bench.client.asked):
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


def test_everything_is_one_message_with_what_it_cost_and_when_it_was_asked_for(bench):
    bench.read(Reading(everything=True, marked_at_s=7.0))
    [message] = bench.end()
    assert isinstance(message, Fetched)
    assert (message.documents, message.received_bytes) == ([{"id": "/a"}, {"id": "/b"}], 1)
    assert message.marked_at_s == 7.0


def test_a_marathon_that_is_down_is_one_failure_of_the_whole_reading(bench):
    bench.client.failing = {None: "nobody is there"}
    bench.read(EVERYTHING)
    assert bench.end() == [FetchFailed("nobody is there", EVERYTHING)]


def test_apps_that_come_together_are_one_message_with_what_they_cost(bench):
    bench.read(single("/a", "/b", marked_at_s=7.0))
    [message] = bench.end()
    assert message.answers == {app_id: {"id": app_id, "alone": True} for app_id in ("/a", "/b")}
    assert (message.received_bytes, message.marked_at_s) == (2, 7.0)


def test_what_came_is_told_before_what_did_not(bench):
    bench.client.failing = {"/b": "HTTP 500"}
    bench.read(single("/a", "/b", "/c"))
    fetched, failed = bench.end()
    assert isinstance(fetched, AppsFetched)
    assert fetched.answers.keys() == {"/a", "/c"}
    assert failed == AppsFailed({"/b": "HTTP 500"})


def test_a_reading_of_which_nothing_came_is_a_failure_only(bench):
    bench.client.failing = {"/a": "HTTP 500", "/b": "HTTP 503"}
    bench.read(single("/a", "/b"))
    assert bench.end() == [AppsFailed({"/a": "HTTP 500", "/b": "HTTP 503"})]


def test_an_app_without_an_answer_holds_up_neither_the_others_of_its_reading_nor_later_ones(bench):
    bench.client.slow = {"/slow"}
    bench.read(single("/a", "/slow"))
    assert bench.next().answers.keys() == {"/a"}
    bench.read(single("/b"))
    assert bench.next().answers.keys() == {"/b"}
    bench.client.let("/slow")
    assert bench.next().answers.keys() == {"/slow"}


def test_a_failure_is_told_while_another_app_is_without_an_answer(bench):
    bench.client.slow, bench.client.failing = {"/slow"}, {"/b": "HTTP 500"}
    bench.read(single("/slow", "/b"))
    assert bench.next() == AppsFailed({"/b": "HTTP 500"})


def test_an_app_is_asked_for_again_when_it_is_wanted_while_it_has_no_answer(bench):
    bench.client.slow = {"/slow"}
    bench.read(single("/slow"))
    until_asked(bench, "/slow")
    bench.read(single("/slow"))
    bench.read(single("/a"))
    bench.next()
    assert bench.client.asked.count("/slow") == 1
    assert [message.answers.keys() for message in bench.end()] == [{"/slow"}, {"/slow"}]


def test_everything_without_an_answer_does_not_hold_up_single_apps_and_does_not_overwrite_them(bench):
    bench.client.slow = {None}
    bench.read(EVERYTHING)
    until_asked(bench, None)
    bench.read(single("/b"))
    assert bench.next().answers.keys() == {"/b"}
    bench.client.let(None)
    assert bench.next().documents == [{"id": "/a"}, {"id": "/b", "alone": True}]


def test_a_single_app_that_outlasts_everything_is_asked_for_again(bench):
    bench.client.slow = {None, "/b"}
    bench.read(EVERYTHING)
    until_asked(bench, None)
    bench.read(single("/b"))
    until_asked(bench, "/b")
    bench.client.let(None)
    assert isinstance(bench.next(), Fetched)
    [message] = bench.end()
    assert (bench.client.dropped, bench.client.asked.count("/b")) == (["/b"], 2)
    assert message.answers.keys() == {"/b"}


def test_more_apps_than_the_threshold_are_read_as_everything(bench):
    bench.read(single(*(f"/{number}" for number in range(MOST_SINGLE + 1))))
    assert isinstance(bench.next(), Fetched)
    assert bench.client.asked == [None]


def test_what_is_being_read_at_the_end_is_still_told(bench):
    bench.client.slow = {"/slow"}
    bench.read(single("/slow"))
    assert [message.answers.keys() for message in bench.end()] == [{"/slow"}]


def test_a_bug_ends_the_controller_instead_of_leaving_it_blind(bench, caplog):
    bench.client.told = lambda _within_s: [Told("/nobody asked for this")]
    bench.read(single("/a"))
    assert bench.next() == FetcherBroke()
    assert "please report this" in caplog.text
    assert bench.client.closed


def test_a_reason_shared_by_many_apps_is_said_once_and_names_a_few():
    reasons = {f"/{number:02}": "refused" for number in range(SHOWN_APPS + 7)}
    assert listed(reasons) == ", ".join(f"/{number:02}" for number in range(SHOWN_APPS)) + " and 7 more: refused"
    assert listed({"/a": "HTTP 500", "/b": "HTTP 503", "/c": "HTTP 500"}) == "/a, /c: HTTP 500; /b: HTTP 503"
