"""The loop's own decisions: what it reads, and when. The rooms are real, the fetcher only writes down its orders."""

from __future__ import annotations

from dataclasses import dataclass, field
from queue import SimpleQueue
from time import monotonic
from types import SimpleNamespace

import pytest

from fastlb.cli import build_parser
from fastlb.decision import Decider
from fastlb.events import EventArrived, StreamOpened, mark_of
from fastlb.inbox import FetchFailed
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


@pytest.fixture
def loop(tmp_path):
    """A loop whose store has not been filled yet, with its fetcher."""
    argv = ["sse", "--group", "external", "--settle", "0", "--haproxy-config", str(tmp_path / "haproxy.cfg")]
    settings = read_settings(build_parser().parse_args([*argv, "--run-dir", str(tmp_path)]))
    decider = Decider(Store(100.0), renderer_of(), rules_of())
    fetcher = Fetcher()
    hands = Hands(fetcher, resolver=None, trial=None, applier=None, journal=Journal(None))
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
