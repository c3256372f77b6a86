"""The values that flow from Marathon to HAProxy: frozen, comparable, free of behaviour.

    JSON of one app --reading--> App --services, labels--> Service(s) --render--> text

An App holds what Marathon said, already brought to one form whatever Marathon's version; a Service holds what HAProxy
needs to know of one service port. Two values that compare equal lead to the same bytes.

They are tuples: there are tens of thousands of them, they are made and compared in C, and the compiled hot path may
look into them.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class HealthCheck(NamedTuple):
    """One entry of an app's ``healthChecks``, nulls dropped (MARATHON.md 2.3, COMPAT.md 3.6).

    ``members`` is the object itself, which templates may look into; the other fields are those that decide.
    """

    members: Mapping[str, Any]
    protocol: str | None
    port: int | None
    port_index: int | None


class Task(NamedTuple):
    """One task of an app (MARATHON.md 3).

    ``alive`` is the verdict of Marathon's health checks: true if any result is alive, None while no result exists.
    ``address`` is that of the first entry of ``ipAddresses``, None without one. ``ports`` are host ports.
    """

    id: str
    host: str
    state: str | None
    ports: tuple[int, ...]
    address: str | None
    alive: bool | None
    draining: bool = False


class App(NamedTuple):
    """One app as Marathon describes it, tasks included.

    ``mode`` is the networking mode (COMPAT.md 3.3). ``service_ports`` are the declared ones in order (3.4) and
    ``udp_only`` the positions in it that speak no TCP. The three port lists after it are those that tasks fall back on
    (3.7). ``instances`` and ``last_scaling_at`` matter to deployment groups only, ``configured_at`` (since when it is
    defined as it is, scaling apart; MARATHON.md 2.4) where two apps ask for the same.
    """

    id: str
    labels: Mapping[str, Any]
    mode: str
    service_ports: tuple[int, ...]
    udp_only: frozenset[int]
    definition_ports: tuple[int, ...]
    container_ports: tuple[int, ...]
    discovery_ports: tuple[int, ...]
    health_checks: tuple[HealthCheck, ...]
    instances: int | None
    last_scaling_at: str | None
    tasks: tuple[Task, ...]
    configured_at: str | None = None


class Server(NamedTuple):
    """One task at one port of a service: the agent's ``host`` name, the ``address`` and ``port`` to connect to."""

    host: str
    address: str
    port: int
    draining: bool


class ServiceOptions(NamedTuple):
    """The labels of one service port, checked and typed (COMPAT.md 4.1); None means "no such label".

    ``keep_connections`` is no label of marathon-lb: old workers with connections of such a service are ended last.
    ``rank`` is the label BACKEND_WEIGHT after COMPAT.md 3.6 rule 3: the order among vhost rules, larger first.
    ``templates`` are the texts of template labels by template name.
    """

    mode: str | None = None
    enabled: bool = True
    rank: int = 0
    balance: str = "roundrobin"
    bind_address: str = "*"
    bind_options: str | None = None
    ssl_cert: str | None = None
    port: int | None = None
    groups: tuple[str, ...] | None = None
    vhost: str | None = None
    path: str | None = None
    realm: str | None = None
    user: str | None = None
    password: str | None = None
    redirect_to_https: bool = False
    sticky: bool = False
    use_hsts: bool = False
    proxypass_path: str | None = None
    revproxy_path: str | None = None
    redirect_path: str | None = None
    networks_allowed: str | None = None
    health_port_index: int | None = None
    keep_connections: bool = False
    templates: Mapping[str, str] = MappingProxyType({})


class Service(NamedTuple):
    """One app at one service port, with its servers in server order (COMPAT.md 6.3).

    ``port`` is the one it is known by (label PORT included), ``mode`` HAProxy's, ``groups`` those that decide whether
    it is taken; ``backend`` is its name.
    """

    app_id: str
    port_index: int
    port: int
    backend: str
    mode: str
    groups: tuple[str, ...]
    options: ServiceOptions
    health_check: HealthCheck | None
    servers: tuple[Server, ...]
    indexed_ports: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What a thinking room wants said: about which app (and service port), and whether it was left out.

    ``mistake``: it was left out because its form cannot be used, so an older good form would be better than none.
    ``cause``: whether an operator's policy is the reason, or that another app has what it asks for.
    """

    app_id: str
    text: str
    port: int | None = None
    left_out: bool = True
    mistake: bool = False
    cause: Literal["", "policy", "conflict"] = ""

    def __str__(self) -> str:
        """Say it in one line, as logs and standard error show it."""
        where = self.app_id if self.port is None else f"{self.app_id} (service port {self.port})"
        what = "the app" if self.port is None else "this service"
        return f"app {where}: {self.text}" + (f"; {what} is left out" if self.mistake else "")


class LabelRule(NamedTuple):
    """Which labels some apps may use: names after ``HAPROXY_{n}_``, and DEPLOYMENT_GROUP.

    It is for apps below one of ``prefixes`` that name one of ``groups``; None stands for any.
    """

    prefixes: tuple[str, ...] | None
    groups: frozenset[str] | None
    allowed: frozenset[str]


Owners = tuple[str, ...]
"""Id prefixes: of the apps that are below one of them."""


class Policy(NamedTuple):
    """What apps may ask for: which labels, by the first rule that concerns an app, and what is reserved for whom.

    ``vhosts`` are lower-case host names; ``*.`` in front stands for all names below. ``ports`` are first, last, owners.
    """

    labels: tuple[LabelRule, ...] = ()
    vhosts: Mapping[str, Owners] = MappingProxyType({})
    ports: tuple[tuple[int, int, Owners], ...] = ()
    deployment_groups: Mapping[str, Owners] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rules:
    """The flags that decide what is generated from a given set of apps (COMPAT.md 2.1).

    ``own_ports`` are (address, port) pairs that HAProxy's own sections bind: a service there is left out. ``policy`` is
    what an operator's file says, None without one. ``first_come``: of apps that ask for one vhost or service port, the
    oldest definition has it.
    ``haproxy_dir`` is the folder of the map files as the configuration names it.
    """

    groups: tuple[str, ...]
    strict_mode: bool = False
    health_check: bool = False
    haproxy_map: bool = False
    dont_bind_http_https: bool = False
    group_https_by_vhost: bool = False
    ssl_certs: tuple[str, ...] = ("/etc/ssl/cert.pem",)
    haproxy_dir: str = "/etc/haproxy"
    framework_name: str | None = None
    own_app: str | None = None
    min_assigned_port: int = 10050
    max_assigned_port: int = 10100
    bind_address: str = "*"
    own_ports: tuple[tuple[str, int], ...] = ()
    policy: Policy | None = None
    first_come: bool = False

    @property
    def assigns_ports(self) -> bool:
        """Whether the port assigner is on (both limits zero turn it off)."""
        return not (self.min_assigned_port == 0 and self.max_assigned_port == 0)
