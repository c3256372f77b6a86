"""Reads from Marathon, everything or single apps, on a thread of its own: the loop never waits for the network.

One reading at a time, so that answers arrive in the order in which Marathon gave them and an older one never overwrites
a newer one. What is marked while one is under way is asked for again afterwards by the loop.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from fastlb.errors import MarathonError
from fastlb.inbox import AppsFetched, Fetched, FetchFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastlb.inbox import Inbox
    from fastlb.marathon import MarathonClient
    from fastlb.marks import Reading


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
            try:
                self._inbox.put(self._everything() if reading.everything else self._apps(reading.app_ids))
            except MarathonError as error:
                self._inbox.put(FetchFailed(str(error), reading))
        self._client.close()

    def _everything(self) -> Fetched:
        started, received = monotonic(), self._client.received_bytes
        documents = self._client.apps()
        return Fetched(documents, monotonic() - started, self._client.received_bytes - received)

    def _apps(self, app_ids: Iterable[str]) -> AppsFetched:
        started, received = monotonic(), self._client.received_bytes
        answers = {app_id: self._client.app(app_id) for app_id in sorted(app_ids)}
        return AppsFetched(answers, monotonic() - started, self._client.received_bytes - received)
