"""What HAProxy says at a reload reaches the operator without one line per proxy."""

from __future__ import annotations

import pytest

from fastlb.haproxy_log import TAIL_BYTES, HAProxyLog

NOISE = (
    b"[WARNING]  (7) : Proxy web_10000 stopped (cumulated conns: FE: 0, BE: 0).\n"
    b"[WARNING]  (7) : config : 'option idle-close-on-response' ignored for frontend 'a_1' as it requires HTTP mode.\n"
    b"[WARNING]  (7) : config : parsing [f:51] : a 'redirect' rule placed after a 'use_backend' rule will still be "
    b"processed before.\n"
)
WORTH_READING = b"[ALERT]    (7) : Starting frontend marathon_http_in: cannot bind socket\n"


def test_lines_that_repeat_for_every_proxy_are_left_out_and_all_others_pass() -> None:
    assert HAProxyLog().feed(NOISE + WORTH_READING + NOISE) == WORTH_READING


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pieces_of_any_size_give_the_same_lines(size: int) -> None:
    said = NOISE + WORTH_READING
    log = HAProxyLog()
    assert b"".join(log.feed(said[i : i + size]) for i in range(0, len(said), size)) == WORTH_READING


def test_an_unfinished_last_line_is_passed_on_at_the_end() -> None:
    log = HAProxyLog()
    assert log.feed(b"half a line") == b""
    assert log.feed(b"") == b"half a line"


def test_the_tail_is_bounded() -> None:
    log = HAProxyLog()
    log.feed(b"x" * 100 + b"\n" + b"y" * (3 * TAIL_BYTES))
    assert len(log.tail) <= 2 * TAIL_BYTES
