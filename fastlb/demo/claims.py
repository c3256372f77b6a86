"""What a step promises, and whether answers keep the promise.

Pure: answers and Marathon's tasks come in as values, a doubt comes out as a text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from collections.abc import Set as AbstractSet

    from fastlb.demo.front import Answer
    from fastlb.simulator.definitions import Json

RELEASE_HEADER = "x-release"


@dataclass(frozen=True, slots=True)
class Claim:
    """Requests for ``host`` are answered by exactly the ``count`` serving tasks of ``app_id``, nobody else.

    With ``count`` 0 HAProxy itself answers that nobody is there. At least so many are ``newcomers``, which did not
    answer before the step. ``release`` is what their header X-Release says, ``refused`` whether fastlb keeps this
    app, and no other, in quarantine meanwhile; if not, it keeps others at most.
    """

    text: str
    host: str
    app_id: str
    count: int
    newcomers: int = 0
    release: str | None = None
    refused: bool = False

    def doubt(self, seen: Sighting) -> str:
        """Say why it does not hold, or ""."""
        if set(seen.quarantined) != ({self.app_id} if self.refused else seen.quarantined - {self.app_id}):
            return f"in quarantine: {', '.join(sorted(seen.quarantined)) or 'no app'}"
        expected = 200 if self.count else 503
        wrong = next((answer for answer in seen.answers if answer.status != expected), None)
        if wrong is not None:
            return f"{self.host} is answered with {wrong}"
        if self.release and any(answer.headers.get(RELEASE_HEADER) != self.release for answer in seen.answers):
            return f"not every answer has the header X-Release: {self.release}"
        return self._doubt_about_tasks(seen) if self.count else ""

    def _doubt_about_tasks(self, seen: Sighting) -> str:
        answering = {answer.task for answer in seen.answers}
        serving = {task["id"] for task in seen.tasks if is_serving(task)}
        if len(serving) != self.count:
            return f"Marathon has {len(serving)} tasks of {self.app_id} that serve"
        if answering != serving:
            return f"{len(answering & serving)} of them answer, and {len(answering - serving)} others"
        if len(newcomers := answering.difference(seen.before)) < self.newcomers:
            return f"{len(newcomers)} of them are new"
        return ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A round of ``answers`` and what else is known: Marathon's ``tasks`` of the app, the apps in quarantine,
    and the ids of the tasks that answered ``before`` the step.
    """

    answers: Sequence[Answer]
    tasks: Sequence[Json]
    quarantined: AbstractSet[str]
    before: Collection[str | None]


def is_serving(task: Json) -> bool:
    """Whether Marathon calls the task running, and healthy as far as it checks (COMPAT.md 3.8)."""
    results = task.get("healthCheckResults", [])
    return task["state"] == "TASK_RUNNING" and (not results or any(result["alive"] for result in results))


def ready_at_s(task: Json) -> float:
    """When the task first could serve: started and found healthy; Unix seconds, 0 if never."""
    moments = [task.get("startedAt")] + [result.get("firstSuccess") for result in task.get("healthCheckResults", [])]
    return max((datetime.fromisoformat(moment).timestamp() for moment in moments if moment), default=0.0)
