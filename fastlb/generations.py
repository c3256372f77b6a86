"""Old workers against their limits: reload now, wait, or end which one first, and why.

It must not know processes or sockets: it is given old workers as values and answers with a value. Data flows: what
`old_workers` saw -> a decision with a sentence -> `old_workers` carries it out.

An old worker keeps all of its memory until its last connection has ended (HAPROXY.md F3), so each reload may cost as
much as the first worker. Each limit counts what will be there *after* the reload, when the worker that serves now is
an old one too; so the limits hold at every moment and not only afterwards. Over a limit a reload waits first, since
most connections end soon by themselves, and merging what arrives meanwhile into one reload is a gain; when its patience
is over, the worker goes whose end costs least: the one with the fewest connections of backends that ask to be kept,
then with the fewest connections, then the one that has been silent for longest, then the oldest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOK_AGAIN_S = 0.5
"""While a reload waits, it is seen this often whether an old worker has left."""

MIB = 1 << 20


class OldWorker(NamedTuple):
    """One worker that takes no new connections, as it was seen.

    ``age_s`` counts from the reload that made it old, ``idle_s`` from the last byte that it was seen to have sent to
    anybody but us. ``connections`` is None if it does not say; ``kept`` is how many of them belong to backends that ask
    to be kept, as far as that was looked at.
    """

    pid: int
    age_s: float
    resident_bytes: int
    connections: int | None
    idle_s: float
    kept: int = 0

    def __str__(self) -> str:
        held = "connections unknown" if self.connections is None else f"{self.connections} connection(s)"
        kept = f", {self.kept} of them to be kept" if self.kept else ""
        size = f"{self.resident_bytes / MIB:.0f} MiB"
        return f"old worker {self.pid} ({held}{kept}, silent for {self.idle_s:.0f} s, {size}, {self.age_s:.0f} s old)"


class WorkerLimits(NamedTuple):
    """How many old workers there may be, how old (0: any age), how big together, and how long a reload waits for it."""

    most: int
    age_s: float
    resident_bytes: int
    patience_s: float


class ReloadNow(NamedTuple):
    """No limit stands in the way."""


class Postpone(NamedTuple):
    """Ask again after ``seconds``."""

    seconds: float
    why: str


class End(NamedTuple):
    """End this worker, then look and ask again."""

    worker: OldWorker
    why: str


def before_reload(
    old: Sequence[OldWorker], serving_bytes: int, limits: WorkerLimits, waited_s: float
) -> ReloadNow | Postpone | End:
    """Decide about a reload that has waited for ``waited_s``, beside a serving worker of ``serving_bytes``.

    Each reload leaves at least the worker that served before it, so where none is old, nothing stands in its way.
    """
    why = _exceeded(len(old) + 1, sum(worker.resident_bytes for worker in old) + serving_bytes, limits)
    if not why or not old:
        return ReloadNow()
    if waited_s < limits.patience_s:
        return Postpone(min(LOOK_AGAIN_S, limits.patience_s - waited_s), f"after a reload there would be {why}")
    return End(cheapest(old), f"after the reload there would be {why}")


def at_rest(old: Sequence[OldWorker], limits: WorkerLimits) -> End | None:
    """Return who has to go although no reload is due, None if all may stay.

    Who holds connections to be kept is not too old: of those HAProxy's own ``hard-stop-after`` is the limit. The only
    old worker is not too big: the next reload will look at it again.
    """
    why = _exceeded(len(old), sum(worker.resident_bytes for worker in old), limits)
    if why and len(old) > 1:
        return End(cheapest(old), f"there are {why}")
    too_old = [worker for worker in old if 0 < limits.age_s < worker.age_s and not worker.kept]
    if too_old:
        return End(cheapest(too_old), f"older than {limits.age_s:g} s (--max-old-worker-age)")
    return None


def cheapest(old: Sequence[OldWorker]) -> OldWorker:
    """Return the worker whose end costs least; see the module."""
    return min(old, key=_cost)


def _cost(worker: OldWorker) -> tuple[int, float, float, float]:
    connections = math.inf if worker.connections is None else worker.connections
    return worker.kept, connections, -worker.idle_s, -worker.age_s


def _exceeded(count: int, resident_bytes: int, limits: WorkerLimits) -> str:
    """Say which limit so many workers of that size together exceed; the empty text if none."""
    if count > limits.most:
        return f"{count} old workers, more than {limits.most} (--max-old-workers)"
    if resident_bytes > limits.resident_bytes:
        most = f"{limits.resident_bytes / MIB:.0f} MiB (--max-old-workers-memory)"
        return f"{count} old workers with {resident_bytes / MIB:.0f} MiB, more than {most}"
    return ""
