"""Ends workers of HAProxy that hang, on a thread of its own, since whoever reloads may wait for them.

It must not know what a worker serves. Data flows: the master's list of processes -> a question to each of its workers,
and the processor time that each has used -> whoever was silent and did nothing for several looks is killed. If that is
the one that serves, its master ends with it and the supervisor starts HAProxy again.

A worker that works and has no time to answer is left alone: HAProxy itself ends those that are stuck in a loop. So is
one that a debugger holds. What counts are our own looks, so that nobody is blamed for a time in which the whole
machine stood still.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, NamedTuple

import psutil

from fastlb.errors import RuntimeApiError
from fastlb.master import Master

if TYPE_CHECKING:
    from pathlib import Path

    from fastlb.journal import Journal

log = logging.getLogger(__name__)

EVERY_S = 2.0
ANSWER_WITHIN_S = 1.0
MOST_SILENT_LOOKS = 4
"""With what is waited for answers, a worker may hang for about ten seconds."""
STOP_WITHIN_S = 5.0


class Silent(NamedTuple):
    """A worker that did not answer, and since when it has done nothing, in looks."""

    process: psutil.Process
    used_s: float
    looks: int


class HungWorkers(threading.Thread):
    """Looks after the workers of the master at a socket, which have to be ours to kill."""

    def __init__(self, master_socket: Path, journal: Journal) -> None:
        super().__init__(name="hung-workers", daemon=True)
        self._master = Master(master_socket, timeout_s=ANSWER_WITHIN_S)
        self._journal = journal
        self._silent: dict[int, Silent] = {}
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look every few seconds until `stop`."""
        while not self._stopping.wait(EVERY_S):
            self.look()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self.is_alive():
            self.join(STOP_WITHIN_S)

    def look(self) -> None:
        """Ask each worker, and kill those that have hung for too long."""
        try:
            processes = self._master.processes()
        except RuntimeApiError:
            self._silent.clear()
            return
        pids = [worker.pid for worker in (*processes.workers, *processes.old_workers)]
        before, self._silent = self._silent, {}
        for pid in pids:
            if not self._answers(pid) and (silent := _looked_at(pid, before.get(pid))):
                self._silent[pid] = silent
        for silent in self._silent.values():
            if silent.looks >= MOST_SILENT_LOOKS:
                self._kill(silent)

    def _answers(self, pid: int) -> bool:
        try:
            return bool(self._master.ask_worker(pid, "show info"))
        except RuntimeApiError:
            return False

    def _kill(self, silent: Silent) -> None:
        pid, seconds = silent.process.pid, silent.looks * EVERY_S
        log.error("HAProxy's worker %d does not answer and has done nothing for %g s; it is killed", pid, seconds)
        self._journal.write("worker_hung", pid=pid)
        try:
            silent.process.kill()
        except psutil.Error as error:
            log.warning("HAProxy's worker %d could not be killed: %s", pid, error)


def _looked_at(pid: int, before: Silent | None) -> Silent | None:
    """Return what a silent worker has come to; None if there is nothing to hold against it."""
    try:
        process = before.process if before else psutil.Process(pid)
        times = process.cpu_times()
        if not process.is_running() or process.status() == psutil.STATUS_TRACING_STOP:
            return None
    except psutil.Error:
        return None
    used_s = times.user + times.system
    return Silent(process, used_s, before.looks + 1 if before and before.used_s == used_s else 0)
