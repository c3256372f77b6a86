"""The apps that run when the curtain rises: one or two of every kind that operators have.

Pure: it only writes app definitions as a client of Marathon sends them. Which label does what: COMPAT.md 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastlb.demo.ports import ServicePorts
    from fastlb.simulator.definitions import Json

GROUP = "external"
PASSWORD = "secret"  # noqa: S105 - printed for everybody to try
PASSWORD_HASH = "$5$fastlbdemo$4FFSha7smgnvPNTI4vCzVl75d8F5wbcu7d88E53mC72"  # noqa: S105 - of the one above
STEADY_HOST = "www.example.com"
"""Served by the app that no step changes."""

CART_HOST = "cart.example.com"
CACHE = "/data/cache"

HOST, BRIDGE, CONTAINER = "host", "container/bridge", "container"

HTTP_CHECK: Json = {"protocol": "HTTP", "path": "/health", "portIndex": 0, "intervalSeconds": 2}
MESOS_CHECK: Json = HTTP_CHECK | {"protocol": "MESOS_HTTP"}
TCP_CHECK: Json = {"protocol": "TCP", "portIndex": 0, "intervalSeconds": 2}


def app(
    app_id: str,
    services: ServicePorts,
    labels: Mapping[str, str],
    *,
    doors: int = 1,
    instances: int = 2,
    network: str = BRIDGE,
    checks: tuple[Json, ...] = (),
    group: str | None = GROUP,
) -> Json:
    """Return the definition of an app with ``doors`` service ports; ``labels`` lack their prefix ``HAPROXY_``."""
    grouped = {} if group is None else {"GROUP": group}
    return {
        "id": app_id,
        "instances": instances,
        "cmd": "./serve",
        "cpus": 0.1,
        "mem": 32,
        "labels": {f"HAPROXY_{name}": value for name, value in (grouped | dict(labels)).items()},
        "healthChecks": list(checks),
        **_networking(network, [services[f"{app_id} {door}"] for door in range(doors)]),
    }


def first_apps(services: ServicePorts) -> list[Json]:
    """Return the apps of the beginning."""
    return [
        app("/www/home", services, {"0_VHOST": STEADY_HOST}, instances=3),
        app("/www/blog", services, {"0_VHOST": "blog.example.com,journal.example.com"}, network=HOST),
        app("/www/api", services, {"0_VHOST": STEADY_HOST, "0_PATH": "/api"}),
        app("/www/docs", services, {"0_VHOST": STEADY_HOST, "0_PATH": "/docs", "0_BACKEND_WEIGHT": "5"}),
        app("/www/moved", services, {"0_VHOST": "moved.example.com", "0_HTTP_BACKEND_REDIR": "/new/"}),
        app("/shop/basket", services, {"0_VHOST": "basket.example.com", "0_STICKY": "true"}, instances=3),
        app("/shop/checkout", services, {"0_VHOST": "checkout.example.com", "0_REDIRECT_TO_HTTPS": "true"}),
        app("/shop/account", services, {"0_VHOST": "account.example.com", "0_USE_HSTS": "true"}),
        app("/shop/search", services, {"0_VHOST": "search.example.com"}, instances=3, checks=(HTTP_CHECK,)),
        app(
            "/shop/prices", services, {"0_VHOST": "prices.example.com", "0_BALANCE": "leastconn"}, checks=(MESOS_CHECK,)
        ),
        cart(0, services),
        app("/team/wiki", services, {"0_VHOST": "wiki.example.com", "0_AUTH": f"Team wiki:demo:{PASSWORD_HASH}"}),
        app("/team/reports", services, {"0_MODE": "http"}),
        app(
            "/team/office", services, {"0_VHOST": "office.example.com", "0_BACKEND_NETWORK_ALLOWED_ACL": "127.0.0.0/8"}
        ),
        app(CACHE, services, {"0_MODE": "tcp"}),
        app("/data/queue", services, {"0_MODE": "tcp", "0_BALANCE": "leastconn"}, network=HOST, checks=(TCP_CHECK,)),
        app("/data/vectors", services, {"0_MODE": "http"}, network=CONTAINER),
        app("/media/images", services, {"0_VHOST": "images.example.com"}, network=CONTAINER),
        app("/media/player", services, {"0_VHOST": "player.example.com", "1_GROUP": "internal"}, doors=2),
        app("/ops/metrics", services, {"0_VHOST": "metrics.example.com"}, group="internal"),
        app("/ops/cron", services, {}, instances=1, group=None),
    ]


def cart(number: int, services: ServicePorts) -> Json:
    """Return the blue/green app in its colour number ``number``; a later one counts as newer (COMPAT.md 3.2)."""
    deployment = {
        "DEPLOYMENT_GROUP": "cart",
        "DEPLOYMENT_COLOUR": colour(number),
        "DEPLOYMENT_STARTED_AT": f"{2020 + number}-01-01T00:00:00.000000",
        "APP_ID": "cart",
        "0_PORT": str(services["cart"]),
        "0_VHOST": CART_HOST,
    }
    return app(cart_id(number), services, deployment, checks=(HTTP_CHECK,))


def cart_id(number: int) -> str:
    """Return the id of the app that `cart` gives."""
    return f"/shop/cart-{colour(number)}"


def colour(number: int) -> str:
    """Blue and green take turns."""
    return ("blue", "green")[number % 2]


def cache_port(services: ServicePorts) -> int:
    """Return the service port of the TCP app that the viewer is invited to call."""
    return services[f"{CACHE} 0"]


def _networking(network: str, ports: Sequence[int]) -> Json:
    if network == HOST:
        return {"networks": [{"mode": HOST}], "portDefinitions": [{"port": port} for port in ports]}
    name = {"name": "dcos"} if network == CONTAINER else {}
    mappings = [{"containerPort": 8080 + index, "servicePort": port} for index, port in enumerate(ports)]
    return {
        "networks": [{"mode": network, **name}],
        "container": {"type": "DOCKER", "docker": {"image": "demo:1"}, "portMappings": mappings},
    }
