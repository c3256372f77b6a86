"""Deployment groups: the two apps of a blue/green deployment served as one (COMPAT.md 3.2).

The older app gives the definition, both give tasks, and as many of the older one's tasks drain as the newer one can
replace. Which app is the newer is decided by dates that zdd writes, so a date that cannot be read leaves out its app.

One thing differs from marathon-lb. To it an app without health checks has all of its instances from the moment it is
asked for, so that an app of one instance was out before its successor ran; here what does not run replaces nothing.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from dateutil import parser as dates

from fastlb.errors import AppError
from fastlb.model import App, Note

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUP = "HAPROXY_DEPLOYMENT_GROUP"
STARTED_AT = "HAPROXY_DEPLOYMENT_STARTED_AT"
NEW_INSTANCES = "HAPROXY_DEPLOYMENT_NEW_INSTANCES"
TARGET_INSTANCES = "HAPROXY_DEPLOYMENT_TARGET_INSTANCES"

KEPT_DATES = 4096
RUNNING = (None, "TASK_RUNNING")
"""A task without a state runs: Marathon's oldest answers have none (MARATHON.md 3.1)."""


def merge_groups(apps: Sequence[App]) -> tuple[list[App], list[Note]]:
    """Return the processed apps, ungrouped ones first and groups in the order first seen, and what was left out."""
    if len(apps) == 1 and apps[0].labels.get(GROUP) is None:
        return [apps[0]], []
    processed: list[App] = []
    groups: dict[str, list[App]] = {}
    notes: list[Note] = []
    for app in apps:
        if app.labels.get(GROUP) is None:
            processed.append(app)
            continue
        try:
            groups.setdefault(_group_id(app), []).append(app)
        except AppError as error:
            notes.append(Note(app.id, str(error), mistake=True))
    for group, members in groups.items():
        merged, said = _merge_members(group, members)
        processed += merged
        notes += said
    return processed, notes


def known_as(app: App) -> str:
    """Return the id under which HAProxy knows ``app``: that of its deployment group if it is in one."""
    try:
        return app.id if app.labels.get(GROUP) is None else _group_id(app)
    except AppError:
        return app.id


def _merge_members(group: str, members: list[App]) -> tuple[list[App], list[Note]]:
    """Merge the apps of one group, at best to one. The date of an app that is alone in its group is not looked at."""
    merged: list[App] = []
    notes: list[Note] = []
    for app in members:
        try:
            if len(members) > 1:
                _started_at(app)
            merged = [_merge(merged[0], app)] if merged else [app._replace(id=group)]
        except AppError as error:
            notes.append(Note(app.id, str(error), mistake=True))
    return merged, notes


def _group_id(app: App) -> str:
    group = app.labels[GROUP]
    if not isinstance(group, str) or not group or any(character.isspace() for character in group):
        raise AppError(f"label {GROUP} is {group!r}, one word is needed")
    return group if group.startswith("/") else f"/{group}"


def _started_at(app: App) -> datetime:
    value = app.labels.get(STARTED_AT)
    if value is None:
        return datetime.min  # noqa: DTZ901 - the rule itself says: a missing date has no zone
    try:
        return _date(value)
    except (ValueError, OverflowError, TypeError) as error:
        raise AppError(f"label {STARTED_AT} is {value!r}, which is no date: {error}") from error


@lru_cache(maxsize=KEPT_DATES)
def _date(text: str) -> datetime:
    """Read a date; reading one takes longer than all the rest of a merge."""
    started: datetime = dates.parse(text)
    return started


def _merge(previous: App, current: App) -> App:
    """Merge ``current`` into what is kept of its group, steps 1 to 6 of COMPAT.md 3.2."""
    try:
        previous_is_older = _started_at(previous) < _started_at(current)
    except TypeError as error:
        raise AppError(f"label {STARTED_AT} has a time zone in one app of the group and none in another") from error
    old, new = (previous, current) if previous_is_older else (current, previous)
    target = 1
    if new.labels.get(NEW_INSTANCES) is not None:
        if _last_scaling(old) > _last_scaling(new):
            old, new = new, old
        target = _target_instances(new)
    healthy = sum(task.alive is True for task in new.tasks) if current.health_checks else _running(new)
    drained = min(len(old.tasks), healthy, max(0, healthy + _instances(old) - target))
    tasks = sorted(old.tasks, key=lambda task: task.id)
    draining = [task._replace(draining=True) for task in tasks[:drained]]
    return old._replace(id=previous.id, tasks=(*draining, *tasks[drained:], *new.tasks))


def _last_scaling(app: App) -> str:
    if app.last_scaling_at is None:
        raise AppError(f"app {app.id} has no versionInfo.lastScalingAt, which label {NEW_INSTANCES} needs")
    return app.last_scaling_at


def _target_instances(app: App) -> int:
    value = app.labels.get(TARGET_INSTANCES)
    try:
        return int(str(value))
    except (TypeError, ValueError) as error:
        raise AppError(f"label {TARGET_INSTANCES} of app {app.id} is {value!r}, an integer is needed") from error


def _running(app: App) -> int:
    """Return how many tasks run of an app without health checks, and of those that are asked for."""
    return min(_instances(app), sum(task.state in RUNNING for task in app.tasks))


def _instances(app: App) -> int:
    if app.instances is None:
        raise AppError(f"app {app.id} has no instances member")
    return app.instances
