"""Has the log say what is done to HAProxy all day long: live changes, as few lines.

    Journal.write(kind, fields) --hear--> digest --> at once after a quiet time, else one line an interval

It must not know why something changed; DEBUG has a line for each change, `explain` the last ones of each app.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, Any

from fastlb.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)


class Routine:
    """What was changed live since the last line about it."""

    def __init__(self) -> None:
        self._live = Digest("live")

    @property
    def due_s(self) -> float:
        """Return when `look` has a line to write, monotonic."""
        return self._live.due_s

    def hear(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Take one entry of the journal."""
        now_s = monotonic()
        if kind == "live":
            self._live.add(now_s, fields["effects"], fields["apps"], fields["event_to_applied_s"])
        elif kind == "stopped" and fields["ok"]:
            self._live.add(now_s, {"server(s) stopped, their tasks being ended": fields["servers"]}, fields["apps"])
        self.look(now_s)

    def look(self, now_s: float) -> None:
        """Write the line, if it is time to."""
        said = self._live.take(now_s)
        if said:
            log.info("%s", said.text, extra=said.fields)
