"""The daemon in front of a Marathon that answers what it likes, when it likes: what is asked, and what comes of it.

Nothing happens in this Marathon by itself, and its tasks do not exist: a test says what changes, what is told of it,
and how each request is answered. What fastlb made of it is read from the files that HAProxy has.
"""

from __future__ import annotations

import contextlib
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.fakes.apps import app, task
from tests.fakes.front_door import until
from tests.fakes.marathon_http import FakeCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.front_door import FrontDoor

Json = dict[str, Any]
ports = count(27000)
task_ports = count(31000)

FOREIGN = {"HAPROXY_GROUP": "internal"}
HUGE = 2000
LONG_ID = "/group-1/sub.group/0a-b.c-9"
"""Every kind of character that an id may have (MARATHON.md 1.3, 4)."""


class Scene:
    """A Marathon and the daemon in front of it."""

    def __init__(self, marathon: FakeCluster, door: FrontDoor) -> None:
        self.marathon = marathon
        self.door = door
        self.before = self.start = 0

    def define(self, app_id: str, **members: Any) -> Json:
        """Have Marathon know an app with one task."""
        document = app(app_id, [next(ports)], tasks=[self.task(app_id)], **members)
        self.marathon.apps[app_id] = document
        return document

    def task(self, app_id: str) -> Json:
        return task(0, ports=[next(task_ports)]) | {"id": f"{app_id[1:].replace('/', '_')}.{next(task_ports)}"}

    def move(self, app_id: str) -> None:
        """Have another task in the place of the app's own; nobody is told."""
        before = self.marathon.apps[app_id]
        self.marathon.apps[app_id] = {**before, "tasks": [self.task(app_id)]}

    def up(self, *flags: str) -> Scene:
        """Start the daemon."""
        self.door.up(self.marathon.url, *flags)
        return self.begin()

    def begin(self) -> Scene:
        """Count requests and journal entries from here on."""
        self.before, self.start = len(self.marathon.seen), self.door.now()
        return self

    def asked(self) -> list[str]:
        """The apps asked for since the test began, or "everything"."""
        return self.marathon.asked(self.before)

    def change(self, *app_ids: str) -> None:
        """Have each app get another task, and tell of it."""
        for app_id in app_ids:
            self.move(app_id)
        self.marathon.tell(*map(status, app_ids))

    def follows(self, app_id: str) -> bool:
        """Whether HAProxy's files have exactly the tasks that Marathon has for this app."""
        backend = f"backend {app_id[1:].replace('/', '_')}_{self.marathon.apps[app_id]['portDefinitions'][0]['port']}\n"
        block = self.door.config().rpartition(backend)[2].partition("\n\n")[0]
        servers = {line.split()[2] for line in block.splitlines() if line.startswith("  server ")}
        return servers == {f"{each['host']}:{each['ports'][0]}" for each in self.marathon.apps[app_id]["tasks"]}

    def wait_until_it_follows(self, *app_ids: str) -> None:
        until(lambda: all(map(self.follows, app_ids)), said=lambda: f"{self.marathon.asked()}\n{self.door.log()}")

    def settle(self) -> list[str]:
        """Have an app that is there for that change; return what else was asked for until the change had arrived."""
        before = self.asked().count("/settle")
        self.change("/settle")
        self.wait_until_it_follows("/settle")
        assert self.asked().count("/settle") == before + 1
        return [path for path in self.asked() if path != "/settle"]


def status(app_id: str) -> Json:
    return {"eventType": "status_update_event", "appId": app_id, "taskStatus": "TASK_RUNNING"}


def posted(app_id: str) -> Json:
    return {"eventType": "api_post_event", "appDefinition": {"id": app_id}}


def deployment(kind: str, app_id: str, version: str) -> Json:
    actions = [{"action": "StartApplication", "app": app_id}]
    return {"eventType": kind, "plan": {"version": version, "steps": [{"actions": actions}]}}


def group_change(version: str) -> Json:
    return {"eventType": "group_change_success", "groupId": "/", "version": version}


@contextlib.contextmanager
def scene_at(door: FrontDoor) -> Iterator[Scene]:
    with FakeCluster([]) as marathon:
        scene = Scene(marathon, door)
        for app_id in ("/a", "/b", "/settle"):
            scene.define(app_id)
        scene.define("/foreign", labels=FOREIGN)
        yield scene
        assert door.process is None or door.stop() == 0
        assert "Traceback" not in door.log()


def path_of(app_id: str) -> str:
    return f"/v2/apps{app_id}"


def read_alone(scene: Scene) -> list[str]:
    entries = scene.door.journal("fetched", scene.start)
    return [app_id for one in entries if one["asked"] != "everything" for app_id in one["asked"]]
