"""Watches fastlb and HAProxy while they work: the journal's new lines and the master's process list, to the board.

Only looks, never changes anything. HAProxy 2.6 does not answer for a moment while it reloads; then what was seen last
stays.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

import orjson

from fastlb.errors import RuntimeApiError
from fastlb.master import Master

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from fastlb.demo.board import Board

JOURNAL_EVERY_S = 0.05
PROCESSES_EVERY_S = 1.0
ANSWER_WITHIN_S = 2.0
JOIN_TIMEOUT_S = 10.0


class Watch:
    """A context manager: inside it the board learns what happens."""

    def __init__(self, journal: Path, master_socket: Path, board: Board) -> None:
        self._journal = journal
        self._master = Master(master_socket, timeout_s=ANSWER_WITHIN_S)
        self._board = board
        self._read_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(JOIN_TIMEOUT_S)

    def _run(self) -> None:
        processes_due_s = 0.0
        while not self._stop.wait(JOURNAL_EVERY_S):
            self._read_journal()
            if time.monotonic() >= processes_due_s:
                self._look_at_processes()
                processes_due_s = time.monotonic() + PROCESSES_EVERY_S

    def _read_journal(self) -> None:
        if not self._journal.exists():
            return
        with self._journal.open("rb") as file:
            file.seek(self._read_bytes)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read_bytes += len(whole) + len(newline)
        for line in whole.splitlines():
            self._board.take(orjson.loads(line))

    def _look_at_processes(self) -> None:
        try:
            self._board.see_processes(self._master.processes())
        except RuntimeApiError:
            return
