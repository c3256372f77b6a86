"""Reads from Marathon, everything or single apps, on a thread of its own: the loop never waits for the network.

One reading at a time, so that answers arrive in the order in which Marathon gave them and an older one never overwrites
a newer one. What is marked while one is under way is asked for again afterwards by the loop.

A reading ends with one message. Only one that answers for some of its apps gives two: what came, then what did not.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from fastlb.errors import MarathonError
from fastlb.inbox import AppsFetched, Fetched, FetchFailed
from fastlb.marks import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fastlb.inbox import Inbox
    from fastlb.marathon import MarathonClient

SHOWN_APPS = 10


class Fetcher:
    """Fetches on request; the answer arrives in ``inbox``."""

    def __init__(self, client: MarathonClient, inbox: Inbox) -> None:
        self._client = client
        self._inbox = inbox
        self._orders: SimpleQueue[Reading | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="fetcher", daemon=True)
        self._thread.start()

    def fetch(self, reading: Reading) -> None:
        """Have this read once."""
        self._orders.put(reading)

    def stop(self) -> None:
        """End the thread after the read under way; does not wait for it, since a read may take a minute."""
        self._orders.put(None)

    def _work(self) -> None:
        while (reading := self._orders.get()) is not None:
            for message in [self._everything(reading)] if reading.everything else self._apps(reading.app_ids):
                self._inbox.put(message)
        self._client.close()

    def _everything(self, reading: Reading) -> Fetched | FetchFailed:
        started, received = monotonic(), self._client.received_bytes
        try:
            documents = self._client.apps()
        except MarathonError as error:
            return FetchFailed(str(error), reading)
        return Fetched(documents, monotonic() - started, self._client.received_bytes - received)

    def _apps(self, app_ids: Iterable[str]) -> Iterator[AppsFetched | FetchFailed]:
        started, received = monotonic(), self._client.received_bytes
        answers = self._client.apps_by_id(sorted(app_ids))
        failed = frozenset(answers.failed)
        if answers.found or not failed:
            received = self._client.received_bytes - received
            yield AppsFetched(answers.found, failed, monotonic() - started, received)
        if failed:
            yield FetchFailed(_listed(answers.failed), Reading(everything=False, app_ids=failed))


def _listed(failed: Mapping[str, str]) -> str:
    """Say which apps could not be read and why; apps with the same reason together."""
    apps: dict[str, list[str]] = {}
    for app_id, reason in failed.items():
        apps.setdefault(reason, []).append(app_id)
    return "; ".join(f"{_named(app_ids)}: {reason}" for reason, app_ids in apps.items())


def _named(app_ids: list[str]) -> str:
    more = len(app_ids) - SHOWN_APPS
    return ", ".join(app_ids[:SHOWN_APPS]) + (f" and {more} more" if more > 0 else "")
