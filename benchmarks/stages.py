"""Where the time between an event and its traffic goes, read off fastlb's journal.

    event --> noted --settle--> asked --fetch--> answered --decide--> --gather reloads--> --validate--> --apply--> done

Each stage ends where the next begins. Only a reload is held back for others, and validated. The time until the event is
noted is that between two processes that both read the stream.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from benchmarks.changes import Moments

STAGES = ("event", "settle", "fetch", "decide", "gather reloads", "validate", "apply", "to traffic")
APPLIED = frozenset({"reload", "live"})
STOPPED = "stopped"
WRITTEN_WITHIN_S = 0.05
"""The journal is written after HAProxy was told; a busy machine may take so long to come to it."""
OVERLAP_S = 0.001
"""The trial and the application follow each other at once, and each is timed by a clock of its own."""

Entry = dict[str, Any]


def stage_ms(journal: list[Entry], moments: Moments) -> dict[str, float] | None:
    """Return how long each stage took; None if the journal does not tell of what led to this traffic.

    What was under way before the event counts from the event on.
    """
    marks = _marks(journal, moments) or _marks_of_stop(journal, moments)
    if marks is None:
        return None
    within = list(accumulate(marks, lambda before, mark: max(before, min(mark, moments.traffic_s))))
    return {stage: max(0.0, (within[place + 1] - within[place]) * 1000) for place, stage in enumerate(STAGES)}


def _marks(journal: list[Entry], moments: Moments) -> tuple[float, ...] | None:
    """Return where each stage begins, and where the last one ends."""
    applied = _last(journal, APPLIED, moments.traffic_s, from_its_start=True)
    fetched = applied and _last(journal, {"fetched"}, _start(applied) + OVERLAP_S)
    if applied is None or fetched is None or applied["at"] < moments.event_s:
        return None
    asked_s = _start(fetched)
    tried = _last(journal, {"tried"}, _start(applied) + OVERLAP_S)
    tried = tried if tried and tried["at"] > fetched["at"] else None
    return (
        moments.event_s,
        _noted_s(journal, moments, asked_s),
        asked_s,
        fetched["at"],
        _start(tried or applied) - (tried["waited_s"] if tried else 0.0),
        _start(tried or applied),
        tried["at"] if tried else _start(applied),
        min(applied["at"], moments.traffic_s),
        moments.traffic_s,
    )


def _marks_of_stop(journal: list[Entry], moments: Moments) -> tuple[float, ...] | None:
    """Return the same for a server that was stopped on the event itself, for which nothing is fetched or decided."""
    stopped_s = next(
        (each["at"] for each in journal if each["kind"] == STOPPED and each["at"] >= moments.event_s), None
    )
    if stopped_s is None or stopped_s > moments.traffic_s + WRITTEN_WITHIN_S:
        return None
    noted_s = _noted_s(journal, moments, stopped_s)
    return (moments.event_s, *(noted_s,) * 6, min(stopped_s, moments.traffic_s), moments.traffic_s)


def _noted_s(journal: list[Entry], moments: Moments, at_most_s: float) -> float:
    """Return when the event was noted."""
    found = (each["at"] for each in journal if each["kind"] == "event" and each["at"] >= moments.event_s)
    return min(next(found, at_most_s), at_most_s)


def fetched_between(journal: list[Entry], begin_s: float, end_s: float) -> tuple[int, int, int]:
    """Return how many single apps were asked for, how often everything was, and how many bytes came."""
    entries = [entry for entry in journal if entry["kind"] == "fetched" and begin_s <= entry["at"] <= end_s]
    singles = sum(len(entry["asked"]) for entry in entries if entry["asked"] != "everything")
    everything = sum(entry["asked"] == "everything" for entry in entries)
    return singles, everything, sum(entry["received_bytes"] for entry in entries)


def _start(entry: Entry) -> float:
    """Return when what an entry tells of began; entries are written at the end."""
    return float(entry["at"] - entry.get("seconds", 0.0))


def _last(
    journal: list[Entry], kinds: AbstractSet[str], until_s: float, *, from_its_start: bool = False
) -> Entry | None:
    found = None
    for entry in journal:
        at_s = _start(entry) if from_its_start else entry["at"]
        if entry["kind"] in kinds and at_s <= until_s:
            found = entry
    return found
