"""Pursues an aim: look at Marathon and the load balancers, have the machine say what comes next, do it, look again.

    Marathon, load balancers --> Scene --next_step--> Step --> Marathon

It must not decide about tasks. Nothing is kept from one round to the next but how long is being waited, and for what:
a change whose answer got lost, a failover or a lock means only that the next round looks again. Every wait has a limit,
and reaching one raises `ZddError` with its code.
"""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from fastlb.errors import AppError
from fastlb.zdd.balancers import BalancerError
from fastlb.zdd.draining import draining, host_names, places_of_tasks
from fastlb.zdd.machine import Delete, Done, Kill, Limit, Scale, Scene, Stuck, Wait, next_step
from fastlb.zdd.marathon import TroubleError
from fastlb.zdd.outcomes import Code, ZddError
from fastlb.zdd.progress import counts_of
from fastlb.zdd.state import Side, read_side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastlb.resolver import Resolver
    from fastlb.zdd.definitions import Json
    from fastlb.zdd.draining import Verdict
    from fastlb.zdd.machine import Aim
    from fastlb.zdd.marathon import Marathon
    from fastlb.zdd.progress import Progress
    from fastlb.zdd.seen import BalancerSeen

T = TypeVar("T")

FIRST_PAUSE_S = 0.05
GROWTH = 1.1
"""Each pause is longer than the one before by so much: all is noticed within a tenth of what it took, or at once."""
MOST_APPS = 2


class Balancers(Protocol):
    """All load balancers of the group."""

    def look(self) -> tuple[BalancerSeen, ...]:
        """Return what each of them sees. Raises BalancerError."""


class Limits(NamedTuple):
    """How long what may last, in seconds: looking again, draining in one step, health in one step, trouble."""

    step_delay_s: float
    drain_s: float
    health_s: float
    trouble_s: float

    @property
    def lock_s(self) -> float:
        """How long an app may be locked: by somebody else, or by its own tasks that take their time to end."""
        return max(self.drain_s, self.trouble_s)


class Hands(NamedTuple):
    """What a deployment works with.

    ``before_change`` is called before anything is changed and raises ZddError if nothing may be; ``before_kill`` is
    given the app that loses tasks, their ids, and the other app; ``agrees`` asks the user.
    """

    marathon: Marathon
    balancers: Balancers
    resolver: Resolver
    progress: Progress
    limits: Limits
    before_change: Callable[[], None]
    before_kill: Callable[[Json, Sequence[str], Json], None]
    agrees: Callable[[str], None]


class Clock:
    """What is being waited for, and since when."""

    def __init__(self, limits: Limits, warn: Callable[[str], None]) -> None:
        self._limits = limits
        self._warn = warn
        self._since_s: dict[str, float] = {}
        self._told: set[str] = set()
        self._pause_s = FIRST_PAUSE_S

    def changed(self) -> None:
        """Something was done: all waiting begins anew."""
        self._since_s.clear()
        self._told.clear()
        self._pause_s = FIRST_PAUSE_S

    def pause(self) -> None:
        """Let a moment go by, a longer one each time."""
        sleep(min(self._pause_s, self._limits.step_delay_s))
        self._pause_s *= GROWTH

    def waited_s(self, what: str) -> float:
        """Return for how long this is being waited for; 0 from now on if it is new."""
        return monotonic() - self._since_s.setdefault(what, monotonic())

    def over(self, *whats: str) -> None:
        """Wait for these no longer."""
        for what in whats:
            self._since_s.pop(what, None)
            self._told.discard(what)

    def is_late(self) -> bool:
        """Whether draining has had its time."""
        return Limit.DRAIN in self._since_s and self.waited_s(Limit.DRAIN) >= self._limits.drain_s

    def trouble(self, code: Code, error: Exception, *, passes: bool = True) -> None:
        """Wait for trouble to pass. Raises ZddError with ``code`` if it does not, or lasts too long."""
        if not passes or self.waited_s(code.name) >= self._limits.trouble_s:
            raise ZddError(code, str(error)) from error
        if code.name not in self._told:
            self._warn(f"{error}; tried again for {self._limits.trouble_s:g} s")
            self._told.add(code.name)
        self.pause()


def patiently(hands: Hands, code: Code, call: Callable[[], T]) -> T:
    """Return what ``call`` returns, called again while its trouble may pass. Raises ZddError with ``code``."""
    clock = Clock(hands.limits, hands.progress.warn)
    while True:
        try:
            return call()
        except TroubleError as error:
            clock.trouble(code, error, passes=error.passes)


