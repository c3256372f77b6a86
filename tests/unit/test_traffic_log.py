"""HAProxy's log of traffic comes out whole, and nothing of what HAProxy says of itself with it."""

from __future__ import annotations

import os
import select

import pytest

from fastlb.haproxy_log import without_own_words
from fastlb.traffic_log import LONGEST_LINE, TrafficLog

OWN_WORDS = (
    b"Proxy web_10000 stopped (cumulated conns: FE: 12, BE: 0).\n"
    b"Proxy <HTTPCLIENT> stopped (cumulated conns: FE: 0, BE: 0).\n"
    b"Proxy web_10000 started.\n"
    b"Server web_1/s is DOWN, reason: Layer4 connection problem. 0 active and 0 backup servers left.\n"
    b"Server web_1/s is going DOWN for maintenance. 0 active and 0 backup servers left. 0 sessions active.\n"
    b"Server web_1/s is UP/READY (leaving forced maintenance).\n"
    b"Server web_1/s was DRAIN and now enters maintenance.\n"
    b"backend web_1 has no server available!\n"
)
REQUEST = (
    b'127.0.0.1:40036 [21/Nov/2026:21:12:30.123] web_1 web_1/s 0/0/0/1/1 200 99 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"'
)
FORGED = [
    b"Connect from 127.0.0.1:40036 to 127.0.0.1:80 (Proxy/HTTP)",
    REQUEST.replace(b"GET /", b"GET /Proxy web_1 stopped (cumulated conns: FE: 0, BE: 0)."),
    REQUEST.replace(b'"GET', b'{Proxy x stopped (cumulated conns: FE: 0, BE: 0).} "GET'),
    b"1.2.3.4 Server a/b is DOWN",
    b"backend web_1 has no server available! or has it",
]


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    yield reading, writing
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    "form", [b"%s", b"<132>%s", b"Nov  1 21:12:30 haproxy[17]: %s", b"<5>Nov 21 21:12:30 lb h[1]: %s"]
)
def test_what_haproxy_says_of_itself_is_left_out_in_every_form(form):
    said = b"".join(form % line for line in OWN_WORDS.splitlines(keepends=True))
    assert without_own_words(said + REQUEST + b"\n" + said) == REQUEST + b"\n"


@pytest.mark.parametrize("line", FORGED)
def test_no_request_can_have_itself_left_out(line):
    assert without_own_words(line + b"\n") == line + b"\n"


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_pieces_of_any_size_give_whole_lines(pipe, size):
    reading, writing = pipe
    log, said = TrafficLog(writing), OWN_WORDS + REQUEST + b"\n" + OWN_WORDS + b"half"
    for i in range(0, len(said), size):
        log.hear(said[i : i + size])
    assert os.read(reading, 9999) == REQUEST + b"\n"
    log.hear(b"")
    assert os.read(reading, 9999) == b"half"


def test_what_nobody_reads_is_dropped_and_nobody_waits(pipe):
    reading, writing = pipe
    log, lines = TrafficLog(writing), (REQUEST + b"\n") * 2000
    log.hear(lines)
    came = os.read(reading, len(lines))
    assert 0 < len(came) < len(lines)
    assert came == lines[: len(came)]
    assert came.endswith(b"\n")
    log.hear(REQUEST + b"\n")
    assert os.read(reading, 9999) == REQUEST + b"\n"


def test_what_has_no_end_is_passed_on_in_pieces(pipe):
    reading, writing = pipe
    TrafficLog(writing).hear(b"x" * (LONGEST_LINE + 1))
    assert select.select([reading], [], [], 0)[0]


def test_a_reader_that_is_gone_harms_nobody():
    reading, writing = os.pipe()
    os.close(reading)
    TrafficLog(writing).hear(REQUEST + b"\n")
    os.close(writing)
