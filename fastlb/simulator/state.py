"""The nouns of a cluster: App, Task, Health, Deployment, and where a task is placed.

Pure values, changed only by `instances` and `deployments`. Whatever changes what an app's JSON shows calls
`App.touch`, which forgets the bytes written before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from fastlb.simulator.agenda import Process
    from fastlb.simulator.definitions import Definition, Json

DEAD_STATES = frozenset(
    {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_GONE", "TASK_DROPPED", "TASK_UNKNOWN"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one task runs: its agent, its ports there, and its own address."""

    host: str
    agent_id: str
    host_ports: tuple[int, ...]
    """One for each port of the definition that has a host port, in order."""
    ip: str
    listens: tuple[tuple[str, int], ...]
    """Every (address, port) at which a client may reach the task."""
    slot: int | None = None
    """The shared listeners it uses, or None: the addresses are its own."""


@dataclass(slots=True)
class Health:
    """What one health check last said about one task; times are Marathon's timestamps."""

    alive: bool
    consecutive_failures: int = 0
    first_success: str | None = None
    last_success: str | None = None
    last_failure: str | None = None


@dataclass(slots=True, eq=False)
class Task:
    """One task, which in an app is one instance."""

    app: App
    definition: Definition
    """The app's definition when the task was launched."""
    id: str
    instance_id: str
    incarnation: int
    place: Place
    version: str
    state: str = "TASK_STAGING"
    staged_at: str | None = None
    started_at: str | None = None
    address_known: bool = False
    stopping: bool = False
    health: list[Health | None] = field(default_factory=list)
    """One entry for each health check of the definition, None before its first result."""

    @property
    def dead(self) -> bool:
        """The task has ended; Marathon 1.8+ lists it until the instance is launched anew."""
        return self.state in DEAD_STATES

    @property
    def ready(self) -> bool:
        """A deployment counts it: running, and healthy if the app has checks."""
        return (
            self.state == "TASK_RUNNING" and not self.stopping and self.healthy is not False and None not in self.health
        )

    @property
    def healthy(self) -> bool | None:
        """All results alive, or one not, or None while there is none."""
        results = [result.alive for result in self.health if result is not None]
        return all(results) if results else None


@dataclass(slots=True, eq=False)
class App:
    """One app: its definition, its versions and its tasks."""

    definition: Definition
    version: str
    last_scaling_at: str
    last_config_change_at: str
    tasks: dict[str, Task] = field(default_factory=dict)
    history: dict[str, Definition] = field(default_factory=dict)
    deployment_ids: list[str] = field(default_factory=list)
    last_failure: Json | None = None
    written: dict[Hashable, bytes] = field(default_factory=dict)
    """JSON written since the last `touch`, under the embeds it shows."""

    @property
    def staying(self) -> list[Task]:
        """The tasks that nobody has told to stop."""
        return [task for task in self.tasks.values() if not task.stopping]

    def touch(self) -> None:
        """Forget what was written: something in it has changed."""
        self.written.clear()


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a deployment step, such as RestartApplication of one app."""

    action: str
    app_id: str


@dataclass(frozen=True, slots=True)
class ApiPost:
    """Who asked for a change, for `api_post_event`; ``definition`` None means the one that comes of it."""

    client_ip: str
    uri: str
    definition: Definition | None = None


@dataclass(slots=True, eq=False)
class Deployment:
    """One change on its way: what was, what is wanted, and the steps between."""

    id: str
    version: str
    group: str
    original: dict[str, Definition | None]
    target: dict[str, Definition | None]
    """By app id; None: the app does not exist."""
    steps: list[list[Action]]
    restart: bool = False
    victims: frozenset[str] = frozenset()
    """Ids of the tasks that a scaling down has to kill before any other."""
    post: ApiPost | None = None
    current_step: int = 0
    visible: bool = False
    """The new definitions are what a GET shows."""
    cancelled: bool = False
    leaving: dict[str, App] = field(default_factory=dict)
    """Deleted apps whose tasks still run."""
    process: Process | None = None
