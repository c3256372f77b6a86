"""One app of a deployment group as it stands, from Marathon's JSON; which of two is the newer (COMPAT.md 9.2).

Pure. It must not know what load balancers see, nor what will be done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fastlb.deployment import NEW_INSTANCES, STARTED_AT, TARGET_INSTANCES
from fastlb.services import SKIPPED_STATES

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]


class TaskState(NamedTuple):
    """One task that takes requests, or could.

    ``healthy`` by all of Marathon's checks, if the app has any; ``sick`` if one has failed, and not only said nothing.
    """

    id: str
    healthy: bool
    sick: bool = False


class Side(NamedTuple):
    """One of the two apps.

    ``instances`` are those asked for, ``tasks`` those that run. ``target`` and ``split`` are its labels, None and 0
    without one. ``scaled_at`` is Marathon's own time, whose order as a text is the order of time (MARATHON.md 2.4).
    """

    app_id: str
    instances: int
    tasks: tuple[TaskState, ...] = ()
    busy: tuple[str, ...] = ()
    """Ids of the deployments that hold it."""

    scaled_at: str = ""
    started_at: str = "0"
    target: int | None = None
    split: int = 0

    @property
    def healthy(self) -> int:
        """How many of its tasks are healthy."""
        return sum(task.healthy for task in self.tasks)


def read_side(document: Json) -> Side:
    """Read one app as Marathon shows it, with its tasks."""
    labels = document.get("labels") or {}
    checked = bool(document.get("healthChecks"))
    tasks = [task for task in document.get("tasks") or () if task.get("state") not in SKIPPED_STATES]
    return Side(
        app_id=document["id"],
        instances=int(document.get("instances") or 0),
        tasks=tuple(TaskState(task["id"], _healthy(task, checked), _sick(task)) for task in tasks),
        busy=tuple(each["id"] for each in document.get("deployments") or ()),
        scaled_at=(document.get("versionInfo") or {}).get("lastScalingAt") or "",
        started_at=str(labels.get(STARTED_AT, "0")),
        target=_count(labels.get(TARGET_INSTANCES)),
        split=_count(labels.get(NEW_INSTANCES)) or 0,
    )


def by_age(documents: Iterable[Json]) -> list[Json]:
    """Return apps from the oldest deployment to the newest, by label as a text (COMPAT.md 9.2)."""
    return sorted(documents, key=lambda document: str((document.get("labels") or {}).get(STARTED_AT, "0")))


def _healthy(task: Json, checked: bool) -> bool:
    if task.get("state") not in {None, "TASK_RUNNING"}:
        return False
    results = task.get("healthCheckResults") or ()
    return not checked or (bool(results) and all(result.get("alive") is True for result in results))


def _sick(task: Json) -> bool:
    return any(result.get("alive") is False for result in task.get("healthCheckResults") or ())


def _count(label: object) -> int | None:
    return int(str(label)) if str(label).isdecimal() else None
