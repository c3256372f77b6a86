"""Reads everything from Marathon on a thread of its own, so that the loop never waits for the network.

One read at a time; what is asked for while one is under way is asked for again afterwards by the loop, which knows
whether an event came in between.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from fastlb.errors import MarathonError
from fastlb.inbox import Fetched, FetchFailed

if TYPE_CHECKING:
    from fastlb.inbox import Inbox
    from fastlb.marathon import MarathonClient


class Fetcher:
    """Fetches on request; the answer arrives in ``inbox``."""

    def __init__(self, client: MarathonClient, inbox: Inbox) -> None:
        self._client = client
        self._inbox = inbox
        self._orders: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="fetcher", daemon=True)
        self._thread.start()

    def fetch(self) -> None:
        """Have everything read once."""
        self._orders.put(True)

    def stop(self) -> None:
        """End the thread after the read under way; does not wait for it, since a read may take a minute."""
        self._orders.put(False)

    def _work(self) -> None:
        while self._orders.get():
            started, received = monotonic(), self._client.received_bytes
            try:
                documents = self._client.apps()
            except MarathonError as error:
                self._inbox.put(FetchFailed(str(error)))
            else:
                self._inbox.put(Fetched(documents, monotonic() - started, self._client.received_bytes - received))
        self._client.close()
