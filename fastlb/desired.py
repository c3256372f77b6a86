"""All that crosses apps, decided once: which services are written, in which order (COMPAT.md 3.10, 3.11, 6.2).

    apps --deployment--> processed apps --ports, services--> all services --filter, sort--> DesiredState

What one service has to know of others (assigned ports, the health check port of a sibling, clashes of ports) is
settled here, so that rendering a service needs nothing but that service.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastlb.deployment import merge_groups
from fastlb.errors import AppError, bug
from fastlb.model import App, Note, Rules, Service
from fastlb.ports import PortAssigner
from fastlb.services import ServiceMemo, Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EVERY_ADDRESS = frozenset({"*", "", "0.0.0.0", "::"})  # noqa: S104 - compared with, never bound


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What should run: the services to write, in service order, and what is to be said about others."""

    services: tuple[Service, ...]
    notes: tuple[Note, ...]


def desired_state(
    apps: Iterable[App], rules: Rules, surroundings: Surroundings | None = None, memo: ServiceMemo | None = None
) -> DesiredState:
    """Decide what should run, given every app that Marathon knows, in Marathon's order.

    ``memo``, made for the same rules, saves looking again into apps that have not changed since the last call.
    """
    memo, surroundings = memo or ServiceMemo(rules), surroundings or Surroundings()
    processed, notes = merge_groups(apps)
    every: list[Service] = []
    assigner = PortAssigner(rules.min_assigned_port, rules.max_assigned_port) if rules.assigns_ports else None
    for app in processed:
        if app.id[1:] == rules.framework_name:
            continue
        try:
            services, said = memo.services_of(app, _service_ports(app, assigner), surroundings)
        except AppError as error:
            notes.append(Note(app.id, str(error), mistake=True))
            continue
        except Exception as error:  # noqa: BLE001 - one app must never cost the others anything
            notes.append(Note(app.id, bug(error), mistake=True))
            continue
        every += services
        notes += said
    memo.forget_unused()
    wanted = [service for service in every if _wanted(service, rules)]
    free, clashes = _without_own_ports(wanted, rules)
    free.sort(key=lambda service: (service.app_id, service.port))
    placed, strayed = _with_indexed_ports(free, every)
    return DesiredState(tuple(placed), (*notes, *clashes, *strayed, *_shared_ports(placed)))


def _service_ports(app: App, assigner: PortAssigner | None) -> tuple[int | None, ...]:
    """Return the app's service ports; an app with an address per task and none declared is assigned some (3.4)."""
    if app.service_ports or app.mode != "container" or assigner is None or not app.tasks:
        return app.service_ports
    return tuple(assigner.assign(app.id, port) for port in app.discovery_ports or app.container_ports)


def _wanted(service: Service, rules: Rules) -> bool:
    taken = "*" in rules.groups or not set(service.groups).isdisjoint(rules.groups)
    return taken and service.options.enabled


def _without_own_ports(services: Iterable[Service], rules: Rules) -> tuple[list[Service], list[Note]]:
    """Leave out services on a port that HAProxy's own sections bind; two binds of one port would share its traffic."""
    kept, notes = [], []
    for service in services:
        if any(port == service.port and _overlap(address, service) for address, port in rules.own_ports):
            text = "this port is one of HAProxy's own (http, https, app ids or stats)"
            notes.append(Note(service.app_id, text, service.port, mistake=True))
        else:
            kept.append(service)
    return kept, notes


def _overlap(address: str, service: Service) -> bool:
    bound = service.options.bind_address
    return bound in EVERY_ADDRESS or address in EVERY_ADDRESS or bound == address


def _with_indexed_ports(services: Sequence[Service], every: Iterable[Service]) -> tuple[list[Service], list[Note]]:
    """Look up the health check ports that labels point to in sibling services (COMPAT.md 6.6, quirk 3)."""
    pointing = {s.app_id for s in services if s.health_check and s.options.health_port_index is not None}
    siblings: dict[str, list[Service]] = defaultdict(list)
    for service in every:
        if service.app_id in pointing:
            siblings[service.app_id].append(service)
    for family in siblings.values():
        family.sort(key=lambda service: service.port)
    placed, notes = [], []
    for service in services:
        if service.health_check is None or service.options.health_port_index is None:
            placed.append(service)
            continue
        ports, strayed = _indexed_ports(service, siblings[service.app_id])
        placed.append(service._replace(indexed_ports=ports))
        if strayed:
            text = "label BACKEND_HEALTHCHECK_PORT_INDEX points to no server; health checks use the service's own port"
            notes.append(Note(service.app_id, text, service.port, left_out=False))
    return placed, notes


def _indexed_ports(service: Service, family: Sequence[Service]) -> tuple[tuple[int, ...], bool]:
    """Return the port per server position, and whether the label points to something that is not there."""
    own = tuple(server.port for server in service.servers)
    index = service.options.health_port_index
    if index is None or abs(index) > len(family):
        return own, False
    other = [server.port for server in family[index].servers] if index < len(family) else []
    return tuple(other[: len(own)]) + own[len(other) :], len(other) < len(own)


def _shared_ports(services: Iterable[Service]) -> list[Note]:
    """Warn about service ports that several services bind: both are written, their traffic mixes (COMPAT.md 3.6)."""
    owners: dict[tuple[str, int], Service] = {}
    notes = []
    for service in services:
        first = owners.setdefault((service.options.bind_address, service.port), service)
        if first is not service:
            text = f"app {first.app_id} has the same service port; both are written and HAProxy mixes their traffic"
            notes.append(Note(service.app_id, text, service.port, left_out=False))
    return notes
