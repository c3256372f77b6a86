"""Whether somebody has been silent for too long, counted in the listener's own steps.

It must not know who beats or what follows from silence. Data flows: beats and looks, each with its time -> too long or
not. A step that took long, because the machine was suspended or the container paused, counts as a short one: whoever
could not listen cannot blame anybody for silence. No single step is enough, since what came meanwhile may lie unread.
"""

from __future__ import annotations

LONGEST_STEP_S = 15.0


class Silence:
    """Counts from the first beat on; who never beat is not waited for. ``limit_s`` 0: no silence is too long."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._silent_s = 0.0
        self._looked_at_s: float | None = None

    def beat(self, now_s: float) -> None:
        """There was a sign of life."""
        self._silent_s, self._looked_at_s = 0.0, now_s

    def forget(self) -> None:
        """Wait for the first beat of somebody else."""
        self._looked_at_s = None

    def is_too_long(self, now_s: float) -> bool:
        """Whether there has been none for longer than the limit."""
        if self._looked_at_s is None:
            return False
        self._silent_s += min(now_s - self._looked_at_s, LONGEST_STEP_S, self.limit_s / 2)
        self._looked_at_s = now_s
        return 0 < self.limit_s < self._silent_s
