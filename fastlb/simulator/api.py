"""The reading half of Marathon's API: apps, tasks, versions, groups, deployments, leader, info, ping.

Knows the cluster and writes nothing to it. Data flow: query parameters -> `cluster` -> `shapes` -> one JSON
answer, which `manners` dresses. The changing half is `mutations`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from fastlb.simulator import shapes
from fastlb.simulator.definitions import normal_id
from fastlb.simulator.faults import Fault
from fastlb.simulator.manners import json_answer
from fastlb.simulator.refusals import Refusal, missing_group
from fastlb.simulator.selectors import parse_selector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastlb.simulator.cluster import Cluster
    from fastlb.simulator.definitions import Json
    from fastlb.simulator.faults import Faults
    from fastlb.simulator.state import App, Task

EMBED_PREFIXES = ("group.apps.", "apps.", "app.")
KEPT_EMBEDS = frozenset({"tasks", "lastTaskFailure", "readiness"})
"""Embeds that change the answer; counts and deployments are always there (MARATHON.md 1.1)."""
SINGLE_APP_EMBEDS = frozenset({"tasks", "lastTaskFailure"})


class ReadApi:
    """Handlers of every GET but the event stream."""

    def __init__(self, cluster: Cluster, faults: Faults, leader: Callable[[], str]) -> None:
        """``leader`` tells host:port of the leader."""
        self._cluster = cluster
        self._dialect = cluster.world.dialect
        self._faults = faults
        self._leader = leader

    def routes(self) -> list[web.RouteDef]:
        """All routes; the id of an app is the rest of the path, so what ends in a fixed word comes first."""
        return [
            web.get("/v2/apps", self.apps),
            web.get("/v2/apps/{id:.+}/tasks", self.app_tasks),
            web.get("/v2/apps/{id:.+}/versions", self.versions),
            web.get("/v2/apps/{id:.+}/versions/{version}", self.version),
            web.get("/v2/apps/{id:(?:.*/)?}*", self.apps_below),
            web.get("/v2/apps/{id:.+}", self.app),
            web.get("/v2/tasks", self.tasks),
            web.get("/v2/groups", self.group),
            web.get("/v2/groups/{id:.*}", self.group),
            web.get("/v2/deployments", self.deployments),
            web.get("/v2/leader", self.leader),
            web.get("/v2/info", self.info),
            web.get("/ping", self.ping),
        ]

    async def apps(self, request: web.Request) -> web.Response:
        """GET /v2/apps with `cmd`, `id`, `label` and `embed` (MARATHON.md 1.1)."""
        if self._faults.strike(Fault.NO_APPS, request.path) is not None:
            return json_answer(b'{"apps":[]}')
        tests = _filters(request)
        selected = [app for app in self._cluster.apps.values() if all(test(app) for test in tests)]
        return json_answer(b'{"apps":[%s]}' % self._written(selected, _embeds(request)))

    async def app(self, request: web.Request) -> web.Response:
        """GET /v2/apps/{id}: tasks and the last failure are always embedded (MARATHON.md 1.3)."""
        app = self._cluster.app(request.match_info["id"])
        return json_answer(b'{"app":%s}' % self._written([app], _embeds(request) | SINGLE_APP_EMBEDS))

    async def apps_below(self, request: web.Request) -> web.Response:
        """GET /v2/apps/{group}/*: all apps below a group, under the key `*` (MARATHON.md 1.4)."""
        group = normal_id(request.match_info["id"])
        below = [self._cluster.apps[app_id] for app_id in self._cluster.below(group)]
        if not below and group != "/":
            raise missing_group(group)
        return json_answer(b'{"*":[%s]}' % self._written(below, _embeds(request) | SINGLE_APP_EMBEDS))

    async def app_tasks(self, request: web.Request) -> web.Response:
        """GET /v2/apps/{id}/tasks, without service ports."""
        app = self._cluster.app(request.match_info["id"])
        return json_answer({"tasks": [shapes.task_json(task, self._dialect) for task in app.tasks.values()]})

    async def versions(self, request: web.Request) -> web.Response:
        """GET /v2/apps/{id}/versions, the newest first."""
        app = self._cluster.app(request.match_info["id"])
        return json_answer({"versions": sorted(app.history, reverse=True)})

    async def version(self, request: web.Request) -> web.Response:
        """GET /v2/apps/{id}/versions/{version}: the bare definition."""
        app, version = self._cluster.app(request.match_info["id"]), request.match_info["version"]
        if version not in app.history:
            raise Refusal(404, f"App '{app.definition.id}' has no version {version}")
        return json_answer(shapes.definition_json(app.history[version], self._dialect) | {"version": version})

    async def tasks(self, request: web.Request) -> web.Response:
        """GET /v2/tasks: the only answer with service ports; lines for text/plain (MARATHON.md 1.5)."""
        wanted = {f"TASK_{each.upper()}" for name in ("status", "status[]") for each in request.query.getall(name, [])}
        tasks = [
            task
            for app in self._cluster.apps.values()
            for task in app.tasks.values()
            if not wanted or task.state in wanted
        ]
        if request.headers.get("Accept") == "text/plain":
            return web.Response(body="".join(_endpoint_lines(tasks)).encode(), content_type="text/plain")
        return json_answer({"tasks": [shapes.task_json(task, self._dialect, service_ports=True) for task in tasks]})

    async def group(self, request: web.Request) -> web.Response:
        """GET /v2/groups and /v2/groups/{id}: the tree of groups with their apps."""
        group = normal_id(request.match_info.get("id", ""))
        if group != "/" and not self._cluster.below(group):
            raise missing_group(group)
        return json_answer(self._group_json(group))

    async def deployments(self, _request: web.Request) -> web.Response:
        """GET /v2/deployments: a bare array (MARATHON.md 6.2)."""
        return json_answer([shapes.deployment_json(each) for each in self._cluster.deployments.running.values()])

    async def leader(self, _request: web.Request) -> web.Response:
        """GET /v2/leader: host and port without a scheme."""
        return json_answer({"leader": self._leader()})

    async def info(self, _request: web.Request) -> web.Response:
        """GET /v2/info: what a client may look at."""
        body = {
            "name": "marathon",
            "version": self._dialect.release,
            "buildref": "simulated",
            "elected": True,
            "leader": self._leader(),
            "frameworkId": "simulated-0000",
            "marathon_config": {"local_port_min": 10000, "local_port_max": 20000},
            "zookeeper_config": {},
            "http_config": {"http_port": int(self._leader().rpartition(":")[2])},
        }
        return json_answer(body)

    async def ping(self, request: web.Request) -> web.Response:
        """GET /ping: text, or JSON for who asks for it."""
        if "application/json" in request.headers.get("Accept", ""):
            return json_answer("pong")
        return web.Response(body=b"pong", content_type="text/plain")

    def _written(self, apps: Iterable[App], embeds: frozenset[str]) -> bytes:
        return b",".join(shapes.app_bytes(app, self._dialect, embeds) for app in apps)

    def _group_json(self, group: str) -> Json:
        prefix = group.rstrip("/") + "/"
        inside = self._cluster.below(group)
        own = [app_id for app_id in inside if "/" not in app_id[len(prefix) :]]
        groups = dict.fromkeys(prefix + each[len(prefix) :].split("/")[0] for each in inside if each not in own)
        return {
            "id": group,
            "version": max((self._cluster.apps[each].version for each in inside), default=""),
            "apps": [shapes.versioned_json(self._cluster.apps[each], self._dialect) for each in own],
            "groups": [self._group_json(each) for each in groups],
            "dependencies": [],
        }


def _embeds(request: web.Request) -> frozenset[str]:
    """The embeds asked for, without their prefixes; unknown ones are ignored (MARATHON.md 1.1)."""
    embeds = set()
    for given in request.query.getall("embed", []):
        prefix = next((prefix for prefix in EMBED_PREFIXES if given.startswith(prefix)), "")
        embeds.add(given.removeprefix(prefix))
    if "failures" in embeds:
        embeds |= {"tasks", "lastTaskFailure"}
    return frozenset(embeds & KEPT_EMBEDS)


def _filters(request: web.Request) -> list[Callable[[App], bool]]:
    query = request.query
    tests: list[Callable[[App], bool]] = []
    if cmd := query.get("cmd", "").lower():
        tests.append(lambda app: cmd in (app.definition.rest.get("cmd") or "").lower())
    if part := query.get("id", "").lower():
        tests.append(lambda app: part in app.definition.id.lower())
    if label := query.get("label"):
        selected = parse_selector(label)
        tests.append(lambda app: selected(app.definition.labels))
    return tests


def _endpoint_lines(tasks: Iterable[Task]) -> Iterable[str]:
    """One line for each service port: the app, the port, and every host:port behind it."""
    endpoints: dict[tuple[str, int], list[str]] = {}
    for task in tasks:
        name = task.app.definition.id[1:].replace("/", "_")
        for service_port, port in zip(task.app.definition.service_ports, task.place.host_ports, strict=False):
            endpoints.setdefault((name, service_port), []).append(f"{task.place.host}:{port}")
    for (name, service_port), places in endpoints.items():
        yield "\t".join([name, str(service_port), *places]) + "\n"
