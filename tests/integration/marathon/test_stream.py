"""The event stream."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import pytest

from fastlb.events import EventArrived, StreamLost, StreamOpened
from fastlb.marathon import DcosLogin
from fastlb.marathon import stream as stream_room
from fastlb.sse import EventDecoder
from tests.fakes.marathon_http import ATTACHED, FakeStream, answer, eventually, protected, redirect, silence
from tests.integration.marathon.parts import BASIC, BASIC_HEADER, EVENTS, STATUS


def test_the_stream_is_asked_for_exactly_what_is_needed(marathon, follow):
    marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url)
    eventually(lambda: followed.messages)
    seen = marathon.seen[0]
    assert seen.headers["Accept"] == "text/event-stream"
    assert "plan-format=light" in seen.path
    assert seen.path.count("event_type=") == len(stream_room.SUBSCRIPTION)
    assert "event_type=event_stream_attached" in seen.path


def test_events_arrive_after_the_stream_has_opened(marathon, follow):
    stream = marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url)
    eventually(lambda: followed.messages == [StreamOpened(marathon.url)])
    stream.send(STATUS[:20])
    stream.send(STATUS[20:] + b"\r")
    stream.send(b"\n")
    eventually(lambda: followed.of(EventArrived))
    assert followed.messages[1].mark.app_ids == ("/a",)
    assert followed.stream.tally.events == 2


def test_somebody_elses_attachment_is_no_news(marathon, follow):
    stream = marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url)
    eventually(lambda: followed.messages)
    stream.send(ATTACHED + STATUS)
    eventually(lambda: followed.of(EventArrived))
    assert len(followed.of(StreamOpened)) == 1


def test_a_stream_that_is_not_confirmed_opens_anyway_and_again_when_it_is(marathon, follow, monkeypatch):
    monkeypatch.setattr(stream_room, "BARRIER_LIMIT_S", 0.1)
    stream = marathon.answers[EVENTS] = FakeStream()
    followed = follow(marathon.url)
    eventually(lambda: followed.messages == [StreamOpened(marathon.url, confirmed=False)])
    stream.send(ATTACHED)
    eventually(lambda: followed.messages[1:] == [StreamOpened(marathon.url)])


def test_garbage_does_not_end_the_stream_and_is_reported_once(marathon, follow, caplog):
    garbage = b"data: {nonsense\n\ndata: 7\n\ndata: {}\n\n" + b'data: {"eventType":"status_update_event"}\n\n'
    marathon.answers[EVENTS] = FakeStream(ATTACHED + garbage + STATUS)
    followed = follow(marathon.url)
    eventually(lambda: followed.of(EventArrived))
    assert followed.stream.tally.garbage == 4
    assert caplog.text.count("it is ignored, the stream goes on") == 1
    assert followed.of(StreamLost) == []


def test_an_event_that_is_too_big_is_counted_and_the_stream_goes_on(marathon, follow, monkeypatch):
    monkeypatch.setattr(stream_room, "EventDecoder", lambda: EventDecoder(200))
    marathon.answers[EVENTS] = FakeStream(ATTACHED + b"data: " + b"x" * 500 + b"\n\n" + STATUS)
    followed = follow(marathon.url)
    eventually(lambda: followed.of(EventArrived))
    assert followed.stream.tally.garbage == 1


def test_a_cut_stream_is_reported_and_opened_again(marathon, follow):
    stream = marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url)
    eventually(lambda: followed.messages)
    stream.cut()
    eventually(lambda: len(followed.of(StreamOpened)) == 2)
    [lost] = followed.of(StreamLost)
    assert lost.reason == f"{marathon.url}: Marathon closed it"
    assert 0 <= lost.retry_in_s <= 0.05
    assert followed.stream.tally.connections == 2


def test_a_stream_without_heartbeat_is_given_up(marathon, follow):
    marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url, heartbeat_timeout_s=0.3)
    eventually(lambda: followed.of(StreamLost))
    assert "not even a heartbeat" in followed.of(StreamLost)[0].reason


def test_heartbeats_alone_keep_a_stream(marathon, follow):
    stream = marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url, heartbeat_timeout_s=1.5)
    eventually(lambda: followed.messages)

    enough_s = time.monotonic() + 2.0

    def beaten() -> bool:
        stream.send(b"\r\n")
        return time.monotonic() > enough_s

    eventually(beaten)
    assert followed.messages == [StreamOpened(marathon.url)]


REFUSALS = {
    "HTTP 503 Service Unavailable": answer(b"", 503),
    "HTTP 405 Method Not Allowed": answer(b"", 405),
    "HTTP 304 Not Modified": answer(b"", 304),
    "answered text/html instead of text/event-stream": answer(b"<html></html>", 200, "text/html"),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_an_endpoint_that_gives_no_stream_is_named_with_its_reason(reason, marathon, follow):
    marathon.answers[EVENTS] = REFUSALS[reason]
    followed = follow(marathon.url)
    eventually(lambda: followed.messages)
    assert followed.messages[0].reason == f"{marathon.url}: {reason}"
    assert followed.of(StreamOpened) == []


def test_an_endless_answer_of_another_type_is_refused_by_its_headers(marathon, follow):
    marathon.answers[EVENTS] = FakeStream(content_type="text/plain")
    followed = follow(marathon.url)
    eventually(lambda: followed.messages)
    assert "answered text/plain" in followed.messages[0].reason


def test_each_connect_goes_to_the_next_endpoint_in_turn(marathon, other, follow):
    streams = [FakeStream(ATTACHED), FakeStream(ATTACHED)]
    marathon.answers[EVENTS], other.answers[EVENTS] = streams
    followed = follow(marathon.url, other.url)
    for count in (1, 2, 3):
        eventually(lambda count=count: len(followed.of(StreamOpened)) == count)
        streams[(count - 1) % 2].cut()
    opened = [message.url for message in followed.of(StreamOpened)]
    assert opened[:3] == [marathon.url, other.url, marathon.url]


def test_the_stream_follows_a_follower_with_its_credentials_and_query(marathon, other, follow):
    marathon.answers[EVENTS] = redirect(other.url)
    other.answers[EVENTS] = protected(BASIC_HEADER, FakeStream(ATTACHED))
    followed = follow(marathon.url, login=BASIC)
    eventually(lambda: followed.messages == [StreamOpened(marathon.url)])
    assert other.seen[0].path == marathon.seen[0].path


def test_the_stream_never_takes_credentials_from_https_to_plain_http(marathon, secure, ca_cert, follow):
    secure.answers[EVENTS] = redirect(marathon.url)
    followed = follow(secure.url, login=BASIC, ca_cert=ca_cert)
    eventually(lambda: followed.messages)
    assert "redirected from https to plain http" in followed.messages[0].reason
    assert marathon.seen == []


def test_a_refused_token_is_renewed_for_the_next_connection(dcos, follow):
    dcos.allow(EVENTS, FakeStream(ATTACHED), 2)
    followed = follow(dcos.fake.url, login=DcosLogin(dcos.credential()))
    eventually(lambda: followed.of(StreamOpened))
    assert [lost.reason for lost in followed.of(StreamLost)] == [f"{dcos.fake.url}: HTTP 401 Unauthorized"]


def test_a_failing_login_never_ends_the_following(dcos, follow):
    log_in = dcos.fake.answers.pop("/acs/api/v1/auth/login")
    dcos.allow(EVENTS, FakeStream(ATTACHED), 1)
    followed = follow(dcos.fake.url, login=DcosLogin(dcos.credential()))
    eventually(lambda: len(followed.of(StreamLost)) >= 3)
    assert "DC/OS login" in followed.messages[0].reason
    dcos.fake.answers["/acs/api/v1/auth/login"] = log_in
    eventually(lambda: followed.of(StreamOpened))


def test_stop_ends_a_connected_stream(marathon, follow):
    marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url)
    eventually(lambda: followed.messages)
    followed.stream.stop()
    assert not followed.stream.is_alive()
    assert followed.of(StreamLost) == []


def test_stop_ends_a_stream_that_waits_for_an_answer(marathon, follow):
    marathon.answers[EVENTS] = silence
    followed = follow(marathon.url)
    eventually(lambda: marathon.seen)
    followed.stream.stop()
    assert not followed.stream.is_alive()


def test_stop_ends_a_stream_that_is_connecting(follow):
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        # The queue of a listener that accepts nobody is full after a few; the next one is left connecting.
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        followed = follow(f"http://127.0.0.1:{listener.getsockname()[1]}")
        followed.stream.stop()
        assert not followed.stream.is_alive()
        assert followed.messages == []


def test_stop_ends_a_stream_that_waits_to_reconnect(marathon, follow):
    followed = follow(marathon.url, max_backoff_s=300)
    eventually(lambda: followed.messages)
    followed.stream.stop()
    assert not followed.stream.is_alive()


def test_the_wait_grows_up_to_its_ceiling_and_falls_back_after_a_long_life():
    backoff = stream_room.Backoff(max_s=10)
    bounds = []
    for _ in range(5):
        bounds.append(backoff.bound_s)
        assert 0 <= backoff.next_s(lived_s=1) <= bounds[-1]
    assert bounds == [3, 4.5, 6.75, 10, 10]
    assert backoff.next_s(lived_s=601) <= 3
    assert backoff.bound_s == 4.5
