"""Compares what HAProxy has with what it should have, a slice of the apps at a time, and repairs what drifted.

    Running --what should be--> drift <--what is-- show servers state, show map;   drift --> steps --> HAProxy

Somebody may have changed HAProxy through its socket, or a command may have been lost. A round over the whole cluster
takes as long as the setting says, in slices so small that the loop does not notice; both maps are looked at when a
round begins, by the hash of their entries.
"""

from __future__ import annotations

import logging
from math import ceil, inf
from typing import TYPE_CHECKING

from fastlb import kernel
from fastlb.commands import phases
from fastlb.errors import RuntimeApiError
from fastlb.live_maps import UnfitMap, map_steps_between
from fastlb.seen import drift

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastlb.capabilities import Capabilities
    from fastlb.commands import Step
    from fastlb.document import Document
    from fastlb.journal import Journal
    from fastlb.live import Change
    from fastlb.running import Running
    from fastlb.runtime import Runtime

log = logging.getLogger(__name__)

EVERY_S = 0.5
SHOWN = 3


class Audit:
    """Goes round all apps; ``round_s`` is how long a round takes, in seconds (0: there is no audit)."""

    def __init__(self, running: Running, runtime: Runtime, journal: Journal, round_s: float) -> None:
        self._running = running
        self._runtime = runtime
        self._journal = journal
        self._round_s = round_s
        self._left: list[str] = []
        self._slice = 0
        self.due_s = inf
        """When `look` has something to do, monotonic."""

    def begin(self, now_s: float) -> None:
        """Begin a round: HAProxy was just loaded."""
        self._left = []
        self.due_s = now_s + EVERY_S if self._round_s else inf

    def look(self, map_paths: Mapping[str, str], now_s: float) -> str:
        """Look at the next slice; return what is wrong and was not repaired, which only a reload mends."""
        self.due_s = now_s + EVERY_S
        document, capabilities = self._running.document, self._running.capabilities
        if document is None or capabilities is None:
            return ""
        try:
            steps = [] if self._left else self._maps(document, map_paths)
            changes = self._servers(document, capabilities)
        except UnfitMap as error:
            return str(error)
        except RuntimeApiError as error:
            log.debug("HAProxy is not compared with what it should have: %s", error)
            return ""
        return self._repair(changes, steps, now_s)

    def _maps(self, document: Document, map_paths: Mapping[str, str]) -> list[Step]:
        """Begin a round with the maps; return what mends them."""
        self._left = sorted(document.app_ids_written, reverse=True)
        self._slice = ceil(len(self._left) * EVERY_S / self._round_s)
        steps: list[Step] = []
        for table, path in map_paths.items():
            seen = self._runtime.map_entries(path)
            if kernel.table_hash(set(seen)) != getattr(document, table).hash:
                steps += map_steps_between(path, seen, document.entries(table))
        return steps

    def _servers(self, document: Document, capabilities: Capabilities) -> list[Change]:
        """Return how the backends of the next few apps differ from what they should be."""
        app_ids = [self._left.pop() for _ in range(min(self._slice, len(self._left)))]
        written = [each for app_id in app_ids for each in document.part(app_id).written]
        if not written:
            return []
        seen = self._runtime.servers([each.service.backend for each in written])
        changes = []
        for each in written:
            name = each.service.backend
            leaving = self._running.leaving.of(name)
            changes.append(drift(self._running.backend(each), seen.get(name), capabilities, leaving))
        return [change for change in changes if not change.is_nothing]

    def _repair(self, changes: Sequence[Change], steps: Sequence[Step], now_s: float) -> str:
        reasons = [f"backend {change.backend}: {reason}" for change in changes for reason in change.reasons]
        gains = [command for change in changes for command in change.gains]
        losses = [command for change in changes for command in change.losses]
        if not (reasons or gains or losses or steps):
            return ""
        said = [*reasons, *map(str, (*gains, *steps, *losses))]
        log.warning("HAProxy is not what it should be, somebody else changed it: %s", "; ".join(said[:SHOWN]))
        self._journal.write("drift", repairs=said[:SHOWN], differences=len(said))
        if reasons:
            return reasons[0]
        outcome = self._runtime.carry_out(phases(gains, steps, losses))
        if not outcome.ok:
            return outcome.doubt
        self._running.heard(changes, now_s)
        return ""
