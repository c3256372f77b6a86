"""Why a task of an app takes no requests, in one sentence (COMPAT.md 3.7, 3.8).

Pure. `services` decides; this says why, for people, and a property test holds both to the same tasks: there is a
sentence if and only if the task is no server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastlb.services import SKIPPED_STATES, places_of

if TYPE_CHECKING:
    from fastlb.model import App, Rules, Task
    from fastlb.services import Surroundings


def why_out(app: App, task: Task, rules: Rules, surroundings: Surroundings) -> str:
    """Return why a task of ``app`` is no server of any service; empty if it is, or could be if there was one."""
    if not task.host:
        return "Marathon names no host for it"
    if task.state in SKIPPED_STATES:
        return f"its state is {task.state}"
    if rules.health_check and app.health_checks:
        if task.alive is False:
            return "Marathon's health checks do not call it alive"
        if task.alive is None and task.id not in surroundings.known_alive:
            return "Marathon's health checks have no result for it yet"
    if not places_of(app, task, surroundings.addresses):
        return _why_nowhere(app, task)
    return ""


def _why_nowhere(app: App, task: Task) -> str:
    """Return why nobody knows where it listens: no address or no port, whichever is missing first."""
    if app.mode == "container" and task.address is None:
        return "it has no address of its own: the first entry of its ipAddresses has none"
    if not places_of(app, task, {task.host: task.host}):
        return "no port of it is known, neither its own nor one of the app's definition"
    return f"its host {task.host} does not resolve to an IPv4 address"
