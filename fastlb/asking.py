"""What Marathon is being asked, and what may be made of its answers, so that an older one never overwrites a newer one.

Pure and mutable, without clock or I/O. Two requests whose times overlap do not tell which of them saw the newer state,
so they never decide about the same app one after the other:

- an app is asked for once at a time; what is wanted of it meanwhile is asked for again afterwards;
- everything is asked for once at a time; single apps are asked for meanwhile;
- an app that was answered alone while everything was being read keeps that answer;
- a request for a single app that outlasts a reading of everything is dropped, and sent again if it began during it.

Before 1.8 Marathon takes ids that it cannot be asked for: `/shop/tasks` names the tasks of `/shop`, and is answered by
404 if there is no such app (MARATHON.md 1.3). For those everything is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fastlb.marks import Reading
from fastlb.model import App
from fastlb.reading import app_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Document = App | dict[str, Any]
"""One app of an answer: read, or its JSON."""

SUB_RESOURCES = ("/restart", "/tasks", "/versions")
"""Ids that end like this cannot be asked for alone."""


class Ask(NamedTuple):
    """What to ask for now: everything, or single apps, perhaps none."""

    everything: bool = False
    app_ids: tuple[str, ...] = ()


class Everything(NamedTuple):
    """An answer about everything, with newer answers about single apps in their places.

    ``dropped``: requests for these single apps are to be given up. ``marked_at_s``: when the first mark that it covers
    was made (monotonic seconds), None without any.
    """

    documents: list[Document]
    dropped: tuple[str, ...]
    marked_at_s: float | None


class Asking:
    """Which requests are under way, and what is wanted beyond them.

    ``most_single``: when more apps than that are wanted or asked for, everything is read instead.
    """

    def __init__(self, most_single: int) -> None:
        self._most_single = most_single
        self._wanted: dict[str, float | None] = {}
        self._asked: dict[str, float | None] = {}
        self._everything_wanted: Reading | None = None
        self._everything_asked: Reading | None = None
        self._asked_before: set[str] = set()
        self._answered_since: dict[str, Document | None] = {}

    @property
    def single(self) -> bool:
        """Whether a single app is asked for."""
        return bool(self._asked)

    @property
    def idle(self) -> bool:
        """Whether nothing is asked for or wanted."""
        return not (self._asked or self._wanted or self._everything_asked or self._everything_wanted)

    def want(self, reading: Reading) -> None:
        """Have this read, by requests that begin from now on."""
        if reading.everything:
            self._want_everything(reading)
        for app_id in () if reading.everything else reading.app_ids:
            self._wanted[app_id] = _earliest((self._wanted.get(app_id), reading.marked_at_s))

    def begin(self) -> Ask:
        """Return what to ask for now; from here on it counts as asked for."""
        too_many = len(self._wanted.keys() | self._asked.keys()) > self._most_single
        unaskable = any(app_id.endswith(SUB_RESOURCES) for app_id in self._wanted)
        if too_many or unaskable or (self._everything_wanted and not self._everything_asked):
            self._cover_wanted()
        if self._everything_wanted and not self._everything_asked:
            self._everything_asked, self._everything_wanted = self._everything_wanted, None
            self._asked_before, self._answered_since = set(self._asked), {}
            return Ask(everything=True)
        now = tuple(app_id for app_id in self._wanted if app_id not in self._asked)
        for app_id in now:
            self._asked[app_id] = self._wanted.pop(app_id)
        return Ask(app_ids=now)

    def answered(self, app_id: str, document: Document | None) -> float | None:
        """Take note of an answer about one app, which may be used; return when the app was first marked."""
        if self._everything_asked and (document is None or app_id_of(document) == app_id):
            self._answered_since[app_id] = document
        return self._end(app_id)

    def failed(self, app_id: str) -> None:
        """Take note that there is no answer about one app."""
        self._end(app_id)

    def answered_everything(self, documents: list[Document]) -> Everything:
        """Return what is to be made of an answer about everything."""
        marked_at_s = self._end_everything().marked_at_s
        dropped = tuple(self._asked)
        for app_id in self._asked.keys() - self._asked_before:
            self._wanted[app_id] = _earliest((self._wanted.get(app_id), self._asked[app_id]))
        self._asked.clear()
        return Everything(_with(self._answered_since, documents), dropped, marked_at_s)

    def failed_everything(self) -> Reading:
        """Return the reading of everything that failed, with the ids of the apps that were wanted and relied on it."""
        return self._end_everything()

    def _cover_wanted(self) -> None:
        """Have the next reading of everything stand for the apps that are wanted.

        Not for one that is being asked for: its answer may be older than what marked it again, and would be kept.
        """
        covered = {app_id: self._wanted[app_id] for app_id in self._wanted.keys() - self._asked.keys()}
        self._want_everything(Reading(True, frozenset(covered), _earliest(covered.values())))
        for app_id in covered:
            del self._wanted[app_id]

    def _end(self, app_id: str) -> float | None:
        self._asked_before.discard(app_id)
        return self._asked.pop(app_id)

    def _end_everything(self) -> Reading:
        reading, self._everything_asked = self._everything_asked, None
        assert reading is not None
        return reading

    def _want_everything(self, reading: Reading) -> None:
        before = self._everything_wanted or reading
        marked_at_s = _earliest((before.marked_at_s, reading.marked_at_s))
        self._everything_wanted = Reading(True, before.app_ids | reading.app_ids, marked_at_s)


def _earliest(times_s: Iterable[float | None]) -> float | None:
    return min((time_s for time_s in times_s if time_s is not None), default=None)


def _with(newer: Mapping[str, Document | None], documents: list[Document]) -> list[Document]:
    """Put newer answers in the places of their apps, and at the end those about apps that had none."""
    if not newer:
        return documents
    left = dict(newer)
    kept: list[Document | None] = []
    for document in documents:
        app_id = app_id_of(document)
        kept.append(left.pop(app_id, None) if app_id is not None and app_id in newer else document)
    return [document for document in (*kept, *left.values()) if document is not None]
