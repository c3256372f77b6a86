"""One event of Marathon to the apps that have to be looked at again.

It must not know where events come from, what the apps look like, or which of them fastlb cares for: an
event is a reason to ask, never an answer (MARATHON.md 5.5). Data flows: the JSON object of one event ->
`mark_of` -> a `Mark`. The messages that a followed stream sends to the loop are here too, since both ends
need their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from fastlb.errors import MarathonAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ATTACHED = "event_stream_attached"

#: What is asked for: the sufficient subscription of MARATHON.md 5.7, with the two that only Marathon 1.3
#: sends.
SUBSCRIPTION: tuple[str, ...] = (
    ATTACHED,
    "api_post_event",
    "group_change_success",
    "deployment_info",
    "deployment_step_success",
    "deployment_success",
    "deployment_failed",
    "status_update_event",
    "instance_changed_event",
    "health_status_changed_event",
    "instance_health_changed_event",
    "app_terminated_event",
    "unhealthy_task_kill_event",
    "unknown_task_terminated_event",
)


ENDING_STATES = frozenset(
    """
    TASK_KILLING TASK_FINISHED TASK_FAILED TASK_KILLED TASK_ERROR TASK_DROPPED TASK_GONE TASK_GONE_BY_OPERATOR
    """.split()
)
ENDING_CONDITIONS = frozenset("Killing Finished Failed Killed Error Dropped Gone".split())


@dataclass(frozen=True, slots=True)
class Mark:
    """What one event asks for; with nothing but a `kind` it asks for nothing.

    `app_ids` have to be read again; some may be pods, which Marathon answers with 404. `plan_version` ties
    the events of one change together: the apps that `deployment_info` named under it are read again when
    `group_change_success` and `deployment_success` bring it back. `group_id` is the group that changed;
    `everything` says that it is the root, so that only a full read covers it if `plan_version` is not
    known. `barrier`: the subscription works from here on (MARATHON.md 5.3). `ending` are the ids of tasks, or
    of their instances, that are being ended or are gone.
    """

    kind: str
    app_ids: tuple[str, ...] = ()
    plan_version: str = ""
    group_id: str = ""
    everything: bool = False
    barrier: bool = False
    ending: tuple[str, ...] = ()

    @property
    def marks_nothing(self) -> bool:
        """Whether nobody has to do anything about this event."""
        return not (self.app_ids or self.plan_version or self.group_id or self.barrier)


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The stream of `url` is open: what came before is unknown, so everything has to be read now.

    `confirmed` is False when Marathon did not say in time that the subscription is in place. If it says so
    later the message comes a second time, since events between the two may have been missed.
    """

    url: str
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class EventArrived:
    """An event that asks for something, and when its last byte arrived (monotonic seconds)."""

    mark: Mark
    at_monotonic_s: float


@dataclass(frozen=True, slots=True)
class StreamLost:
    """There is no stream, for `reason`; the next attempt begins in `retry_in_s` seconds."""

    reason: str
    retry_in_s: float


StreamMessage: TypeAlias = StreamOpened | EventArrived | StreamLost


def mark_of(event: object, name: str = "") -> Mark:
    """Tell what the JSON object of one event asks for; the catalogue is MARATHON.md 5.4.

    `name` is the stream's own name of the event, for objects without `eventType`. Kinds that cannot change
    what is routed, and kinds nobody has heard of, give a mark that marks nothing.

    Raises:
        MarathonAnswerError: the event is no object, has no kind, or lacks what its kind always carries.

    """
    if not isinstance(event, dict):
        raise MarathonAnswerError(f"an event that is no JSON object but {type(event).__name__}")
    kind = event.get("eventType") or name
    if not kind or not isinstance(kind, str):
        raise MarathonAnswerError("an event without eventType")
    read = _READERS.get(kind)
    return read(kind, event) if read else Mark(kind)


def _of_attached(kind: str, _event: Mapping[str, Any]) -> Mark:
    return Mark(kind, barrier=True)


