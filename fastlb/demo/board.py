"""What is known at the moment: written by the tour, the watch and the load, read by the view.

Knows nothing of terminals. Every method may be called from any thread.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastlb.master import Processes

KEPT_LINES = 200
KEPT_MEASUREMENTS = 1000


class Kind(StrEnum):
    """What a line is about."""

    EVENT = "event"
    RELOAD = "reload"
    QUARANTINE = "quarantine"
    STEP = "step"
    HOLDS = "holds"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened, ``at_s`` seconds after the start.

    It stands also for the ``earlier`` ones of its kind, in a row, with the same text or ``about`` the same app.
    """

    at_s: float
    kind: Kind
    text: str
    about: str = ""
    earlier: int = 0


@dataclass(slots=True)
class Latency:
    """Seconds from an event to what it leads to."""

    measured_s: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_MEASUREMENTS))

    def __str__(self) -> str:
        """Give the last, median and longest one."""
        if not self.measured_s:
            return "not measured yet"
        last, middle, longest = self.measured_s[-1], median(self.measured_s), max(self.measured_s)
        return f"last {milliseconds(last)}   p50 {milliseconds(middle)}   max {milliseconds(longest)}"


@dataclass(slots=True)
class Now:
    """The step that is being played; ``holds`` is None while its claim is being checked."""

    title: str = "Curtain up"
    said: str = "Marathon, fastlb and HAProxy start."
    claim: str = "HAProxy serves the first apps"
    holds: bool | None = None


class Board:
    """The state of the demo. ``tell`` gets every new line."""

    def __init__(self, tell: Callable[[Line], None] = lambda _line: None) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._started_s = time.monotonic()
        self._lines: deque[Line] = deque(maxlen=KEPT_LINES)
        self.now = Now()
        self.apps = self.services = self.servers = self.reloads = self.old_workers = 0
        self.worker_pid = 0
        self.quarantined: set[str] = set()
        self.to_applied, self.to_traffic = Latency(), Latency()
        self.requests = self.failed_requests = 0
        self.claims_held = self.claims_failed = 0

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started_s

    def recent(self, count: int) -> list[Line]:
        """Return the newest ``count`` lines, oldest first."""
        with self._lock:
            return list(self._lines)[-count:] if count > 0 else []

    def write(self, kind: Kind, text: str, about: str = "") -> None:
        """Add a line, or let the last one stand for it, too."""
        with self._lock:
            line = Line(self.elapsed_s, kind, text, about)
            last = self._lines[-1] if self._lines else None
            repeated = last is not None and (last.kind, last.about) == (kind, about) and (about or last.text == text)
            if last is not None and repeated:
                self._lines[-1] = replace(line, earlier=last.earlier + 1)
                return
            self._lines.append(line)
        self._tell(line)

    def begin(self, title: str, said: str, claim: str) -> None:
        """Begin a step."""
        self.now = Now(title, said, claim)
        self.write(Kind.STEP, f"{title}: {said}")

    def judge(self, doubt: str, remark: str = "") -> None:
        """End the step: its claim holds if there is no ``doubt``."""
        self.now.holds = not doubt
        if doubt:
            self.claims_failed += 1
            self.write(Kind.FAILED, f"{self.now.claim}: {doubt}")
        else:
            self.claims_held += 1
            self.write(Kind.HOLDS, self.now.claim + remark)

    def loaded(self, failed: str) -> None:
        """Count one request of the steady load; ``failed`` says what was wrong with it, or ""."""
        self.requests += 1
        if failed:
            self.failed_requests += 1
            self.write(Kind.FAILED, f"a request of the steady load: {failed}")

    def see_processes(self, processes: Processes) -> None:
        """Take HAProxy's process list."""
        self.old_workers = len(processes.old_workers)
        self.worker_pid = processes.serving.pid if processes.serving else 0

    def take(self, record: Mapping[str, Any]) -> None:
        """Take one record of fastlb's journal."""
        match record["kind"]:
            case "event":
                self.write(Kind.EVENT, record["event"], about=" ".join(record["apps"]))
            case "fetched":
                self.apps = record["apps"]
            case "reload":
                self._take_reload(record)
            case "refused":
                self.quarantined.add(record["app"])
                self.write(Kind.QUARANTINE, f"{record['app']}: {record['reason']}")
            case "released":
                self.quarantined.discard(record["app"])
                self.write(Kind.QUARANTINE, f"{record['app']} is fine again")

    def _take_reload(self, record: Mapping[str, Any]) -> None:
        self.reloads += 1
        self.services, self.servers = record.get("services", self.services), record.get("servers", self.servers)
        if (latency_s := record.get("event_to_applied_s")) is not None:
            self.to_applied.measured_s.append(latency_s)
        reasons = record["reasons"]
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        verdict = f"in {milliseconds(record['seconds'])}" if record["ok"] else "failed"
        self.write(Kind.RELOAD, f"{verdict}: {reasons[0]}{more}")


def milliseconds(duration_s: float) -> str:
    """Return a duration as people read it."""
    return f"{duration_s * 1000:.0f} ms"
