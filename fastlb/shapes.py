"""The shape of a service: all that decides which templates are written for it, and none of what is written into them.

    service --outline--> Shape --vhosts, blocks--> steps: which templates, in which order, offered which values

The services of a cluster share a few shapes. What follows from a shape alone is found out once per shape; what differs
between services of one shape are values, which `fields_of` names in the order in which the kernel gives them.
"""

from __future__ import annotations

from typing import NamedTuple

FIELDS = """
    backend appId mode servicePort balance bindAddr sslCert bindOptions realm path user passwd proxypath rootpath
    redirpath vhost cleanedUpAppId cleanedUpHostname
"""
"""Values that every service has, mostly called as the placeholder they serve; ``vhost`` is the label as it stands."""

CHECK_NAMES = """
    healthCheck healthCheckPortIndex healthCheckProtocol healthCheckPath healthCheckTimeoutSeconds
    healthCheckIntervalSeconds healthCheckGracePeriodSeconds healthCheckMaxConsecutiveFailures healthCheckFalls
"""
CHECK_PORTS = "healthCheckPort healthCheckPortOptions serverCheckPort serverCheckPortOptions"
CHECK_FIELDS = tuple(f"{CHECK_NAMES} {CHECK_PORTS}".split())
"""What `kernel.check_values` gives; a backend and its server lines are offered different ports (COMPAT.md 6.6)."""


class Shape(NamedTuple):
    """What `kernel.outline` says of a service, and its `FirstUse`.

    ``hosts`` and ``networks`` are numbers, the latter None if every network is allowed; ``protocol`` is that of the
    health check; ``indexed``: the health check ports are those of another service; ``labelled``: some template is the
    service's own.
    """

    mode: str
    hosts: int
    networks: int | None
    check: bool
    protocol: str | None
    indexed: bool
    path: bool
    auth: bool
    redirect: bool
    user: bool
    sticky: bool
    hsts: bool
    proxypass: bool
    revproxy: bool
    redirect_path: bool
    labelled: bool
    http_map: bool
    https_map: bool
    appid_map: bool
    of_app: bool


class Step(NamedTuple):
    """One template to be filled in; ``fields`` says by placeholder which value is offered there.

    ``label`` is set for the map form of a template: its name without ``MAP_``, under which a label replaces it.
    """

    template: str
    fields: dict[str, str]
    label: str = ""


def step(template: str, names: str = "", **fields: str) -> Step:
    """Offer the values ``names`` as they are called, and ``fields`` under other names."""
    return Step(template, {name: name for name in names.split()} | fields)


def map_step(template: str, names: str) -> Step:
    """Return the map form of a step."""
    return step(f"MAP_{template}", names)._replace(label=template)


def host_field(position: int) -> str:
    """Name one of the host names of the vhost label; where no other is meant it is the first one."""
    return f"hostname {position}" if position else "hostname"


def network_field(position: int) -> str:
    """Name one of the networks that are allowed."""
    return f"network {position}"


def fields_of(shape: Shape) -> tuple[str, ...]:
    """Name the values that `kernel.service_values` gives for a service of this shape, in order."""
    return (
        *FIELDS.split(),
        *map(host_field, range(max(shape.hosts, 1))),
        *map(network_field, range(shape.networks or 0)),
    )
