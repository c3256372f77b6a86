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
    """A run of the document: texts in order, and the services that they belong to (None: nobody's)."""

    texts: list[str]
    owners: Sequence[Written] | None


def sections_of(head: str, written: list[Written], catalogue: Catalogue, rules: Rules) -> Iterator[Section]:
    """Yield the document, in the order of COMPAT.md 6.1."""
    shared_ports = not rules.dont_bind_http_https
    by_rank = sorted(written, key=lambda each: -each.fragment.vhost.rank)
    yield Section([head], None)
    yield Section([each.fragment.userlist for each in written], written)
    if shared_ports:
        yield _shared(catalogue, "HTTP_FRONTEND_HEAD")
        yield Section([each.fragment.vhost.http for each in by_rank], by_rank)
    yield _shared(catalogue, "HTTP_FRONTEND_APPID_HEAD")
    yield Section([each.fragment.appid for each in written], written)
    if shared_ports and rules.group_https_by_vhost:
        yield from _grouped_https(written, catalogue, rules)
    elif shared_ports:
        yield _shared(catalogue, "HTTPS_FRONTEND_HEAD", sslCerts=_certificates(rules.ssl_certs))
        yield Section([each.fragment.vhost.https for each in by_rank], by_rank)
    yield Section([each.fragment.frontend for each in written], written)
    backends = [text for each in written for text in (each.fragment.backend, each.fragment.servers)]
    yield Section(backends, [each for each in written for _ in range(2)])


def apps_of_lines(sections: Iterable[Section], lines: Iterable[int]) -> set[str]:
    """Return the apps that wrote the given lines of the document, counted from 1; shared lines name nobody."""
    pieces = [
        (text, None if section.owners is None else section.owners[position].service.app_id)
        for section in sections
        for position, text in enumerate(section.texts)
        if text
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
