"""Live changes on a real HAProxy: what it has afterwards is what a start on the new file has, and no request fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from fastlb.commands import phases
from fastlb.leaving import Leaving
from fastlb.live import change
from fastlb.seen import drift, for_next_worker
from tests.fakes.live_haproxy import CHECK, Clients, LiveHAProxy, backend, lines, tasks, text_of, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastlb.servers import Backend

pytestmark = pytest.mark.haproxy

Ports = list[int]


class Kind(NamedTuple):
    """One kind of change of four tasks at ports p: server lines before and after, and lines of the head."""

    before: Callable[[Ports], str]
    after: Callable[[Ports], str]
    more: str = ""
    since: tuple[int, int] = (2, 6)


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
    "sticky, more": Kind(
        lambda p: lines(p[:1], sticky=True),
        lambda p: lines(p, CHECK, sticky=True)[0:0] + lines(p, sticky=True),
        STICKY,
        (2, 8),
    ),
    "many options": Kind(
        lambda p: lines(p[:1], " maxconn 50 slowstart 1s on-marked-down shutdown-sessions"),
        lambda p: lines(p, " maxconn 50 slowstart 1s on-marked-down shutdown-sessions"),
    ),
}


@pytest.fixture
def running(tmp_path) -> Iterator[Callable[..., LiveHAProxy]]:
    """Start HAProxies on backends as text."""
    started: list[LiveHAProxy] = []

    def start(*texts: str, entries=None, mode: str = "http") -> LiveHAProxy:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        one = LiveHAProxy(folder, mode=mode)
        one.write(texts, entries)
        started.append(one)
        return one.start()

    yield start
    for one in started:
        one.stop()


def carry_out(haproxy: LiveHAProxy, before: Backend, after: Backend, leaving: Leaving) -> None:
    told = change(before, after, haproxy.runtime.capabilities(), leaving.of(after.name))
    assert not told.reasons
    outcome = haproxy.runtime.carry_out(phases(told.gains, (), told.losses))
    assert outcome.ok, outcome.doubt
    for server in told.leaves:
        leaving.begin(after.name, server, now_s=0, delete_after_s=1)
    for name in told.returns:
        leaving.stay(after.name, name)


def finish(haproxy: LiveHAProxy, leaving: Leaving) -> None:
    """Delete what left, as its clock would have it."""
    now_s = iter(range(10**9))

    def all_gone() -> bool:
        second = next(now_s)
        for due in leaving.due(second):
            said = leaving.heard(due, haproxy.runtime.replies(due.commands)[-1], second)
            assert said is None
        return not len(leaving)

    until(all_gone)


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
            assert drift(after, live.runtime.servers("app_10000")["app_10000"], live.runtime.capabilities()).is_nothing
            live.write([text_of(after, kind.after(ports))])
            state = for_next_worker(live.api.servers_state(), {after.name: after})
            (live.folder / "state").write_text(state)
            assert live.reload().ok
            assert live.servers() == fresh.servers()
            assert clients.more() == usable
        assert clients.failures == []
