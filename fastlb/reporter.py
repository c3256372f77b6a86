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

MOST_AT_ONCE = 50
"""Lines about apps that one decision leads to; who starts fastlb on a thousand broken apps reads no thousand lines."""


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
        new = sorted(now - self._notes, key=lambda note: (not note.mistake, str(note)))
        for note in new[:MOST_AT_ONCE]:
            log.log(logging.ERROR if note.mistake else logging.WARNING, "%s", note, extra={"app": note.app_id})
        _say_rest(len(new), "notes about apps are new")
        reasons = {app_id: each.reason for app_id, each in refused.items()}
        before = {note.app_id for note in self._notes if note.mistake} | self._refused.keys()
        wrong = {note.app_id for note in now if note.mistake} | reasons.keys()
        for app_id in sorted(before - wrong)[:MOST_AT_ONCE]:
            log.info("app %s: nothing of it is left out any more", app_id, extra={"app": app_id})
        _say_rest(len(before - wrong), "apps are left out no more")
        for number, (app_id, reason) in enumerate(sorted(reasons.items() - self._refused.items())):
            if number < MOST_AT_ONCE:
                instead = "it is left out" if refused[app_id].entirely else "its last good form stays"
                log.error("app %s: %s; %s until it changes", app_id, reason, instead, extra={"app": app_id})
            self._journal.write("refused", app=app_id, reason=reason)
            self._history.note("refused", {app_id: [reason]}, time.time())
        _say_rest(len(reasons.items() - self._refused.items()), "apps are refused")
        for app_id in sorted(self._refused.keys() - reasons.keys()):
            self._journal.write("released", app=app_id)
        if warning is not None and warning != self._warning:
            log.warning("%s", warning)
        self._notes, self._refused, self._warning = now, reasons, warning


def _say_rest(count: int, what: str) -> None:
    if count > MOST_AT_ONCE:
        log.warning("%d more %s; `fastlb explain --all-problems` lists everything", count - MOST_AT_ONCE, what)
