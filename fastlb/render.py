"""A DesiredState to a Rendering: the whole configuration, both maps, and whose line is whose.

    services --in service order--> fragments (memoized) --join--> document, domain map, app map

The order of parts is that of COMPAT.md 6.1. Rendering is deterministic; the memo only ever saves work: its entries
hold every input that can differ between two calls of one Renderer (the service itself and its `FirstUse`), and entries
that a full pass did not use are dropped.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate, chain
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
        self._memo: dict[tuple[str, int, str], _Written] = {}
        self.memo_hits = 0
        self.memo_misses = 0

    def render(self, desired: DesiredState) -> Rendering:
        """Render the whole document. Services whose templates cannot be filled in are left out with a note."""
        written: list[_Written] = []
        notes = list(desired.notes)
        memo = {}
        http_map = https_map = appid_map = self._rules.haproxy_map
        seen_apps: set[str] = set()
        for service in desired.services:
            first_use = FirstUse(http_map, https_map, appid_map, service.app_id not in seen_apps)
            try:
                each = self._write(service, first_use)
            except (ServiceError, TemplateError) as error:
                notes.append(Note(service.app_id, str(error), service.port, mistake=True))
                continue
            except Exception as error:  # noqa: BLE001 - one service must never cost the others anything
                notes.append(Note(service.app_id, bug(error), service.port, mistake=True))
                continue
            written.append(each)
            notes += [Note(service.app_id, text, service.port, left_out=False) for text in each.fragment.remarks]
            memo[_key(service)] = each
            http_map = http_map and not each.fragment.vhost.needs_http_map
            https_map = https_map and not each.fragment.vhost.needs_https_map
            appid_map = appid_map and each.fragment.app_entry is None
            if service.mode == "http":
                seen_apps.add(service.app_id)
        self._memo = memo
        return self._join(written, notes)

    def _write(self, service: Service, first_use: FirstUse) -> _Written:
        known = self._memo.get(_key(service))
        if (
            known is not None
            and known.first_use == first_use
            and (known.service is service or known.service == service)
        ):
            self.memo_hits += 1
            return known
        self.memo_misses += 1
        return _written(service, first_use, render_fragment(service, self._catalogue, self._rules, first_use))

    def _join(self, written: list[_Written], notes: list[Note]) -> Rendering:
        listeners = len(written) * (3 if self._rules.group_https_by_vhost else 1)
        checked = sum(each.fragment.checked for each in written)
        head = Piece(self._catalogue.head(self._limits.head_values(listeners, checked)), None)
        pieces = (head, *chain.from_iterable(self._pieces(written)))
        domains = dict.fromkeys(chain.from_iterable(each.fragment.vhost.domains for each in written))
        apps = dict.fromkeys(each.fragment.app_entry for each in written if each.fragment.app_entry is not None)
        return Rendering(
            config="".join([piece.text for piece in pieces]),
            domain_map=kernel.map_text(list(domains)),
            app_map=kernel.map_text(list(apps)),
            services=tuple([each.service for each in written]),
            notes=tuple(notes),
            warning=self._limits.warning(listeners, checked),
            pieces=pieces,
        )

    def _pieces(self, written: list[_Written]) -> Iterator[Iterable[Piece]]:
        """Yield runs of the document after its head, in the order of COMPAT.md 6.1."""
        yield from (each.userlist for each in written)
        by_rank = sorted(written, key=lambda each: -each.fragment.vhost.rank)
        if not self._rules.dont_bind_http_https:
            yield self._global("HTTP_FRONTEND_HEAD")
            yield from (each.http for each in by_rank)
        yield self._global("HTTP_FRONTEND_APPID_HEAD")
        yield from (each.appid for each in written)
        if not self._rules.dont_bind_http_https:
            if self._rules.group_https_by_vhost:
                yield from self._grouped_https(written)
            else:
                yield self._global("HTTPS_FRONTEND_HEAD", sslCerts=_certificates(self._rules.ssl_certs))
                yield from (each.https for each in by_rank)
        yield from (each.frontend for each in written)
        yield from (each.backend for each in written)

    def _grouped_https(self, written: list[_Written]) -> Iterator[Iterable[Piece]]:
        """Yield the https part with a frontend of its own per host (COMPAT.md 6.9)."""
        table: dict[str, _Host] = {}
        for each in written:
            for entry in each.fragment.vhost.hosts:
                host = table.setdefault(entry.host, _Host())
                host.texts += [(rank, _pieces_of(text, each.service)) for rank, text in entry.texts]
                host.certificates.update(entry.certificates)
                host.bind_options.update(entry.bind_options)
        yield self._global("HTTPS_GROUPED_FRONTEND_HEAD")
        for name in sorted(table):
            yield self._global("HTTPS_GROUPED_VHOST_FRONTEND_ACL", backend=kernel.clean(name), host=name)
        for name, host in sorted(table.items()):
            yield from self._grouped_host(kernel.clean(name), host)

    def _grouped_host(self, cleaned: str, host: _Host) -> Iterator[Iterable[Piece]]:
        certificates = host.certificates or self._rules.ssl_certs
        yield self._global("HTTPS_GROUPED_VHOST_BACKEND_HEAD", name=cleaned)
        yield self._global(
            "HTTPS_GROUPED_VHOST_FRONTEND_HEAD",
            name=cleaned,
            sslCerts=_certificates(sorted(set(certificates))),
            bindOpts=" ".join(f" {options}" for options in sorted(host.bind_options)),
        )
        yield from (pieces for _, pieces in sorted(host.texts, key=lambda each: -each[0]))

    def _global(self, template: str, **values: str) -> tuple[Piece, ...]:
        text = self._catalogue.fill(template, {}, values)
        return (Piece(text, None),) if text else ()


class _Written(NamedTuple):
    """A service with everything that its text was made from, and its pieces for each part of the document."""

    service: Service
    first_use: FirstUse
    fragment: Fragment
    userlist: tuple[Piece, ...]
    http: tuple[Piece, ...]
    appid: tuple[Piece, ...]
    https: tuple[Piece, ...]
    frontend: tuple[Piece, ...]
    backend: tuple[Piece, ...]


def _written(service: Service, first_use: FirstUse, fragment: Fragment) -> _Written:
    vhost = fragment.vhost
    backend = fragment.backend + fragment.servers
    texts = (fragment.userlist, vhost.http, fragment.appid, vhost.https, fragment.frontend, backend)
    return _Written(service, first_use, fragment, *(_pieces_of(text, service) for text in texts))


def _pieces_of(text: str, service: Service) -> tuple[Piece, ...]:
    """Return ``text`` as a piece of the document; no text is no piece."""
    return (Piece(text, service.app_id),) if text else ()


@dataclass(slots=True)
class _Host:
    """What the services together say about one host of the grouped https part."""

    texts: list[tuple[int, tuple[Piece, ...]]] = field(default_factory=list)
    certificates: set[str] = field(default_factory=set)
    bind_options: set[str] = field(default_factory=set)


def _key(service: Service) -> tuple[str, int, str]:
    return service.app_id, service.port_index, service.backend


def _certificates(paths: Iterable[str]) -> str:
    return " ".join(f"crt {path}" for path in paths)
