"""One JSON line per thing that happened, for whoever wants to watch fastlb work: the demo, tests, a pipeline, metrics.

    write(kind, fields) --> a line of the file, and each listener

Not a log: nothing is said here that the log does not say for people. Without a path nothing is written; a write that
fails ends the journal, a listener that fails is said once for each kind, and neither is the daemon's business.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Listener = Callable[[str, Mapping[str, Any]], None]

log = logging.getLogger(__name__)


class Journal:
    """Appends to the file at ``path``; each line has ``kind`` and ``at`` (Unix seconds) besides its own fields."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._listeners: list[Listener] = []
        self._failing: set[str] = set()

    def listen(self, listener: Listener) -> None:
        """Have ``listener`` called with kind and fields of each entry from now on, on the thread that writes it."""
        self._listeners.append(listener)

    def write(self, kind: str, **fields: Any) -> None:
        """Append one line, and tell the listeners."""
        for listener in self._listeners:
            self._tell(listener, kind, fields)
        if self._path is None:
            return
        line = orjson.dumps({"kind": kind, "at": time.time(), **fields}) + b"\n"
        try:
            with self._path.open("ab") as file:
                file.write(line)
        except OSError as error:
            log.warning("the journal %s cannot be written (%s); it ends here", self._path, error)
            self._path = None

    def _tell(self, listener: Listener, kind: str, fields: Mapping[str, Any]) -> None:
        """Tell one listener; whatever happens to it, the loop goes on."""
        try:
            listener(kind, fields)
        except Exception:
            if kind not in self._failing:
                self._failing.add(kind)
                log.exception("an entry of the journal, `%s`, is not counted; please report this", kind)
