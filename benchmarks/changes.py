"""The changes of an end-to-end benchmark: each is made through Marathon's API, and timed from its event to its traffic.

The event is the one that first tells of the change and that marathon-lb, too, subscribes to; its time is that of its
arrival here. A change has arrived in traffic when a request shows it; where a request cannot (a server that is no
longer used), when HAProxy says so.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.probes import Address, ask, ask_at_once
from benchmarks.programs import HTTP_PORT, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.probes import Events, HAProxyView
    from benchmarks.programs import App, Simulator

WITHIN_S = 120.0
ENDING = frozenset({"TASK_KILLING", "TASK_KILLED"})
FIRST_NEW_PORT = 9200
MOST_NEW_APPS = 300


class Scene(NamedTuple):
    """A cluster, what watches its events, and a HAProxy that serves at ``address``."""

    simulator: Simulator
    stream: Events
    view: HAProxyView
    address: str


class Moments(NamedTuple):
    """When (Unix seconds) the event arrived here, and when the change was seen in traffic."""

    event_s: float
    traffic_s: float

    @property
    def latency_ms(self) -> float:
        """Return what lies between; 0 if the change was there before this process had come to read the event."""
        return max(0.0, self.traffic_s - self.event_s) * 1000


def one_task_more(scene: Scene, app: App, number: int) -> Moments:
    """Scale up by one; seen when the new task has answered a request."""
    backend = scene.view.backend(app.port)
    known = scene.view.usable_servers(backend)
    tasks = scene.simulator.ask("GET", f"/v2/apps{app.id}")["app"]["instances"]

    def answered_by_a_new_one() -> bool:
        answers = ask_at_once(scene.address, app.port, len(known) + 1)
        return any(status == 200 and (said["address"], said["port"]) not in known for status, said in answers)

    scene.simulator.ask("PUT", f"/v2/apps{app.id}", {"instances": tasks + 1})
    what = f"traffic to task {number} of {app.id}"
    return _seen(scene, answered_by_a_new_one, what, appId=app.id, taskStatus="TASK_RUNNING")


def one_task_killed(scene: Scene, app: App, number: int) -> Moments:
    """Kill one task for good; seen when HAProxy no longer uses its server."""
    before = _usable(scene, app)
    task = scene.simulator.ask("GET", f"/v2/apps{app.id}/tasks")["tasks"][-1]["id"]
    scene.simulator.ask("DELETE", f"/v2/apps{app.id}/tasks/{task}?scale=true")
    fewer = _number_of_servers(scene, app, len(before) - 1)
    return _seen(scene, fewer, f"end of a server of {app.id}, kill {number}", appId=app.id, taskStatus=ENDING)


def health_lost(scene: Scene, app: App, number: int) -> Moments:
    """Let Marathon find a task unhealthy; seen when HAProxy no longer uses its server."""
    before = _usable(scene, app)
    scene.simulator.ask("POST", f"/_sim/tasks/{_some_task(scene, app)}", {"healthy": False})
    fewer = _number_of_servers(scene, app, len(before) - 1)
    return _seen(scene, fewer, f"end of a server of {app.id}, flip {number}", appId=app.id, alive=False)


def health_regained(scene: Scene, app: App, number: int) -> Moments:
    """Let Marathon find the same task healthy again; seen when HAProxy uses its server."""
    before = _usable(scene, app)
    scene.simulator.ask("POST", f"/_sim/tasks/{_some_task(scene, app)}", {"healthy": True})
    more = _number_of_servers(scene, app, len(before) + 1)
    return _seen(scene, more, f"return of a server of {app.id}, flip {number}", appId=app.id, alive=True)


def new_app(scene: Scene, _app: App, number: int) -> Moments:
    """Add an app with one task; seen when a request to its service port is answered."""
    port = FIRST_NEW_PORT + number % MOST_NEW_APPS
    labels = {"HAPROXY_GROUP": "external", "HAPROXY_0_MODE": "http", "HAPROXY_0_VHOST": f"new-{number}.example.com"}
    app_id = f"/bench/new-{number}"
    definition = {"id": app_id, "instances": 1, "labels": labels, "portDefinitions": [{"port": port}]}
    scene.simulator.ask("POST", "/v2/apps", definition)
    what = f"traffic to {app_id}"
    return _seen(scene, _answered(scene, port), what, appId=app_id, taskStatus="TASK_RUNNING")


def another_vhost(scene: Scene, app: App, number: int) -> Moments:
    """Give an app another host name; seen when a request with it is answered. Marathon starts its tasks anew."""
    labels = scene.simulator.ask("GET", f"/v2/apps{app.id}")["app"]["labels"]
    host = f"moved-{number}.example.com"
    scene.simulator.ask("PUT", f"/v2/apps{app.id}", {"labels": labels | {"HAPROXY_0_VHOST": host}})
    what = f"traffic to {host}"
    return _seen(scene, _answered(scene, HTTP_PORT, host), what, appId=app.id, eventType="api_post_event")


CHANGES: dict[str, Callable[[Scene, App, int], Moments]] = {
    "one task more": one_task_more,
    "one task killed": one_task_killed,
    "health lost": health_lost,
    "health regained": health_regained,
    "another vhost": another_vhost,
    "new app": new_app,
}
"""In this order for one app after another, so that each app has in the end as many tasks as before."""


def _seen(scene: Scene, in_traffic: Callable[[], bool], what: str, **event: object) -> Moments:
    def moment() -> float | None:
        return time() if in_traffic() else None

    traffic_s = until(moment, WITHIN_S, what)
    event_s = until(lambda: scene.stream.first(**event), WITHIN_S, f"event of {what}")
    return Moments(event_s, traffic_s)


def _answered(scene: Scene, port: int, host: str = "bench") -> Callable[[], bool]:
    return lambda: ask(scene.address, port, host)[0] == 200


def _usable(scene: Scene, app: App) -> set[Address]:
    return scene.view.usable_servers(scene.view.backend(app.port))


def _number_of_servers(scene: Scene, app: App, wanted: int) -> Callable[[], bool]:
    backend = scene.view.backend(app.port)
    return lambda: len(scene.view.usable_servers(backend)) == wanted


def _some_task(scene: Scene, app: App) -> str:
    """Return the same task of an app at each call."""
    task: str = min(task["id"] for task in scene.simulator.ask("GET", f"/v2/apps{app.id}/tasks")["tasks"])
    return task
