"""Reads from Marathon, everything and single apps, on a thread of its own: the loop never waits for the network.

    loop --fetch--> Asking --what to ask now--> client --as it comes--> Asking --what may be used--> inbox

Answers are told as they come, so that one app for which Marathon does not answer holds up no other; those that come
within a few milliseconds of each other are told together, since each message may lead to a reload.
"""

from __future__ import annotations

import logging
import threading
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from fastlb.inbox import AppsFailed, AppsFetched, Fetched, FetcherBroke, FetchFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastlb.asking import Asking
    from fastlb.inbox import Inbox
    from fastlb.marathon import MarathonClient, Told
    from fastlb.marks import Reading

log = logging.getLogger(__name__)

SHOWN_APPS = 10
COLLECT_S = 0.005
"""How long an answer waits for others that are under way."""


class Fetcher:
    """Fetches on request; the answers arrive in ``inbox``."""

    def __init__(self, client: MarathonClient, asking: Asking, inbox: Inbox) -> None:
        self._client = client
        self._asking = asking
        self._inbox = inbox
        self._orders: SimpleQueue[Reading | None] = SimpleQueue()
        self._stopping = False
        self._began_s: dict[str | None, float] = {}
        self._told_bytes = 0
        self._batch = _Batch()
        self._thread = threading.Thread(target=self._run, name="fetcher", daemon=True)
        self._thread.start()

    def fetch(self, reading: Reading) -> None:
        """Have this read once, from now on."""
        self._orders.put(reading)
        self._client.wake()

    def stop(self) -> None:
        """End the thread after what is being read; does not wait for it, since that may take a minute."""
        self._orders.put(None)
        self._client.wake()

    def _run(self) -> None:
        try:
            self._work()
        except Exception:
            log.exception("fastlb failed while it read Marathon; please report this")
            self._inbox.put(FetcherBroke())
        finally:
            self._client.close()

    def _work(self) -> None:
        while self._take_orders():
            self._begin()
            told = self._client.told(max(0.0, self._batch.due_s - monotonic()))
            # Of what came together, everything is told last, so that what was asked for later stays.
            for each in sorted(told, key=lambda each: each.app_id is None):
                self._take(each)
            if not self._asking.single or monotonic() >= self._batch.due_s:
                self._tell_batch()

    def _take_orders(self) -> bool:
        """Take the orders that are there, after waiting for one if there is nothing else to do; False at the end."""
        try:
            while True:
                order = self._orders.get(block=self._asking.idle and not self._stopping)
                if order is None:
                    self._stopping = True
                else:
                    self._asking.want(order)
        except Empty:
            return not (self._stopping and self._asking.idle)

    def _begin(self) -> None:
        ask = self._asking.begin()
        wanted: tuple[str | None, ...] = (None,) if ask.everything else ask.app_ids
        if wanted:
            self._began_s |= dict.fromkeys(wanted, monotonic())
            self._client.ask(wanted)

    def _take(self, told: Told) -> None:
        began_s = self._began_s.pop(told.app_id)
        if told.app_id is None:
            self._tell_batch()
            self._tell_everything(told, began_s)
        elif told.failure:
            self._asking.failed(told.app_id)
            self._batch.fail(told.app_id, str(told.failure))
        else:
            marked_at_s = self._asking.answered(told.app_id, told.content)
            self._batch.add(told.app_id, told.content, began_s, marked_at_s)

    def _tell_everything(self, told: Told, began_s: float) -> None:
        if told.failure:
            self._inbox.put(FetchFailed(str(told.failure), self._asking.failed_everything()))
            return
        everything = self._asking.answered_everything(told.content)
        self._client.drop(everything.dropped)
        seconds, received_bytes = monotonic() - began_s, self._received_bytes()
        self._inbox.put(Fetched(everything.documents, seconds, received_bytes, everything.marked_at_s))

    def _tell_batch(self) -> None:
        batch, self._batch = self._batch, _Batch()
        if batch.found:
            seconds, received_bytes = monotonic() - batch.began_s, self._received_bytes()
            self._inbox.put(AppsFetched(batch.found, seconds, received_bytes, batch.marked_at_s))
        if batch.failed:
            self._inbox.put(AppsFailed(batch.failed))

    def _received_bytes(self) -> int:
        """Return how many bytes were received since this was last asked."""
        before, self._told_bytes = self._told_bytes, self._client.received_bytes
        return self._told_bytes - before


class _Batch:
    """Answers about single apps that are told together, at `due_s` at the latest."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.failed: dict[str, str] = {}
        self.began_s = inf
        self.due_s = inf
        self.marked_at_s: float | None = None

    def add(self, app_id: str, document: Any, began_s: float, marked_at_s: float | None) -> None:
        self.found[app_id] = document
        self.began_s = min(self.began_s, began_s)
        if marked_at_s is not None:
            self.marked_at_s = min(marked_at_s, self.marked_at_s or marked_at_s)
        self._collect()

    def fail(self, app_id: str, reason: str) -> None:
        self.failed[app_id] = reason
        self._collect()

    def _collect(self) -> None:
        self.due_s = min(self.due_s, monotonic() + COLLECT_S)


def listed(failed: Mapping[str, str]) -> str:
    """Say which apps could not be read and why; apps with the same reason together."""
    apps: dict[str, list[str]] = {}
    for app_id, reason in failed.items():
        apps.setdefault(reason, []).append(app_id)
    return "; ".join(f"{_named(app_ids)}: {reason}" for reason, app_ids in apps.items())


def _named(app_ids: list[str]) -> str:
    more = len(app_ids) - SHOWN_APPS
    return ", ".join(app_ids[:SHOWN_APPS]) + (f" and {more} more" if more > 0 else "")
