"""One app to its services and their servers (COMPAT.md 3.6 to 3.9).

Pure: it sees one app, the rules, the ports that the assigner gave it, and what was found out about host names and
earlier health verdicts. A service whose labels cannot be read is left out with a note, the app's other services stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from fastlb import kernel
from fastlb.errors import AppError, ServiceError
from fastlb.labels import LABELS, by_index, parse
from fastlb.model import App, HealthCheck, Note, Rules, Server, Service, ServiceOptions, Task

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

SKIPPED_STATES = frozenset(
    """
    TASK_STAGING TASK_STARTING TASK_KILLING TASK_FINISHED TASK_FAILED TASK_KILLED TASK_ERROR TASK_DROPPED TASK_GONE
    TASK_GONE_BY_OPERATOR TASK_UNKNOWN
    """.split()
)
"""Tasks in these states take no requests; unreachable and lost ones still do (COMPAT.md 3.8)."""

HTTP_PROTOCOLS = frozenset({"HTTP", "HTTPS", "MESOS_HTTP", "MESOS_HTTPS"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an app's servers depend on besides the app: addresses of host names, tasks known to be alive."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    known_alive: Container[str] = frozenset()


def services_of(
    app: App, rules: Rules, service_ports: Sequence[int | None], surroundings: Surroundings
) -> tuple[list[Service], list[Note]]:
    """Return the services of ``app`` that have a server, in filing order, and notes about those left out.

    ``service_ports`` are those of COMPAT.md 3.4, None where the assigner had none left. Raises AppError if the app's
    own labels cannot be read.
    """
    return kernel.services_of(app, rules, service_ports, surroundings, LABELS, SKIPPED_STATES, _services_of)


def _services_of(
    app: App, rules: Rules, service_ports: Sequence[int | None], surroundings: Surroundings
) -> tuple[list[Service], list[Note]]:
    groups = _app_groups(app)
    indexed = by_index(app.labels)
    servers = _servers(app, rules, service_ports, surroundings)
    notes: list[Note] = []
    filed: dict[int, Service] = {}
    for index, port in enumerate(service_ports):
        if port is None:
            notes.append(Note(app.id, f"no port is left in the assigned range for service {index}; left out"))
        elif index in app.udp_only:
            notes.append(Note(app.id, "it speaks UDP only, which HAProxy does not balance; not exposed", port))
        else:
            try:
                filed[port] = _service(app, index, port, groups, indexed.get(index, {}), rules, servers.get(port, ()))
            except ServiceError as error:
                notes.append(Note(app.id, str(error), port, mistake=True))
    kept = [service for service in filed.values() if service.servers]
    return kept, notes if notes and may_be_wanted(app, rules) else []


def plain_services(app: App, rules: Rules, surroundings: Surroundings) -> tuple[Service, ...] | None:
    """Return the services to write of an app that has to do with no other, or None where that is not known at once."""
    return kernel.plain_services(app, rules, surroundings, LABELS, SKIPPED_STATES)


def names_to_resolve(app: App) -> set[str]:
    """Return the host names of the app's tasks that only a resolver can turn into addresses."""
    return set() if app.mode == "container" else kernel.host_names(app.tasks)


def _app_groups(app: App) -> tuple[str, ...]:
    value = app.labels.get("HAPROXY_GROUP")
    if value is None:
        return ()
    if not isinstance(value, str):
        raise AppError(f"label HAPROXY_GROUP is {value!r}, a text is needed")
    return tuple(value.split(","))


def may_be_wanted(app: App, rules: Rules) -> bool:
    """Whether a service of this app may be taken, judged by its group labels as they stand."""
    if "*" in rules.groups:
        return True
    named = (str(value) for label, value in app.labels.items() if label.startswith("HAPROXY_") and "GROUP" in label)
    return any(not set(value.split(",")).isdisjoint(rules.groups) for value in named)


def _service(
    app: App,
    index: int,
    port: int,
    groups: tuple[str, ...],
    texts: Mapping[str, object],
    rules: Rules,
    servers: tuple[Server, ...],
) -> Service:
    check = _health_check(app, index)
    by_check = "http" if check is not None and check.protocol == "HTTP" else None
    options = parse(index, texts, _defaults(by_check, not rules.strict_mode, rules.bind_address))
    mode = options.mode
    if check is None and options.health_port_index is not None:
        check = _health_check(app, options.health_port_index)
        if check is not None and check.protocol in HTTP_PROTOCOLS:
            mode = "http"
    if check is not None and check.protocol is None:
        raise ServiceError("its health check has no protocol")
    known_as = port if options.port is None else options.port
    return Service(
        app_id=app.id,
        port_index=index,
        port=known_as,
        backend=f"{app.id[1:].replace('/', '_')}_{known_as}",
        mode=mode if mode is not None else ("http" if options.vhost else "tcp"),
        groups=groups if options.groups is None else options.groups,
        options=options,
        health_check=check,
        servers=servers,
    )


@lru_cache
def _defaults(mode: str | None, enabled: bool, bind_address: str) -> ServiceOptions:
    return ServiceOptions(mode=mode, enabled=enabled, bind_address=bind_address)


def _health_check(app: App, index: int) -> HealthCheck | None:
    """Return the check of port ``index``: the first with a port of its own or with this index (COMPAT.md 3.6)."""
    for check in app.health_checks:
        if check.port or check.port_index == index:
            return check
    return None


def _servers(
    app: App, rules: Rules, service_ports: Sequence[int | None], surroundings: Surroundings
) -> dict[int, tuple[Server, ...]]:
    """Pair the ports of the tasks that count with the service ports, position by position (COMPAT.md 3.9).

    Return the servers by service port, in server order: by host as a text, port, address, task (COMPAT.md 6.3).
    """
    servers: dict[int, list[Server]] = {}
    filters = rules.health_check and bool(app.health_checks)
    for task in app.tasks:
        if not task.host or task.state in SKIPPED_STATES:
            continue
        if filters and not _alive(task, surroundings.known_alive):
            continue
        address = _address(app, task, surroundings.addresses)
        if address is None:
            continue
        for index, (service_port, port) in enumerate(zip(service_ports, _task_ports(app, task), strict=False)):
            if service_port is not None and index not in app.udp_only:
                servers.setdefault(service_port, []).append(Server(task.host, address, port, task.draining))
    return {port: tuple(sorted(found, key=_server_order)) for port, found in servers.items()}


def places_of(app: App, task: Task, addresses: Mapping[str, str]) -> set[tuple[str, int]]:
    """Return where a task of ``app`` listens, for any of its services: address and port."""
    address = _address(app, task, addresses)
    return {(address, port) for port in _task_ports(app, task)} if address is not None else set()


def _server_order(server: Server) -> tuple[str, int, str]:
    return server.host, server.port, server.address


def _alive(task: Task, known_alive: Container[str]) -> bool:
    return task.id in known_alive if task.alive is None else task.alive


def _address(app: App, task: Task, addresses: Mapping[str, str]) -> str | None:
    if app.mode == "container":
        return task.address
    return task.host if kernel.is_ipv4(task.host) else addresses.get(task.host)


def _task_ports(app: App, task: Task) -> tuple[int, ...]:
    """Return the ports of a task by networking mode, the first non-empty list of COMPAT.md 3.7."""
    if app.mode == "host":
        return task.ports or app.definition_ports
    if app.mode == "container/bridge":
        return task.ports or app.definition_ports or app.container_ports
    return app.discovery_ports or app.container_ports
