"""The services of one app to their fragments, and parts of all apps to a Rendering: configuration and maps.

    services of an app --fragments (memoized)--> Part;  parts, in order --layout--> configuration, domain map, app map

Rendering is deterministic. What was rendered before for the same app only ever saves work: a service that is equal, at
an equal place, keeps its fragment, and a part of which nothing changed stays the same object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import TYPE_CHECKING, NamedTuple

from fastlb import kernel
from fastlb.errors import ServiceError, TemplateError, bug
from fastlb.fragments import Fragment, FragmentWriter
from fastlb.layout import Section, Written, apps_of_lines, sections_of
from fastlb.model import Note
from fastlb.vhosts import FirstUse, VhostRules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastlb.desired import DesiredState
    from fastlb.limits import Limits
    from fastlb.model import Rules, Service
    from fastlb.templates import Catalogue

    Entry = tuple[str, str]


class MapRules(NamedTuple):
    """For each kind of map rule: is one still to be written, or is one needed."""

    http: bool = False
    https: bool = False
    appid: bool = False


NO_RULES = MapRules()
WITHOUT_RULES = FirstUse(*NO_RULES, of_app=False), FirstUse(*NO_RULES, of_app=True)


class Part(NamedTuple):
    """What one app contributes to the document.

    ``services`` are those that were to be written, ``written`` those that could be, in service order; ``notes`` say why
    others could not be; ``needs`` are the map rules that serve it, whoever writes them; ``domains`` and ``app_ids`` are
    its entries of the maps, in their order; it has so many ``servers``, ``checked`` of them with a health check. The
    connections of its backends that are ``dear`` shall be kept longest (label KEEP_CONNECTIONS).
    """

    services: tuple[Service, ...]
    written: tuple[Written, ...]
    notes: tuple[Note, ...]
    needs: MapRules
    domains: tuple[Entry, ...]
    app_ids: tuple[Entry, ...]
    checked: int
    servers: int
    dear: tuple[str, ...]


EMPTY = Part((), (), (), NO_RULES, (), (), 0, 0, ())

EVERY_NEED = tuple(MapRules._make(bool(bits >> place & 1) for place in range(3)) for bits in range(8))
KINDS = Part, Written, Fragment, VhostRules, WITHOUT_RULES, EVERY_NEED
"""What `kernel.plain_part` makes parts of."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What HAProxy is to be given, and what was left out on the way.

    ``services`` are those that were written; ``warning`` says that the wanted ``maxconn`` does not fit. Two renderings
    are the same for HAProxy if their `texts` are.
    """

    config: str
    domain_map: str
    app_map: str
    services: tuple[Service, ...]
    notes: tuple[Note, ...]
    warning: str | None
    sections: tuple[Section, ...] = field(repr=False)

    @property
    def head(self) -> str:
        """Return the head of the document."""
        return self.sections[0].texts[0]

    @property
    def texts(self) -> tuple[str, str, str]:
        """Return all that HAProxy reads."""
        return self.config, self.domain_map, self.app_map

    def apps_of_lines(self, lines: Iterable[int]) -> set[str]:
        """Return the apps that wrote the given lines of ``config``, counted from 1; shared lines name nobody."""
        return apps_of_lines(self.sections, lines)


class Renderer:
    """Renders with one set of templates and rules."""

    def __init__(self, catalogue: Catalogue, rules: Rules, limits: Limits) -> None:
        self._catalogue = catalogue
        self._rules = rules
        self._writer = FragmentWriter(catalogue, rules)
        self._limits = limits
        self.rendered_fragments = 0
        """How many fragments were made so far; the others were remembered."""
        self.known_fragments = 0
        """How many fragments were asked for and remembered so far."""
        self.joined_documents = 0
        """How many documents were joined so far."""

    @property
    def uses_maps(self) -> bool:
        """Whether map rules route hosts and app ids, so that the first services that need one write it."""
        return self._rules.haproxy_map

    def part(self, services: tuple[Service, ...], before: Part = EMPTY, to_write: MapRules = NO_RULES) -> Part:
        """Return the part of one app. A service whose templates cannot be filled in is left out with a note.

        Args:
            services: those of the app, in service order.
            before: what this app contributed before, with the same or with other rules to write.
            to_write: the map rules that no service before these has written.

        """
        if before is EMPTY and to_write is NO_RULES:
            plain: Part | None = kernel.plain_part(services, self._writer.plain, KINDS)
            if plain is not None:
                self.rendered_fragments += len(services)
                return plain
        known = {each.service.backend: each for each in before.written} if before.written else {}
        written: list[Written] = []
        notes: list[Note] = []
        first_of_app, left = True, to_write
        for service in services:
            first_use = WITHOUT_RULES[first_of_app] if left is NO_RULES else FirstUse(*left, first_of_app)
            each = self._write(service, first_use, known.get(service.backend))
            if isinstance(each, str):
                notes.append(Note(service.app_id, each, service.port, mistake=True))
                continue
            written.append(each)
            if each.fragment.remarks:
                notes += [Note(service.app_id, text, service.port, left_out=False) for text in each.fragment.remarks]
            first_of_app = first_of_app and service.mode != "http"
            left = left if left is NO_RULES else left_to_write(left, _needs_of([each.fragment]))
        return _unless_equal(_part_of(services, written, notes), before)

    def render(self, desired: DesiredState) -> Rendering:
        """Render a whole desired state from scratch."""
        to_write = MapRules(*(self.uses_maps,) * 3)
        parts = []
        for _, services in groupby(desired.services, key=lambda service: service.app_id):
            parts.append(self.part(tuple(services), to_write=to_write))
            to_write = left_to_write(to_write, parts[-1].needs)
        listening = sum(len(part.written) for part in parts)
        checked = sum(part.checked for part in parts)
        return self.join(
            parts, listening, checked, [*desired.notes, *chain.from_iterable(part.notes for part in parts)]
        )

    def join(self, parts: Sequence[Part], listening: int, checked: int, notes: Iterable[Note]) -> Rendering:
        """Join parts, in service order: the whole document (COMPAT.md 6.1) and both maps (6.11).

        ``listening`` services were written with ``checked`` servers.
        """
        self.joined_documents += 1
        written = [each for part in parts for each in part.written]
        head = self._catalogue.head(self.head_values(listening, checked))
        sections = tuple(sections_of(head, written, self._catalogue, self._rules))
        domains = dict.fromkeys(chain.from_iterable([part.domains for part in parts]))
        apps = dict.fromkeys(chain.from_iterable([part.app_ids for part in parts]))
        return Rendering(
            config="".join(chain.from_iterable([section.texts for section in sections])),
            domain_map=kernel.map_text(list(domains)),
            app_map=kernel.map_text(list(apps)),
            services=tuple([each.service for each in written]),
            notes=tuple(notes),
            warning=self.warning(listening, checked),
            sections=sections,
        )

    def warning(self, listening: int, checked: int) -> str | None:
        """Return a sentence if the wanted ``maxconn`` does not fit a document of this size."""
        return self._limits.warning(self._listeners(listening), checked)

    def head_values(self, listening: int, checked: int) -> Mapping[str, int | bool]:
        """Return what in the head depends on the size of the document."""
        return self._limits.head_values(self._listeners(listening), checked)

    def _listeners(self, listening: int) -> int:
        return listening * (3 if self._rules.group_https_by_vhost else 1)

    def _write(self, service: Service, first_use: FirstUse, known: Written | None) -> Written | str:
        """Return the service with its fragment, or why it cannot be written."""
        if known is not None and known.first_use == first_use and known.service == service:
            self.known_fragments += 1
            return known
        self.rendered_fragments += 1
        try:
            return Written(service, first_use, self._writer.write(service, first_use))
        except (ServiceError, TemplateError) as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - one service must never cost the others anything
            return bug(error)


def _part_of(services: tuple[Service, ...], written: list[Written], notes: list[Note]) -> Part:
    fragments = [each.fragment for each in written]
    return Part(
        services,
        tuple(written),
        tuple(notes),
        needs=_needs_of(fragments),
        domains=tuple([entry for fragment in fragments for entry in fragment.vhost.domains]),
        app_ids=tuple([fragment.app_entry for fragment in fragments if fragment.app_entry is not None]),
        checked=sum([fragment.checked for fragment in fragments]),
        servers=sum([len(each.service.servers) for each in written]),
        dear=tuple([each.service.backend for each in written if each.service.options.keep_connections]),
    )


def _needs_of(fragments: list[Fragment]) -> MapRules:
    if len(fragments) != 1:
        return MapRules(*map(any, zip(*map(_needs_of_one, fragments), strict=True))) if fragments else NO_RULES
    return _needs_of_one(fragments[0])


def _needs_of_one(fragment: Fragment) -> MapRules:
    vhost = fragment.vhost
    return MapRules(vhost.needs_http_map, vhost.needs_https_map, fragment.app_entry is not None)


def left_to_write(to_write: MapRules, needed: MapRules) -> MapRules:
    """Return what is still to be written after services that needed these rules, and therefore wrote them."""
    if to_write == NO_RULES:
        return NO_RULES
    return MapRules(*(left and not need for left, need in zip(to_write, needed, strict=True)))


def _unless_equal(part: Part, before: Part) -> Part:
    """Return ``before`` if ``part`` is the same, so that it is known again without a look inside."""
    if before is EMPTY:
        return part
    same = part.notes == before.notes and len(part.written) == len(before.written) == len(part.services)
    if same and all(one is other for one, other in zip(part.written, before.written, strict=True)):
        return before
    return part
