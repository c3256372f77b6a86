"""A DesiredState to a Rendering: the whole configuration, both maps, and whose line is whose.

    services --in service order--> fragments (memoized) --join--> document, domain map, app map

The order of parts is that of COMPAT.md 6.1. Rendering is deterministic; the memo only ever saves work: its entries
hold every input that can differ between two calls of one Renderer (the service itself and its `FirstUse`), and entries
that a full pass did not use are dropped.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from fastlb import kernel
from fastlb.errors import ServiceError, TemplateError, bug
from fastlb.fragments import Fragment, render_fragment
from fastlb.model import Note
from fastlb.vhosts import FirstUse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastlb.desired import DesiredState
    from fastlb.limits import Limits
    from fastlb.model import Rules, Service
    from fastlb.templates import Catalogue


class Piece(NamedTuple):
    """A run of text in the document and the app that it belongs to (None: nobody's)."""

    text: str
    app_id: str | None


@dataclass(frozen=True, slots=True)
class Rendering:
    """What HAProxy is to be given, and what was left out on the way.

    ``services`` are those that were written; ``warning`` says that the wanted ``maxconn`` does not fit. Two renderings
    are the same for HAProxy if their ``config`` and maps are.
    """

    config: str
    domain_map: str
    app_map: str
    services: tuple[Service, ...]
    notes: tuple[Note, ...]
    warning: str | None
    pieces: tuple[Piece, ...] = field(repr=False)

    def apps_of_lines(self, lines: Iterable[int]) -> set[str]:
        """Return the apps that wrote the given lines of ``config``, counted from 1; shared lines name nobody."""
        starts = list(accumulate((piece.text.count("\n") for piece in self.pieces), initial=1))
        owners = (self.pieces[bisect_right(starts, line) - 1].app_id for line in lines if 1 <= line < starts[-1])
        return {app_id for app_id in owners if app_id is not None}


class Renderer:
    """Renders one desired state after another with the same templates and rules."""

    def __init__(self, catalogue: Catalogue, rules: Rules, limits: Limits) -> None:
        self._catalogue = catalogue
        self._rules = rules
        self._limits = limits
        self._memo: dict[tuple[str, int, str], tuple[Service, FirstUse, Fragment]] = {}
        self.memo_hits = 0
        self.memo_misses = 0

    def render(self, desired: DesiredState) -> Rendering:
        """Render the whole document. Services whose templates cannot be filled in are left out with a note."""
        written: list[tuple[Service, Fragment]] = []
        notes = list(desired.notes)
        memo = {}
        http_map = https_map = appid_map = self._rules.haproxy_map
        seen_apps: set[str] = set()
        for service in desired.services:
            first_use = FirstUse(http_map, https_map, appid_map, service.app_id not in seen_apps)
            try:
                fragment = self._fragment(service, first_use)
            except (ServiceError, TemplateError) as error:
                notes.append(Note(service.app_id, str(error), service.port, mistake=True))
                continue
            except Exception as error:  # noqa: BLE001 - one service must never cost the others anything
                notes.append(Note(service.app_id, bug(error), service.port, mistake=True))
                continue
            written.append((service, fragment))
            memo[_key(service)] = (service, first_use, fragment)
            http_map = http_map and not fragment.vhost.wrote_http_map
            https_map = https_map and not fragment.vhost.wrote_https_map
            appid_map = appid_map and fragment.app_entry is None
            if service.mode == "http":
                seen_apps.add(service.app_id)
        self._memo = memo
        return self._join(written, notes)

    def _fragment(self, service: Service, first_use: FirstUse) -> Fragment:
        known = self._memo.get(_key(service))
        if known is not None and known[1] == first_use and (known[0] is service or known[0] == service):
            self.memo_hits += 1
            return known[2]
        self.memo_misses += 1
        return render_fragment(service, self._catalogue, self._rules, first_use)

    def _join(self, written: list[tuple[Service, Fragment]], notes: list[Note]) -> Rendering:
        listeners = len(written) * (3 if self._rules.group_https_by_vhost else 1)
        checked = sum(fragment.checked for _, fragment in written)
        head = Piece(self._catalogue.head(self._limits.head_values(listeners, checked)), None)
        pieces = tuple(piece for piece in (head, *self._pieces(written)) if piece.text)
        domains = dict.fromkeys(pair for _, fragment in written for pair in fragment.vhost.domains)
        apps = dict.fromkeys(fragment.app_entry for _, fragment in written if fragment.app_entry is not None)
        return Rendering(
            config="".join(piece.text for piece in pieces),
            domain_map=kernel.map_text(list(domains)),
            app_map=kernel.map_text(list(apps)),
            services=tuple(service for service, _ in written),
            notes=tuple(notes),
            warning=self._limits.warning(listeners, checked),
            pieces=pieces,
        )

    def _pieces(self, written: list[tuple[Service, Fragment]]) -> Iterator[Piece]:
        """Yield the document after its head, in the order of COMPAT.md 6.1."""
        yield from (Piece(fragment.userlist, service.app_id) for service, fragment in written)
        by_rank = sorted(written, key=lambda each: -each[1].vhost.rank)
        if not self._rules.dont_bind_http_https:
            yield self._global("HTTP_FRONTEND_HEAD")
            yield from (Piece(fragment.vhost.http, service.app_id) for service, fragment in by_rank)
        yield self._global("HTTP_FRONTEND_APPID_HEAD")
        yield from (Piece(fragment.appid, service.app_id) for service, fragment in written)
        if not self._rules.dont_bind_http_https:
            if self._rules.group_https_by_vhost:
                yield from self._grouped_https(written)
            else:
                yield self._global("HTTPS_FRONTEND_HEAD", sslCerts=_certificates(self._rules.ssl_certs))
                yield from (Piece(fragment.vhost.https, service.app_id) for service, fragment in by_rank)
        yield from (Piece(fragment.frontend, service.app_id) for service, fragment in written)
        yield from (Piece(fragment.backend, service.app_id) for service, fragment in written)

    def _grouped_https(self, written: list[tuple[Service, Fragment]]) -> Iterator[Piece]:
        """Yield the https part with a frontend of its own per host (COMPAT.md 6.9)."""
        table: dict[str, _Host] = {}
        for service, fragment in written:
            for entry in fragment.vhost.hosts:
                host = table.setdefault(entry.host, _Host())
                host.texts += [(rank, Piece(text, service.app_id)) for rank, text in entry.texts]
                host.certificates.update(entry.certificates)
                host.bind_options.update(entry.bind_options)
        yield self._global("HTTPS_GROUPED_FRONTEND_HEAD")
        for name in sorted(table):
            yield self._global("HTTPS_GROUPED_VHOST_FRONTEND_ACL", backend=kernel.clean(name), host=name)
        for name, host in sorted(table.items()):
            yield from self._grouped_host(kernel.clean(name), host)

    def _grouped_host(self, cleaned: str, host: _Host) -> Iterator[Piece]:
        certificates = host.certificates or self._rules.ssl_certs
        yield self._global("HTTPS_GROUPED_VHOST_BACKEND_HEAD", name=cleaned)
        yield self._global(
            "HTTPS_GROUPED_VHOST_FRONTEND_HEAD",
            name=cleaned,
            sslCerts=_certificates(sorted(set(certificates))),
            bindOpts=" ".join(f" {options}" for options in sorted(host.bind_options)),
        )
        yield from (piece for _, piece in sorted(host.texts, key=lambda each: -each[0]))

    def _global(self, template: str, **values: str) -> Piece:
        return Piece(self._catalogue.fill(template, {}, values), None)


@dataclass(slots=True)
class _Host:
    """What the services together say about one host of the grouped https part."""

    texts: list[tuple[int, Piece]] = field(default_factory=list)
    certificates: set[str] = field(default_factory=set)
    bind_options: set[str] = field(default_factory=set)


def _key(service: Service) -> tuple[str, int, str]:
    return service.app_id, service.index, service.backend


def _certificates(paths: Iterable[str]) -> str:
    return " ".join(f"crt {path}" for path in paths)
