"""A bounded background load: ``python -m benchmarks.load ADDRESS PORT...`` until it is told to end.

One thread sends about `RATE_PER_S` requests a second, one after another, to each port in turn, on connections of their
own. At its end (SIGTERM, or after `LONGEST_S`) it says in JSON how many there were and which failed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from itertools import cycle
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from benchmarks.probes import ask
from benchmarks.programs import STOP_WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Sequence

RATE_PER_S = 100.0
LONGEST_S = 3600.0


class Load:
    """A context manager: inside it the load is on; ``told`` is what it said at its end."""

    def __init__(self, address: str, ports: Sequence[int]) -> None:
        self._words = [sys.executable, "-m", "benchmarks.load", address, *map(str, ports)]
        self.told: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._words, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self.told = json.loads(self._process.communicate(timeout=STOP_WITHIN_S)[0])


def main() -> None:
    """Send requests until the end."""
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    address, *ports = sys.argv[1:]
    answers: Counter[int] = Counter()
    give_up_s = next_s = monotonic()
    give_up_s += LONGEST_S
    for port in cycle(map(int, ports)):
        next_s = max(next_s + 1 / RATE_PER_S, monotonic())
        if stop.wait(next_s - monotonic()) or next_s > give_up_s:
            break
        answers[ask(address, port)[0]] += 1
    failed = {status: count for status, count in answers.items() if status != 200}
    print(json.dumps({"requests": answers.total(), "failed": sum(failed.values()), "how": failed}))


if __name__ == "__main__":
    main()
