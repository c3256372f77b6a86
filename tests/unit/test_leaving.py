"""Servers on their way out, second by second."""

from __future__ import annotations

from math import inf

import pytest

from fastlb.leaving import FIRST_AGAIN_S, LAST_AGAIN_S, Leaving
from fastlb.servers import ServerLine

SERVER = ServerLine("s", "10.0.0.1", 80, 7)
BUSY = "Server still has connections attached to it, cannot remove it.\n\n"


def leaving(finish_within_s: float = 100) -> Leaving:
    one = Leaving(finish_within_s)
    one.begin("b", SERVER, now_s=1000, delete_after_s=5)
    return one


def lines(one: Leaving, now_s: float) -> list[str]:
    return [command.line for due in one.due(now_s) for command in due.commands]


def test_a_server_is_deleted_after_a_while_and_then_forgotten():
    one = leaving()
    assert (one.next_s, one.due(1004), one.of("b"), len(one)) == (1005, [], {"s": SERVER}, 1)
    assert lines(one, 1005) == ["del server b/s"]
    assert one.heard(one.due(1005)[0], "a log line\nServer deleted.\n", 1005) is None
    assert (one.next_s, one.of("b"), len(one)) == (inf, {}, 0)


@pytest.mark.parametrize("reply", ["No such server.\n", "No such backend.\n\n"])
def test_a_server_that_is_not_there_any_more_is_gone_too(reply):
    one = leaving()
    assert one.heard(one.due(1005)[0], reply, 1005) is None
    assert len(one) == 0


@pytest.mark.parametrize("reply", [BUSY, None])
def test_a_server_with_connections_is_tried_again_ever_more_seldom(reply):
    one = leaving(finish_within_s=10**6)
    now_s, waits = 1005.0, []
    for _ in range(9):
        one.heard(one.due(now_s)[0], reply, now_s)
        waits.append(one.next_s - now_s)
        now_s = one.next_s
    assert waits == [FIRST_AGAIN_S * factor for factor in (1, 2, 4, 8, 16, 32)] + [LAST_AGAIN_S] * 3


def test_connections_are_cut_when_their_time_is_up_and_not_before():
    one = leaving(finish_within_s=10)
    now_s, cut = 1005.0, []
    while not cut:
        assert now_s <= 1010
        cut = [line for line in lines(one, now_s) if line.startswith("shutdown")]
        before_s = now_s
        one.heard(one.due(now_s)[0], BUSY, now_s)
        now_s = one.next_s
    assert (before_s, cut) == (1010, ["shutdown sessions server b/s"])
    assert now_s > 1010
    assert lines(one, now_s) == ["shutdown sessions server b/s", "del server b/s"]


def test_a_server_that_somebody_brought_back_is_taken_out_again():
    one = leaving()
    one.heard(one.due(1005)[0], "Only servers in maintenance mode can be deleted.\n", 1005)
    assert lines(one, one.next_s) == ["set server b/s state maint", "del server b/s"]


def test_a_server_that_haproxy_does_not_let_go_stays_out_and_is_told_once():
    one = leaving()
    reply = "This server cannot be removed at runtime due to other configuration elements pointing to it.\n"
    assert "stays in HAProxy until its next reload: This server cannot" in (
        one.heard(one.due(1005)[0], reply, 1005) or ""
    )
    assert (one.next_s, one.due(10**9), one.of("b")) == (inf, [], {"s": SERVER})


def test_a_server_that_serves_again_is_not_deleted():
    one = leaving()
    due = one.due(1005)[0]
    one.stay("b", "s")
    one.stay("b", "s")
    assert one.heard(due, BUSY, 1005) is None
    assert (len(one), one.due(10**9)) == (0, [])


def test_a_new_worker_never_had_them():
    one = leaving()
    one.forget()
    assert (len(one), one.of("b"), one.next_s) == (0, {}, inf)


def test_leaving_twice_does_not_give_more_time():
    one = leaving(finish_within_s=10)
    one.begin("b", SERVER, now_s=1009, delete_after_s=5)
    assert one.next_s == 1005
