"""Why an app is routed as it is, as values: what `explain` finds out, and text, JSON and the page show.

Frozen dataclasses of plain values. Texts in them come from outside as they are: whoever shows them
makes them harmless for the place where they are shown. Passwords are masked already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ReasonKind = Literal[
    "absent",
    "unreadable",
    "refused",
    "framework",
    "deployment",
    "no port",
    "udp",
    "label",
    "replaced",
    "group",
    "disabled",
    "no task",
    "no server",
    "own port",
    "template",
    "policy",
    "conflict",
    "kept",
    "waiting",
]
"""Why something is left out, in a word that can be counted."""

INTENDED: frozenset[ReasonKind] = frozenset({"framework", "group", "disabled", "no task"})
"""Reasons that are as somebody wanted it."""

Verdict = Literal["in", "draining", "out"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence, without its app and service, that says why something is left out."""

    kind: ReasonKind
    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of an app that is left out and was not meant to be; ``port`` is that of its service, None for all."""

    app_id: str
    port: int | None
    kind: ReasonKind
    text: str

    def __str__(self) -> str:
        """Say it in one line."""
        port = f" (service port {self.port})" if self.port is not None else ""
        return f"app {self.app_id}{port}: {self.text}"


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """One service port of the app: how it can be reached, or why it cannot.

    ``declared_port`` is Marathon's, ``port`` the one it is known by; None where none could be assigned. What has labels
    that cannot be read has neither mode nor anything that labels say. ``bind`` is its own frontend, ``app_id`` the one
    under which the app-id port leads here. ``written`` are its texts by the part of the configuration they stand in.
    """

    index: int
    declared_port: int | None
    port: int | None
    exposed: bool
    why_not: Reason | None
    remarks: tuple[str, ...]
    mode: str
    vhosts: tuple[str, ...]
    path: str | None
    bind: str
    app_id: str | None
    backend: str
    servers: int
    draining: int
    written: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TaskReport:
    """One task: whether it takes requests, and why not; ``places`` are service index and address:port."""

    id: str
    host: str
    state: str | None
    verdict: Verdict
    why: str
    places: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class LabelReport:
    """One label: its value, what it means, how it was read if that is not what it says, what is wrong with it."""

    name: str
    value: str
    meaning: str
    read_as: str
    problem: str


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an app, ``at_s`` in Unix seconds: ``how`` it was applied (live, reload, refused) and why so.

    ``after_event_s`` is how long after Marathon's event it was applied, None where no event led to it.
    """

    at_s: float
    how: str
    why: str
    after_event_s: float | None = None


@dataclass(frozen=True, slots=True)
class ServerNow:
    """One server as HAProxy sees it right now, in HAProxy's words; ``for_s`` is for how many seconds."""

    backend: str
    name: str
    address: str
    status: str
    check: str
    sessions: int
    queued: int
    for_s: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """All about one app. ``known_as`` is its id to HAProxy, ``group`` the apps of its deployment group, if any.

    ``problems`` concern the whole app; it may be exposed in spite of them, in an older form. ``servers`` are what
    HAProxy says of them; without a running HAProxy there are none.
    """

    app_id: str
    known_as: str
    exposed: bool
    group: tuple[str, ...]
    problems: tuple[Reason, ...]
    services: tuple[ServiceReport, ...]
    tasks: tuple[TaskReport, ...]
    labels: tuple[LabelReport, ...]
    changes: tuple[Change, ...]
    servers: tuple[ServerNow, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """Marathon has no app of this id; ``nearest`` are ids that it has, the most similar one first."""

    app_id: str
    nearest: tuple[str, ...]
