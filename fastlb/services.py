"""One app to its services and their servers (COMPAT.md 3.6 to 3.9).

Pure: it sees one app, the rules, the ports that the assigner gave it, and what was found out about host names and
earlier health verdicts. A service whose labels cannot be read is left out with a note, the app's other services stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from fastlb import labels
from fastlb.errors import AppError, ServiceError
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

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")


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
    groups = _app_groups(app)
    indexed = labels.by_index(app.labels)
    notes: list[Note] = []
    filed: dict[int, Service] = {}
    for index, port in enumerate(service_ports):
        if port is None:
            notes.append(Note(app.id, f"no port is left in the assigned range for service {index}; left out"))
        elif index in app.udp_only:
            notes.append(Note(app.id, "it speaks UDP only, which HAProxy does not balance; not exposed", port))
        else:
            try:
                filed[port] = _service(app, index, port, groups, indexed.get(index, {}), rules)
            except ServiceError as error:
                notes.append(Note(app.id, str(error), port, mistake=True))
    servers = _servers(app, rules, service_ports, surroundings)
    kept = [_with_servers(service, servers[port]) for port, service in filed.items() if port in servers]
    return kept, notes if may_be_wanted(app, rules) else []


class _Remembered(NamedTuple):
    """The services of one app, and everything that they were made from."""

    app: App
    service_ports: tuple[int | None, ...]
    names: tuple[str, ...]
    addresses: tuple[str | None, ...]
    silent: tuple[str, ...]
    alive: tuple[bool, ...]
    result: tuple[list[Service], list[Note]]


class ServiceMemo:
    """Remembers the services of each app until the app, its ports or its surroundings change.

    For one set of rules. An app that is the same object as before is not looked into. What `forget_unused` finds not
    asked for since the last time is dropped, so that the memory is bounded by the cluster.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._before: dict[str, _Remembered] = {}
        self._now: dict[str, _Remembered] = {}
        self.misses = 0

    def services_of(
        self, app: App, service_ports: tuple[int | None, ...], surroundings: Surroundings
    ) -> tuple[list[Service], list[Note]]:
        """Do what the function `services_of` does, or remember what it did. Raises AppError."""
        known = self._before.get(app.id)
        if known is None or not _still_holds(known, app, service_ports, surroundings):
            self.misses += 1
            known = self._make(app, service_ports, surroundings)
        self._now[app.id] = known
        return known.result

    def forget_unused(self) -> None:
        """End one pass over all apps."""
        self._before, self._now = self._now, {}

    def _make(self, app: App, service_ports: tuple[int | None, ...], surroundings: Surroundings) -> _Remembered:
        names = tuple(sorted(names_to_resolve(app)))
        silent = tuple(task.id for task in app.tasks if task.alive is None) if app.health_checks else ()
        return _Remembered(
            app,
            service_ports,
            names,
            _addresses_of(names, surroundings),
            silent,
            _alive_of(silent, surroundings),
            services_of(app, self._rules, service_ports, surroundings),
        )


def _still_holds(
    known: _Remembered, app: App, service_ports: tuple[int | None, ...], surroundings: Surroundings
) -> bool:
    return (
        (known.app is app or known.app == app)
        and known.service_ports == service_ports
        and known.addresses == _addresses_of(known.names, surroundings)
        and known.alive == _alive_of(known.silent, surroundings)
    )


def _addresses_of(names: tuple[str, ...], surroundings: Surroundings) -> tuple[str | None, ...]:
    return tuple(surroundings.addresses.get(name) for name in names)


def _alive_of(task_ids: tuple[str, ...], surroundings: Surroundings) -> tuple[bool, ...]:
    return tuple(task_id in surroundings.known_alive for task_id in task_ids)


def names_to_resolve(app: App) -> set[str]:
    """Return the host names of the app's tasks that only a resolver can turn into addresses."""
    if app.mode == "container":
        return set()
    return {task.host for task in app.tasks if task.host and not _IPV4.fullmatch(task.host)}


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
    app: App, index: int, port: int, groups: tuple[str, ...], texts: Mapping[str, object], rules: Rules
) -> Service:
    check = _health_check(app, index)
    defaults = ServiceOptions(
        mode="http" if check is not None and check.protocol == "HTTP" else None,
        enabled=not rules.strict_mode,
        bind_address=rules.bind_address,
    )
    options = labels.parse(index, texts, defaults)
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
        servers=(),
    )


def _health_check(app: App, index: int) -> HealthCheck | None:
    """Return the check of port ``index``: the first with a port of its own or with this index (COMPAT.md 3.6)."""
    return next((check for check in app.health_checks if check.port or check.port_index == index), None)


def _servers(
    app: App, rules: Rules, service_ports: Sequence[int | None], surroundings: Surroundings
) -> dict[int, list[Server]]:
    """Pair the ports of the tasks that count with the service ports, position by position (COMPAT.md 3.9)."""
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
    return servers


def _alive(task: Task, known_alive: Container[str]) -> bool:
    return task.id in known_alive if task.alive is None else task.alive


def _address(app: App, task: Task, addresses: Mapping[str, str]) -> str | None:
    if app.mode == "container":
        return task.address
    return task.host if _IPV4.fullmatch(task.host) else addresses.get(task.host)


def _task_ports(app: App, task: Task) -> tuple[int, ...]:
    """Return the ports of a task by networking mode, the first non-empty list of COMPAT.md 3.7."""
    if app.mode == "host":
        return task.ports or app.definition_ports
    if app.mode == "container/bridge":
        return task.ports or app.definition_ports or app.container_ports
    return app.discovery_ports or app.container_ports


def _with_servers(service: Service, servers: list[Server]) -> Service:
    """Put the servers into server order: by host as a text, port, then address and task order (COMPAT.md 6.3)."""
    ordered = tuple(sorted(servers, key=lambda server: (server.host, server.port, server.address)))
    return service._replace(servers=ordered)
