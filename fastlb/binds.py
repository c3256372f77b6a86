"""Which services listen on the same address and port: both are written, HAProxy mixes their traffic (COMPAT.md 3.6).

Mutable, without I/O; kept up to date app by app, so that a change costs the services of one app only.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

from fastlb.model import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fastlb.model import Service

Bind = tuple[str, int]

EVERY_ADDRESS = frozenset({"*", "", "0.0.0.0", "::"})  # noqa: S104 - compared with, never bound


def overlap(one: str, other: str) -> bool:
    """Whether two addresses, as bind lines name them, have one in common."""
    return one in EVERY_ADDRESS or other in EVERY_ADDRESS or one == other


class Binds:
    """Who binds what: app ids, in order, by (address, port)."""

    def __init__(self) -> None:
        self._owners: dict[Bind, list[str]] = {}
        self._shared: set[Bind] = set()

    def leave(self, services: Iterable[Service]) -> None:
        """Forget services that were entered."""
        for service in services:
            bind = _bind(service)
            owners = self._owners[bind]
            owners.remove(service.app_id)
            if len(owners) < 2:
                self._shared.discard(bind)
            if not owners:
                del self._owners[bind]

    def enter(self, services: Iterable[Service]) -> None:
        """Learn of services."""
        for service in services:
            bind = _bind(service)
            owners = self._owners.get(bind)
            if owners is None:
                self._owners[bind] = [service.app_id]
            else:
                insort(owners, service.app_id)
                self._shared.add(bind)

    def owners(self, service: Service) -> list[str]:
        """Return the ids of the apps whose services bind what this one does."""
        return list(dict.fromkeys(self._owners.get(_bind(service), ())))

    def notes(self, services_of: Callable[[str], Sequence[Service]]) -> list[Note]:
        """Warn about every service that is not the first on its address and port."""
        notes = []
        for bind in sorted(self._shared):
            owners = dict.fromkeys(self._owners[bind])
            first, *others = (each for app_id in owners for each in services_of(app_id) if _bind(each) == bind)
            text = f"app {first.app_id} has the same service port; both are written and HAProxy mixes their traffic"
            notes += [Note(service.app_id, text, service.port, left_out=False) for service in others]
        return notes


def _bind(service: Service) -> Bind:
    return service.options.bind_address, service.port
