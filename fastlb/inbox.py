"""What the loop is told, by whom: the one thing that its threads share.

Signal handlers, the event stream, the fetching thread, the supervisor's link and the admin server put messages in; the
loop takes them out. Messages are frozen values; only `Asked` is answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from fastlb.events import EventArrived, StreamLost, StreamOpened
from fastlb.questions import Asked
from fastlb.supervisor_link import HAProxyExited, HAProxyStarted

if TYPE_CHECKING:
    from fastlb.marks import Reading
    from fastlb.model import App


@dataclass(frozen=True, slots=True)
class Fetched:
    """A full answer of Marathon: the elements of its ``apps``, read or as JSON if they cannot be; what it cost in
    ``seconds`` and ``received_bytes``.

    ``marked_at_s``: when the first event that asked for it arrived (monotonic seconds), None without any.
    """

    documents: list[App | dict[str, Any]]
    seconds: float
    received_bytes: int
    marked_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class AppsFetched:
    """Answers about single apps, by id, in the same forms; None stands for an app that is not there."""

    answers: dict[str, App | dict[str, Any] | None]
    seconds: float
    received_bytes: int
    marked_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class AppsFailed:
    """Single apps about which no endpoint gave a usable answer: by id, why."""

    reasons: dict[str, str]


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """No endpoint gave a usable answer about everything; ``reason`` names each.

    ``reading`` is what could not be read, with the ids of apps that were wanted alone and relied on it.
    """

    reason: str
    reading: Reading


@dataclass(frozen=True, slots=True)
class FetcherBroke:
    """fastlb itself failed while it read; nothing is read any more."""


@dataclass(frozen=True, slots=True)
class Signalled:
    """The process got signal ``number``."""

    number: int


@dataclass(frozen=True, slots=True)
class LinkEnded:
    """The supervisor is gone."""


Message = (
    StreamOpened
    | EventArrived
    | StreamLost
    | Fetched
    | AppsFetched
    | AppsFailed
    | FetchFailed
    | FetcherBroke
    | Signalled
    | HAProxyStarted
    | HAProxyExited
    | LinkEnded
    | Asked
)
Inbox = SimpleQueue[Message]
