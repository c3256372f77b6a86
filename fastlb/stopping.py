"""Tasks that are being ended: their servers are out at once, and stay out until Marathon has answered.

    tasks that end, by app --places, Running--> commands --> HAProxy;   an answer that is newer --> Running.settle

Nothing is decided here: what Marathon answers is the truth, and this only keeps what was believed ahead of it apart.
It must not know what a reload is; whoever asks it hears whether HAProxy did something else than it was told.
"""

from __future__ import annotations

from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING

from fastlb.runtime import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fastlb.decision import Decider
    from fastlb.journal import Journal
    from fastlb.running import Running
    from fastlb.runtime import Runtime

SHOWN_APPS = 20


class Stopping:
    """What was stopped ahead of Marathon's answer; ``runtime`` is None where nothing is changed live."""

    def __init__(self, running: Running, decider: Decider, runtime: Runtime | None, journal: Journal) -> None:
        self._running = running
        self._decider = decider
        self._runtime = runtime
        self._journal = journal
        self._unanswered: dict[str, tuple[str, float]] = {}
        """Apps of Marathon that have to be read after a stop: how HAProxy knows each, and when it was, monotonic."""

    def stop(self, ending: Mapping[str, Collection[str]]) -> Outcome:
        """Take the servers of these tasks, by app, out; return whether HAProxy did as it was told.

        All of them in one go: while tasks end one after another, HAProxy sends the retries of one to the next.
        """
        places: dict[str, set[tuple[str, int]]] = {}
        known_as: dict[str, str] = {}
        for app_id, task_ids in ending.items():
            known_as[app_id], found = self._decider.places(app_id, task_ids)
            places.setdefault(known_as[app_id], set()).update(found)
        stops = {hap_id: stop for hap_id, found in places.items() if (stop := self._running.stop(hap_id, found))[1]}
        commands = tuple(chain.from_iterable(more for _, more in stops.values()))
        if not commands or self._runtime is None:
            return Outcome(True)
        outcome = self._runtime.carry_out([commands])
        self._journal.write("stopped", apps=sorted(stops)[:SHOWN_APPS], servers=len(commands), ok=outcome.ok)
        if outcome.ok:
            now_s = monotonic()
            for hap_id, (backends, _) in stops.items():
                self._running.have_stopped(hap_id, backends)
            self._unanswered |= {app_id: (hap_id, now_s) for app_id, hap_id in known_as.items() if hap_id in stops}
        return outcome

    def answered(self, asked_s: float, app_ids: Collection[str] | None = None) -> None:
        """Learn that Marathon, asked at that moment, monotonic, answered about these apps, or about all."""
        known = self._unanswered
        new = {app_id for app_id, (_, stopped_s) in known.items() if stopped_s < asked_s}
        settled = {known.pop(app_id)[0] for app_id in (new if app_ids is None else new.intersection(app_ids))}
        for hap_id in settled - {hap_id for hap_id, _ in known.values()}:
            self._running.settle(hap_id)
