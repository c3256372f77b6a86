"""One registry with everything in it, and its two forms: Prometheus' text, and flat JSON as Mesos' processes show it.

It must not know what is measured. Data flows: samples --> text, or names with slashes --> JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics, generate_latest

from fastlb.metrics.entries import Entries
from fastlb.metrics.state import Sources, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.samples import Sample

    from fastlb.journal import Journal

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "fastlb_"
LEFT_OUT_OF_JSON = ("_bucket",)
"""Flat JSON has the number and the sum of a histogram; a collector makes rates of them."""


class Metrics:
    """Everything that is measured; counts what is written into ``journal`` from now on."""

    def __init__(self, sources: Sources, journal: Journal) -> None:
        disable_created_metrics()
        self._registry = CollectorRegistry()
        journal.listen(Entries(self._registry).hear)
        self._registry.register(State(sources))
        ProcessCollector(namespace="fastlb", registry=self._registry)

    def text(self) -> bytes:
        """Return everything in Prometheus' text form 0.0.4."""
        return generate_latest(self._registry)

    def flat(self) -> bytes:
        """Return everything as one JSON object of numbers."""
        samples = [sample for metric in self._registry.collect() for sample in metric.samples]
        return orjson.dumps(dict(_named(samples)), option=orjson.OPT_SORT_KEYS)


def _named(samples: list[Sample]) -> Iterator[tuple[str, float]]:
    """Yield each sample with its name and its labels' values, joined by slashes."""
    for sample in samples:
        if not sample.name.endswith(LEFT_OUT_OF_JSON):
            words = ("fastlb", sample.name.removeprefix(PREFIX), *sample.labels.values())
            yield "/".join(words), float(sample.value)
