"""The order of the document's sections, and whose line is whose (COMPAT.md 6.1, 6.9).

    head, written services --sections--> texts in order, each with the service that it belongs to

Pure; called when the document is joined, which is seldom: a change that HAProxy takes while it runs needs no document.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import TYPE_CHECKING, NamedTuple

from fastlb import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fastlb.fragments import Fragment
    from fastlb.model import Rules, Service
    from fastlb.templates import Catalogue
    from fastlb.vhosts import FirstUse


class Written(NamedTuple):
    """A service with its place among those of its app and its fragment."""

    service: Service
    first_use: FirstUse
    fragment: Fragment


class Section(NamedTuple):
    """A run of the document: texts in order, and the services that they belong to (None: nobody's), `each` so many."""

    texts: list[str]
    owners: Sequence[Written] | None
    each: int = 1

    def app_of(self, position: int) -> str | None:
        """Return the app that a text belongs to."""
        return None if self.owners is None else self.owners[position // self.each].service.app_id


def sections_of(head: str, written: list[Written], catalogue: Catalogue, rules: Rules) -> Iterator[Section]:
    """Yield the document, in the order of COMPAT.md 6.1."""
    shared_ports = not rules.dont_bind_http_https
    by_rank = _by_rank(written)
    fragments = [each.fragment for each in written]
    vhosts = [each.fragment.vhost for each in by_rank]
    yield Section([head], None)
    yield Section([fragment.userlist for fragment in fragments], written)
    if shared_ports:
        yield _shared(catalogue, "HTTP_FRONTEND_HEAD")
        yield Section([vhost.http for vhost in vhosts], by_rank)
    yield _shared(catalogue, "HTTP_FRONTEND_APPID_HEAD")
    yield Section([fragment.appid for fragment in fragments], written)
    if shared_ports and rules.group_https_by_vhost:
        yield from _grouped_https(written, catalogue, rules)
    elif shared_ports:
        yield _shared(catalogue, "HTTPS_FRONTEND_HEAD", sslCerts=_certificates(rules.ssl_certs))
        yield Section([vhost.https for vhost in vhosts], by_rank)
    yield Section([fragment.frontend for fragment in fragments], written)
    yield Section([text for fragment in fragments for text in (fragment.backend, fragment.servers)], written, each=2)


def _by_rank(written: list[Written]) -> list[Written]:
    """Return the services with larger ranks first, those of equal rank in service order."""
    ranks: dict[int, list[Written]] = {}
    for each in written:
        ranks.setdefault(each.fragment.vhost.rank, []).append(each)
    return [each for rank in sorted(ranks, reverse=True) for each in ranks[rank]]


def apps_of_lines(sections: Iterable[Section], lines: Iterable[int]) -> set[str]:
    """Return the apps that wrote the given lines of the document, counted from 1; shared lines name nobody."""
    pieces = [
        (text, section.app_of(position)) for section in sections for position, text in enumerate(section.texts) if text
    ]
    starts = list(accumulate((text.count("\n") for text, _ in pieces), initial=1))
    owners = (pieces[bisect_right(starts, line) - 1][1] for line in lines if 1 <= line < starts[-1])
    return {app_id for app_id in owners if app_id is not None}


@dataclass(slots=True)
class _Host:
    """What the services together say about one host of the grouped https part."""

    texts: list[tuple[int, str, Written]] = field(default_factory=list)
    certificates: set[str] = field(default_factory=set)
    bind_options: set[str] = field(default_factory=set)


def _grouped_https(written: list[Written], catalogue: Catalogue, rules: Rules) -> Iterator[Section]:
    """Yield the https part with a frontend of its own per host (COMPAT.md 6.9)."""
    table: dict[str, _Host] = {}
    for each in written:
        for entry in each.fragment.vhost.hosts:
            host = table.setdefault(entry.host, _Host())
            host.texts += [(rank, text, each) for rank, text in entry.texts]
            host.certificates.update(entry.certificates)
            host.bind_options.update(entry.bind_options)
    yield _shared(catalogue, "HTTPS_GROUPED_FRONTEND_HEAD")
    for name in sorted(table):
        yield _shared(catalogue, "HTTPS_GROUPED_VHOST_FRONTEND_ACL", backend=kernel.clean(name), host=name)
    yield from chain.from_iterable(_grouped_host(name, host, catalogue, rules) for name, host in sorted(table.items()))


def _grouped_host(name: str, host: _Host, catalogue: Catalogue, rules: Rules) -> Iterator[Section]:
    cleaned, certificates = kernel.clean(name), host.certificates or rules.ssl_certs
    yield _shared(catalogue, "HTTPS_GROUPED_VHOST_BACKEND_HEAD", name=cleaned)
    yield _shared(
        catalogue,
        "HTTPS_GROUPED_VHOST_FRONTEND_HEAD",
        name=cleaned,
        sslCerts=_certificates(sorted(set(certificates))),
        bindOpts=" ".join(f" {options}" for options in sorted(host.bind_options)),
    )
    ranked = sorted(host.texts, key=lambda each: -each[0])
    yield Section([text for _, text, _ in ranked], [each for _, _, each in ranked])


def _shared(catalogue: Catalogue, template: str, **values: str) -> Section:
    return Section([catalogue.fill(template, {}, values)], None)


def _certificates(paths: Iterable[str]) -> str:
    return " ".join(f"crt {path}" for path in paths)