def _of_app(kind: str, event: Mapping[str, Any]) -> Mark:
    return Mark(kind, (_text(kind, event, "appId"),))


def _of_status(kind: str, event: Mapping[str, Any]) -> Mark:
    ending = str(event.get("taskStatus")) in ENDING_STATES
    return Mark(kind, (_text(kind, event, "appId"),), ending=_named(event, "taskId") if ending else ())


def _of_instance(kind: str, event: Mapping[str, Any]) -> Mark:
    ending = str(event.get("condition")) in ENDING_CONDITIONS
    return Mark(kind, (_text(kind, event, "runSpecId"),), ending=_named(event, "instanceId") if ending else ())


def _of_kill(kind: str, event: Mapping[str, Any]) -> Mark:
    return Mark(kind, (_text(kind, event, "appId"),), ending=_named(event, "taskId"))


def _named(event: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the id of a task or an instance; some versions write it as ``instance [ID]`` (MARATHON.md 3.3)."""
    value = event.get(key)
    return (value.removeprefix("instance [").removesuffix("]"),) if isinstance(value, str) and value else ()


def _of_run_spec(kind: str, event: Mapping[str, Any]) -> Mark:
    return Mark(kind, (_text(kind, event, "runSpecId"),))


def _of_task_or_run_spec(kind: str, event: Mapping[str, Any]) -> Mark:
    # Of the events of 1.3 and before, the name of the field is on no record (MARATHON.md 5.4 has the later
    # one).
    return Mark(kind, (_text(kind, event, "appId" if "appId" in event else "runSpecId"),))


def _of_definition(kind: str, event: Mapping[str, Any]) -> Mark:
    return Mark(kind, (_text(kind, _object(kind, event, "appDefinition"), "id"),))


def _of_group(kind: str, event: Mapping[str, Any]) -> Mark:
    group_id = _text(kind, event, "groupId")
    return Mark(kind, (), _text(kind, event, "version"), group_id, everything=group_id == "/")


def _of_deployment(kind: str, event: Mapping[str, Any]) -> Mark:
    plan = _object(kind, event, "plan")
    return Mark(kind, tuple(dict.fromkeys(_apps_of(plan))), _text(kind, plan, "version"))


def _apps_of(plan: Mapping[str, Any]) -> Iterator[str]:
    """Every app that a step of a plan acts on; actions on pods name none (MARATHON.md 5.4)."""
    steps = plan.get("steps")
    for step in steps if isinstance(steps, list) else ():
        actions = step.get("actions") if isinstance(step, dict) else None
        for action in actions if isinstance(actions, list) else ():
            app_id = action.get("app") if isinstance(action, dict) else None
            if app_id and isinstance(app_id, str):
                yield app_id


def _text(kind: str, owner: Mapping[str, Any], key: str) -> str:
    value = owner.get(key)
    if not value or not isinstance(value, str):
        raise MarathonAnswerError(f"a {kind} without {key}")
    return value


def _object(kind: str, owner: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = owner.get(key)
    if not isinstance(value, dict):
        raise MarathonAnswerError(f"a {kind} without {key}")
    return value


_READERS: dict[str, Callable[[str, Mapping[str, Any]], Mark]] = {
    ATTACHED: _of_attached,
    "api_post_event": _of_definition,
    "group_change_success": _of_group,
    "deployment_info": _of_deployment,
    "deployment_step_success": _of_deployment,
    "deployment_step_failure": _of_deployment,
    "deployment_success": _of_deployment,
    "deployment_failed": _of_deployment,
    "status_update_event": _of_status,
    "health_status_changed_event": _of_app,
    "app_terminated_event": _of_app,
    "unhealthy_task_kill_event": _of_kill,
    "unhealthy_instance_kill_event": _of_kill,
    "instance_changed_event": _of_instance,
    "instance_health_changed_event": _of_run_spec,
    "unknown_instance_terminated_event": _of_run_spec,
    "unknown_task_terminated_event": _of_task_or_run_spec,
}
