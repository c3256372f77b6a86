"""One JSON line per thing that happened, for whoever wants to watch fastlb work: the demo, tests, a pipeline.

Not a log: nothing is said here that the log does not say for people. Without a path nothing is written; a write that
fails ends the journal and never the daemon.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


class Journal:
    """Appends to the file at ``path``; each line has ``kind`` and ``at`` (Unix seconds) besides its own fields."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def write(self, kind: str, **fields: Any) -> None:
        """Append one line."""
        if self._path is None:
            return
        line = orjson.dumps({"kind": kind, "at": time.time(), **fields}) + b"\n"
        try:
            with self._path.open("ab") as file:
                file.write(line)
        except OSError as error:
            log.warning("the journal %s cannot be written (%s); it ends here", self._path, error)
            self._path = None
