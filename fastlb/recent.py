"""What happened last, for whoever wants to see it: reloads, latencies, old workers, what went wrong. All bounded.

    Journal.write(kind, fields) --hear--> tuples, newest first or oldest first as said --any thread--> state, page

It must not know who reads it. Written on the loop's thread alone; each field is one immutable value that is replaced,
so that a reader on another thread never waits, not even while the loop does. Times are Unix seconds.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Fields = Mapping[str, Any]

T = TypeVar("T")

MOST_RELOADS = 50
MOST_INCIDENTS = 50
MOST_LATENCIES = 200
MOST_SAMPLES = 720
"""Of old workers: an hour of looks, if there were some all the time."""
SHOWN_REASONS = 20
LONGEST_TEXT = 300  # characters; a reason may quote what an operator wrote


class Reload(NamedTuple):
    """One reload, ``seconds`` long; ``after_event_s`` is how long after Marathon's event, if one led to it."""

    at_s: float
    ok: bool
    seconds: float
    after_event_s: float | None
    reasons: tuple[str, ...]


class Latency(NamedTuple):
    """How long after Marathon's event a change was in force, and ``how`` it got there: live or reload."""

    at_s: float
    seconds: float
    how: str


class OldWorkersSeen(NamedTuple):
    """How many old workers there were from this moment on, until the next one."""

    at_s: float
    workers: int
    connections: int
    resident_bytes: int


class Incident(NamedTuple):
    """Something that should not be, by the journal's ``kind``; ``said`` is the sentence about it.

    What happens again and again is one incident: ``first_s`` is when it began, ``at_s`` when it happened last.
    """

    at_s: float
    kind: str
    said: str
    first_s: float
    times: int


class Recent:
    """Reloads and incidents are kept newest first, series for plots oldest first."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.stream_url = ""
        """Where Marathon's event stream is open; empty while it is not."""
        self.stream_failure = ""
        """Why the event stream is not open, once it was lost."""
        self.reloads: tuple[Reload, ...] = ()
        self.incidents: tuple[Incident, ...] = ()
        self.latencies: tuple[Latency, ...] = ()
        self.old_workers: tuple[OldWorkersSeen, ...] = ()
        self._hearers: Mapping[str, Callable[[Fields], None]] = {
            "stream_opened": self._opened,
            "stream_lost": self._lost,
            "live": lambda fields: self._latency("live", fields),
            "reload": self._reload,
            "old_workers": self._old_workers,
        }

    def hear(self, kind: str, fields: Fields) -> None:
        """Take in one entry of the journal; most kinds are nothing to keep."""
        hearer = self._hearers.get(kind)
        if hearer is not None:
            hearer(fields)
        sentence = SENTENCES.get(kind)
        if sentence is not None:
            self._incident(kind, sentence(fields))

    def _opened(self, fields: Fields) -> None:
        self.stream_url, self.stream_failure = fields["url"], ""

    def _lost(self, fields: Fields) -> None:
        self.stream_url, self.stream_failure = "", fields["reason"]

    def _reload(self, fields: Fields) -> None:
        reasons = tuple(_cut(reason) for reason in fields["reasons"][:SHOWN_REASONS])
        after_event_s = fields.get("event_to_applied_s")
        reload = Reload(self._clock(), fields["ok"], fields["seconds"], after_event_s, reasons)
        self.reloads = (reload, *self.reloads)[:MOST_RELOADS]
        if fields["ok"]:
            self._latency("reload", fields)
        else:
            self._incident("reload", "a reload failed")

    def _latency(self, how: str, fields: Fields) -> None:
        seconds = fields.get("event_to_applied_s")
        if seconds is not None:
            self.latencies = _added(self.latencies, Latency(self._clock(), seconds, how), MOST_LATENCIES)

    def _old_workers(self, fields: Fields) -> None:
        seen = OldWorkersSeen(self._clock(), fields["workers"], fields["connections"], fields["resident_bytes"])
        self.old_workers = _added(self.old_workers, seen, MOST_SAMPLES)

    def _incident(self, kind: str, said: str) -> None:
        now_s, said = self._clock(), _cut(said)
        last = self.incidents[0] if self.incidents else None
        if last is not None and (last.kind, last.said) == (kind, said):
            self.incidents = (last._replace(at_s=now_s, times=last.times + 1), *self.incidents[1:])
        else:
            self.incidents = (Incident(now_s, kind, said, now_s, 1), *self.incidents)[:MOST_INCIDENTS]


SENTENCES: Mapping[str, Callable[[Fields], str]] = {
    "stream_lost": lambda fields: f"the event stream was lost: {fields['reason']}",
    "fetch_failed": lambda fields: f"Marathon could not be read: {fields['reason']}",
    "repaired": lambda fields: f"a full read found changes that no event told of: {', '.join(fields['apps'])}",
    "haproxy_exited": lambda fields: str(fields["said"]),
    "doubt": lambda fields: f"an answer of HAProxy was not the expected one: {fields['said']}",
    "drift": lambda fields: f"somebody else changed HAProxy, repaired: {'; '.join(map(str, fields['repairs']))}",
    "old_worker_ended": lambda fields: f"an old worker was ended: {fields['why']}",
    "old_workers_limit": lambda fields: str(fields["said"]),
    "refused": lambda fields: f"app {fields['app']} is refused: {fields['reason']}",
}
"""What the journal's kinds of trouble say."""


def _added(series: tuple[T, ...], new: T, most: int) -> tuple[T, ...]:
    return (*series, new)[-most:]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