def pursue(aim: Aim, hands: Hands) -> None:
    """Work until the aim is reached. Raises ZddError if it cannot be."""
    clock = Clock(hands.limits, hands.progress.warn)
    while True:
        looked = _look(aim, hands, clock)
        if looked is None:
            continue
        scene, documents = looked
        step = next_step(aim, scene)
        hands.progress.show(_words(step), counts_of(scene))
        if isinstance(step, Done):
            return
        if isinstance(step, Stuck):
            raise ZddError(Code.NOT_DRAINED, step.why)
        if isinstance(step, Wait):
            _wait(step, hands.limits, clock)
        elif _do(step, aim, hands, documents, clock):
            if isinstance(step, Delete):
                return
            clock.changed()


def _look(aim: Aim, hands: Hands, clock: Clock) -> tuple[Scene, dict[str, Json]] | None:
    """Look at everything once; None in passing trouble, after a pause."""
    try:
        apps = hands.marathon.group(aim.group)
        documents = {app["id"]: app for app in apps}
        new, old = _sides(aim, documents)
        seen = _seen(list(documents.values()), hands)
    except TroubleError as error:
        clock.trouble(Code.READ, error, passes=error.passes)
    except (BalancerError, AppError) as error:
        clock.trouble(Code.BALANCER, error)
    else:
        clock.over(Code.READ.name, Code.BALANCER.name)
        return Scene(new, old, seen, clock.is_late()), documents
    return None


def _sides(aim: Aim, documents: dict[str, Json]) -> tuple[Side, Side]:
    """Return both apps; an old one that is gone already has no tasks."""
    if len(documents) > MOST_APPS:
        raise ZddError(Code.GROUP, f"there are {len(documents)} apps in the group now: {', '.join(sorted(documents))}")
    if aim.new_id not in documents:
        raise ZddError(Code.UNEXPECTED, f"somebody deleted {aim.new_id}")
    old = documents.get(aim.old_id)
    return read_side(documents[aim.new_id]), read_side(old) if old else Side(aim.old_id, 0)


def _seen(documents: Sequence[Json], hands: Hands) -> Verdict:
    seen = hands.balancers.look()
    addresses = hands.resolver.addresses(host_names(documents))
    places = {task: where for each in documents for task, where in places_of_tasks(each, addresses).items()}
    return draining(seen, places)


def _wait(step: Wait, limits: Limits, clock: Clock) -> None:
    waited_s = clock.waited_s(step.limit)
    if step.limit is Limit.HEALTH and waited_s >= limits.health_s:
        raise ZddError(Code.NOT_HEALTHY, f"{step.why}, after {limits.health_s:g} s")
    if step.limit is Limit.LOCK and waited_s >= limits.lock_s:
        raise ZddError(Code.CHANGE, f"{step.why}, for {limits.lock_s:g} s")
    if step.limit is Limit.DRAIN:
        clock.over(Limit.HEALTH, Limit.LOCK)
    clock.pause()


def _do(step: Scale | Kill | Delete, aim: Aim, hands: Hands, documents: dict[str, Json], clock: Clock) -> bool:
    """Do one step; False in passing trouble, after a pause."""
    code = Code.DELETE if isinstance(step, Delete) else Code.CHANGE
    try:
        hands.before_change()
        if isinstance(step, Scale):
            _scale(step, hands)
        elif isinstance(step, Kill):
            _kill(step, aim, hands, documents)
        else:
            _delete(step, aim, hands)
    except TroubleError as error:
        clock.trouble(code, error, passes=error.passes)
        return False
    return True


def _scale(step: Scale, hands: Hands) -> None:
    hands.marathon.update(step.app_id, {"instances": step.instances})
    hands.progress.say("scaled", f"{step.app_id} scaled to {step.instances}", **step._asdict())


def _kill(step: Kill, aim: Aim, hands: Hands, documents: dict[str, Json]) -> None:
    other = aim.new_id if step.app_id == aim.old_id else aim.old_id
    hands.before_kill(documents[step.app_id], step.task_ids, documents[other])
    hands.agrees(f"Kill {len(step.task_ids)} of {step.app_id}? [Y/n] ")
    hands.marathon.kill_and_scale(step.task_ids, force=aim.forces)
    hands.progress.say(
        "killed", f"{len(step.task_ids)} of {step.app_id} killed", app_id=step.app_id, task_ids=step.task_ids
    )
    if step.then:
        _scale(step.then, hands)


def _delete(step: Delete, aim: Aim, hands: Hands) -> None:
    hands.agrees("Continue? ")
    hands.marathon.delete(step.app_id, force=aim.forces)
    hands.progress.say("deleted", f"{step.app_id} deleted", app_id=step.app_id)


def _words(step: object) -> str:
    match step:
        case Wait(why=why) | Stuck(why=why):
            return why
        case Scale(app_id=app_id, instances=instances):
            return f"scaling {app_id} to {instances}"
        case Kill(app_id=app_id, task_ids=task_ids):
            return f"killing {len(task_ids)} of {app_id}"
        case Delete(app_id=app_id):
            return f"deleting {app_id}"
    return "done"
