"""The last changes of each app: when, how they were applied, and why so. Bounded in every direction.

    rollout, reporter --note--> History --of an app--> explain

Mutable, without clock or I/O: whoever applied something says when. An app may be noted under the id by which HAProxy
knows it or under Marathon's; what concerned all of them at once is kept under no id.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from fastlb.explanation import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PER_APP = 10
MOST_APPS = 20_000
LONGEST_REASON = 300  # characters; a reason may quote what an operator wrote
EVERYBODY = ""
"""Stands for all apps, as in the reasons of a `diff.Plan` that are nobody's."""


class History:
    """Changes by app; the app of which nothing was heard for the longest time is forgotten first."""

    def __init__(self, most_apps: int = MOST_APPS) -> None:
        self._most_apps = most_apps
        self._changes: OrderedDict[str, deque[Change]] = OrderedDict()

    def note(
        self, how: str, reasons: Mapping[str, Iterable[str]], at_s: float, after_event_s: float | None = None
    ) -> None:
        """Keep what was done at ``at_s`` (Unix seconds), with the reasons by app; see `Change`."""
        for app_id, texts in reasons.items():
            why = "; ".join(dict.fromkeys(texts))[:LONGEST_REASON]
            self._changes.setdefault(app_id, deque(maxlen=PER_APP)).append(Change(at_s, how, why, after_event_s))
            self._changes.move_to_end(app_id)
        while len(self._changes) > self._most_apps:
            self._changes.popitem(last=False)

    def of(self, *app_ids: str) -> tuple[Change, ...]:
        """Return the last changes of an app, which may go by several ids, and of everybody; the newest first."""
        changes = [
            change
            for app_id in dict.fromkeys((*app_ids, EVERYBODY))
            for change in reversed(self._changes.get(app_id, ()))
        ]
        return tuple(sorted(changes, key=lambda change: -change.at_s)[:PER_APP])
