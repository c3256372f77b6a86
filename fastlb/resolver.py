"""Host names to IPv4 addresses: the C library's lookup, in a bounded number of threads, with a cache (COMPAT.md 3.7).

Successes are kept, least recently used ones dropped first; failures are asked again next time. A name that does not
resolve costs its tasks, with one message; a name server that hangs costs `LOOKUP_TIMEOUT_S`, not the loop.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections import OrderedDict
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from fastlb.errors import PublishError
from fastlb.files import publish, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

LOOKUP_TIMEOUT_S = 5.0
LOOKUP_THREADS = 16
SILENT_FOR_S = 30.0
"""So long the loop does not wait for a name again for which it has waited in vain."""


class Resolver:
    """Resolves host names; ``capacity`` is the number of addresses that are kept.

    ``memory`` is the file in which they outlive the process: whoever starts while no name server answers would leave
    out tasks that HAProxy serves.
    """

    def __init__(self, capacity: int, memory: Path | None = None) -> None:
        self._memory = memory
        self._remembered = _read(memory) if memory else {}
        self._capacity = max(capacity, 1)
        self._known: OrderedDict[str, str] = OrderedDict()
        self._silent: dict[str, float] = {}
        """Names about which no name server said anything in time, and until when they are not asked for again."""
        self._unknown: set[str] = set()

    def addresses(self, names: Iterable[str]) -> dict[str, str]:
        """Return the addresses of those ``names`` that resolve, within `LOOKUP_TIMEOUT_S` in all."""
        wanted = set(names)
        found = {name: self._known[name] for name in wanted & self._known.keys()}
        for name in found:
            self._known.move_to_end(name)
        self._silent = {name: until_s for name, until_s in self._silent.items() if until_s > monotonic()}
        fresh, silent = _look_up(wanted - found.keys() - self._silent.keys())
        self._silent |= dict.fromkeys(silent, monotonic() + SILENT_FOR_S)
        self._known.update(fresh)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
        unknown = wanted - found.keys() - fresh.keys()
        recalled = {name: self._remembered[name] for name in unknown & self._remembered.keys()}
        for name in sorted(unknown - self._unknown):
            then = f"that of before, {recalled[name]}, stays" if name in recalled else "its tasks are left out"
            log.warning("host name %s does not resolve to an IPv4 address; %s", name, then)
        for name in sorted(self._unknown & fresh.keys()):
            log.info("host name %s resolves again", name)
        self._unknown = unknown
        self._remember(fresh)
        return found | fresh | recalled

    def _remember(self, fresh: Mapping[str, str]) -> None:
        if self._memory is None or fresh.items() <= self._remembered.items():
            return
        self._remembered = dict(list({**self._remembered, **fresh}.items())[-self._capacity :])
        try:
            publish(self._memory, json.dumps(self._remembered))
        except PublishError as error:
            log.debug("addresses of host names are not remembered: %s", error)


def _read(memory: Path) -> dict[str, str]:
    """Return the addresses in the file; none if it is not there, or is not ours."""
    try:
        found = json.loads(read_text(memory) or "{}")
    except (PublishError, ValueError):
        return {}
    is_ours = isinstance(found, dict) and all(isinstance(address, str) for address in found.values())
    return found if is_ours else {}


def _look_up(names: set[str]) -> tuple[dict[str, str], set[str]]:
    """Look ``names`` up side by side; return the addresses, and the names about which nothing is known in time.

    A thread that hangs in the C library is left behind; it ends with its lookup.
    """
    waiting: SimpleQueue[str] = SimpleQueue()
    answers: SimpleQueue[tuple[str, str | None]] = SimpleQueue()
    for name in names:
        waiting.put(name)
    for _ in range(min(LOOKUP_THREADS, len(names))):
        threading.Thread(target=_work, args=(waiting, answers), daemon=True).start()
    found: dict[str, str] = {}
    silent = set(names)
    deadline = monotonic() + LOOKUP_TIMEOUT_S
    for _ in names:
        try:
            name, address = answers.get(timeout=max(0.0, deadline - monotonic()))
        except Empty:
            break
        silent.discard(name)
        if address is not None:
            found[name] = address
    return found, silent


def _work(waiting: SimpleQueue[str], answers: SimpleQueue[tuple[str, str | None]]) -> None:
    while True:
        try:
            name = waiting.get_nowait()
        except Empty:
            return
        try:
            answers.put((name, socket.gethostbyname(name)))
        except (OSError, UnicodeError):
            answers.put((name, None))
