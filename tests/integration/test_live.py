"""Live changes on a real HAProxy: what it has afterwards is what a start on the new file has, and no request fails."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
from typing import TYPE_CHECKING, NamedTuple

import pytest

from fastlb.commands import phases
from fastlb.leaving import Leaving
from fastlb.live import change, stop
from fastlb.seen import drift, for_next_worker
from tests.fakes.live_haproxy import (
    CHECK,
    Clients,
    answer_to,
    backend,
    cookie_of,
    haproxies,
    lines,
    names,
    tasks,
    text_of,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastlb.servers import Backend
    from tests.fakes.live_haproxy import LiveHAProxy

pytestmark = pytest.mark.haproxy

Ports = list[int]


class Kind(NamedTuple):
    """One kind of change of four tasks at ports p: server lines before and after, and lines of the head."""

    before: Callable[[Ports], str]
    after: Callable[[Ports], str]
    more: str = ""
    since: tuple[int, ...] = (2, 6)


STICKY = "  cookie sid insert indirect nocache\n"
KINDS = {
    "one more": Kind(lambda p: lines(p[:1]), lines),
    "one fewer": Kind(lines, lambda p: lines(p[:2])),
    "all others": Kind(lambda p: lines(p[:2]), lambda p: lines(p[2:])),
    "all others, checked": Kind(lambda p: lines(p[:2], CHECK), lambda p: lines(p[2:], CHECK)),
    "disabled": Kind(lines, lambda p: lines(p, disabled=p[1:])),
    "enabled": Kind(lambda p: lines(p, disabled=p[1:]), lines),
    "enabled, checked": Kind(lambda p: lines(p, CHECK, disabled=p[1:]), lambda p: lines(p, CHECK)),
    "one disabled, another one in its place": Kind(lambda p: lines(p[:1]), lambda p: lines(p[:2], disabled=p[:1])),
    "a new one that is disabled": Kind(lambda p: lines(p[:1], CHECK), lambda p: lines(p, CHECK, disabled=p[1:])),
    "weight": Kind(lambda p: lines(p, " weight 10"), lambda p: lines(p, " weight 3")),
    "weight, new server": Kind(lambda p: lines(p[:1], " weight 10"), lambda p: lines(p, " weight 3")),
    "check port": Kind(lambda p: lines(p, f"{CHECK} port {p[0]}"), lambda p: lines(p, f"{CHECK} port {p[1]}")),
    "moved": Kind(lambda p: f"  server a 127.0.0.1:{p[0]} id 7\n", lambda p: f"  server a 127.0.0.1:{p[1]} id 7\n"),
    "moved, checked": Kind(
        lambda p: f"  server a 127.0.0.1:{p[0]} id 7{CHECK}\n  server b 127.0.0.1:{p[2]}{CHECK}\n",
        lambda p: f"  server a 127.0.0.1:{p[1]} id 7{CHECK}\n  server b 127.0.0.1:{p[2]}{CHECK}\n",
    ),
    "sticky, fewer": Kind(lambda p: lines(p, sticky=True), lambda p: lines(p[2:], sticky=True), STICKY),
    "sticky, more": Kind(lambda p: lines(p[:1], sticky=True), lambda p: lines(p, sticky=True), STICKY, (2, 8, 8)),
    "many options": Kind(
        lambda p: lines(p[:1], " maxconn 50 slowstart 1s on-marked-down shutdown-sessions"),
        lambda p: lines(p, " maxconn 50 slowstart 1s on-marked-down shutdown-sessions"),
    ),
}


@pytest.fixture
def running(tmp_path) -> Iterator[Callable[..., LiveHAProxy]]:
    with haproxies(tmp_path) as start:
        yield start


def carry_out(haproxy: LiveHAProxy, before: Backend, after: Backend, leaving: Leaving, now_s: int = 0) -> None:
    told = change(before, after, haproxy.runtime.capabilities(), leaving.of(after.name))
    assert not told.reasons
    outcome = haproxy.runtime.carry_out(phases(told.gains, (), told.losses))
    assert outcome.ok, outcome.doubt
    for server in told.leaves:
        leaving.begin(after.name, server, now_s, delete_after_s=1)
    for name in told.returns:
        leaving.stay(after.name, name)


def finish(haproxy: LiveHAProxy, leaving: Leaving, from_s: int = 0) -> None:
    """Delete what left, as if a second went by between two looks."""
    now_s = itertools.count(from_s)

    def all_gone() -> bool:
        second = next(now_s)
        for due in leaving.due(second):
            said = leaving.heard(due, haproxy.runtime.replies(due.commands)[-1], second)
            assert said is None
        return not len(leaving)

    until(all_gone)


def ask_on(connection: socket.socket) -> str:
    """Who answers on a connection that stays open; "" if it was closed."""
    connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):
        return connection.recv(1000).decode().rpartition("\n")[2]
    return ""


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_live_change_leads_to_what_a_start_on_the_new_file_has_and_costs_no_request(running, kind):
    with tasks(4) as ports:
        before, after = backend(kind.before(ports), kind.more), backend(kind.after(ports), kind.more)
        live = running(text_of(before, kind.before(ports)))
        if live.runtime.capabilities().version < kind.since:
            pytest.skip("falls back to a reload in this version")
        leaving = Leaving(finish_within_s=3600)
        with Clients(live.port) as clients:
            carry_out(live, before, after, leaving)
            assert clients.more(5)
            usable = {str(server.port) for server in after.servers.values() if not server.disabled}
            until(lambda: clients.more() == usable)
            finish(live, leaving)
            fresh = running(text_of(after, kind.after(ports)))
            assert live.servers() == fresh.servers()
            assert drift(after, live.runtime.servers()["app_10000"], live.runtime.capabilities()).is_nothing
            live.write([text_of(after, kind.after(ports))])
            state = for_next_worker(live.api.servers_state(), {after.name: after})
            (live.folder / "state").write_text(state)
            assert live.reload().ok
            assert live.servers() == fresh.servers()
            until(lambda: clients.more() == usable)
        assert clients.failures == []


@pytest.mark.parametrize("seed", range(3))
def test_any_sequence_of_changes_and_reloads_leads_to_what_a_start_on_the_last_file_has(running, seed):
    chance = random.Random(seed)
    with tasks(6) as ports:
        text = lines(ports[:3], CHECK)
        now = backend(text)
        live, leaving, reloads = running(text_of(now, text)), Leaving(3600), 0
        capabilities = live.runtime.capabilities()
        with Clients(live.port) as clients:
            for second in range(40):
                chosen = chance.sample(ports, chance.randint(2, 6))
                options = f"{CHECK}{chance.choice(['', ' weight 5', f' port {ports[0]}', f' port {ports[1]}'])}"
                text = lines(chosen, options, disabled=chosen[1:] if chance.random() < 0.3 else ())
                wanted = backend(text)
                if change(now, wanted, capabilities, leaving.of(wanted.name)).reasons:
                    live.write([text_of(wanted, text)])
                    (live.folder / "state").write_text(for_next_worker(live.api.servers_state(), {wanted.name: wanted}))
                    assert live.reload().ok
                    leaving.forget()
                    reloads += 1
                else:
                    carry_out(live, now, wanted, leaving, second)
                for due in leaving.due(second):
                    leaving.heard(due, live.runtime.replies(due.commands)[-1], second)
                now = wanted
            finish(live, leaving, from_s=40)
        assert clients.failures == []
        assert 0 < reloads < 30
        assert live.servers() == running(text_of(now, text)).servers()


def test_the_file_decides_what_the_next_worker_serves_whatever_was_out_before(running):
    with tasks(2) as ports:
        every = lines(ports)
        wanted = backend(every)
        live = running(text_of(wanted, every))
        commands, stopped = stop(wanted, names(ports[:1]))
        assert live.runtime.carry_out([commands]).ok
        assert stopped.servers[names(ports)[0]].disabled
        (live.folder / "state").write_text(for_next_worker(live.api.servers_state(), {wanted.name: wanted}))
        assert live.reload().ok
        assert drift(wanted, live.runtime.servers()[wanted.name], live.runtime.capabilities()).is_nothing


@pytest.mark.parametrize("options", [" id 7", f" id 7{CHECK} port {{}}"])
def test_the_file_decides_where_a_server_is_that_kept_its_name(running, options):
    with tasks(2) as ports:
        was, now = (f"  server a 127.0.0.1:{port}{options.format(port)}\n" for port in ports)
        wanted = backend(now)
        live = running(text_of(wanted, was))
        live.write([text_of(wanted, now)])
        (live.folder / "state").write_text(for_next_worker(live.api.servers_state(), {wanted.name: wanted}))
        assert live.reload().ok
        assert drift(wanted, live.runtime.servers()[wanted.name], live.runtime.capabilities()).is_nothing


def test_health_is_handed_over_to_the_next_worker(running):
    with tasks(1) as ports:
        every = lines([1, *ports], " check inter 100ms fall 1")
        wanted = backend(every)
        live = running(text_of(wanted, every))
        dead = names([1])[0]
        until(lambda: not live.runtime.servers()[wanted.name][dead].is_up)
        live.write([text_of(wanted, every.replace("100ms", "60s"))])
        (live.folder / "state").write_text(for_next_worker(live.api.servers_state(), {wanted.name: wanted}))
        assert live.reload().ok
        assert not live.runtime.servers()[wanted.name][dead].is_up


def test_a_server_that_is_stopped_early_and_still_wanted_comes_back(running):
    with tasks(2) as ports:
        wanted = backend(lines(ports))
        live = running(text_of(wanted, lines(ports)))
        with Clients(live.port) as clients:
            commands, stopped = stop(wanted, names(ports[:1]))
            assert live.runtime.carry_out([commands]).ok
            clients.more(5)
            assert clients.more() == {str(ports[1])}
            carry_out(live, stopped, wanted, Leaving(60))
            assert clients.more() == {str(port) for port in ports}
        assert clients.failures == []


def test_a_server_that_comes_back_while_it_leaves_serves_again(running):
    with tasks(2) as ports:
        one, both = backend(lines(ports[:1])), backend(lines(ports))
        live = running(text_of(both, lines(ports)))
        leaving = Leaving(60)
        carry_out(live, both, one, leaving)
        assert list(leaving.of(both.name)) == names(ports[1:])
        carry_out(live, one, both, leaving)
        assert len(leaving) == 0
        with Clients(live.port) as clients:
            assert clients.more() == {str(port) for port in ports}


@pytest.mark.parametrize("closes", [True, False])
def test_a_connection_on_a_server_that_left_lasts_until_its_time_is_up(running, closes):
    with tasks(2) as ports:
        both, one = backend(lines(ports), mode="tcp"), backend(lines(ports[1:]), mode="tcp")
        live = running(text_of(both, lines(ports)), mode="tcp")
        held = [socket.create_connection(("127.0.0.1", live.port), timeout=20) for _ in ports]
        assert {ask_on(one) for one in held} == {str(port) for port in ports}
        leaving = Leaving(finish_within_s=100)
        carry_out(live, both, one, leaving)
        (due,) = leaving.due(1)
        leaving.heard(due, live.runtime.replies(due.commands)[-1], 1)
        assert len(leaving) == 1
        assert {ask_on(one) for one in held} == {str(port) for port in ports}
        if closes:
            for one_held in held:
                one_held.close()
        else:
            assert leaving.due(101)[0].commands[0].line.startswith("shutdown sessions server ")
        finish(live, leaving, from_s=2 if closes else 101)
        if not closes:
            assert sorted(ask_on(one) for one in held) == ["", str(ports[1])]
        for one_held in held:
            one_held.close()


def test_clients_with_a_cookie_leave_a_server_that_left_and_find_one_that_came(running):
    with tasks(3) as ports:
        before, after = backend(lines(ports[:2], sticky=True), STICKY), backend(lines(ports[1:], sticky=True), STICKY)
        live = running(text_of(before, lines(ports[:2], sticky=True)))
        if not live.runtime.capabilities().takes("cookie"):
            assert "cookie" in change(before, after, live.runtime.capabilities()).reasons[0]
            return
        assert answer_to(live.port, cookie_of(ports[0])) == str(ports[0])
        carry_out(live, before, after, Leaving(60))
        assert answer_to(live.port, cookie_of(ports[0])) in {str(port) for port in ports[1:]}
        assert [answer_to(live.port, cookie_of(ports[2])) for _ in range(6)] == [str(ports[2])] * 6


def test_a_new_server_is_up_at_once_and_down_after_its_first_failed_check(running):
    with tasks(1) as ports:
        check = " check inter 300ms fall 4"
        before, after = backend(lines(ports, check)), backend(lines([1, *ports], check))
        live = running(text_of(before, lines(ports, check)))
        with Clients(live.port) as clients:
            carry_out(live, before, after, Leaving(60))
            dead = names([1])[0]
            assert live.runtime.servers()[after.name][dead].is_up
            until(lambda: not live.runtime.servers()[after.name][dead].is_up)
            clients.more(5)
        assert clients.failures == []


def test_what_is_refused_is_told_in_haproxys_words_and_nothing_is_taken_away(running):
    with tasks(2) as ports:
        before, after = backend(lines(ports[:1])), backend(lines(ports[1:]))
        live = running(text_of(before, lines(ports[:1])))
        live.api.ask(f"add server app_10000/other 127.0.0.1:1 id {after.servers[names(ports[1:])[0]].id}")
        told = change(before, after, live.runtime.capabilities())
        outcome = live.runtime.carry_out(phases(told.gains, (), told.losses))
        assert not outcome.ok
        assert "already used" in outcome.doubt
        assert not live.runtime.servers()[before.name][names(ports)[0]].is_out


def test_servers_are_read_back_of_all_backends_or_of_some(running):
    live = running(*(text_of(backend("", name=name), lines([1])) for name in ("app_10000", "b")), "\nbackend c\n")
    every = live.runtime.servers()
    assert every.keys() == {"app_10000", "b"}
    assert live.runtime.servers(["b", "c", "d"]) == {"b": every["b"], "c": {}}


DRIFTS = {
    "taken out": ["set server app_10000/{} state maint"],
    "draining": ["set server app_10000/{} state drain"],
    "weight": ["set server app_10000/{} weight 77"],
    "moved": ["set server app_10000/{} addr 127.0.0.9 port 9"],
    "deleted": ["set server app_10000/{} state maint", "del server app_10000/{}"],
    "one too many": ["add server app_10000/stranger 127.0.0.1:1", "set server app_10000/stranger state ready"],
}


@pytest.mark.parametrize("commands", DRIFTS.values(), ids=DRIFTS)
def test_what_somebody_did_at_the_socket_is_found_and_repaired(running, commands):
    with tasks(2) as ports:
        wanted = backend(lines(ports))
        live = running(text_of(wanted, lines(ports)))
        before = live.servers()
        for command in commands:
            live.api.ask(command.format(names(ports)[0]))
        until(lambda: live.servers() != before)
        leaving = Leaving(60)
        told = drift(wanted, live.runtime.servers()[wanted.name], live.runtime.capabilities())
        assert live.runtime.carry_out(phases(told.gains, (), told.losses)).ok, told
        for server in told.leaves:
            leaving.begin(wanted.name, server, 0, 1)
        finish(live, leaving)
        until(lambda: live.servers() == before)


def test_a_deletion_that_was_refused_by_a_server_in_use_is_repaired_by_taking_it_out_again(running):
    with tasks(2) as ports:
        both, one = backend(lines(ports)), backend(lines(ports[:1]))
        live = running(text_of(both, lines(ports)))
        leaving = Leaving(60)
        carry_out(live, both, one, leaving)
        live.api.ask(f"set server app_10000/{names(ports)[1]} state ready")
        seen = live.runtime.servers()[one.name]
        awake = drift(one, seen, live.runtime.capabilities(), leaving.of(one.name)).losses
        assert [command.line for command in awake] == [f"set server app_10000/{names(ports)[1]} state maint"]
        finish(live, leaving)
        assert list(live.servers()) == names(ports[:1])
