"""The simulated event stream on the wire: framing, heartbeat, filters, slow readers, faults."""

from __future__ import annotations

import json
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from fastlb.simulator.faults import Fault
from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastlb.simulator.service import Service

DEADLINE_S = 20.0
ACCEPT = "Accept: text/event-stream"
WEB = {"id": "/web", "instances": 1, "healthChecks": [{"path": "/health"}]}


class Stream:
    """A client that keeps every byte."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""

    def read_until(self, wanted: bytes, times: int = 1) -> bytes:
        deadline = time.monotonic() + DEADLINE_S
        while self.data.count(wanted) < times:
            assert time.monotonic() < deadline, f"{wanted!r} did not come; got {self.data[-500:]!r}"
            piece = self.sock.recv(65536)
            assert piece, f"closed before {wanted!r}"
            self.data += piece
        return self.data

    def read_to_the_end(self) -> bytes:
        self.sock.settimeout(DEADLINE_S)
        try:
            while piece := self.sock.recv(65536):
                self.data += piece
        except ConnectionResetError:
            pass
        return self.data

    def events(self) -> list[dict[str, Any]]:
        body = self.data.partition(b"\r\n\r\n")[2]
        return [json.loads(line[6:]) for line in body.split(b"\r\n") if line.startswith(b"data: ")]


@contextmanager
def connected(url: str, query: str = "", *headers: str) -> Iterator[Stream]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=DEADLINE_S) as sock:
        lines = [f"GET /v2/events{query} HTTP/1.1", "Host: x", *(headers or (ACCEPT,)), "", ""]
        sock.sendall("\r\n".join(lines).encode())
        yield Stream(sock)


@contextmanager
def attached(marathon: SimulatedMarathon, query: str = "") -> Iterator[Stream]:
    with connected(marathon.url, query) as stream:
        poll(lambda: marathon.stream_count() > 0)
        yield stream


def poll(condition) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


@pytest.fixture
def marathon():
    with SimulatedMarathon(SimulatorSettings(heartbeat_s=0.05)) as simulated:
        yield simulated


@pytest.mark.parametrize("header", ["Accept: */*", "Accept: text/event-stream, */*", "X-Nothing: x"])
def test_any_other_accept_is_refused(marathon, header):
    with connected(marathon.url, "", header) as stream:
        assert stream.read_until(b"\r\n").startswith(b"HTTP/1.1 405")


def test_the_stream_is_close_delimited_and_never_packed(marathon):
    with connected(marathon.url, "", ACCEPT, "Accept-Encoding: gzip") as stream:
        head = stream.read_until(b"event_stream_attached").partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 200")
    assert b"content-type: text/event-stream;charset=utf-8" in head
    assert b"connection: close" in head
    assert b"x-marathon-leader: http://" in head
    for absent in (b"transfer-encoding", b"content-length", b"content-encoding"):
        assert absent not in head


def test_a_frame_is_two_lines_and_an_empty_one_with_crlf(marathon):
    with attached(marathon, "?event_type=group_change_success") as stream:
        marathon.create_app(WEB)
        stream.read_until(b'"}\r\n\r\n')
        frame = stream.data.partition(b"event: ")[2]
        assert frame.startswith(b'group_change_success\r\ndata: {"groupId":"/"')
        assert stream.events()[0]["eventType"] == "group_change_success"


def test_the_filter_holds_for_the_attached_event_too(marathon):
    with attached(marathon, "?event_type=deployment_success&event_type=unheard_of") as stream:
        marathon.create_app(WEB)
        stream.read_until(b"deployment_success")
        assert {event["eventType"] for event in stream.events()} == {"deployment_success"}


def test_the_heartbeat_is_an_empty_line(marathon):
    with attached(marathon, "?event_type=none") as stream:
        stream.read_until(b"\r\n\r\n\r\n\r\n")
        assert not stream.data.partition(b"\r\n\r\n")[2].strip(b"\r\n")


def test_headers_can_come_long_before_the_subscription():
    with SimulatedMarathon(SimulatorSettings(attach_delay_s=0.3)) as marathon, connected(marathon.url) as stream:
        stream.read_until(b"\r\n\r\n")
        assert marathon.stream_count() == 0
        stream.read_until(b"event_stream_attached")


def test_attaching_and_detaching_is_told_to_all(marathon):
    with attached(marathon) as first:
        with connected(marathon.url):
            poll(lambda: marathon.stream_count() == 2)
        first.read_until(b"event_stream_detached")
        kinds = [event["eventType"] for event in first.events()]
        assert kinds == ["event_stream_attached", "event_stream_attached", "event_stream_detached"]


@pytest.mark.parametrize(
    ("release", "query", "heavy"),
    [("1.6", "", True), ("1.6", "?plan-format=light", False), ("1.4", "?plan-format=light", True), ("1.8", "", False)],
)
def test_heavy_plans_are_sent_where_they_belong(release, query, heavy):
    with SimulatedMarathon(SimulatorSettings(version_shape=release)) as marathon, attached(marathon, query) as stream:
        marathon.create_app(WEB)
        stream.read_until(b"event: deployment_success")
        stream.read_until(b"\r\n\r\n")
        (info, *_) = [event for event in stream.events() if event["eventType"] == "deployment_info"]
        assert ("target" in info["plan"]) is heavy


@pytest.mark.parametrize("release", ["1.7", "1.8"])
def test_a_slow_reader_loses_events_or_since_1_8_the_stream(release):
    with SimulatedMarathon(SimulatorSettings(version_shape=release)) as marathon, attached(marathon) as stream:

        def flood(service: Service) -> None:
            for number in range(2000):
                service.cluster.world.publish("burst", {"number": number})

        marathon.call(flood)
        poll(lambda: marathon.stream_count() == (0 if release == "1.8" else 1))
        if release == "1.7":
            marathon.cut_streams()
        received = stream.read_to_the_end().count(b"event: burst")
        assert 0 <= received < 2000


def test_events_are_lost_or_doubled_on_demand(marathon):
    query = "?event_type=group_change_success"
    with attached(marathon, query) as stream:
        marathon.arm(Fault.LOST_EVENTS)
        marathon.create_app({"id": "/lost", "instances": 0})
        marathon.wait_idle()
        marathon.clear()
        marathon.arm(Fault.DUPLICATE_EVENTS)
        marathon.create_app({"id": "/team/twice", "instances": 0})
        stream.read_until(b"event: ", times=2)
        stream.read_until(b"}\r\n", times=2)
        assert [event["groupId"] for event in stream.events()] == ["/team", "/team"]


def test_garbage_does_not_end_the_stream(marathon):
    with attached(marathon) as stream:
        marathon.send_garbage()
        marathon.create_app(WEB)
        assert b"]]>" in stream.read_until(b"event: deployment_success")


def test_a_stalled_stream_stays_open_and_silent_and_goes_on_when_cleared(marathon):
    with attached(marathon) as stream:
        marathon.arm(Fault.STALLED_STREAM)
        stream.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            stream.read_until(b"deployment_success")
        marathon.create_app(WEB)
        with pytest.raises(TimeoutError):
            stream.read_until(b"deployment_success")
        assert marathon.stream_count() == 1
        stream.sock.settimeout(DEADLINE_S)
        marathon.clear()
        stream.read_until(b"event: deployment_success")


def test_a_leader_change_ends_every_stream_and_forgets_health(marathon):
    marathon.create_app(WEB)
    marathon.wait_idle()
    with attached(marathon) as stream:
        marathon.change_leader()
        stream.read_to_the_end()
        assert marathon.tasks("/web")[0]["healthCheckResults"] == []
        marathon.wait_idle()
        assert marathon.tasks("/web")[0]["healthCheckResults"][0]["alive"] is True


def test_an_old_follower_proxies_the_stream():
    settings = SimulatorSettings(version_shape="1.6", follower=True)
    with SimulatedMarathon(settings) as marathon, connected(marathon.follower_url) as stream:
        head = stream.read_until(b"event_stream_attached").partition(b"\r\n\r\n")[0]
        assert b"X-Marathon-Via" in head
        marathon.create_app(WEB)
        stream.read_until(b"event: deployment_success")
