"""A stable service port for apps with an address per task that declare none (COMPAT.md 3.5).

An assignment depends on nothing but who asks in which order, so that two fastlb beside each other give the same ports.
When anybody asks for something else, all is assigned anew; when nobody does, nothing is.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

Given = tuple[int | None, ...]

ATTEMPTS = 50
"""Hashed trials before the smallest free port is taken."""


class PortAssigner:
    """Gives out the ports of the range [``low``, ``high``], one per (app id, task port)."""

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._size = high - low + 1
        self._given: dict[tuple[str, int], int | None] = {}
        self._taken: set[int] = set()

    def assign(self, app_id: str, task_port: int) -> int | None:
        """Return the port of this key, the same at every call; None when the range is exhausted."""
        key = (app_id, task_port)
        if key not in self._given:
            self._given[key] = self._choose(app_id, task_port) if len(self._given) < self._size else None
        return self._given[key]

    def _choose(self, app_id: str, task_port: int) -> int:
        trials = (self._trial(f"{app_id}-{task_port}-{attempt}") for attempt in range(ATTEMPTS))
        port = next((port for port in trials if port not in self._taken), None)
        if port is None:
            port = next(p for p in range(self._low, self._low + self._size) if p not in self._taken)
        self._taken.add(port)
        return port

    def _trial(self, text: str) -> int:
        digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        return self._low + int(digest[:8], 16) % self._size


class Ask(NamedTuple):
    """What an app asks for: a service port for each of its task ``ports``; who has the lower ``place`` asks first."""

    place: tuple[int, int]
    ports: tuple[int, ...]


class Assignment:
    """What everybody asks for, by app id, and what they were given (mutable, no I/O)."""

    def __init__(self, low: int, high: int) -> None:
        self._range = (low, high)
        self._asks: dict[str, tuple[Ask, ...]] = {}
        self._given: dict[str, tuple[Given, ...]] = {}
        self._settled = True

    def __contains__(self, app_id: str) -> bool:
        """Whether an app asks for something."""
        return app_id in self._asks

    @property
    def askers(self) -> set[str]:
        """Return the ids of the apps that ask for something."""
        return set(self._asks)

    def ask(self, app_id: str, asks: tuple[Ask, ...]) -> None:
        """Learn what is asked for under ``app_id`` from now on."""
        if asks != self._asks.get(app_id, ()):
            self._asks[app_id] = asks
            self._settled = False

    def settle(self) -> set[str]:
        """Assign anew if anybody asks for something else; return the app ids that are given something else."""
        if self._settled:
            return set()
        self._settled, before = True, self._given
        self._asks = {app_id: asks for app_id, asks in self._asks.items() if asks}
        assigner = PortAssigner(*self._range)
        for ask, app_id in sorted((ask, app_id) for app_id, asks in self._asks.items() for ask in asks):
            for port in ask.ports:
                assigner.assign(app_id, port)
        self._given = {
            app_id: tuple(tuple(assigner.assign(app_id, port) for port in ask.ports) for ask in asks)
            for app_id, asks in self._asks.items()
        }
        return {
            app_id for app_id in before.keys() | self._given.keys() if before.get(app_id) != self._given.get(app_id)
        }

    def given(self, app_id: str) -> tuple[Given, ...]:
        """Return what was given for each ask of ``app_id``."""
        return self._given.get(app_id, ())
