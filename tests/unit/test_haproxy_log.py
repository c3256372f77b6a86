"""What HAProxy says reaches the operator without one line per proxy, and as loud as it deserves."""

from __future__ import annotations

import logging
import selectors

import pytest

from fastlb.haproxy_log import TAIL_BYTES, Flip, HAProxyLog, flip, level
from fastlb.haproxy_words import HAProxyWords

NOISE = (
    b"[WARNING]  (7) : Proxy web_10000 stopped (cumulated conns: FE: 0, BE: 0).\n"
    b"[WARNING]  (7) : config : 'option idle-close-on-response' ignored for frontend 'a_1' as it requires HTTP mode.\n"
    b"[WARNING]  (7) : config : parsing [f:51] : a 'redirect' rule placed after a 'use_backend' rule will still be "
    b"processed before.\n"
)
WORTH_READING = "[ALERT]    (7) : Starting frontend marathon_http_in: cannot bind socket"
LINE = WORTH_READING.encode() + b"\n"
DOWN = "[WARNING]  (9) : Server web_1/s{} is DOWN, reason: Layer4 connection problem. 1 active and 0 backup left."
UP = "[WARNING]  (9) : Server web_1/s{} is UP, reason: Layer7 check passed, code: 200. 2 active servers online."
NONE_LEFT = "[ALERT]    (9) : backend 'web_1' has no server available!"


def test_lines_that_repeat_for_every_proxy_are_left_out_and_all_others_pass() -> None:
    assert HAProxyLog().feed(NOISE + LINE + NOISE) == [WORTH_READING]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pieces_of_any_size_give_the_same_lines(size: int) -> None:
    said = NOISE + LINE
    log = HAProxyLog()
    assert [line for i in range(0, len(said), size) for line in log.feed(said[i : i + size])] == [WORTH_READING]


def test_an_unfinished_last_line_is_passed_on_at_the_end() -> None:
    log = HAProxyLog()
    assert log.feed(b"half a line") == []
    assert log.feed(b"") == ["half a line"]


def test_the_tail_is_bounded() -> None:
    log = HAProxyLog()
    log.feed(b"x" * 100 + b"\n" + b"y" * (3 * TAIL_BYTES))
    assert len(log.tail) <= 2 * TAIL_BYTES


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (WORTH_READING, "ERROR"),
        ("[WARNING]  (7) : config : missing timeouts for frontend 'x'.", "WARNING"),
        ("[NOTICE]   (7) : New worker (8) forked", "DEBUG"),
        ("[WARNING]  (7) : Former worker (8) exited with code 0 (Exit)", "DEBUG"),
        ("[WARNING]  (7) : Former worker #1 (8) exited with code 143 (Terminated)", "DEBUG"),
        ("[ALERT]    (7) : Current worker (8) exited with code 139 (Segmentation fault)", "ERROR"),
        ("[WARNING]  (8) : Server web/a is going DOWN for maintenance. 1 active and 0 backup servers left.", "DEBUG"),
        ("[WARNING]  (8) : Server web/a is UP/READY (leaving forced maintenance).", "DEBUG"),
        ("[WARNING]  (8) : Server web/a was DOWN and now enters maintenance.", "DEBUG"),
        ("[WARNING]  (8) : Server web/a is DOWN (leaving forced maintenance).", "DEBUG"),
        ("[WARNING]  (8) : Server web/a enters drain state. 1 active and 0 backup servers left.", "DEBUG"),
        ("[WARNING]  (9) : Failed to transfer socket", "DEBUG"),
        ("[WARNING]  (9) : Failed to transfer sockets", "WARNING"),
        ("double free or corruption (out)", "WARNING"),
    ],
)
def test_a_line_is_as_loud_as_it_deserves(line: str, expected: str) -> None:
    assert (level(line), flip(line)) == (expected, None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (DOWN.format(1), Flip("server(s) down", "web_1/s1")),
        (UP.format(1), Flip("server(s) up", "web_1/s1")),
        (NONE_LEFT, Flip("backend(s) without any server", "web_1")),
        ("[ALERT]    (9) : backend web_1 has no server available!", Flip("backend(s) without any server", "web_1")),
    ],
)
def test_what_checks_found_is_told_from_what_was_commanded(line: str, expected: Flip) -> None:
    assert flip(line) == expected


def test_a_thousand_servers_that_flap_are_two_lines_and_debug_has_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    words = HAProxyWords(selectors.SelectSelector())
    for number in range(1000):
        words.hear(DOWN.format(number).encode() + b"\n" + UP.format(number).encode() + b"\n")
        words.sum_up()
    assert len(caplog.records) == 2001
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert line == "HAProxy's checks: 1 server(s) down, 1 server(s) up; web_1/s0 (2 changes in 0 s)"


def test_a_backend_without_any_server_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    words = HAProxyWords(selectors.SelectSelector())
    words.hear(DOWN.format(1).encode() + b"\n" + NONE_LEFT.encode() + b"\n")
    words.sum_up()
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == (
        "WARNING",
        "HAProxy's checks: 1 server(s) down, 1 backend(s) without any server; web_1/s1, web_1 (2 changes in 0 s)",
    )
