"""What the loop is told of a reading, whatever becomes of it; the client only says what it is told to say."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from types import SimpleNamespace

import pytest

from fastlb.errors import MarathonUnreachable
from fastlb.fetching import SHOWN_APPS, Fetcher
from fastlb.inbox import AppsFetched, Fetched, FetchFailed
from fastlb.marathon import AppAnswers
from fastlb.marks import Reading

DEADLINE_S = 10.0
EVERYTHING = Reading(everything=True, app_ids=frozenset())


class Client:
    """Fails for the apps in ``failing``, by id with the reason, and for everything if ``down``."""

    def __init__(self):
        self.received_bytes = 0
        self.failing = {}
        self.down = False
        self.closed = False

    def apps(self):
        if self.down:
            raise MarathonUnreachable("nobody is there")
        self.received_bytes += 100
        return [{"id": "/a"}]

    def apps_by_id(self, app_ids):
        good = [app_id for app_id in app_ids if app_id not in self.failing]
        self.received_bytes += len(good)
        failed = {app_id: self.failing[app_id] for app_id in app_ids if app_id in self.failing}
        return AppAnswers({app_id: {"id": app_id} for app_id in good}, failed)

    def close(self):
        self.closed = True


@pytest.fixture
def bench():
    """A fetcher with its client; `read` orders, ends the thread and gives all that the loop was told."""
    client, inbox = Client(), SimpleQueue()
    fetcher = Fetcher(client, inbox)

    def read(*readings):
        for reading in readings:
            fetcher.fetch(reading)
        fetcher.stop()
        fetcher._thread.join(DEADLINE_S)
        assert client.closed
        return drained(inbox)

    yield SimpleNamespace(client=client, read=read)
    fetcher.stop()
    fetcher._thread.join(DEADLINE_S)


def drained(inbox):
    messages = []
    try:
        while True:
            messages.append(inbox.get_nowait())
    except Empty:
        return messages


def single(*app_ids):
    return Reading(everything=False, app_ids=frozenset(app_ids))


def test_everything_is_one_message_with_what_it_cost(bench):
    [message] = bench.read(EVERYTHING)
    assert isinstance(message, Fetched)
    assert (message.documents, message.received_bytes) == ([{"id": "/a"}], 100)


def test_a_marathon_that_is_down_is_one_failure_of_the_whole_reading(bench):
    bench.client.down = True
    assert bench.read(EVERYTHING) == [FetchFailed("nobody is there", EVERYTHING)]


def test_apps_that_all_came_are_one_message_with_what_they_cost(bench):
    [message] = bench.read(single("/a", "/b"))
    assert message.answers == {"/a": {"id": "/a"}, "/b": {"id": "/b"}}
    assert (message.failed, message.received_bytes) == (frozenset(), 2)


def test_what_came_is_told_before_what_did_not_which_is_to_be_read_again(bench):
    bench.client.failing = {"/b": "HTTP 500"}
    fetched, failed = bench.read(single("/a", "/b", "/c"))
    assert isinstance(fetched, AppsFetched)
    assert (fetched.answers.keys(), fetched.failed) == ({"/a", "/c"}, {"/b"})
    assert failed == FetchFailed("/b: HTTP 500", single("/b"))


def test_a_reading_of_which_nothing_came_is_a_failure_only(bench):
    bench.client.failing = {"/a": "HTTP 500", "/b": "HTTP 503", "/c": "HTTP 500"}
    assert bench.read(single("/a", "/b", "/c")) == [
        FetchFailed("/a, /c: HTTP 500; /b: HTTP 503", single("/a", "/b", "/c"))
    ]


def test_a_reason_shared_by_many_apps_is_said_once_and_names_a_few(bench):
    bench.client.failing = {f"/{number:02}": "refused" for number in range(SHOWN_APPS + 7)}
    [failed] = bench.read(single(*bench.client.failing))
    assert failed.reason == ", ".join(f"/{number:02}" for number in range(SHOWN_APPS)) + " and 7 more: refused"
    assert failed.reading.app_ids == set(bench.client.failing)


def test_a_reading_of_nothing_is_answered_too(bench):
    [message] = bench.read(single())
    assert message.answers == {}


def test_answers_come_in_the_order_of_the_readings(bench):
    bench.client.failing = {"/b": "HTTP 500"}
    kinds = [type(message) for message in bench.read(single("/a", "/b"), EVERYTHING, single("/c"))]
    assert kinds == [AppsFetched, FetchFailed, Fetched, AppsFetched]
