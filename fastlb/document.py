"""The document as the parts of its apps: brought up to date app by app, joined only when somebody needs the text.

    changed parts --> order, sizes, map entries, first uses of map rules --(on demand)--> Rendering

Mutable, without I/O. What crosses apps here is little: the first service that needs a map rule writes it (COMPAT.md
5.4), so its app has another part than the others have, and the head depends on how much there is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

from fastlb.maps import EntryTable
from fastlb.render import EMPTY, MapRules, Part, Renderer, Rendering, left_to_write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastlb.model import Note, Service

FEW = 100


class Document:
    """Parts by the id under which HAProxy knows an app."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._plain: dict[str, Part] = {}
        self._writers: dict[str, Part] = {}
        self._parts: dict[str, Part] = {}
        self._needing: dict[str, list[str]] = {kind: [] for kind in MapRules._fields}
        self._noted: set[str] = set()
        self._rendering: Rendering | None = None
        self.domains = EntryTable()
        self.app_ids = EntryTable()
        self.listening = 0
        """How many services are written."""
        self.checked = 0
        """How many of their servers have a health check."""
        self.servers = 0
        """How many servers they have."""
        self.dear: set[str] = set()
        """Backends whose connections old workers shall keep longest (label KEEP_CONNECTIONS)."""
        self.revision = 0
        """Another number after each change."""

    @property
    def notes(self) -> list[Note]:
        """Return why services could not be written, and remarks, by app id."""
        return [note for app_id in sorted(self._noted) for note in self._parts[app_id].notes]

    @property
    def services(self) -> list[Service]:
        """Return every service that is written, in service order."""
        return [each.service for app_id in sorted(self._parts) for each in self._parts[app_id].written]

    @property
    def warning(self) -> str | None:
        """Return a sentence if the wanted ``maxconn`` does not fit."""
        return self._renderer.warning(self.listening, self.checked)

    @property
    def head_values(self) -> Mapping[str, int | bool]:
        """Return what in the head depends on how much there is."""
        return self._renderer.head_values(self.listening, self.checked)

    @property
    def app_ids_written(self) -> list[str]:
        """Return the ids of all apps of which something is written."""
        return [app_id for app_id, part in self._parts.items() if part.written]

    def part(self, app_id: str) -> Part:
        """Return what an app contributes; the empty part if nothing."""
        return self._parts.get(app_id, EMPTY)

    def plain_part(self, app_id: str) -> Part:
        """Return what an app would contribute if others wrote all map rules."""
        return self._plain.get(app_id, EMPTY)

    def update(self, parts: Mapping[str, Part]) -> set[str]:
        """Replace plain parts, the empty one for an app that is gone; return the ids whose contribution differs now."""
        concerned = dict.fromkeys((*parts, *self._writers))
        if self._renderer.uses_maps:
            self._note_needs(parts)
        for app_id, part in parts.items():
            if part == EMPTY:
                self._plain.pop(app_id, None)
            else:
                self._plain[app_id] = part
        if self._renderer.uses_maps:
            self._writers = self._find_writers()
        concerned |= dict.fromkeys(self._writers)
        before = {app_id: was for app_id in concerned if (was := self._put(app_id)) is not None}
        self._count(before)
        return set(before)

    def follow(self, other: Document, app_ids: Iterable[str]) -> None:
        """Become like ``other`` where these apps are concerned."""
        self.update({app_id: other.plain_part(app_id) for app_id in app_ids})

    def only(self, app_ids: Iterable[str]) -> Document:
        """Return a document of these apps alone."""
        document = Document(self._renderer)
        document.update({app_id: self.plain_part(app_id) for app_id in app_ids})
        return document

    def copy(self) -> Document:
        """Return a document of its own with the same parts."""
        twin = Document(self._renderer)
        twin._plain, twin._writers, twin._parts = dict(self._plain), dict(self._writers), dict(self._parts)
        twin._noted = set(self._noted)
        twin._needing = {kind: list(app_ids) for kind, app_ids in self._needing.items()}
        twin.domains, twin.app_ids = self.domains.copy(), self.app_ids.copy()
        twin.listening, twin.checked, twin._rendering = self.listening, self.checked, self._rendering
        twin.servers, twin.dear, twin.revision = self.servers, set(self.dear), self.revision
        return twin

    def learn_texts(self, twin: Document) -> None:
        """Take over the texts that were joined of a copy, unless anything has changed since it was made."""
        if twin.revision == self.revision:
            self._rendering = twin.rendering()

    def entries(self, table: str) -> list[tuple[str, str]]:
        """Return the entries of a map, ``domains`` or ``app_ids``, in their order."""
        parts = (self._parts[app_id] for app_id in sorted(self._parts))
        return list(dict.fromkeys(chain.from_iterable(getattr(part, table) for part in parts)))

    def rendering(self) -> Rendering:
        """Return the texts; joined only if anything changed since they were last asked for."""
        if self._rendering is None:
            parts = [self._parts[app_id] for app_id in sorted(self._parts)]
            self._rendering = self._renderer.join(parts, self.listening, self.checked, self.notes)
        return self._rendering

    def _note_needs(self, parts: Mapping[str, Part]) -> None:
        """Note which apps need map rules, before their plain parts are replaced."""
        known = self._plain.get
        needs = [(app_id, known(app_id, EMPTY).needs, part.needs) for app_id, part in parts.items()]
        differing = [each for each in needs if each[1] != each[2]]
        for kind, app_ids in enumerate(self._needing.values()):
            new = [app_id for app_id, before, now in differing if now[kind] and not before[kind]]
            gone = [app_id for app_id, before, now in differing if before[kind] and not now[kind]]
            _revise(app_ids, new, gone)

    def _find_writers(self) -> dict[str, Part]:
        """Return the parts of the apps that write map rules: of the first that can, for each kind."""
        writers: dict[str, Part] = {}
        to_write, after = MapRules(http=True, https=True, appid=True), ""
        while (app_id := self._next_needing(to_write, after)) is not None:
            before = self._writers.get(app_id, EMPTY)
            writers[app_id] = part = self._renderer.part(self.plain_part(app_id).services, before, to_write)
            to_write, after = left_to_write(to_write, part.needs), app_id
        return writers

    def _next_needing(self, to_write: MapRules, after: str) -> str | None:
        """Return the first app after that one that needs a rule of those that are to be written."""
        wanted = (self._needing[kind] for kind, missing in zip(MapRules._fields, to_write, strict=True) if missing)
        found = (app_ids[at] for app_ids in wanted if (at := bisect_right(app_ids, after)) < len(app_ids))
        return min(found, default=None)

    def _put(self, app_id: str) -> Part | None:
        """Have an app contribute what it should; return what it contributed before if that was something else."""
        before, part = self._parts.get(app_id, EMPTY), self._writers.get(app_id) or self._plain.get(app_id, EMPTY)
        if part is before or part == before:
            return None
        self._rendering = None
        self.revision += 1
        if part.notes:
            self._noted.add(app_id)
        else:
            self._noted.discard(app_id)
        if part == EMPTY:
            del self._parts[app_id]
        else:
            self._parts[app_id] = part
        return before

    def _count(self, before: Mapping[str, Part]) -> None:
        """Bring tables and sizes up to date; ``before`` is what apps contributed that contribute something else now."""
        came = [self.part(app_id) for app_id in before]
        gone = [was for was in before.values() if was is not EMPTY]
        for table, entries_of in ((self.domains, attrgetter("domains")), (self.app_ids, attrgetter("app_ids"))):
            table.enter(list(chain.from_iterable(map(entries_of, came))))
            table.leave(list(chain.from_iterable(map(entries_of, gone))))
        self.dear.difference_update(chain.from_iterable([part.dear for part in gone]))
        self.dear.update(chain.from_iterable([part.dear for part in came]))
        for parts, sign in ((gone, -1), (came, 1)):
            self.listening += sign * sum([len(part.written) for part in parts])
            self.checked += sign * sum([part.checked for part in parts])
            self.servers += sign * sum([part.servers for part in parts])


def _revise(app_ids: list[str], new: list[str], gone: list[str]) -> None:
    """Add to and take from a sorted list; one by one if they are few, which costs no look at the others."""
    if len(new) + len(gone) > FEW:
        left = set(gone)
        app_ids[:] = sorted([*(each for each in app_ids if each not in left), *new])
        return
    for app_id in new:
        insort(app_ids, app_id)
    for app_id in gone:
        del app_ids[bisect_left(app_ids, app_id)]
