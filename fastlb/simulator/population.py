"""A believable cluster of any size: app definitions with the labels that operators really use.

Pure, and the same for the same seed. Each app is of one kind (`KINDS`); its networking, number of ports and rarer
labels are drawn independently, so that every combination occurs in a large cluster; a few come as blue/green pairs.
"""

from __future__ import annotations

from itertools import chain
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastlb.simulator.definitions import Json

SERVICE_PORTS = (range(10000, 30000), range(2000, 9000))
"""Below the ports of tasks and the kernel's own range; HAProxy binds each of them."""
TEAMS = ("shop", "search", "pay", "mail", "media", "stats", "auth", "edge")
KINDS = {"one vhost": 60, "two vhosts": 10, "path": 10, "sticky": 4, "redirect": 4, "tcp": 12}
"""How many of a hundred apps are of each kind; all but tcp are http, and each of those has a vhost."""
RARE_LABELS = (
    (0.05, "USE_HSTS", "true"),
    (0.05, "BACKEND_WEIGHT", "2"),
    (0.05, "BALANCE", "leastconn"),
    (0.02, "BACKEND_HTTP_OPTIONS", "  option forwardfor\n  no option http-keep-alive\n"),
)
CHECKED_SHARE = 0.7
CHECK_INTERVAL_S = 30
"""Between Marathon's default of a minute and what impatient operators write; HAProxy checks every server as often."""
DEPLOYMENT_GROUP_SHARE = 0.01
TWO_PORTS_SHARE = 0.1
STARTED_AT = "2020-05-01T10:00:00.000000"
LATER_STARTED_AT = "2020-05-02T10:00:00.000000"


def population(
    apps: int, tasks: int, *, seed: int = 0, checked_share: float = CHECKED_SHARE, group: str = "external"
) -> Iterator[Json]:
    """``apps`` definitions of ``tasks`` instances each; ``checked_share`` of them have a health check, 0 to 1.

    Service ports are given by hand and unique. Raises ValueError when they do not suffice.
    """
    random = Random(seed)
    ports = chain(*SERVICE_PORTS)
    number = 0
    while number < apps:
        if number + 1 < apps and random.random() < DEPLOYMENT_GROUP_SHARE:
            yield from _blue_green(number, tasks, group, ports)
            number += 2
            continue
        yield _app(number, tasks, random, group, ports, checked=random.random() < checked_share)
        number += 1


def _app(number: int, tasks: int, random: Random, group: str, ports: Iterator[int], *, checked: bool) -> Json:
    app_id = f"/{random.choice(TEAMS)}/svc-{number}"
    (kind,) = random.choices(tuple(KINDS), tuple(KINDS.values()))
    count = 2 if random.random() < TWO_PORTS_SHARE else 1
    body = {
        "id": app_id,
        "instances": tasks,
        "cmd": f"./serve --name svc-{number} --config /etc/svc/{number}.json",
        "cpus": random.choice((0.1, 0.5, 1, 2)),
        "mem": random.choice((64, 256, 1024)),
        "env": _environment(app_id, random),
        "constraints": [["hostname", "UNIQUE"]],
        "fetch": [{"uri": "file:///etc/docker.tar.gz", "extract": True, "executable": False, "cache": False}],
        "labels": _labels(kind, number, random, group, count),
        **_networking(random, [_next_port(ports) for _ in range(count)]),
    }
    if checked:
        body["healthChecks"] = [_health_check(random, tcp=kind == "tcp")]
    return body


def _environment(app_id: str, random: Random) -> dict[str, str]:
    """About as much as a real app has: it is what most of an app's JSON consists of."""
    return {
        "STAGE": "prod",
        "TEAM": app_id.split("/")[1],
        "JAVA_OPTS": "-Xmx512m -XX:+UseG1GC -XX:MaxGCPauseMillis=200 -Dfile.encoding=UTF-8",
        "DATABASE_URL": f"postgres://svc@db-{random.randint(1, 40)}.example.com:5432{app_id}",
        "CONSUL_HTTP_ADDR": "http://consul.service.example.com:8500",
        "METRICS_PREFIX": f"prod{app_id.replace('/', '.')}",
        "BUILD": f"{random.getrandbits(160):040x}",
        "LOG_LEVEL": random.choice(("INFO", "DEBUG", "WARNING")),
    }


