"""Before and after of a backend: the expected commands, or the reason for a reload."""

from __future__ import annotations

import pytest

from fastlb.capabilities import Capabilities
from fastlb.commands import ADDED, MAX_BATCH_BYTES, Command, MapSwap, batches, last_line, phases
from fastlb.live import MAX_CHECKED_AT_ONCE, change, names_at, stop
from fastlb.servers import ServerLine, read_backend

HEAD = "\nbackend b\n  balance {balance}\n  mode http\n{more}"
NEW = Capabilities((3, 4))
OLD = Capabilities((2, 6))
CHECK = "check inter 10s fall 4"


def backend(*servers: str, balance: str = "roundrobin", more: str = ""):
    lines = "".join(f"  server {server}\n" for server in servers)
    return read_backend("b", HEAD.format(balance=balance, more=more), lines)


A, B = "a 10.0.0.1:80 id 1", "b 10.0.0.2:80 id 2"
STEPS = {
    "nothing": ([A], [A], [], []),
    "another order": ([A, B], [B, A], [], []),
    "added": ([A], [A, B], ["add server b/b 10.0.0.2:80 id 2", "set server b/b state ready"], []),
    "added, checked": (
        [A],
        [A, f"{B} {CHECK}"],
        [f"add server b/b 10.0.0.2:80 id 2 {CHECK}", "enable health b/b", "set server b/b state ready"],
        [],
    ),
    "added, disabled and checked": (
        [A],
        [A, f"{B} {CHECK} disabled"],
        [f"add server b/b 10.0.0.2:80 id 2 {CHECK} disabled", "enable health b/b"],
        [],
    ),
    "added, over IPv6": ([], ["b ::1:80"], ["add server b/b [::1]:80", "set server b/b state ready"], []),
    "removed": ([A, B], [A], [], ["set server b/b state maint"]),
    "replaced": (
        [A],
        [B],
        ["add server b/b 10.0.0.2:80 id 2", "set server b/b state ready"],
        ["set server b/a state maint"],
    ),
    "disabled": ([A, B], [A, f"{B} disabled"], [], ["set server b/b state maint"]),
    "disabled, removed": ([A, f"{B} disabled"], [A], [], ["set server b/b state maint"]),
    "enabled": ([f"{A} disabled"], [A], ["set server b/a state ready"], []),
    "roles swapped": (
        [A, f"{B} disabled"],
        [f"{A} disabled", B],
        ["set server b/b state ready"],
        ["set server b/a state maint"],
    ),
    "weight": ([f"{A} weight 5"], [f"{A} weight 0"], ["set server b/a weight 0"], []),
    "weight by default": ([f"{A} weight 5"], [A], ["set server b/a weight 1"], []),
    "moved": ([A], ["a 10.0.0.9:81 id 1"], ["set server b/a addr 10.0.0.9 port 81"], []),
    "check port": ([f"{A} check port 5"], [f"{A} check port 6"], ["set server b/a check-port 6"], []),
    "several at once": (
        [f"{A} weight 5 check port 5 disabled"],
        [f"{A} weight 6 check port 6"],
        ["set server b/a check-port 6", "set server b/a weight 6", "set server b/a state ready"],
        [],
    ),
}


@pytest.mark.parametrize(("before", "after", "gains", "losses"), STEPS.values(), ids=STEPS)
def test_a_change_is_made_of_these_commands(before, after, gains, losses):
    told = change(backend(*before), backend(*after), OLD)
    assert told.reasons == ()
    assert [command.line for command in told.gains] == gains
    assert [command.line for command in told.losses] == losses
    assert {server.name for server in told.leaves} == backend(*before).servers.keys() - backend(*after).servers.keys()
    assert told.is_nothing == (not gains and not losses)


RELOADS = {
    "head": ({"more": "  option httpchk GET /a\n"}, {"more": "  option httpchk GET /b\n"}, "`option httpchk GET /b`"),
    "a line of the head twice": ({"more": "  x\n"}, {"more": "  x\n  x\n"}, "the order of its lines changed"),
    "balance": ({}, {"balance": "leastconn"}, "`balance roundrobin` became `balance leastconn`"),
    "unfit before": ({"more": "  server x 10.0.0.7:1\n"}, {}, "a line 'server'"),
    "unfit after": ({}, {"more": "  server x 10.0.0.7:1\n"}, "a line 'server'"),
}


@pytest.mark.parametrize(("before", "after", "reason"), RELOADS.values(), ids=RELOADS)
def test_a_change_of_the_text_before_the_servers_is_a_reload(before, after, reason):
    told = change(backend(A, **before), backend(A, **after), NEW)
    assert len(told.reasons) == 1
    assert reason in told.reasons[0]
    assert (told.gains, told.losses, told.leaves) == ((), (), ())


