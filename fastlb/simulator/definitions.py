"""An app definition: read from what a client sends, in the old form or the new, into one frozen value.

Pure. Knows nothing of tasks, versions and deployments. Data flow: JSON -> `read_definition` -> Definition
(with service ports 0 where Marathon has to choose, see `service_ports`) -> `shapes` writes it in the form of
a release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from fastlb.simulator.refusals import WrongType, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastlb.simulator.dialects import Dialect

Json = dict[str, Any]

SEGMENT = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
RESERVED_SEGMENTS = frozenset({"restart", "tasks", "versions"})
LEGACY_MODES = {"HOST": "host", "BRIDGE": "container/bridge", "USER": "container"}
MARATHON_RUN = frozenset({"HTTP", "HTTPS", "TCP"})
"""Protocols of health checks whose results die with the leader (MARATHON.md 3.3)."""

DEFAULTS: Json = {
    "backoffFactor": 1.15,
    "backoffSeconds": 1,
    "cpus": 1,
    "disk": 0,
    "executor": "",
    "gpus": 0,
    "killSelection": "YOUNGEST_FIRST",
    "maxLaunchDelaySeconds": 300,
    "mem": 128,
    "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0},
    "upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 1},
}
UNSET_BY_DEFAULT = (
    "cmd",
    "args",
    "user",
    "env",
    "fetch",
    "constraints",
    "dependencies",
    "secrets",
    "readinessChecks",
    "acceptedResourceRoles",
    "residency",
    "taskKillGracePeriodSeconds",
)
PASSED_THROUGH = (*DEFAULTS, *UNSET_BY_DEFAULT)
EMPTY: tuple[object, ...] = (None, [], {})
"""1.4 shows these where nothing is set, so they have to read as nothing."""
SHOWN_IP_PROTOCOL = "IPv4"
"""What newer releases show where nothing is set."""
HEALTH_CHECK_DEFAULTS: Json = {
    "protocol": "HTTP",
    "gracePeriodSeconds": 300,
    "intervalSeconds": 60,
    "timeoutSeconds": 20,
    "maxConsecutiveFailures": 3,
    "delaySeconds": 15,
}


class Mode(StrEnum):
    """How an app's tasks are reached (MARATHON.md 2.2)."""

    HOST = "host"
    BRIDGE = "container/bridge"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class Port:
    """One port definition (``container_port`` None) or one port mapping."""

    service_port: int = 0
    container_port: int | None = None
    host_port: int | None = 0
    """None: the agent opens no port for it; 0: Marathon chooses."""
    protocol: str = "tcp"
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    network_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """What an operator wants of one app; equal definitions need no deployment."""

    id: str
    instances: int
    mode: Mode
    networks: tuple[Json, ...]
    ports: tuple[Port, ...]
    ip_per_task: bool
    """1.4 only: ports come from `ipAddress.discovery`, and there are no service ports (MARATHON.md 4.2)."""
    require_ports: bool
    labels: Json
    health_checks: tuple[Json, ...]
    container: Json | None
    """The container without its networking."""
    rest: Json
    """Members that only pass through."""

    @property
    def service_ports(self) -> list[int]:
        """The service ports as a load balancer counts them (MARATHON.md 4.1)."""
        return [] if self.ip_per_task else [port.service_port for port in self.ports]

    @property
    def minimum_health_capacity(self) -> float:
        """The share of instances that a rolling replacement leaves healthy, 0 to 1."""
        return float(self.rest["upgradeStrategy"].get("minimumHealthCapacity", 1))

    @property
    def maximum_over_capacity(self) -> float:
        """The share of additional instances that a rolling replacement may run, 0 to 1."""
        return float(self.rest["upgradeStrategy"].get("maximumOverCapacity", 1))


def normal_id(text: str) -> str:
    """The absolute path id with single slashes: ``a//b/`` and ``/a/b`` are one app."""
    return "/" + "/".join(part for part in text.split("/") if part)


def parent_group(app_id: str) -> str:
    """The group an app lives in: ``/shop`` of ``/shop/api``, ``/`` of ``/web``."""
    return app_id.rpartition("/")[0] or "/"


def read_definition(raw: Json, dialect: Dialect) -> Definition:
    """The definition that ``raw`` describes, defaults filled in (MARATHON.md 2, 4.2).

    Old and new networking forms are accepted, not mixed. Raises WrongType and Refusal (422).
    """
    raw = {key: value for key, value in raw.items() if value is not None}
    _check_types(raw)
    mode, networks = _networking(raw, dialect)
    container = raw.get("container")
    ip_per_task = _is_ip_per_task(raw, mode, dialect)
    return Definition(
        id=_checked_id(raw.get("id"), dialect),
        instances=raw.get("instances", 1),
        mode=mode,
        networks=networks,
        ports=tuple(_ports(raw, mode)),
        ip_per_task=ip_per_task,
        require_ports=bool(raw.get("requirePorts", False)),
        labels=raw.get("labels", {}),
        health_checks=tuple(_health_check(each) for each in raw.get("healthChecks", [])),
        container=None if container is None else _without_networking(container),
        rest=DEFAULTS | {key: raw[key] for key in PASSED_THROUGH if raw.get(key) not in EMPTY},
    )


def overlay(current: Json, given: Json) -> Json:
    """A partial update: given members replace whole, null and absent ones keep (MARATHON.md 6.1).

    ``current`` is the app as its release shows it; members that say the same thing in another form give way.
    """
    given = {key: value for key, value in given.items() if value is not None}
    hidden: set[str] = set()
    if "ports" in given:
        hidden.add("portDefinitions")
    if "ipAddress" in given or (given.get("container", {}).get("docker") or {}).get("network"):
        hidden.add("networks")
    return {key: value for key, value in current.items() if key not in hidden} | given


