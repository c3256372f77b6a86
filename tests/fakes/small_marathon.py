"""A Marathon of a few apps, without HTTP, time or real tasks: documents, and the events that tell of their changes.

Every operation is a generator: it changes the documents between the events that it yields, in the order of MARATHON.md
5.5 and 5.6 (a deployment is announced before its definition can be read). Who advances several of them by turns gets
changes that overlap. An app with a deployment under way takes no second one, as in Marathon without ``force``.
"""

from __future__ import annotations

import copy
from itertools import count
from typing import TYPE_CHECKING

from tests.fakes.apps import app, task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.fakes.apps import Json

UNREADABLE = {"labels": {"labels": None}, "tasks": {"tasks": [{"id": "odd", "ports": "none"}]}}
"""What may be wrong with the JSON of an app: something of its definition, or something of a task."""


class SmallMarathon:
    """Apps by id; ``order`` is the order in which they are answered, which is none that anybody could guess."""

    def __init__(self, order: Sequence[str]) -> None:
        self.order = list(order)
        self.locked: set[str] = set()
        self._apps: dict[str, Json] = {}
        self._wrong: dict[str, str] = {}
        self._numbers = count(1)

    @property
    def ids(self) -> list[str]:
        """Return the ids of the apps that there are, in order."""
        return [app_id for app_id in self.order if app_id in self._apps]

    def everything(self) -> list[Json]:
        """Answer a read of everything."""
        return [self._answer(app_id) for app_id in self.ids]

    def one(self, app_id: str) -> Json | None:
        """Answer a read of one app, None for 404."""
        return self._answer(app_id) if app_id in self._apps else None

    def is_readable(self, app_id: str) -> bool:
        return app_id not in self._wrong

    def has_tasks(self, app_id: str) -> bool:
        return bool(self._apps[app_id]["tasks"])

    def define(self, wanted: Mapping[str, Json], *, posted: bool) -> Iterator[Json]:
        """Create or change apps in one deployment; ``posted``: each through its own URL, which is told of."""
        plan = self._plan(wanted, "RestartApplication")
        yield {"eventType": "deployment_info", **plan}
        kept = {app_id: self._apps.get(app_id, {}).get("tasks", []) for app_id in wanted}
        self._apps |= {
            app_id: {**definition, "id": app_id, "tasks": kept[app_id], "versionInfo": self._version_of(definition)}
            for app_id, definition in wanted.items()
        }
        yield {"eventType": "group_change_success", "groupId": "/", "version": plan["plan"]["version"]}
        if posted:
            for app_id in wanted:
                yield {"eventType": "api_post_event", "appDefinition": {"id": app_id}}
        for app_id in wanted:
            yield from self._replace_tasks(app_id, [each["id"] for each in kept[app_id]])
        yield {"eventType": "deployment_success", **plan}

    def scale(self, app_id: str, instances: int) -> Iterator[Json]:
        plan = self._plan([app_id], "ScaleApplication")
        yield {"eventType": "deployment_info", **plan}
        definition = self._apps[app_id]
        version = {**definition["versionInfo"], "lastScalingAt": self._stamp()}
        self._apps[app_id] = {**definition, "instances": instances, "versionInfo": version}
        yield {"eventType": "group_change_success", "groupId": "/", "version": plan["plan"]["version"]}
        yield from self._replace_tasks(app_id, [])
        yield {"eventType": "deployment_success", **plan}

    def delete(self, app_id: str, *, terminated_late: bool) -> Iterator[Json]:
        """Delete an app; until Marathon 1.5 the end of its tasks may be told after that of the deployment."""
        plan = self._plan([app_id], "StopApplication")
        yield {"eventType": "deployment_info", **plan}
        gone = self._apps.pop(app_id)
        self._wrong.pop(app_id, None)
        yield {"eventType": "group_change_success", "groupId": "/", "version": plan["plan"]["version"]}
        for _ in gone["tasks"]:
            yield _status(app_id)
        last = [{"eventType": "app_terminated_event", "appId": app_id}, {"eventType": "deployment_success", **plan}]
        yield from reversed(last) if terminated_late else last

    def kill(self, app_id: str, *, dies: bool = True) -> Iterator[Json]:
        """End the oldest task of an app, or say so of one that stays."""
        oldest = self._apps[app_id]["tasks"][:1]
        if dies:
            self._apps[app_id]["tasks"] = self._apps[app_id]["tasks"][1:]
        for each in oldest:
            yield _status(app_id) | {"taskId": each["id"], "taskStatus": "TASK_KILLING"}
        yield _status(app_id)

    def tell_health(self, app_id: str, *, alive: bool) -> Iterator[Json]:
        """Let the newest task of an app be found alive or not, if there is a health check."""
        if self._apps[app_id]["healthChecks"]:
            self._apps[app_id]["tasks"][-1]["healthCheckResults"] = [{"alive": alive}]
            yield {"eventType": "health_status_changed_event", "appId": app_id, "alive": alive}

    def spoil(self, app_id: str, part: str) -> Iterator[Json]:
        """Make the JSON of an app unreadable."""
        self._wrong[app_id] = part
        yield self._told_of_part(app_id, part)

    def mend(self, app_id: str) -> Iterator[Json]:
        """Make it readable again."""
        yield self._told_of_part(app_id, self._wrong.pop(app_id))

    def change_leader(self, order: Sequence[str]) -> None:
        """Forget all health results, and answer in another order."""
        self.order = list(order)
        for each in self._apps.values():
            for one in each["tasks"]:
                one.pop("healthCheckResults", None)

    def _replace_tasks(self, app_id: str, old_ids: list[str]) -> Iterator[Json]:
        """Have as many tasks as wanted, none of them old; one by one, as a rolling deployment does."""
        document = self._apps[app_id]
        while sum(each["id"] not in old_ids for each in document["tasks"]) < document["instances"]:
            document["tasks"] = [*document["tasks"], self._new_task()]
            yield _status(app_id)
            if document["tasks"]:
                yield from self.tell_health(app_id, alive=True)
        while len(document["tasks"]) > document["instances"]:
            document["tasks"] = document["tasks"][1:]
            yield _status(app_id)

    def _new_task(self) -> Json:
        number = next(self._numbers)
        place = f"127.0.{number % 3}.{number % 200 + 1}"
        return task(number, place, [31000 + number, 41000 + number], ipAddresses=[{"ipAddress": place}])

    def _plan(self, app_ids: Sequence[str] | Mapping[str, Json], action: str) -> Json:
        actions = [{"action": action, "app": app_id} for app_id in app_ids]
        return {"plan": {"version": self._stamp(), "steps": [{"actions": actions}]}}

    def _version_of(self, definition: Json) -> Json:
        return {**definition["versionInfo"], "lastConfigChangeAt": self._stamp()}

    def _stamp(self) -> str:
        return f"2026-01-01T00:00:00.{next(self._numbers):06d}Z"

    def _told_of_part(self, app_id: str, part: str) -> Json:
        return _status(app_id) if part == "tasks" else {"eventType": "api_post_event", "appDefinition": {"id": app_id}}

    def _answer(self, app_id: str) -> Json:
        return copy.deepcopy({**self._apps[app_id], **UNREADABLE.get(self._wrong.get(app_id, ""), {})})


def definition(labels: Json, *, ports: Sequence[int] | None, checks: Sequence[Json], instances: int) -> Json:
    """What an app is but for its tasks; without ``ports`` it has an address per task and is assigned service ports."""
    members = {
        "healthChecks": list(checks),
        "instances": instances,
        "versionInfo": {"lastScalingAt": "2026"},
        "tasks": [],
    }
    if ports is not None:
        return app("", ports, labels, **members)
    assigned = {"networks": [{"mode": "container"}], "container": {"portMappings": [{"containerPort": 8080}]}}
    return app("", [], labels, **members, **assigned)


def _status(app_id: str) -> Json:
    return {"eventType": "status_update_event", "appId": app_id}
