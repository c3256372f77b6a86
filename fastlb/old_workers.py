"""Old workers of HAProxy: seen, counted, and the one that has to go ended.

It must not decide who goes, nor when a reload is due: `generations` decides, the loop asks. Data flows: the master's
process list, each worker's own `show info`, psutil -> `OldWorker` values -> a decision -> SIGTERM to one of them.

A worker's answer to us counts among the bytes it has sent, to the byte (2.6 to 3.4), so what exceeds our own answers is
the traffic of its clients: that tells silent workers from busy ones without looking at each connection. Connections to
be kept are found in `show sess`, which may be long, so it is asked only when a choice has to be made.

With `--command` nothing is ended: the processes are somebody else's. They are counted through the master's socket if
one answers, else as the processes beside the worker that answers at the runtime socket.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import psutil

from fastlb.children import make_expendable
from fastlb.errors import RuntimeApiError
from fastlb.external import workers_beside
from fastlb.generations import End, OldWorker, Postpone, at_rest, before_reload
from fastlb.master import Master
from fastlb.runtime_api import RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from fastlb.generations import WorkerLimits
    from fastlb.journal import Journal
    from fastlb.settings import Paths

log = logging.getLogger(__name__)

Decision = TypeVar("Decision")

QUESTION_TIMEOUT_S = 1.0
LOOK_EVERY_S = 5.0
ENDED_WITHIN_S = 1.0
"""SIGTERM ends a worker at once (HAPROXY.md F5); who does not obey in time is killed, which the master survives."""

OLD_WORKER_SCORE = 300
"""Out of memory, the kernel ends an old worker rather than the one that serves; the master survives that, too."""

_BACKEND = re.compile(r"^0x[0-9a-f]+: .* be=(\S+) ", re.MULTILINE)


@dataclass(slots=True)
class Known:
    """What is remembered of an old worker; ``bytes_out`` is what it will have sent if it talks to nobody but us."""

    process: psutil.Process
    old_since_s: float
    moved_at_s: float
    connections: int | None = None
    bytes_out: int | None = None
    kept: int = 0

    def hear(self, info: str, now_s: float) -> None:
        """Take in its answer to `show info`; what is to be kept has to be asked anew."""
        self.kept = 0
        values = dict(line.partition(": ")[::2] for line in info.splitlines())
        self.connections = int(values["CurrConns"]) if "CurrConns" in values else None
        sent = int(values.get("TotalBytesOut", -1))
        if sent != self.bytes_out:
            self.moved_at_s = now_s
        self.bytes_out = sent + len(info.encode())

    def count_kept(self, sessions: str, kept: Collection[str]) -> None:
        """Take in its answer to `show sess`: how many connections go to the backends named."""
        kept = frozenset(kept)
        self.kept = sum(backend in kept for backend in _BACKEND.findall(sessions))
        self.bytes_out = None if self.bytes_out is None else self.bytes_out + len(sessions.encode())

    def value(self, now_s: float) -> OldWorker:
        """What it is now, for the decision. Raises psutil.Error if it is gone."""
        return OldWorker(
            pid=self.process.pid,
            age_s=now_s - self.old_since_s,
            resident_bytes=self.process.memory_info().rss,
            connections=self.connections,
            idle_s=now_s - self.moved_at_s,
            kept=self.kept,
        )


class Totals(NamedTuple):
    """All old workers together, as they were last seen; ``oldest_since_s``: when the oldest became old, monotonic."""

    workers: int = 0
    connections: int = 0
    resident_bytes: int = 0
    oldest_since_s: float | None = None


class OldWorkers:
    """Keeps the old workers of one HAProxy within their limits.

    ``ours``: its processes may be ended. The names in ``kept`` are the backends whose connections shall be kept
    (label `HAPROXY_{n}_KEEP_CONNECTIONS`). No method raises; what cannot be seen is logged, and nothing is ended.
    """

    def __init__(self, paths: Paths, limits: WorkerLimits, journal: Journal, *, ours: bool) -> None:
        self._master = Master(paths.master_socket, timeout_s=QUESTION_TIMEOUT_S)
        self._runtime = RuntimeApi(paths.runtime_socket, QUESTION_TIMEOUT_S)
        self._limits = limits
        self._journal = journal
        self._ours = ours
        self._known: dict[int, Known] = {}
        self._master_pid: int | None = None
        self._blind = False
        self._serving_bytes = 0
        self._said = ""
        self.totals = Totals()
        """For any thread to read; looked at again at each reload, and every few seconds while there are any."""

    @property
    def most(self) -> int:
        """Return how many there may be."""
        return self._limits.most

    def make_room(self, waited_s: float, kept: Collection[str] = ()) -> float:
        """Return 0 if HAProxy may be reloaded now, else after how many seconds to ask again.

        ``waited_s`` is for how long the reload has been wanted. Who has to go for it is gone when this returns 0.
        """
        while True:
            decision = self._decide(lambda old: before_reload(old, self._serving_bytes, self._limits, waited_s), kept)
            if isinstance(decision, Postpone):
                self._say(f"{decision.why}; the reload waits for one to leave, {self._limits.patience_s:g} s at most")
                return decision.seconds
            if not isinstance(decision, End) or not self._end(decision):
                self._said = ""
                return 0.0

    def look_after(self, kept: Collection[str] = ()) -> float | None:
        """End who is over a limit; return after how many seconds to look again, None if there is no old worker.

        To be called after each reload and then whenever its time has come.
        """
        before = set(self._known)
        while isinstance(decision := self._decide(lambda old: at_rest(old, self._limits), kept), End):
            if not self._end(decision):
                break
        self._count()
        if set(self._known) != before:
            self._write_numbers()
        return LOOK_EVERY_S if self._known or self._blind else None

    def see(self) -> list[OldWorker]:
        """Return the old workers as they are now."""
        now_s = time.monotonic()
        try:
            self._see_by_master(now_s)
            self._blind = False
        except RuntimeApiError as error:
            self._blind = self._ours
            log.debug("HAProxy's master does not list its processes: %s", error)
            if not self._ours:
                self._see_beside(now_s)
        return self._values()

    def _see_by_master(self, now_s: float) -> None:
        processes = self._master.processes()
        self._master_pid = processes.master.pid
        serving, old = processes.serving, processes.not_serving
        self._serving_bytes = _resident_bytes(serving.pid) if serving else 0
        everybody = (*processes.workers, *processes.old_workers)
        # Whoever was started later was there only after it had become old.
        self._know(
            {
                worker.pid: max((each.uptime_s for each in everybody if each.reloads < worker.reloads), default=0)
                for worker in old
            },
            now_s,
        )
        for pid, known in self._known.items():
            try:
                known.hear(self._master.ask_worker(pid, "show info"), now_s)
            except RuntimeApiError:
                known.connections, known.kept = None, 0

    def _see_beside(self, now_s: float) -> None:
        """Without a master's socket: who runs beside the worker that answers; what they hold stays unknown."""
        try:
            serving = int(self._runtime.info()["Pid"])
        except (RuntimeApiError, KeyError, ValueError) as error:
            self._known.clear()
            self._say(f"old workers cannot be counted, since no socket of HAProxy answers ({error}); no limit holds")
            return
        self._serving_bytes = _resident_bytes(serving)
        self._know(dict.fromkeys(workers_beside(serving), 0), now_s)

    def _know(self, ages_s: Mapping[int, float], now_s: float) -> None:
        known, self._known = self._known, {}
        for pid, age_s in ages_s.items():
            before = known.get(pid)
            with contextlib.suppress(psutil.Error):
                same = before is not None and before.process.is_running()
                self._known[pid] = before if before and same else Known(psutil.Process(pid), now_s - age_s, now_s)
                if self._ours and not same:
                    make_expendable(pid, OLD_WORKER_SCORE)

    def _values(self) -> list[OldWorker]:
        values, now_s = [], time.monotonic()
        for known in self._known.values():
            with contextlib.suppress(psutil.Error):
                values.append(known.value(now_s))
        return values

    def _decide(self, decide: Callable[[Sequence[OldWorker]], Decision], kept: Collection[str]) -> Decision:
        """Decide; if somebody has to go, decide again knowing who holds what is to be kept."""
        decision = decide(self.see())
        if isinstance(decision, End) and kept:
            for pid, known in self._known.items():
                with contextlib.suppress(RuntimeApiError):
                    known.count_kept(self._master.ask_worker(pid, "show sess"), kept)
            decision = decide(self._values())
        return decision

    def _end(self, decision: End) -> bool:
        """End a worker, if it is ours; return whether it is gone."""
        worker, why = decision
        if not self._ours:
            self._say(f"{why}; they belong to a HAProxy that somebody else runs, so none is ended")
            return False
        log.warning("%s is ended: %s", worker, why)
        gone = self._terminate(self._known.pop(worker.pid).process)
        self._journal.write("old_worker_ended", ok=gone, why=why, **worker._asdict())
        return gone

    def _terminate(self, process: psutil.Process) -> bool:
        """End exactly that process; psutil tells it from a later one with its pid by its start."""
        try:
            if process.ppid() != self._master_pid:
                log.error("process %d is no worker of HAProxy's master %s; left alone", process.pid, self._master_pid)
                return False
            process.terminate()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(ENDED_WITHIN_S)
                return True
            log.warning("old worker %d does not end on SIGTERM; it is killed", process.pid)
            process.kill()
            process.wait(ENDED_WITHIN_S)
        except psutil.NoSuchProcess:
            return True
        except psutil.Error as error:
            log.error("old worker %d could not be ended: %s", process.pid, error)
            return False
        return True

    def _say(self, what: str) -> None:
        """Log it and write it down, once until something else is said or a reload goes ahead."""
        if what != self._said:
            self._said = what
            log.warning("%s", what)
            self._journal.write("old_workers_limit", said=what, workers=len(self._known))

    def _count(self) -> None:
        old, now_s = self._values(), time.monotonic()
        self.totals = Totals(
            workers=len(old),
            connections=sum(worker.connections or 0 for worker in old),
            resident_bytes=sum(worker.resident_bytes for worker in old),
            oldest_since_s=now_s - max(worker.age_s for worker in old) if old else None,
        )

    def _write_numbers(self) -> None:
        workers, connections, resident_bytes, since_s = self.totals
        self._journal.write(
            "old_workers",
            workers=workers,
            connections=connections,
            resident_bytes=resident_bytes,
            oldest_s=0 if since_s is None else time.monotonic() - since_s,
        )


def _resident_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
