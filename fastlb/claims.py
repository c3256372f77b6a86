"""Who has what two apps ask for: the one that has been defined as it is for longer (``--conflicts first``).

    services of the apps that changed --settle--> what each app of those concerned is granted, and what is to be said

Mutable, without I/O; kept up to date for what changed. It goes by what Marathon says of an app and its id, and by
nothing that was before: so instances beside each other agree, and so does one that starts anew. A service port comes
first: a service that has no port takes no vhost from anybody. Apps that share a vhost by different paths are not in
each other's way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from fastlb.binds import EVERY_ADDRESS
from fastlb.model import Note
from fastlb.policy import without_hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fastlb.model import App, Service

Host = tuple[str, str]
"""A vhost, and the path label of the service that asks for it."""

Place = TypeVar("Place")
Key = TypeVar("Key")
Value = TypeVar("Value")

NEWEST = "~"
"""After every date: for apps of which Marathon does not say when they were defined."""


class Claim(NamedTuple):
    """What an app asks for, and since when: (date, id), the smaller the older."""

    since: tuple[str, str]
    services: tuple[Service, ...]


class Granted(NamedTuple):
    """What an app gets of that, and what is to be said about the rest."""

    services: tuple[Service, ...]
    notes: tuple[Note, ...]


NOTHING = Granted((), ())


def since(known_as: str, members: Iterable[App]) -> tuple[str, str]:
    """Return since when an app is defined as it is; a deployment group since its oldest member is."""
    return min((app.configured_at or NEWEST for app in members), default=NEWEST), known_as


class Claims:
    """What everybody asks for, by the id under which HAProxy knows an app, and what they have."""

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}
        self._listening: dict[str, Granted] = {}
        """What is left of the services of each app when ports are given out."""
        self._at_port: dict[int, set[str]] = {}
        self._at_host: dict[Host, set[str]] = {}

    def settle(self, claims: Mapping[str, Claim]) -> dict[str, Granted]:
        """Take over what apps ask for now, nothing if they are gone; return what all that this concerns are granted."""
        ports: set[int] = set()
        for known_as, claim in claims.items():
            before = self._claims.pop(known_as, Claim(("", ""), ())).services
            ports |= _move(self._at_port, known_as, _ports(before), _ports(claim.services))
            if claim.services:
                self._claims[known_as] = claim
        concerned = claims.keys() | {each for port in ports for each in self._at_port.get(port, ())}
        hosts: set[Host] = set()
        owners = _Memo(self._owners_of_port)
        for known_as in concerned:
            before = self._listening.pop(known_as, NOTHING).services
            now = self._with_ports(known_as, owners)
            hosts |= _move(self._at_host, known_as, _hosts(before), _hosts(now.services))
            if known_as in self._claims:
                self._listening[known_as] = now
        concerned |= {each for host in hosts for each in self._at_host.get(host, ())}
        oldest = _Memo(self._oldest_at_host)
        return {known_as: self._with_hosts(known_as, oldest) for known_as in concerned}

    def _since(self, known_as: str) -> tuple[str, str]:
        return self._claims[known_as].since

    def _oldest_at_host(self, host: Host) -> str:
        return min(self._at_host[host], key=self._since)

    def _owners_of_port(self, port: int) -> dict[tuple[str, str], str]:
        """Return which app is in the way of whom, at which address: the older ones choose first."""
        in_the_way: dict[tuple[str, str], str] = {}
        taken: dict[str, str] = {}
        for known_as in sorted(self._at_port[port], key=self._since):
            mine = [each.options.bind_address for each in self._claims[known_as].services if each.port == port]
            for address in dict.fromkeys(mine):
                owner = next((taken[at] for at in _overlapping(address, taken) if taken[at] != known_as), None)
                if owner is None:
                    taken.setdefault(address, known_as)
                else:
                    in_the_way[known_as, address] = owner
        return in_the_way

    def _with_ports(self, known_as: str, owners: _Memo[int, dict[tuple[str, str], str]]) -> Granted:
        """Return the services whose ports nobody older has."""
        kept, notes = [], []
        for service in self._claims[known_as].services if known_as in self._claims else ():
            owner = owners[service.port].get((known_as, service.options.bind_address))
            if owner is None:
                kept.append(service)
            else:
                text = f"app {owner} has this service port, and has been defined as it is for longer; left out"
                notes.append(Note(service.app_id, text, service.port, cause="conflict"))
        return Granted(tuple(kept), tuple(notes))

    def _with_hosts(self, known_as: str, oldest: _Memo[Host, str]) -> Granted:
        """Return the services that listen, each with the vhosts that nobody older has."""
        listening = self._listening.get(known_as, NOTHING)
        kept, notes = [], list(listening.notes)
        for service in listening.services:
            lost = {host: oldest[host, path] for host, path in sorted(_hosts([service]))}
            lost = {host: owner for host, owner in lost.items() if owner != known_as}
            for host, owner in lost.items():
                text = f"vhost {host[:80]!r} is that of app {owner}, which has been defined as it is for longer"
                note = Note(service.app_id, f"{text}; it is not routed", service.port, left_out=False, cause="conflict")
                notes.append(note)
            kept.append(without_hosts(service, lost) if lost else service)
        return Granted(tuple(kept), tuple(notes))


class _Memo(dict[Key, Value]):
    """Values that are found out once, when somebody asks."""

    def __init__(self, find: Callable[[Key], Value]) -> None:
        self._find = find

    def __missing__(self, key: Key) -> Value:
        value = self[key] = self._find(key)
        return value


def _overlapping(address: str, taken: Mapping[str, str]) -> Iterable[str]:
    """Return those of the addresses that are taken that have one in common with ``address``."""
    if address in EVERY_ADDRESS:
        return taken
    return (each for each in (address, *EVERY_ADDRESS) if each in taken)


def _move(places: dict[Place, set[str]], known_as: str, before: set[Place], now: set[Place]) -> set[Place]:
    """Have an app ask at the places of now and no longer at those of before; return all of them."""
    for place in before:
        places[place].discard(known_as)
        if not places[place]:
            del places[place]
    for place in now:
        places.setdefault(place, set()).add(known_as)
    return before | now


def _ports(services: Iterable[Service]) -> set[int]:
    return {service.port for service in services}


def _hosts(services: Iterable[Service]) -> set[Host]:
    return {
        (host, service.options.path or "")
        for service in services
        for host in (service.options.vhost.split(",") if service.options.vhost else ())
    }