def _check_types(raw: Json) -> None:
    expected = (("id", str, "jsstring"), ("instances", int, "jsnumber"), ("labels", dict, "jsobject"))
    for key, kind, name in expected:
        if key in raw and (not isinstance(raw[key], kind) or isinstance(raw[key], bool)):
            raise WrongType(f"/{key}", name)
    for key, value in raw.get("labels", {}).items():
        if not isinstance(value, str):
            raise WrongType(f"/labels/{key}", "jsstring")
    if raw.get("instances", 0) < 0:
        raise invalid("/instances", "error.min")


def _checked_id(text: str | None, dialect: Dialect) -> str:
    if text is None:
        raise WrongType("/id", "jsstring")
    segments = normal_id(text)[1:].split("/")
    if not all(SEGMENT.fullmatch(segment) for segment in segments):
        raise invalid("/id", "must fully match regular expression '^(([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])\\.)*'")
    if dialect.keeps_dead and segments[-1] in RESERVED_SEGMENTS:
        raise invalid("/id", f"must not end with any of {', '.join(sorted(RESERVED_SEGMENTS))}")
    return "/" + "/".join(segments)


def _docker(raw: Json) -> Json:
    docker: Json = raw.get("container", {}).get("docker") or {}
    return docker


def _networking(raw: Json, dialect: Dialect) -> tuple[Mode, tuple[Json, ...]]:
    legacy, address, networks = _docker(raw).get("network"), raw.get("ipAddress"), raw.get("networks")
    if networks and (legacy or address):
        raise invalid("/networks", "cannot be mixed with ipAddress or container.docker.network")
    if legacy == "NONE" and dialect.networks:
        raise invalid("/container/docker/network", "NONE is no longer supported")
    if networks:
        mode = Mode(networks[0].get("mode", Mode.CONTAINER))
        return mode, tuple(_network(mode, each) for each in networks)
    name = (address or {}).get("networkName")
    mode = Mode(LEGACY_MODES.get(legacy or "", Mode.CONTAINER if address is not None else Mode.HOST))
    if name == "mesos-bridge":
        mode = Mode.BRIDGE
    return mode, (_network(mode, {"name": name or "default"}),)


def _network(mode: Mode, given: Json) -> Json:
    if mode is not Mode.CONTAINER:
        return {"mode": mode}
    return {"mode": mode, "name": given.get("name", "default"), "labels": given.get("labels", {})}


def _is_ip_per_task(raw: Json, mode: Mode, dialect: Dialect) -> bool:
    return mode is Mode.CONTAINER and not dialect.networks and not _docker(raw).get("portMappings")


def _ports(raw: Json, mode: Mode) -> Iterable[Port]:
    if mode is Mode.HOST:
        return _port_definitions(raw)
    mappings = _docker(raw).get("portMappings")
    if mappings is None:
        mappings = raw.get("container", {}).get("portMappings")
    if mappings is None and "ipAddress" in raw:
        discovery = (raw["ipAddress"].get("discovery") or {}).get("ports", [])
        mappings = [{**port, "containerPort": port["number"]} for port in discovery]
    if mappings is None:
        mappings = [{"containerPort": 0, "name": "default"}]
    return [_mapping(each, mode) for each in mappings]


def _port_definitions(raw: Json) -> list[Port]:
    given = raw.get("portDefinitions")
    if given is None and "ports" in raw:
        given = [{"port": number} for number in raw["ports"]]
    if given is None:
        given = [{"port": 0, "name": "default"}]
    fixed = [each["port"] for each in given if each.get("port")]
    if len(fixed) != len(set(fixed)):
        raise invalid("/portDefinitions", "Ports must be unique.")
    return [
        Port(each.get("port", 0), None, 0, _protocol(each), each.get("name"), each.get("labels") or {})
        for each in given
    ]


def _mapping(given: Json, mode: Mode) -> Port:
    return Port(
        service_port=given.get("servicePort") or 0,
        container_port=given.get("containerPort") or 0,
        host_port=given.get("hostPort", 0 if mode is Mode.BRIDGE else None),
        protocol=_protocol(given),
        name=given.get("name"),
        labels=given.get("labels") or {},
        network_names=tuple(given.get("networkNames") or ()),
    )


def _protocol(given: Json) -> str:
    protocol = str(given.get("protocol", "tcp"))
    return "udp,tcp" if protocol == "tcp,udp" else protocol


def _health_check(given: Json) -> Json:
    check = HEALTH_CHECK_DEFAULTS | {key: value for key, value in given.items() if value is not None}
    if check.get("ipProtocol") == SHOWN_IP_PROTOCOL:
        del check["ipProtocol"]  # a definition read back is the same one, or every scaling would replace all tasks
    if check["protocol"] in {"HTTP", "HTTPS"}:
        check.setdefault("ignoreHttp1xx", False)
    if check["protocol"] != "COMMAND" and "port" not in check:
        check.setdefault("portIndex", 0)
    return check


def _without_networking(container: Json) -> Json:
    kept = {key: value for key, value in container.items() if key != "portMappings"}
    kept.setdefault("volumes", [])
    if docker := kept.get("docker"):
        docker = {key: value for key, value in docker.items() if key not in {"network", "portMappings"}}
        kept["docker"] = {"forcePullImage": False, "privileged": False, "parameters": []} | docker
    kept.setdefault("type", "DOCKER" if docker else "MESOS")
    return kept
