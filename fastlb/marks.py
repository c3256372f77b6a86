"""Which apps have to be read again, as one event after the other says (MARATHON.md 5.7).

Mutable, without clock or I/O. Events name apps; a deployment also names them under a plan, whose version comes back
when the change has become visible, so that they are marked a second and a third time. A change that nobody named, or
a group of an unknown plan, leads to one reading of everything.
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
    """What to read: everything, or these apps; and when the first mark was made that asks for it (monotonic seconds).

    With ``everything``, the ids are those of apps that would be read alone otherwise.
    """

    everything: bool = False
    app_ids: frozenset[str] = frozenset()
    marked_at_s: float | None = None


class Marks:
    """What events ask for, given what earlier ones said."""

    def __init__(self) -> None:
        self._passed_over: set[str] = set()
        self._plans: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def asked_by(self, mark: Mark, cannot_matter: Callable[[str], bool]) -> Reading:
        """Return what has to be read because of an event, perhaps nothing.

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
        return Reading(nameless, frozenset(ids))

    def begin(self, reading: Reading) -> None:
        """Take note that this is read from now on: what was passed over until now is covered by it."""
        if reading.everything:
            self._passed_over.clear()
        self._passed_over -= reading.app_ids

    def reconsider(self, answered: Iterable[str] | None, cannot_matter: Callable[[str], bool]) -> set[str]:
        """Return those of the answered apps (None: all) that were passed over since they were read and matter by it.

        Marathon may have answered before such an event came, and what was known when it came was older still.
        """
        passed_over = self._passed_over if answered is None else self._passed_over.intersection(answered)
        ids = {app_id for app_id in passed_over if not cannot_matter(app_id)}
        self._passed_over -= ids
        return ids

    def _of_plan(self, mark: Mark) -> Iterable[str]:
        """Return the apps of the plan; a deployment that names some (or none, only pods) makes it known."""
        known = self._plans.get(mark.plan_version, ())
        if not mark.group_id:
            known = self._plans[mark.plan_version] = tuple(dict.fromkeys((*known, *mark.app_ids)))
            if len(self._plans) > MOST_PLANS:
                self._plans.popitem(last=False)
        return known
