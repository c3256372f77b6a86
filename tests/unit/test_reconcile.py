"""The loop's own decisions: what it reads, and when. The rooms are real, the fetcher only writes down its orders."""

from __future__ import annotations

from dataclasses import dataclass, field
from queue import SimpleQueue
from time import monotonic
from types import SimpleNamespace

import pytest

from fastlb.cli import build_parser
from fastlb.decision import Decider
from fastlb.errors import PublishError
from fastlb.events import EventArrived, StreamOpened, mark_of
from fastlb.inbox import AppsFetched, FetchFailed
from fastlb.journal import Journal
from fastlb.marks import Reading
from fastlb.reconcile import Hands, Reconciler
from fastlb.settings import read_settings
from fastlb.store import Store
from tests.fakes.apps import app, renderer_of, rules_of


@dataclass
class Fetcher:
    orders: list[Reading] = field(default_factory=list)

    def fetch(self, reading):
        self.orders.append(reading)


class FullDisk:
    """Lets no rendering come to anything."""

    count = 0

    def run(self, _rendering):
        raise PublishError("no room for a trial")


@pytest.fixture
def loop(tmp_path):
    """A loop whose store has not been filled yet, with its fetcher."""
    argv = ["sse", "--group", "external", "--settle", "0", "--haproxy-config", str(tmp_path / "haproxy.cfg")]
    settings = read_settings(build_parser().parse_args([*argv, "--run-dir", str(tmp_path)]))
    decider = Decider(Store(100.0), renderer_of(), rules_of())
    fetcher = Fetcher()
    hands = Hands(fetcher, resolver=None, trial=FullDisk(), applier=None, journal=Journal(None))
    reconciler = Reconciler(settings, decider, hands, SimpleQueue())
    return SimpleNamespace(
        store=decider.store, orders=fetcher.orders, tell=reconciler._handle, tick=reconciler._run_timers
    )


def status(app_id):
    return EventArrived(mark_of({"eventType": "status_update_event", "appId": app_id}), monotonic())


def test_no_app_is_read_alone_before_everything_was_read_once(loop):
    loop.tell(status("/a"))
    loop.tick()
    assert [order.everything for order in loop.orders] == [True]


def test_a_task_event_that_came_before_the_answer_that_makes_its_app_matter_is_not_lost(loop):
    loop.store.take([app("/a", labels={"HAPROXY_GROUP": "internal"}), app("/b")], 0.0)
    loop.tell(EventArrived(mark_of({"eventType": "api_post_event", "appDefinition": {"id": "/a"}}), monotonic()))
    loop.tick()
    loop.tell(status("/a"))
    loop.tell(AppsFetched({"/a": app("/a")}, frozenset(), 0.0, 0))
    loop.tick()
    assert [order.app_ids for order in loop.orders] == [{"/a"}, {"/a"}]


def test_an_event_has_its_app_read_alone_once_everything_is_known(loop):
    loop.store.take([app("/a"), app("/b")], 0.0)
    loop.tell(status("/a"))
    loop.tick()
    assert loop.orders == [Reading(everything=False, app_ids=frozenset({"/a"}))]


def test_a_task_event_of_another_groups_app_has_nothing_read(loop):
    loop.store.take([app("/a"), app("/b", labels={"HAPROXY_GROUP": "internal"})], 0.0)
    loop.tell(status("/b"))
    loop.tick()
    assert loop.orders == []


def test_a_stream_that_opens_has_everything_read(loop):
    loop.store.take([app("/a")], 0.0)
    loop.tell(StreamOpened("http://127.0.0.1:1"))
    loop.tick()
    assert [order.everything for order in loop.orders] == [True]


def test_one_reading_at_a_time_and_what_is_marked_meanwhile_comes_next(loop):
    loop.store.take([app("/a"), app("/b")], 0.0)
    loop.tell(status("/a"))
    loop.tick()
    loop.tell(status("/b"))
    loop.tick()
    assert len(loop.orders) == 1
    loop.tell(FetchFailed("no answer", loop.orders[0]))
    assert len(loop.orders) == 1


def test_events_do_not_hurry_a_marathon_that_could_not_answer(loop):
    loop.store.take([app("/a"), app("/b")], 0.0)
    loop.tell(status("/a"))
    loop.tick()
    loop.tell(FetchFailed("no answer", loop.orders[0]))
    loop.tell(status("/b"))
    loop.tick()
    assert len(loop.orders) == 1


def single(*app_ids):
    return Reading(everything=False, app_ids=frozenset(app_ids))


@pytest.fixture
def failing_alone(loop):
    """A loop that asked for /a and /b and got the same /a as before, but no /b; /b is to be read again."""
    loop.store.take([app("/a"), app("/b")], 0.0)
    loop.tell(status("/a"))
    loop.tell(status("/b"))
    loop.tick()
    loop.tell(AppsFetched({"/a": app("/a")}, frozenset({"/b"}), 0.1, 100))
    return loop


def test_a_reading_goes_on_until_its_failed_apps_are_told_too(failing_alone):
    failing_alone.tell(status("/a"))
    failing_alone.tick()
    assert failing_alone.orders == [single("/a", "/b")]
    failing_alone.tell(FetchFailed("/b: HTTP 500", single("/b")))
    failing_alone.tick()
    assert failing_alone.orders[1:] == [single("/a", "/b")]


def test_an_app_that_fails_alone_is_not_read_again_at_once(failing_alone):
    failing_alone.tell(FetchFailed("/b: HTTP 500", single("/b")))
    failing_alone.tick()
    assert len(failing_alone.orders) == 1


def test_an_app_that_fails_alone_does_not_hold_up_events_of_others_however_often_it_fails(failing_alone):
    for _ in range(3):
        failing_alone.tell(FetchFailed("/b: HTTP 500", single("/b")))
    failing_alone.tell(status("/a"))
    failing_alone.tick()
    assert failing_alone.orders[1:] == [single("/a", "/b")]


def test_apps_of_which_one_fails_are_not_marathon_that_can_be_read_again(failing_alone, caplog):
    caplog.set_level("INFO")
    for _ in range(2):
        failing_alone.tell(FetchFailed("/b: HTTP 500", single("/b")))
        failing_alone.tell(AppsFetched({"/a": app("/a")}, frozenset({"/b"}), 0.1, 100))
    assert [record.message for record in caplog.records if "can" in record.message] == [
        "Marathon cannot be read: /b: HTTP 500; what HAProxy serves stays as it is"
    ]
    failing_alone.tell(AppsFetched({"/b": app("/b")}, frozenset(), 0.1, 100))
    assert caplog.records[-1].message == "Marathon can be read again"
