"""What is said about apps, once each: notes, refusals, and that an app is fine again.

    notes, refusals --new or gone since the last time--> log lines, journal, history

It must not know why something is left out; the notes say it.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastlb.history import History
    from fastlb.journal import Journal
    from fastlb.model import Note
    from fastlb.quarantine import Refused

log = logging.getLogger(__name__)


class Reporter:
    """Remembers what has been said."""

    def __init__(self, journal: Journal, history: History) -> None:
        self._journal = journal
        self._history = history
        self._notes: frozenset[Note] = frozenset()
        self._refused: dict[str, str] = {}
        self._warning: str | None = None

    def say(self, notes: Iterable[Note], refused: Mapping[str, Refused], warning: str | None) -> None:
        """Log each note, each refusal and the warning once, when it is new, and say when an app is fine again."""
        now = frozenset(notes)
        for note in sorted(now - self._notes, key=str):
            log.log(logging.ERROR if note.mistake else logging.WARNING, "%s", note)
        reasons = {app_id: each.reason for app_id, each in refused.items()}
        before = {note.app_id for note in self._notes if note.mistake} | self._refused.keys()
        wrong = {note.app_id for note in now if note.mistake} | reasons.keys()
        for app_id in sorted(before - wrong):
            log.info("app %s: nothing of it is left out any more", app_id)
        for app_id, reason in sorted(reasons.items() - self._refused.items()):
            instead = "it is left out" if refused[app_id].entirely else "its last good form stays"
            log.error("app %s: %s; %s until it changes", app_id, reason, instead)
            self._journal.write("refused", app=app_id, reason=reason)
            self._history.note("refused", {app_id: [reason]}, time.time())
        for app_id in sorted(self._refused.keys() - reasons.keys()):
            self._journal.write("released", app=app_id)
        if warning is not None and warning != self._warning:
            log.warning("%s", warning)
        self._notes, self._refused, self._warning = now, reasons, warning
