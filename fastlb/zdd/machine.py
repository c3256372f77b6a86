"""What comes next in a deployment, from what is there now: the state machine of ``fastlb zdd``.

    (Aim, both apps, what load balancers see, whether draining has had its time) --next_step--> Step

Pure, without memory: whoever asks again after a crash gets the step that the dead one was about to do. ARCHITECTURE.md
has the diagram. Which tasks drain is decided by load balancers, by a rule that both sides know (COMPAT.md 3.2): the app
that was scaled last is the one to stay, and as many tasks of the other drain as there are more than asked for. So

- tasks are killed only where every load balancer has them out and holds nothing of them, and never so many that fewer
  healthy ones are left than asked for;
- a kill makes the app that loses the one "scaled last". That is harmless while there are exactly as many tasks as asked
  for, so a whole step's tasks go at once, and the other app is scaled right after it; with the full number of new
  tasks there, the old app is not thinned out any more but deleted as a whole;
- the rule then reads the old app's own target, so an old app whose label says less, or nothing, is left whole until its
  successor is complete (`Aim.thins`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastlb.zdd.draining import TaskSeen, Verdict
    from fastlb.zdd.state import Side, TaskState


class Limit(StrEnum):
    """What a wait waits for; each has a limit of its own."""

    HEALTH = "health"
    DRAIN = "drain"
    LOCK = "lock"


class Aim(NamedTuple):
    """What a run is to reach in a deployment group; it stays the same throughout.

    ``total`` tasks are asked for, of both apps together. ``split``: stop with so many of the new one, 0: replace the
    old one. ``linear``: grow by so many, 0: by half. ``thins``: whether the old app gives tasks back on the way.
    ``forces``: the old app is to be abandoned, with the deployments that hold it.
    """

    group: str
    new_id: str
    old_id: str
    total: int
    split: int = 0
    linear: int = 0
    thins: bool = True
    forces: bool = False

    @property
    def goal(self) -> int:
        """How many instances the new app is to have."""
        return self.split or self.total


class Wait(NamedTuple):
    """Look again in a moment."""

    limit: Limit
    why: str


class Scale(NamedTuple):
    """Give an app so many instances."""

    app_id: str
    instances: int


class Kill(NamedTuple):
    """Kill these tasks and scale their app down by as many; then, at once, scale the new app if told so."""

    app_id: str
    task_ids: tuple[str, ...]
    then: Scale | None = None


class Delete(NamedTuple):
    """Delete the old app; these tasks go with it."""

    app_id: str
    task_ids: tuple[str, ...]


class Done(NamedTuple):
    """Nothing is left to do."""


class Stuck(NamedTuple):
    """Draining did not come about in its time, and nothing can be done without loss."""

    why: str


Step = Wait | Scale | Kill | Delete | Done | Stuck


class Scene(NamedTuple):
    """What is there at one moment. ``late``: draining has been waited for as long as it may take."""

    new: Side
    old: Side
    seen: Verdict
    late: bool = False

    @property
    def spare(self) -> int:
        """How many tasks are healthy, of both apps."""
        return self.new.healthy + self.old.healthy


def next_step(aim: Aim, scene: Scene) -> Step:
    """Return what to do now."""
    new, old = scene.new, scene.old
    if aim.split and not new.busy and new.instances >= aim.split and new.instances + old.instances <= aim.total:
        return Done()
    if new.busy:
        return Wait(Limit.HEALTH, f"Marathon deploys {new.app_id}: {new.healthy} of {new.instances} are healthy")
    if _is_turned(scene):
        return _turn(aim, scene)
    if new.healthy < new.instances:
        return Wait(Limit.HEALTH, f"{new.healthy} of {new.instances} of {new.app_id} are healthy")
    if missing := new.instances - len(scene.seen.ready(task.id for task in new.tasks)):
        return Wait(Limit.HEALTH, f"{missing} of {new.instances} of {new.app_id} get no requests yet")
    if not aim.split and new.instances >= aim.total:
        return _held_up(aim, old) or _replace(aim, scene)
    return _exchange(aim, scene)


def grown(aim: Aim, new_instances: int, old_instances: int) -> int:
    """Return the next size of the new app: by half, by a fixed number, or the rest (COMPAT.md 9.3)."""
    if not aim.thins:
        return aim.goal
    size = new_instances + (aim.linear or (new_instances + 1) // 2)
    if not aim.linear and not aim.split and size >= old_instances:
        return aim.goal
    return min(max(size, new_instances + 1), aim.goal)


def foreseen(aim: Aim, new_instances: int, old_instances: int) -> Iterator[tuple[int, int]]:
    """Yield the numbers of instances that a smooth run goes through, new and old, from these on."""
    new, old = new_instances, old_instances
    while True:
        yield new, old
        surplus = max(0, min(old, new + old - aim.total)) if aim.thins or new >= aim.goal else 0
        if new >= aim.goal:
            break
        new, old = grown(aim, new, old), old - surplus
    if surplus:
        yield new, old - surplus


def _replace(aim: Aim, scene: Scene) -> Step:
    """All new tasks are there: delete the old app once nothing of it is in use.

    One to be abandoned whose tasks all fail never drains, since by the rule nobody stands in for sick tasks: it goes as
    soon as it holds nothing.
    """
    old = scene.old
    task_ids = tuple(task.id for task in old.tasks)
    held = scene.seen.held(task_ids)
    if aim.forces and all(task.sick for task in old.tasks) and not held and not scene.seen.unseen:
        return Delete(old.app_id, task_ids)
    using = [task for task in old.tasks if not _is_unused(task, scene.seen)]
    if not using or (scene.late and all(_may_be_cut(task, scene.seen) for task in using)):
        return Delete(old.app_id, task_ids)
    if scene.late:
        return Stuck(_not_out(scene, len(old.tasks)))
    return Wait(Limit.DRAIN, f"{len(using)} of {old.app_id} are still in use, {held} in flight")


def _exchange(aim: Aim, scene: Scene) -> Step:
    """Kill the old tasks that the new ones stand in for, then grow."""
    new, old = scene.new, scene.old
    grow = Scale(aim.new_id, grown(aim, new.instances, old.instances)) if new.instances < aim.goal else None
    surplus = min(len(old.tasks), new.instances + old.instances - aim.total)
    # What was killed last is not made up for yet, and until it is, load balancers take the old app for the one to stay.
    unfinished = old.scaled_at > new.scaled_at
    if surplus <= 0 or (grow and (unfinished or not aim.thins)):
        return grow or Done()
    if held_up := _held_up(aim, old) or _dying(old):
        return held_up
    out = [task for task in old.tasks if (seen := scene.seen.tasks.get(task.id)) and seen.is_marked]
    drained = scene.seen.drained(task.id for task in out)
    if len(drained) < surplus and not scene.late:
        held = scene.seen.held(task.id for task in out)
        return Wait(Limit.DRAIN, f"{len(drained)} of {surplus} of {old.app_id} are drained, {held} in flight")
    if not out and not _sick(old):
        return Stuck(_not_out(scene, surplus))
    # In order: those that hold nothing first.
    ordered = sorted(out, key=lambda task: (task.id not in drained, task.id))[:surplus]
    victims = _affordable(ordered, scene.spare - aim.total)
    if grow:
        return Kill(old.app_id, victims, grow) if victims else grow
    if len(victims) == surplus:
        return Kill(old.app_id, victims)
    return Stuck(_not_out(scene, surplus)) if scene.late else Wait(Limit.DRAIN, f"{old.app_id} has sick tasks")


def _held_up(aim: Aim, old: Side) -> Wait | None:
    if not old.busy or aim.forces:
        return None
    return Wait(Limit.LOCK, f"{old.app_id} is locked by deployment {', '.join(old.busy)}")


def _dying(old: Side) -> Wait | None:
    """Tasks that end slowly are listed until they are gone; killed twice, they would lower the instances twice."""
    dying = len(old.tasks) - old.instances
    return Wait(Limit.LOCK, f"{dying} of {old.app_id} are still ending") if dying > 0 else None


def _is_turned(scene: Scene) -> bool:
    """Whether load balancers drain the new app, since the old one was scaled last."""
    seen = (scene.seen.tasks.get(task.id) for task in scene.new.tasks)
    return scene.old.scaled_at > scene.new.scaled_at and any(task.out for task in seen if task)


def _turn(aim: Aim, scene: Scene) -> Step:
    """Have the new app be the one that was scaled last: grow it, or give one of its drained tasks for a fresh one."""
    new, old = scene.new, scene.old
    if new.instances < aim.goal:
        return Scale(aim.new_id, grown(aim, new.instances, old.instances))
    drained = set(scene.seen.drained(task.id for task in new.tasks))
    victims = _affordable([task for task in new.tasks if task.id in drained][:1], scene.spare - aim.total)
    if victims:
        return Kill(new.app_id, victims)
    if scene.late:
        return Stuck(f"load balancers drain {new.app_id}, since {old.app_id} was scaled after it")
    return Wait(Limit.DRAIN, f"load balancers drain {new.app_id}; one of its tasks has to be idle")


def _affordable(tasks: list[TaskState], spare: int) -> tuple[str, ...]:
    """Return the ids of those that can be killed while ``spare`` healthy tasks may be lost; sick ones always."""
    chosen = []
    for task in tasks:
        if not task.healthy or spare > 0:
            chosen.append(task.id)
            spare -= task.healthy
    return tuple(chosen)


def _is_unused(task: TaskState, seen: Verdict) -> bool:
    """Whether nothing is lost with it: out everywhere and idle, or sick and given nothing by any load balancer."""
    known = seen.tasks.get(task.id)
    if known is None:
        return True
    served_nowhere = known.is_marked or not (known.up or known.out) or (not task.healthy and not known.ready)
    return served_nowhere and not known.held and not seen.unseen


def _may_be_cut(task: TaskState, seen: Verdict) -> bool:
    """Whether it may be lost after the longest wait: it gets nothing new, or should not."""
    return not task.healthy or _is_out(seen.tasks.get(task.id))


def _is_out(known: TaskSeen | None) -> bool:
    return known is None or known.is_marked or not (known.up or known.out)


def _sick(side: Side) -> int:
    return len(side.tasks) - side.healthy


def _not_out(scene: Scene, wanted: int) -> str:
    """Say how many old tasks each load balancer that has too few of them out has out."""
    seen = [each for task in scene.old.tasks if (each := scene.seen.tasks.get(task.id))]
    out = {address: 0 for each in seen for address in (*each.up, *each.out)}
    for address in (address for each in seen for address in each.out):
        out[address] += 1
    few = [f"{address} has {count}" for address, count in sorted(out.items()) if count < wanted]
    who = ", ".join(few) or "no load balancer has them"
    return f"{wanted} of {scene.old.app_id} have to be out in every load balancer, but {who}"
