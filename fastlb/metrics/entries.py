"""What happened: entries of the journal to counters and histograms.

    Journal.write(kind, fields) --hear--> the counters and histograms of that kind

It must not know where an entry comes from. `hear` is called on the loop's thread; an entry costs some microseconds, and
one of a kind that is not counted nothing. Series whose labels are known are there from the start, at 0.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import Counter, Gauge, Histogram

from fastlb.metrics.reload_reasons import CLASSES, OTHER, reason_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from prometheus_client import CollectorRegistry

    Fields = Mapping[str, Any]
    Hearers = Mapping[str, Callable[[Fields], None]]

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""From a live change at its best to an event that had to wait for Marathon."""
Metric = TypeVar("Metric", Counter, Histogram)
OUTCOMES = ("ok", "failed")


class Entries:
    """All of them, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        parts = _Marathon(registry), _Changes(registry), _Upkeep(registry)
        self._hearers = {kind: hearer for part in parts for kind, hearer in part.hearers().items()}

    def hear(self, kind: str, fields: Fields) -> None:
        """Take one entry in."""
        hearer = self._hearers.get(kind)
        if hearer is not None:
            hearer(fields)


class _Marathon:
    """What is heard of Marathon, and read from it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._open = Gauge(
            "fastlb_event_stream_open", "Whether Marathon's event stream is open (1).", registry=registry
        )
        self._losses = _counter(registry, "event_stream_losses", "How often Marathon's event stream was lost.")
        self._events = _counter(registry, "events", "Events that asked for a new read of Marathon.", kind=())
        self._queued = _histogram(registry, "event_queue", "From an event's arrival until the loop took it up.")
        self._settled = _histogram(registry, "event_settle", "From an event's arrival until Marathon was asked again.")
        what = ("everything", "apps")
        self._reads = _histogram(registry, "fetch", "How long Marathon took to answer about these.", what=what)
        self._bytes = _counter(registry, "fetch_received_bytes", "Bytes received, as sent, compressed.", what=what)
        self._failures = _counter(registry, "fetch_failures", "Reads of Marathon without a usable answer.")
        self._repairs = _counter(registry, "resync_repairs", "Full reads that found changes which no event told of.")

    def hearers(self) -> Hearers:
        """Return what takes in which kind."""
        return {
            "event": self._event,
            "fetched": self._fetched,
            "fetch_failed": lambda _fields: self._failures.inc(),
            "repaired": lambda _fields: self._repairs.inc(),
            "stream_opened": lambda _fields: self._open.set(1),
            "stream_lost": self._lost,
        }

    def _event(self, fields: Fields) -> None:
        self._events.labels(fields["event"]).inc()
        self._queued.observe(fields["queued_s"])

    def _fetched(self, fields: Fields) -> None:
        what = "everything" if fields["asked"] == "everything" else "apps"
        self._reads.labels(what).observe(fields["seconds"])
        self._bytes.labels(what).inc(fields["received_bytes"])
        if fields["settled_s"] is not None:
            self._settled.observe(fields["settled_s"])

    def _lost(self, _fields: Fields) -> None:
        self._open.set(0)
        self._losses.inc()


