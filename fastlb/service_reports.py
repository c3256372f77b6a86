"""The services of one app, one by one: how each can be reached, or the one reason why it cannot.

    Subject, its tasks --services_of with a task that always counts--> ServiceReport(s)

Pure. Which services there could be is asked of `services`, so that no rule is decided twice; which of them are exposed
is what the document says. Of several reasons the first one counts, in the order in which deciding meets them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from fastlb.desired import is_taken
from fastlb.errors import AppError
from fastlb.explanation import Reason, ServiceReport
from fastlb.masking import masked
from fastlb.model import Task
from fastlb.services import Surroundings, services_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastlb.decision import Decider
    from fastlb.explanation import ReasonKind
    from fastlb.fragments import Fragment
    from fastlb.model import App, Note, Rules, Service

SHOWN_REASONS = 3
UDP = "it speaks UDP only, which HAProxy does not balance"


class Subject(NamedTuple):
    """The app to explain, in the form in use, as HAProxy knows it, with its service ports.

    ``blocked`` is why none of it is exposed, None if some may be.
    """

    app: App
    hap_id: str
    ports: Sequence[int | None]
    blocked: Reason | None


class Placed(NamedTuple):
    """One task: service index and address:port of every server that it is, or why it is ``out``."""

    task: Task
    out: str
    places: tuple[tuple[int, str], ...]


class Possible(NamedTuple):
    """The services that an app would have if all its tasks counted, by index; why not others: by port, or all."""

    services: dict[int, Service]
    unusable: dict[int | None, str]
    spoilt: str


def service_reports(subject: Subject, placed: Sequence[Placed], decider: Decider) -> list[ServiceReport]:
    """Report on every service port of the app."""
    possible = _possible(subject, decider.rules)
    written = {each.service.port_index: each for each in decider.document.part(subject.hap_id).written}
    reports = []
    for index, port in enumerate(subject.ports):
        service, own = possible.services.get(index), written.get(index)
        if service is None:
            reports.append(_unusable(index, port, subject.blocked or _why_unusable(index, subject, possible)))
        elif own is not None and own.service.backend == service.backend and subject.blocked is None:
            reports.append(_report(port, own.service, subject, decider, fragment=own.fragment))
        else:
            why = subject.blocked or _why_not(service, subject, placed, decider)
            reports.append(_report(port, service._replace(servers=()), subject, decider, why=why))
    return reports


def _possible(subject: Subject, rules: Rules) -> Possible:
    task = Task("", "127.0.0.1", None, (1,) * len(subject.ports), None, alive=True)
    app = subject.app._replace(mode="host", tasks=(task,))
    try:
        services, notes = services_of(app, replace(rules, groups=("*",)), subject.ports, Surroundings())
    except AppError as error:
        return Possible({}, {}, str(error))
    return Possible({each.port_index: each for each in services}, {note.port: note.text for note in notes}, "")


def _why_unusable(index: int, subject: Subject, possible: Possible) -> Reason:
    port = subject.ports[index]
    if possible.spoilt:
        return Reason("label", possible.spoilt)
    if port is None:
        return Reason("no port", "no port is left in the range that apps without service ports are assigned from")
    if port in possible.unusable:
        return Reason("udp", UDP) if index in subject.app.udp_only else Reason("label", possible.unusable[port])
    return Reason("replaced", f"a later service of the app has the same service port {port} and takes its place")


def _why_not(service: Service, subject: Subject, placed: Sequence[Placed], decider: Decider) -> Reason:
    """Return the first thing that keeps a service that can be used from being written."""
    rules, options = decider.rules, service.options
    if not is_taken(service, rules):
        groups = f"its groups are {', '.join(map(repr, service.groups))}" if service.groups else "it is in no group"
        return Reason("group", f"{groups}, and --group takes {', '.join(rules.groups)}")
    if not options.enabled:
        label = f"HAPROXY_{service.port_index}_ENABLED"
        value = subject.app.labels.get(label)
        said = f"--strict-mode needs label {label}: true, and there is no such label"
        return Reason("disabled", said if value is None else f"label {label} is {value!r}, which does not enable it")
    if not any(index == service.port_index for each in placed for index, _ in each.places):
        return _without_servers(subject.app, placed)
    sources: tuple[tuple[ReasonKind, Sequence[Note]], ...] = (
        ("own port", decider.desired.notes_of(subject.hap_id)),
        ("template", decider.document.part(subject.hap_id).notes),
    )
    for kind, notes in sources:
        for note in notes:
            if note.port == service.port and note.left_out:
                return Reason(note.cause or kind, note.text)
    return Reason("waiting", "it was not decided about yet")


def _without_servers(app: App, placed: Sequence[Placed]) -> Reason:
    if not placed:
        scaled = " and is scaled to 0 instances" if app.instances == 0 else ""
        return Reason("no task", f"the app has no tasks{scaled}")
    reasons = Counter(each.out or "it has no port for this service" for each in placed).most_common()
    said = "; ".join(f"{count} because {reason}" for reason, count in reasons[:SHOWN_REASONS])
    more = f"; and {len(reasons) - SHOWN_REASONS} more reasons" if len(reasons) > SHOWN_REASONS else ""
    return Reason("no server", f"none of the app's {len(placed)} task(s) takes requests for it: {said}{more}")


def _unusable(index: int, port: int | None, why: Reason) -> ServiceReport:
    return ServiceReport(index, port, port, False, why, (), "", (), None, "", None, "", 0, 0, ())


def _report(
    declared_port: int | None,
    service: Service,
    subject: Subject,
    decider: Decider,
    *,
    why: Reason | None = None,
    fragment: Fragment | None = None,
) -> ServiceReport:
    options = service.options
    routed = fragment is not None and (fragment.appid or fragment.app_entry)
    return ServiceReport(
        index=service.port_index,
        declared_port=declared_port,
        port=service.port,
        exposed=fragment is not None,
        why_not=why,
        remarks=tuple(_remarks(service, subject, decider)) if fragment is not None else (),
        mode=service.mode,
        vhosts=tuple(options.vhost.split(",")) if options.vhost else (),
        path=options.path or None,
        bind=f"{options.bind_address}:{service.port}",
        app_id=service.app_id if routed else None,
        backend=service.backend,
        servers=len(service.servers),
        draining=sum(server.draining for server in service.servers),
        written=tuple(_texts(fragment)) if fragment is not None else (),
    )


def _remarks(service: Service, subject: Subject, decider: Decider) -> Iterator[str]:
    """Yield what is odd about a service that is exposed."""
    if service.options.vhost and decider.rules.dont_bind_http_https:
        yield "its vhosts lead nowhere: --dont-bind-http-https leaves out the frontends that know them"
    others = [app_id for app_id in decider.desired.sharing(service) if app_id != subject.hap_id]
    if others:
        yield f"it shares its service port with {', '.join(others)}; HAProxy mixes their traffic"
    for note in (*decider.desired.notes_of(subject.hap_id), *decider.document.part(subject.hap_id).notes):
        if note.port == service.port and not note.left_out:
            yield note.text


def _texts(fragment: Fragment) -> Iterator[tuple[str, str]]:
    """Yield what is written of a service, by the part of the document or the map that it stands in."""
    vhost = fragment.vhost
    hosts = ((f"https frontend of {entry.host}", text) for entry in vhost.hosts for _, text in entry.texts)
    app_entries = (fragment.app_entry,) if fragment.app_entry is not None else ()
    every = (
        ("userlists", fragment.userlist),
        ("http frontend", vhost.http),
        ("https frontend", vhost.https),
        *hosts,
        ("app-id frontend", fragment.appid),
        ("frontend of its port", fragment.frontend),
        ("backend", fragment.backend + fragment.servers),
        ("map of vhosts", "".join(f"{host} {backend}\n" for host, backend in vhost.domains)),
        ("map of app ids", "".join(f"{app_id} {backend}\n" for app_id, backend in app_entries)),
    )
    return ((place, masked(text)) for place, text in every if text)
