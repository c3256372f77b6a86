"""The last changes of each app: when, how they were applied, and why so. Bounded in every direction.

    rollout, reporter --note--> History --of an app--> explain
                                        '--of all--> state, page

Mutable, without clock or I/O: whoever applied something says when. An app may be noted under the id by which HAProxy
knows it or under Marathon's; what concerned all of them at once is kept under no id. `History.last` is one immutable
value that is replaced, so that any thread may read it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, NamedTuple

from fastlb.explanation import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PER_APP = 10
MOST_APPS = 20_000
MOST_LAST = 100
MOST_OF_ONE_NOTE = 25
"""So many of the apps that one reload concerned are among the last changes of all."""
LONGEST_REASON = 300  # characters; a reason may quote what an operator wrote
EVERYBODY = ""
"""Stands for all apps, as in the reasons of a `diff.Plan` that are nobody's."""


class ChangeOf(NamedTuple):
    """A change, and the app that it is about; `EVERYBODY` for what concerned all of them."""

    app_id: str
    change: Change


class History:
    """Changes by app; the app of which nothing was heard for the longest time is forgotten first."""

    def __init__(self, most_apps: int = MOST_APPS) -> None:
        self._most_apps = most_apps
        self._changes: OrderedDict[str, deque[Change]] = OrderedDict()
        self.last: tuple[ChangeOf, ...] = ()
        """The last changes of all apps, the newest first."""

    def note(
        self, how: str, reasons: Mapping[str, Iterable[str]], at_s: float, after_event_s: float | None = None
    ) -> None:
        """Keep what was done at ``at_s`` (Unix seconds), with the reasons by app; see `Change`."""
        new: list[ChangeOf] = []
        for app_id, texts in reasons.items():
            change = Change(at_s, how, "; ".join(dict.fromkeys(texts))[:LONGEST_REASON], after_event_s)
            self._changes.setdefault(app_id, deque(maxlen=PER_APP)).append(change)
            self._changes.move_to_end(app_id)
            if len(new) < MOST_OF_ONE_NOTE:
                new.append(ChangeOf(app_id, change))
        self.last = (*new, *self.last)[:MOST_LAST]
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
