"""Which apps need the addresses of which host names, and what is known of those.

Mutable, without I/O: somebody else resolves names. A name that nobody needs any more is forgotten, one that could not
be resolved is asked for again at the next decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Hosts:
    """Host names in use."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        """What is known, by name."""
        self.unresolved: set[str] = set()
        """Names in use of which nothing is known."""
        self._names: dict[str, frozenset[str]] = {}
        self._users: dict[str, set[str]] = {}

    def need(self, app_id: str, names: Collection[str]) -> None:
        """Learn which names an app needs from now on."""
        if not names and app_id not in self._names:
            return
        before, now = self._names.pop(app_id, frozenset()), frozenset(names)
        if now:
            self._names[app_id] = now
        for name in now - before:
            self._users.setdefault(name, set()).add(app_id)
            if name not in self.addresses:
                self.unresolved.add(name)
        for name in before - now:
            self._users[name].discard(app_id)
            if not self._users[name]:
                del self._users[name]
                self.addresses.pop(name, None)
                self.unresolved.discard(name)

    def learn(self, addresses: Mapping[str, str]) -> set[str]:
        """Learn addresses; return the ids of the apps that need one of them."""
        known = {name: address for name, address in addresses.items() if name in self._users}
        self.addresses |= known
        self.unresolved -= known.keys()
        return set().union(*(self._users[name] for name in known))
