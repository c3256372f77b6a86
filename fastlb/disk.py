"""The files on disk, which follow what HAProxy was changed to live, on a thread of their own.

    live changes --(a moment later)--> copy of the document --thread: join, publish--> files

The loop must not wait for it: joining and writing the files of a big cluster takes longer than a change. Many changes
are written once. It must not know what a change is. Only one of loop and thread touches the files: whoever is about to
load them calls `catch_up` first, and whoever is about to replace them `stand_still`.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from fastlb.errors import PublishError

if TYPE_CHECKING:
    from fastlb.apply import Applier
    from fastlb.document import Document

log = logging.getLogger(__name__)

WRITE_AFTER_S = 0.1
LOOK_EVERY_S = 0.05
RETRY_S = 1.0


class Disk:
    """Whether the files are what HAProxy runs, and when to do something about it."""

    def __init__(self, applier: Applier) -> None:
        self._applier = applier
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._writing: Future[None] | None = None
        self._unwritten = False
        self._failure = ""
        self.due_s = inf
        """When `look` has something to do, monotonic."""

    @property
    def is_behind(self) -> bool:
        """Whether HAProxy runs something else than what is on disk."""
        return self._unwritten or self._writing is not None

    def changed(self, now_s: float) -> None:
        """Learn that HAProxy was changed live."""
        self._unwritten = True
        self.due_s = min(self.due_s, now_s + WRITE_AFTER_S)

    def look(self, document: Document | None, now_s: float) -> None:
        """Begin to write ``document``, which HAProxy runs; or see what came of it. None: nobody knows what it runs."""
        self.due_s = inf
        if self._writing is not None:
            if not self._writing.done():
                self.due_s = now_s + LOOK_EVERY_S
                return
            self._hear(now_s)
        elif self._unwritten and document is not None:
            self._begin(document)
            self.due_s = now_s + LOOK_EVERY_S

    def catch_up(self, document: Document | None) -> None:
        """Wait until the files say what HAProxy runs, as far as that is known and they can be written."""
        self.stand_still()
        if document is None:
            self._unwritten = False  # what is loaded next is on disk by then
        elif self._unwritten:
            self._begin(document)
            self._hear(monotonic())

    def stand_still(self) -> None:
        """Wait for the end of a writing, since somebody else is about to write."""
        if self._writing is not None:
            self._hear(monotonic())

    def replaced(self) -> None:
        """Learn that newer files than those that were to be written are in their places."""
        self._unwritten, self.due_s = False, inf

    def _begin(self, document: Document) -> None:
        self._unwritten = False
        self._writing = self._thread.submit(self._write, document.copy())

    def _write(self, document: Document) -> None:
        self._applier.write(document.rendering())

    def _hear(self, now_s: float) -> None:
        """Wait for the end of a writing."""
        assert self._writing is not None
        writing, self._writing = self._writing, None
        try:
            writing.result()
        except PublishError as error:
            if str(error) != self._failure:
                log.error("%s; tried again in %.0f s, and said no more", error, RETRY_S)
            self._failure = str(error)
            self._unwritten = True
            self.due_s = now_s + RETRY_S
        else:
            if self._failure:
                log.info("the files on disk can be written again")
            self._failure = ""
            self.due_s = now_s if self._unwritten else inf
