"""Whether HAProxy ends again and again, and who goes back to what he was before.

    ends, with their times --too many within a short time--> apps that are new or changed go back (quarantine)
                           --still too many----------------> they are not to blame, and are tried again

HAProxy checks a file before it serves it, and fastlb sees that its worker answers; a worker that dies later, of the
first requests of some kind, would be started on the same file for ever. What has changed lately is the likeliest cause,
so that goes, and all else is served. "Lately" is since HAProxy last ran for so long that it had proven itself; what the
first load after a start of fastlb brought has nothing to go back to. Mutable, without clock or I/O; times are monotonic
seconds.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastlb.model import App
    from fastlb.quarantine import Quarantine

MOST_ENDS = 3
WITHIN_S = 120.0
"""So many ends within so long are no accident any more."""
PROVEN_AFTER_S = 300.0
"""What HAProxy has run for so long without an end is not to blame for a later one."""
SHOWN_APPS = 20


class CrashLoop:
    """Remembers ends, and whose doing they were thought to be."""

    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine
        self._ends_s: deque[float] = deque(maxlen=MOST_ENDS)
        self._proven_s = -inf
        self._suspects: list[str] = []
        self._given_up = False

    def settle(self, now_s: float) -> None:
        """Take what has run for long for proven; to be called now and then."""
        since_s = max(self._proven_s, self._ends_s[-1] if self._ends_s else -inf)
        if now_s - since_s >= PROVEN_AFTER_S:
            self._proven_s = now_s
            self._quarantine.prove()
            self._suspects, self._given_up = [], False

    def ended(self, now_s: float, apps: Sequence[App]) -> str:
        """Learn that HAProxy has ended; return what is to be said of it if it was once too often, else nothing."""
        self._ends_s.append(now_s)
        if len(self._ends_s) < MOST_ENDS or now_s - self._ends_s[0] > WITHIN_S or self._given_up:
            return ""
        often = f"HAProxy has ended {MOST_ENDS} times within {now_s - self._ends_s[0]:.0f} s"
        self._ends_s = deque([now_s], MOST_ENDS)
        reason = f"{often}, and this app was new or changed"
        if gone_back := self._quarantine.go_back(reason, apps):
            self._suspects += gone_back
            return f"{often}; what is new or changed goes back to what it was before: {_listed(gone_back)}"
        if not self._suspects:
            return f"{often}, and no app has changed lately; it is started again on the same files"
        self._given_up = True
        self._quarantine.release(self._suspects)
        return f"{often} without {_listed(self._suspects)}, too; they are tried again"


def _listed(app_ids: Sequence[str]) -> str:
    more = f" and {len(app_ids) - SHOWN_APPS} more" if len(app_ids) > SHOWN_APPS else ""
    return f"{', '.join(app_ids[:SHOWN_APPS])}{more}"
