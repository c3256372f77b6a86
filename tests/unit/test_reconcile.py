"""The loop's own decisions: what it reads, and when. The rooms are real, the fetcher only writes down its orders."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import monotonic
from types import SimpleNamespace

import pytest

from fastlb.cli import build_parser
from fastlb.decision import Decider
from fastlb.errors import PublishError
from fastlb.events import EventArrived, StreamOpened, mark_of
from fastlb.inbox import AppsFailed, AppsFetched, Fetched, FetchFailed, Signalled
from fastlb.journal import Journal
from fastlb.keeping import Keeping
from fastlb.marks import Reading
from fastlb.reconcile import Hands, Reconciler
from fastlb.rollout import Rollout, Tools
from fastlb.settings import read_settings
from fastlb.shrink import ShrinkGuard
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
        self.count += 1
        raise PublishError("no room for a trial")


class Nobody:
    """No old workers."""

    def make_room(self, _waited_s, _kept):
        return 0.0


@pytest.fixture
def loop(tmp_path):
    """A loop whose store has not been filled yet, with its fetcher."""
    argv = ["sse", "--group", "external", "--settle", "0", "--haproxy-config", str(tmp_path / "haproxy.cfg")]
    settings = read_settings(build_parser().parse_args([*argv, "--run-dir", str(tmp_path)]))
    keeping = Keeping(ShrinkGuard(0.5, 4, 100.0), lambda each: len(each.tasks))
    decider = Decider(Store(100.0, keeping=keeping), renderer_of(), rules_of())
    fetcher, trial, journal = Fetcher(), FullDisk(), Journal(None)
    tools = Tools(trial, applier=None, runtime=None, old_workers=Nobody(), journal=journal)
    rollout = Rollout(settings, decider, tools, {})
    beats: list[float] = []
    hands = Hands(fetcher, None, journal, beat=lambda: beats.append(monotonic()))
    reconciler = Reconciler(settings, decider, rollout, hands, SimpleQueue())
    return SimpleNamespace(
        store=decider.store,
        quarantine=decider.quarantine,
        board=hands.board,
        orders=fetcher.orders,
        trial=trial,
        beats=beats,
        due_s=lambda: reconciler._mirroring.due_s(single=False),
        wait_for=rollout.waiting.do,
        tell=reconciler._handle,
        tick=reconciler._run_timers,
    )


def status(app_id):
    return EventArrived(mark_of({"eventType": "status_update_event", "appId": app_id}), monotonic())


def test_no_app_is_read_alone_before_everything_was_read_once(loop):
    loop.tell(status("/a"))
    loop.tick()
    assert loop.orders == []
    loop.tell(StreamOpened("http://127.0.0.1:1"))
    loop.tick()
    assert [order.everything for order in loop.orders] == [True]


def test_a_task_event_that_came_before_the_answer_that_makes_its_app_matter_is_not_lost(loop):
    loop.store.take([app("/a", labels={"HAPROXY_GROUP": "internal"}), app("/b")], 0.0)
    loop.tell(EventArrived(mark_of({"eventType": "api_post_event", "appDefinition": {"id": "/a"}}), monotonic()))
    loop.tick()
    loop.tell(status("/a"))
    loop.tell(AppsFetched({"/a": app("/a")}, 0.0, 0))
    loop.tick()
    assert [order.app_ids for order in loop.orders] == [{"/a"}, {"/a"}]


def test_an_event_has_its_app_read_alone_once_everything_is_known(loop):
    loop.store.take([app("/a"), app("/b")], 0.0)
    event = status("/a")
    loop.tell(event)
    loop.tick()
    assert loop.orders == [Reading(False, frozenset({"/a"}), event.at_monotonic_s)]


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


def test_an_app_is_read_while_another_reading_is_under_way(loop):
    loop.store.take([app("/a"), app("/b")], 0.0)
    for app_id in ("/a", "/b"):
        loop.tell(status(app_id))
        loop.tick()
    assert [order.app_ids for order in loop.orders] == [{"/a"}, {"/b"}]


def test_answers_that_arrived_together_are_decided_about_once(loop):
    loop.store.take([app("/a"), app("/b")], 0.0)
    loop.tell(AppsFetched({"/a": app("/a", ports=(10001,))}, 0.0, 0))
    loop.tell(AppsFetched({"/b": app("/b", ports=(10002,))}, 0.0, 0))
    assert loop.trial.count == 0
    loop.tick()
    assert loop.trial.count == 1


def test_events_do_not_hurry_a_marathon_that_could_not_answer(loop):
    loop.store.take([app("/a"), app("/b")], 0.0)
    loop.tell(AppsFailed({"/a": "no answer"}))
    loop.tell(status("/b"))
    loop.tick()
    assert loop.orders == []


@pytest.fixture
def failing_alone(loop):
    """A loop that was answered for /a as before, and not at all for /b."""
    loop.store.take([app("/a"), app("/b")], 0.0)
    loop.tell(AppsFetched({"/a": app("/a")}, 0.1, 100))
    loop.tell(AppsFailed({"/b": "HTTP 500"}))
    loop.tick()
    return loop


def test_an_app_that_fails_alone_is_not_read_again_at_once(failing_alone):
    assert failing_alone.orders == []


def test_an_app_that_fails_alone_does_not_hold_up_events_of_others_and_is_not_read_with_them(failing_alone):
    failing_alone.tell(AppsFailed({"/b": "HTTP 500"}))
    failing_alone.tell(status("/a"))
    failing_alone.tick()
    assert [order.app_ids for order in failing_alone.orders] == [{"/a"}]


def test_an_app_that_cannot_be_read_is_named_once_and_so_is_that_it_can_be_again(failing_alone, caplog):
    caplog.set_level("INFO")
    failing_alone.tell(AppsFailed({"/b": "HTTP 500"}))
    failing_alone.tell(AppsFailed({"/b": "HTTP 500", "/c": "HTTP 503"}))
    failing_alone.tell(AppsFetched({"/a": app("/a")}, 0.1, 100))
    failing_alone.tell(AppsFetched({"/b": app("/b")}, 0.1, 100))
    failing_alone.tell(Fetched([app("/a"), app("/b")], 0.1, 100))
    assert [record.message for record in caplog.records if "can" in record.message] == [
        "some apps cannot be read: /c: HTTP 503; what HAProxy serves of them stays as it is",
        "app /b can be read again",
        "app /c can be read again",
    ]


def test_a_marathon_that_cannot_be_read_is_said_once_and_so_is_that_it_can_be_again(loop, caplog):
    caplog.set_level("INFO")
    for _ in range(2):
        loop.tell(FetchFailed("nobody is there", Reading(everything=True)))
    loop.tell(Fetched([app("/a")], 0.1, 100))
    assert [record.message for record in caplog.records if "can" in record.message] == [
        "Marathon cannot be read: nobody is there; what HAProxy serves stays as it is",
        "Marathon can be read again",
    ]


def test_a_long_wait_for_haproxy_is_no_hang(loop):
    loop.wait_for(lambda: time.sleep(0.1))
    assert len(loop.beats) > 1


FOUR = [app(f"/{name}", [10000 + place]) for place, name in enumerate("abcd")]


def read_again(loop, documents):
    loop.tell(Fetched(documents, 0.0, 0))
    loop.tick()


def test_what_is_missing_all_at_once_is_said_once_kept_and_looked_at_again(loop, caplog):
    read_again(loop, FOUR)
    loop.orders.clear()
    for _ in range(2):
        read_again(loop, FOUR[:1])
    (message,) = (message for message in caplog.messages if "too much is missing at once" in message)
    assert "3 app(s), or tasks of them, are kept for 100 s more, or until SIGHUP" in message
    assert message.endswith(": /b, /c, /d")
    assert loop.board.kept_apps == 3
    assert loop.store.count == 4
    assert loop.due_s() < monotonic() + 10.0


def test_a_hangup_signal_gives_up_what_is_kept(loop, caplog):
    for documents in (FOUR, FOUR[:1]):
        read_again(loop, documents)
    loop.tell(Signalled(signal.SIGHUP))
    read_again(loop, FOUR[:1])
    assert loop.store.count == 1
    assert loop.board.kept_apps == 0
    assert "nothing that Marathon does not name is kept any more" in caplog.messages


def test_single_apps_that_go_in_a_flood_have_everything_read(loop):
    read_again(loop, FOUR)
    loop.tell(AppsFetched(dict.fromkeys(("/a", "/b", "/c")), 0.0, 0))
    assert loop.store.kept == {"/c"}
    assert loop.due_s() < monotonic() + 10.0


def test_what_was_refused_stays_so_until_marathon_has_answered(loop):
    loop.store.take([app("/bad")], 0.0)
    loop.quarantine.refuse_form(loop.store.app("/bad"), "HAProxy refuses it")
    loop.tell(StreamOpened("http://127.0.0.1:1"))
    loop.tell(FetchFailed("HTTP 503", Reading(everything=True)))
    assert set(loop.quarantine.refused) == {"/bad"}
    loop.tell(Fetched([app("/bad")], 0.0, 0))
    assert not loop.quarantine.refused
