"""Which apps have to be read again: what events marked since the last reading (MARATHON.md 5.7).

Mutable, without clock or I/O. Events name apps; a deployment also names them under a plan, whose version comes back
when the change has become visible, so that they are marked a second and a third time. A change that nobody named, a
group of an unknown plan, or too many apps at once lead to one reading of everything.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastlb.events import Mark

MOST_PLANS = 1000

TASK_KINDS = frozenset(
    """
    status_update_event instance_changed_event health_status_changed_event instance_health_changed_event
    unhealthy_task_kill_event unknown_task_terminated_event
    """.split()
)
"""Events about tasks: they cannot make an app interesting that is not."""


class Reading(NamedTuple):
    """What to read: everything, or these apps."""

    everything: bool
    app_ids: frozenset[str]


class Marks:
    """Collects marks until they are taken. ``most_single``: more apps than that are read as everything."""

    def __init__(self, most_single: int) -> None:
        self._most_single = most_single
        self._everything = False
        self._app_ids: set[str] = set()
        self._passed_over: set[str] = set()
        self._plans: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def note(self, mark: Mark, cannot_matter: Callable[[str], bool]) -> bool:
        """Note what an event asks for; return whether anything has to be read.

        ``cannot_matter`` tells the ids whose task events are of no interest: apps of other groups, and pods.
        """
        ids = set(mark.app_ids)
        if mark.kind in TASK_KINDS:
            passed_over = {app_id for app_id in ids if cannot_matter(app_id)}
            self._passed_over |= passed_over
            ids -= passed_over
        nameless = bool(mark.group_id) and mark.plan_version not in self._plans
        if mark.plan_version:
            ids.update(self._of_plan(mark))
        self._everything = self._everything or nameless
        self._app_ids |= ids
        return nameless or bool(ids)

    def mark_everything(self) -> None:
        """Have everything read."""
        self._everything = True

    def reconsider(self, cannot_matter: Callable[[str], bool]) -> bool:
        """Mark the apps that were passed over since the last reading began and matter by its answer; whether any do.

        Marathon may have answered before such an event came, and what was known when it came was older still.
        """
        ids = {app_id for app_id in self._passed_over if not cannot_matter(app_id)}
        self._passed_over = set()
        self._app_ids |= ids
        return bool(ids)

    def again(self, reading: Reading) -> None:
        """Put back a reading that failed."""
        self._everything = self._everything or reading.everything
        self._app_ids |= reading.app_ids

    def take(self) -> Reading:
        """Return what to read, and start anew."""
        everything = self._everything or len(self._app_ids) > self._most_single
        reading = Reading(everything, frozenset() if everything else frozenset(self._app_ids))
        self._everything, self._app_ids, self._passed_over = False, set(), set()
        return reading

    def _of_plan(self, mark: Mark) -> Iterable[str]:
        """Return the apps of the plan; a deployment that names some (or none, only pods) makes it known."""
        known = self._plans.get(mark.plan_version, ())
        if not mark.group_id:
            known = self._plans[mark.plan_version] = tuple(dict.fromkeys((*known, *mark.app_ids)))
            if len(self._plans) > MOST_PLANS:
                self._plans.popitem(last=False)
        return known
