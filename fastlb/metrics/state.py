"""What is: read at a scrape, on the reader's thread, from values that others keep up to date.

It must not wait for the loop, nor walk what the loop owns: a board of immutable values, plain numbers that only grow,
and HAProxy's own answer are all there is. What cannot be known at present has no sample.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from fastlb import __version__, kernel
from fastlb.errors import RuntimeApiError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from fastlb.board import Board
    from fastlb.old_workers import OldWorkers
    from fastlb.render import Renderer
    from fastlb.runtime import Runtime
    from fastlb.runtime_api import RuntimeApi


@dataclass(frozen=True, slots=True)
class Sources:
    """Who keeps what is shown; ``runtime`` is None without live changes, ``haproxy`` is asked at each scrape.

    ``reached_at`` is ``host:port`` of the statistics page, as operators reach it.
    """

    board: Board
    renderer: Renderer
    runtime: Runtime | None
    old_workers: OldWorkers
    haproxy: RuntimeApi
    follows_events: bool
    reached_at: str = ""
    started_s: float = field(default_factory=monotonic)


class State(Collector):
    """All gauges, and counters that others count."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yield everything as it is now."""
        now_s = monotonic()
        yield _info("fastlb_build_info", "Which fastlb runs.", version=__version__, hot_path=kernel.CHOSEN)
        yield _info("fastlb_address_info", "Where operators reach it.", address=self._sources.reached_at)
        yield from self._freshness(now_s)
        yield from self._cluster()
        yield from self._work()
        yield from self._old_workers(now_s)
        yield from self._haproxy()

    def _freshness(self, now_s: float) -> Iterator[Metric]:
        board, started_s = self._sources.board, self._sources.started_s
        said = "until now; since the start of the controller if there was none."
        event_s, agreed_s, busy_s = board.event_s, board.agreed_s, board.busy_since_s
        if self._sources.follows_events:
            age_s = now_s - (started_s if event_s is None else event_s)
            yield _gauge("last_event_age_seconds", f"From the last event of Marathon {said}", age_s)
        age_s = now_s - (started_s if agreed_s is None else agreed_s)
        about = f"From Marathon's last answer that HAProxy is known to run {said}"
        yield _gauge("last_agreement_age_seconds", about, age_s)
        yield _gauge("loop_busy_seconds", "For how long the loop has been at work.", now_s - busy_s if busy_s else 0.0)
        yield _gauge("marathon_readable", "Whether the last full read of Marathon worked (1).", not board.fetch_failure)

        about = "Whether the policy file could be used when it was last read (1)."
        yield _gauge("policy_readable", about, not board.policy_failure)
        about = "Apps kept, or tasks of them, although Marathon names them no more: too many at once."
        yield _gauge("kept_apps", about, board.kept_apps)

    def _cluster(self) -> Iterator[Metric]:
        census = self._sources.board.census
        if census is None:
            return
        yield _gauge("apps", "Apps that Marathon told of.", census.apps)
        yield _gauge("services", "Services that HAProxy is given.", census.services)
        yield _gauge("servers", "Servers of these services.", census.servers)
        left_out = GaugeMetricFamily(
            "fastlb_left_out", "Apps and services of which something is left out, by reason.", labels=["reason"]
        )
        for reason, count in census.left_out.items():
            left_out.add_metric([reason], count)
        yield left_out

    def _work(self) -> Iterator[Metric]:
        renderer, runtime = self._sources.renderer, self._sources.runtime
        yield _counter("rendered_fragments", "Services whose text was made.", renderer.rendered_fragments)
        yield _counter("remembered_fragments", "Services whose text was known (memo hits).", renderer.known_fragments)
        yield _counter("joined_documents", "How often the whole configuration was joined.", renderer.joined_documents)
        if runtime is not None:
            yield _by_command("runtime_commands", "Commands sent to the running HAProxy.", runtime.sent)
            about = "Commands without an answer, or with another one than the expected."
            yield _by_command("runtime_command_failures", about, runtime.failed)

    def _old_workers(self, now_s: float) -> Iterator[Metric]:
        workers, totals = self._sources.old_workers, self._sources.old_workers.totals
        yield _gauge("old_workers", "Workers of HAProxy that finish what they hold.", totals.workers)
        yield _gauge("old_workers_limit", "How many of them there may be.", workers.most)
        yield _gauge("old_workers_connections", "Connections that they hold.", totals.connections)
        yield _gauge("old_workers_resident_bytes", "Memory that they keep.", totals.resident_bytes)
        oldest_s = 0.0 if totals.oldest_since_s is None else now_s - totals.oldest_since_s
        yield _gauge("old_workers_oldest_seconds", "How long ago the oldest of them became old.", oldest_s)

    def _haproxy(self) -> Iterator[Metric]:
        try:
            info = self._sources.haproxy.info()
        except RuntimeApiError:
            info = {}
        yield _gauge("haproxy_up", "Whether HAProxy answers at its socket (1).", bool(info))
        if "Version" in info:
            yield _info("fastlb_haproxy_info", "Which HAProxy runs.", version=info["Version"])
        if info.get("Uptime_sec", "").isdigit():
            about = "For how long the worker that serves has run."
            yield _gauge("haproxy_worker_uptime_seconds", about, int(info["Uptime_sec"]))


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"fastlb_{name}", about, value=value)


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"fastlb_{name}", about, value=value)


def _by_command(name: str, about: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"fastlb_{name}", about, labels=["command"])
    for command, count in sorted(dict(counts).items()):
        family.add_metric([command], count)
    return family


def _info(name: str, about: str, **words: str) -> Metric:
    family = GaugeMetricFamily(name, about, labels=list(words))
    family.add_metric(list(words.values()), 1)
    return family