def _next_port(ports: Iterator[int]) -> int:
    port = next(ports, None)
    if port is None:
        raise ValueError(f"a population has at most {sum(map(len, SERVICE_PORTS))} service ports; ask for fewer apps")
    return port


def _labels(kind: str, number: int, random: Random, group: str, ports: int) -> dict[str, str]:
    labels = {"HAPROXY_GROUP": group} | _labels_of_kind(kind, number)
    if kind != "tcp":
        labels |= {f"HAPROXY_0_{name}": value for share, name, value in RARE_LABELS if random.random() < share}
    if ports > 1:
        labels["HAPROXY_1_GROUP"] = random.choice((group, "internal"))
    return labels


def _labels_of_kind(kind: str, number: int) -> dict[str, str]:
    vhost = {"HAPROXY_0_MODE": "http", "HAPROXY_0_VHOST": f"svc-{number}.example.com"}
    match kind:
        case "tcp":
            return {"HAPROXY_0_MODE": "tcp", "HAPROXY_0_BALANCE": "leastconn"}
        case "path":
            return vhost | {"HAPROXY_0_VHOST": f"site-{number % 50}.example.com", "HAPROXY_0_PATH": f"/svc-{number}"}
        case "two vhosts":
            return vhost | {"HAPROXY_0_VHOST": f"svc-{number}.example.com,www.svc-{number}.example.org"}
        case "sticky":
            return vhost | {"HAPROXY_0_STICKY": "true"}
        case "redirect":
            return vhost | {"HAPROXY_0_REDIRECT_TO_HTTPS": "true"}
    return vhost


def _networking(random: Random, service_ports: list[int]) -> Json:
    mode = random.choices(("container/bridge", "host", "container"), (60, 25, 15))[0]
    if mode == "host":
        names = ("http", "admin")
        definitions = [{"port": port, "name": name} for port, name in zip(service_ports, names, strict=False)]
        return {"networks": [{"mode": mode}], "portDefinitions": definitions}
    return _containers(mode, service_ports, image=f"svc:{random.randint(1, 99)}")


def _containers(mode: str, service_ports: list[int], *, image: str) -> Json:
    network = {"mode": mode} if mode == "container/bridge" else {"mode": mode, "name": "dcos"}
    mappings = [{"containerPort": 8080 + index, "servicePort": port} for index, port in enumerate(service_ports)]
    docker = {"image": f"registry.example.com/{image}"}
    return {"networks": [network], "container": {"type": "DOCKER", "docker": docker, "portMappings": mappings}}


def _health_check(random: Random, *, tcp: bool) -> Json:
    if tcp:
        return {"protocol": "TCP", "intervalSeconds": CHECK_INTERVAL_S}
    return {"protocol": random.choice(("HTTP", "MESOS_HTTP")), "path": "/health", "intervalSeconds": CHECK_INTERVAL_S}


def _blue_green(number: int, tasks: int, group: str, ports: Iterator[int]) -> Iterator[Json]:
    """Two colours of one service, the green one on its way in."""
    name, port, alternative = f"duo-{number}", _next_port(ports), _next_port(ports)
    shared = {
        "HAPROXY_GROUP": group,
        "HAPROXY_0_VHOST": f"{name}.example.com",
        "HAPROXY_0_PORT": str(port),
        "HAPROXY_DEPLOYMENT_GROUP": name,
        "HAPROXY_DEPLOYMENT_ALT_PORT": str(alternative),
        "HAPROXY_DEPLOYMENT_TARGET_INSTANCES": str(tasks),
        "HAPROXY_APP_ID": name,
    }
    colours = (("blue", port, STARTED_AT), ("green", alternative, LATER_STARTED_AT))
    for colour, service_port, started_at in colours:
        own = {"HAPROXY_DEPLOYMENT_COLOUR": colour, "HAPROXY_DEPLOYMENT_STARTED_AT": started_at}
        yield {
            "id": f"/{name}-{colour}",
            "instances": tasks,
            "cmd": "./serve --duo",
            "labels": shared | own,
            **_containers("container/bridge", [service_port], image="duo:1"),
        }
