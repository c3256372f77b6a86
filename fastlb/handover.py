"""What HAProxy knows of its servers' health, saved for its next worker (COMPAT.md 2.5).

    show servers state --without what the files decide (`seen`)--> file --read by the next worker--> health as before

It must not know when a reload is due. To ask and to write takes 50 ms with 15,000 servers, so it may be done a moment
ahead; what changes within that moment is found out anew, as is all that changes while HAProxy reads its files.
"""

from __future__ import annotations

import logging
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from fastlb.errors import PublishError, RuntimeApiError
from fastlb.files import publish
from fastlb.runtime_api import RuntimeApi
from fastlb.seen import for_next_worker

if TYPE_CHECKING:
    from fastlb.settings import Paths

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0
"""Those of 15,000 servers come within 40 ms; a reload waits for them, and does without."""
FRESH_S = 0.5
"""For so long they are not asked for again: a fraction of what HAProxy needs to start on so many."""


class ServerStates:
    """The file of one HAProxy."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._asked_s = -inf

    def save(self) -> None:
        """Save them, unless that was tried just now; a failure costs only their health."""
        if monotonic() - self._asked_s < FRESH_S:
            return
        try:
            state = RuntimeApi(self._paths.runtime_socket, TIMEOUT_S).servers_state()
            publish(self._paths.server_state, for_next_worker(state, {}))
        except (RuntimeApiError, PublishError) as error:
            log.debug("server states are not carried over to the next worker: %s", error)
        self._asked_s = monotonic()
