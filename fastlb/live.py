"""Before and after of one backend to the commands that lead from one to the other, or the reasons for a reload.

    Backend, Backend --change--> Change(gains, losses, leaves) or Change(reasons)

It must not know sockets, files or what HAProxy answers. Data flows: `servers` reads text to Backends, this room
compares them, `commands.phases` joins the changes of all backends, `runtime` carries them out, and only then may the
caller take ``after`` for what HAProxy has.

**Health of a server that comes.** It is up at once and checked after one interval, whose first failure takes it down
whatever `fall` says; so measured on 2.6, 2.8, 3.0 and 3.4. That is the state in which HAProxy starts on the new file
as well (only the moment of the first check is later, by half an interval on average). Holding it back until it
passed a check would keep a healthy task out for an interval (`rise` of them before 3.1), and a rolling deployment,
which ends old tasks when Marathon sees the new ones healthy, would have no server meanwhile. Who wants no task before
it is healthy says so to Marathon and starts fastlb with ``--health-check``: then only healthy tasks come here at all.

**A server that leaves** is taken out (`maint`, not `drain`, which still takes requests with its cookie), finishes what
it holds, and is deleted later (`leaving`). One that is `disabled` is taken out the same way and stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fastlb.commands import ADDED, MOVED, Command
from fastlb.servers import why_not_added

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from fastlb.capabilities import Capabilities
    from fastlb.servers import Backend, ServerLine

MAX_CHECKED_AT_ONCE = 200
"""Servers with checks that one change may bring live: all of them are checked in the same millisecond, interval after
interval, on descriptors that HAProxy did not reckon with (HAPROXY-3.4.md 5). A start spreads its checks."""

MAX_WEIGHT = 256


class Change(NamedTuple):
    """What leads one backend to its new form: commands in their order, or reasons for a reload and no commands.

    ``leaves`` are the servers that are out after ``losses`` and have to be deleted; ``returns`` are the names of those
    that were about to be and serve again.
    """

    backend: str
    reasons: tuple[str, ...] = ()
    gains: tuple[Command, ...] = ()
    losses: tuple[Command, ...] = ()
    leaves: tuple[ServerLine, ...] = ()
    returns: tuple[str, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.reasons or self.gains or self.losses or self.leaves or self.returns)


def change(
    before: Backend, after: Backend, capabilities: Capabilities, leaving: Mapping[str, ServerLine] | None = None
) -> Change:
    """Compare what HAProxy has with what it should have; ``leaving`` are the servers that it still has, out."""
    if before == after:
        return Change(after.name)
    leaving = leaving or {}
    if reasons := tuple(_reasons(before, after, capabilities, leaving)):
        return Change(after.name, reasons)
    came = [server for name, server in after.servers.items() if name not in before.servers]
    stayed = [(before.servers[name], server) for name, server in after.servers.items() if name in before.servers]
    gone = [server for name, server in before.servers.items() if name not in after.servers]
    gains: list[Command] = []
    for server in came:
        gains += _back(after.name, server) if server.name in leaving else _add(after.name, server)
    for old, new in stayed:
        gains += _adjust(after.name, old, new)
    losses = [take_out(after.name, new.name, "it is disabled") for old, new in stayed if _is_taken_out(old, new)]
    losses += [take_out(after.name, server.name, "it is gone") for server in gone]
    returns = tuple(server.name for server in came if server.name in leaving)
    return Change(after.name, (), tuple(gains), tuple(losses), tuple(gone), returns)


def stop(backend: Backend, names: Iterable[str]) -> tuple[tuple[Command, ...], Backend]:
    """Take servers out before anything else is known; return the commands, and the backend as HAProxy then has it.

    A `change` from that backend to one in which they are still wanted brings them back.
    """
    known = [name for name in names if name in backend.servers and not backend.servers[name].disabled]
    stopped = {name: backend.servers[name]._replace(disabled=True) for name in known}
    commands = tuple(take_out(backend.name, name, "its task is being ended") for name in known)
    return commands, backend._replace(servers={**backend.servers, **stopped})


def names_at(backend: Backend, places: Container[tuple[str, int]]) -> list[str]:
    """Return the servers at these addresses and ports, whatever a template calls them."""
    return [name for name, server in backend.servers.items() if (server.address, server.port) in places]


def take_out(backend: str, name: str, why: str) -> Command:
    """Return the command after which a server gets no new connection, sticky ones included."""
    return Command(f"set server {backend}/{name} state maint", why)


def _reasons(
    before: Backend, after: Backend, capabilities: Capabilities, leaving: Mapping[str, ServerLine]
) -> Iterator[str]:
    unfit = after.unfit or before.unfit
    if unfit:
        yield unfit
        return
    if before.head != after.head:
        yield _changed_line(before.head, after.head)
        return
    added = [server for name, server in after.servers.items() if name not in before.servers and name not in leaving]
    held = {server.id: name for name, server in [*before.servers.items(), *leaving.items()] if server.id is not None}
    for server in added:
        if reason := after.fixed or why_not_added(server, capabilities):
            yield reason
        elif server.id in held:
            yield f"server {server.name} needs the id {server.id}, which server {held[server.id]} still has"
    if sum(server.is_checked for server in added) > MAX_CHECKED_AT_ONCE:
        yield f"{len(added)} servers with checks come at once, which only a start spreads"
    for name, server in after.servers.items():
        if old := before.servers.get(name) or leaving.get(name):
            yield from _reasons_of_one(old, server, after.fixed is not None, returns=name not in before.servers)


def _reasons_of_one(old: ServerLine, new: ServerLine, fixed: bool, *, returns: bool) -> Iterator[str]:
    if (old.id, old.options) != (new.id, new.options):
        yield f"server {new.name} changed from `{old.words}` to `{new.words}`"
    elif old.check_port != new.check_port and not (old.check_port and new.check_port and new.is_checked):
        yield f"the check port of server {new.name} changed from {old.check_port} to {new.check_port}"
    elif old.weight != new.weight and (fixed or new.weight > MAX_WEIGHT):
        yield f"the weight of server {new.name} changed from {old.weight} to {new.weight}"
    elif old.where != new.where and (returns or (old.disabled and not new.disabled)):
        # From 3.0 on an address is changed a moment after the reply: the old one would serve first (HAPROXY.md B).
        yield f"server {new.name} comes back at another address, {new.where} instead of {old.where}"


def _changed_line(before: str, after: str) -> str:
    lines = before.strip().splitlines(), after.strip().splitlines()
    was = [line.strip() for line in lines[0] if line not in lines[1]]
    now = [line.strip() for line in lines[1] if line not in lines[0]]
    if not was and not now:
        return "the order of its lines changed"
    return f"`{was[0] if was else ''}` became `{now[0] if now else ''}`"


def _add(backend: str, server: ServerLine) -> Iterator[Command]:
    name = f"{backend}/{server.name}"
    disabled = " disabled" if server.disabled else ""
    yield Command(f"add server {name} {server.words}{disabled}", "it is new", ADDED)
    if server.is_checked:
        yield Command(f"enable health {name}", "its checks begin")
    if not server.disabled:
        yield Command(f"set server {name} state ready", "it takes requests")


def _back(backend: str, server: ServerLine) -> Iterator[Command]:
    """Bring back a server that was about to be deleted; its weight may have changed meanwhile."""
    if not server.disabled:
        yield Command(f"set server {backend}/{server.name} weight {server.weight}", "it comes back")
        yield Command(f"set server {backend}/{server.name} state ready", "it comes back")


def _adjust(backend: str, old: ServerLine, new: ServerLine) -> Iterator[Command]:
    name = f"set server {backend}/{new.name}"
    if old.where != new.where:
        yield Command(f"{name} addr {new.address} port {new.port}", f"it moved from {old.where}", MOVED)
    if old.check_port != new.check_port:
        yield Command(f"{name} check-port {new.check_port}", f"it was checked at port {old.check_port}")
    if old.weight != new.weight:
        yield Command(f"{name} weight {new.weight}", f"its weight was {old.weight}")
    if old.disabled and not new.disabled:
        yield Command(f"{name} state ready", "it is no longer disabled")


def _is_taken_out(old: ServerLine, new: ServerLine) -> bool:
    return new.disabled and not old.disabled