OF_SERVERS = {
    "id": ([A], ["a 10.0.0.1:80 id 9"], "changed from `10.0.0.1:80 id 1` to `10.0.0.1:80 id 9`"),
    "check interval": ([f"{A} {CHECK}"], [f"{A} check inter 9s fall 4"], "inter 9s"),
    "checks begin": ([A], [f"{A} {CHECK}"], CHECK),
    "cookie": ([f"{A} cookie x"], [f"{A} cookie y"], "cookie y"),
    "check port begins": ([f"{A} check"], [f"{A} check port 5"], "check port of server a changed from None to 5"),
    "check port ends": ([f"{A} check port 5"], [f"{A} check"], "from 5 to None"),
    "check port without a check": ([f"{A} port 5"], [f"{A} port 6"], "from 5 to 6"),
    "weight beyond what the socket takes": ([A], [f"{A} weight 257"], "from 1 to 257"),
    "moves while it comes back": ([f"{A} disabled"], ["a 10.0.0.9:80 id 1"], "at another address, 10.0.0.9:80"),
    "id that is taken": ([A], ["b 10.0.0.2:80 id 1"], "needs the id 1, which server a still has"),
    "option": ([A], [A, f"{B} init-addr none"], "init-addr, which HAProxy 3.4 takes only at its start"),
    "name": ([A], [A, "b agent.test:80"], "only a start resolves"),
    "too many": (
        [A],
        [A, *(f"s{n} 10.0.1.{n}:80 check" for n in range(MAX_CHECKED_AT_ONCE + 1))],
        "only a start spreads",
    ),
}


@pytest.mark.parametrize(("before", "after", "reason"), OF_SERVERS.values(), ids=OF_SERVERS)
def test_a_change_that_no_command_makes_is_a_reload(before, after, reason):
    (told,) = change(backend(*before), backend(*after), NEW).reasons
    assert reason in told


@pytest.mark.parametrize(
    ("after", "reloads"),
    [([A, B], True), ([f"{A} weight 7"], True), ([f"{A} disabled"], False), ([], False)],
)
def test_a_backend_that_takes_no_servers_still_loses_them_live(after, reloads):
    told = change(backend(A, balance="source"), backend(*after, balance="source"), NEW)
    assert bool(told.reasons) == reloads
    assert bool(told.losses) != reloads


def test_a_sticky_backend_gets_servers_live_where_haproxy_takes_their_cookies():
    before, after = backend(f"{A} check cookie x"), backend(f"{A} check cookie x", f"{B} check cookie y")
    assert "cookie" in change(before, after, OLD).reasons[0]
    assert change(before, after, Capabilities((2, 8, 8))).gains[0].line.endswith("id 2 check cookie y")
    assert change(after, before, OLD).losses != ()


def test_a_server_that_was_leaving_comes_back_without_being_added():
    leaving = {"b": ServerLine("b", "10.0.0.2", 80, 2)}
    told = change(backend(A), backend(A, f"{B} weight 3"), NEW, leaving)
    assert [command.line for command in told.gains] == ["set server b/b weight 3", "set server b/b state ready"]
    assert told.returns == ("b",)
    assert [*change(backend(A), backend(A, f"{B} disabled"), NEW, leaving).returns] == ["b"]


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (f"{B} backup", "changed from"),
        ("b 10.0.0.3:80 id 2", "comes back at another address"),
        ("c 10.0.0.3:80 id 2", "needs the id 2, which server b still has"),
    ],
)
def test_a_server_that_is_leaving_is_in_the_way_of_another_form_of_it(server, reason):
    leaving = {"b": ServerLine("b", "10.0.0.2", 80, 2)}
    assert reason in change(backend(A), backend(A, server), NEW, leaving).reasons[0]


def test_servers_are_stopped_before_anything_is_known_and_come_back_if_they_are_still_wanted():
    both = backend(A, B)
    commands, stopped = stop(both, names_at(both, {("10.0.0.2", 80), ("10.9.9.9", 80)}))
    assert [command.line for command in commands] == ["set server b/b state maint"]
    assert [command.line for command in change(stopped, both, NEW).gains] == ["set server b/b state ready"]
    assert change(stopped, backend(A), NEW).leaves[0].name == "b"
    assert stop(stopped, ["b", "unknown"]) == ((), stopped)


def test_what_comes_is_confirmed_before_what_it_replaces_goes():
    told = change(backend(A), backend(B), NEW)
    swap = MapSwap("m", (("k", "v"),), "it changed")
    first, second, third = phases(told.gains, [swap], told.losses)
    assert (first, second, third) == (told.gains, (swap,), told.losses)
    assert phases((), (), ()) == ()


@pytest.mark.parametrize(
    ("reply", "good"),
    [
        ("New server registered.\n\n", True),
        ("[NOTICE] (1) : CLI : 'server b/s' : New server registered.\n\n", False),
        ("a log line\nNew server registered.\n\n", True),
        ("\n", False),
        ("", False),
        ("New server registered.\nNo such server.\n", False),
    ],
)
def test_the_last_line_of_a_reply_is_its_verdict(reply, good):
    assert Command("add server b/s 10.0.0.1:1", "it is new", ADDED).is_good(reply) == good


def test_a_plan_says_what_each_step_is_for():
    assert str(Command("set server b/a weight 3", "its weight was 1")) == "set server b/a weight 3   # its weight was 1"
    assert str(MapSwap("m", (), "x")) == "replace map m by one of 0 entries   # x"
    assert last_line("\n a \n\n") == "a"


@pytest.mark.parametrize("size", [1, 10, 1000, MAX_BATCH_BYTES, 3 * MAX_BATCH_BYTES])
def test_batches_fit_and_lose_nothing(size):
    every = ["é" * (size // 2) or "e"] * 30
    cut = list(batches(every))
    assert [text for batch in cut for text in batch] == every
    assert all(len(batch) == 1 or sum(len(text.encode()) + 1 for text in batch) <= MAX_BATCH_BYTES for batch in cut)
    assert list(batches([])) == []
