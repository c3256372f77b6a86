"""A stable service port for apps with an address per task that declare none (COMPAT.md 3.5).

The assignment starts empty at every generation and depends on nothing but the order of asking, so that two fastlb
beside each other give the same ports.
"""

from __future__ import annotations

import hashlib

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