class _Changes:
    """Changes of HAProxy: while it runs, and by reloads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        about = "From the event until HAProxy confirmed what followed from it."
        self._applied = _histogram(registry, "event_to_applied", about, how=("live", "reload"))
        self._live_times = _histogram(registry, "live_change", "How long a change of the running HAProxy took.")
        self._reload_times = _histogram(registry, "reload", "How long a reload of HAProxy took, failed ones included.")
        self._reloads = _counter(registry, "reloads", "Reloads of HAProxy.", outcome=OUTCOMES)
        about, classes = "Reloads by class of reason; one reload may have several.", (*CLASSES, OTHER)
        self._reasons = _counter(registry, "reload_reasons", about, reason=classes, outcome=OUTCOMES)
        about = "How long a reload waited for others to be gathered with it."
        self._gathered = _histogram(registry, "reload_settle", about)
        self._trial_times = _histogram(
            registry, "trial", "How long a reload waited, after its quiet time, to know what HAProxy accepts."
        )
        self._trials = _counter(registry, "trials", "Configurations that were checked with haproxy -c.")

    def hearers(self) -> Hearers:
        """Return what takes in which kind."""
        return {"live": self._live, "reload": self._reload, "tried": self._tried}

    def _live(self, fields: Fields) -> None:
        self._live_times.observe(fields["seconds"])
        self._confirmed("live", fields)

    def _reload(self, fields: Fields) -> None:
        outcome = _outcome(fields)
        self._reloads.labels(outcome).inc()
        for reason in reason_classes(fields["reasons"]):
            self._reasons.labels(reason, outcome).inc()
        self._reload_times.observe(fields["seconds"])
        if fields["ok"]:
            self._confirmed("reload", fields)

    def _confirmed(self, how: str, fields: Fields) -> None:
        after_s = fields.get("event_to_applied_s")
        if after_s is not None:
            self._applied.labels(how).observe(after_s)

    def _tried(self, fields: Fields) -> None:
        self._trials.inc(fields["trials"])
        self._trial_times.observe(fields["seconds"])
        self._gathered.observe(fields["waited_s"])


class _Upkeep:
    """What is found wrong, and what comes and goes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        about = "Servers taken out at the event, since their task was being ended."
        self._stopped = _counter(registry, "servers_stopped", about, outcome=OUTCOMES)
        about = "Differences that somebody else made in HAProxy, found and repaired."
        self._drift = _counter(registry, "drift_repairs", about)
        about = "Answers of HAProxy that were not the expected ones; a reload follows each."
        self._doubts = _counter(registry, "doubts", about)
        self._refusals = _counter(registry, "refusals", "Apps of which HAProxy refused a new form.")
        self._starts = _counter(registry, "haproxy_starts", "How often HAProxy was seen to serve anew.")
        self._exits = _counter(registry, "haproxy_exits", "How often HAProxy ended without being asked to.")
        self._ended = _counter(registry, "old_workers_ended", "Old workers ended for a limit.", outcome=OUTCOMES)
        about = "How often a limit of old workers held up a reload, or could not be kept."
        self._held_up = _counter(registry, "old_workers_limit_reached", about)

    def hearers(self) -> Hearers:
        """Return what takes in which kind."""
        return {
            "stopped": lambda fields: self._stopped.labels(_outcome(fields)).inc(fields["servers"]),
            "drift": lambda fields: self._drift.inc(fields["differences"]),
            "doubt": lambda _fields: self._doubts.inc(),
            "refused": lambda _fields: self._refusals.inc(),
            "haproxy_started": lambda _fields: self._starts.inc(),
            "haproxy_exited": lambda _fields: self._exits.inc(),
            "old_worker_ended": lambda fields: self._ended.labels(_outcome(fields)).inc(),
            "old_workers_limit": lambda _fields: self._held_up.inc(),
        }


def _counter(registry: CollectorRegistry, name: str, about: str, **labels: Sequence[str]) -> Counter:
    """Return a counter with all series whose labels have known values; () stands for values that come."""
    return _with_series(Counter(f"fastlb_{name}", about, tuple(labels), registry=registry), labels)


def _histogram(registry: CollectorRegistry, name: str, about: str, **labels: Sequence[str]) -> Histogram:
    made = Histogram(f"fastlb_{name}_seconds", about, tuple(labels), buckets=BUCKETS_S, registry=registry)
    return _with_series(made, labels)


def _with_series(metric: Metric, labels: Mapping[str, Sequence[str]]) -> Metric:
    for values in product(*labels.values()) if labels else ():
        metric.labels(*values)
    return metric


def _outcome(fields: Fields) -> str:
    return "ok" if fields["ok"] else "failed"
