"""What a reload needs is made ready while it waits for quiet, each thing on a thread of its own.

    Document, who changed --+--> trial of what changed    --> verdict
                            +--> texts joined and written beside the files --> drafts
                            '--> HAProxy's servers asked for their health  --> file for the next worker

It is ready for one revision of the document: if more arrives, it is made again, and what was not begun is left. It must
not know when a reload is due, nor what follows from a verdict. What fails here is done again by who needs it, and fails
there with its reason.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from fastlb.apply import drop
from fastlb.errors import FastlbError

if TYPE_CHECKING:
    from fastlb.apply import Applier, Drafts
    from fastlb.document import Document
    from fastlb.trial import Trial
    from fastlb.validation import Verdict
    from fastlb.waiting import Waiting


class Ready(NamedTuple):
    """What is being made ready for a document; ``twin`` is a copy of it."""

    twin: Document
    verdict: Future[Verdict]
    drafts: Future[Drafts]
    states: Future[None]


class Preparing:
    """Makes ready on threads; whoever needs it waits with ``waiting``."""

    def __init__(self, trial: Trial, applier: Applier, waiting: Waiting) -> None:
        self._trial = trial
        self._applier = applier
        self._waiting = waiting
        self._trying, self._writing, self._asking = (
            ThreadPoolExecutor(1, thread_name_prefix=name) for name in ("trying", "writing", "asking")
        )
        self._ready: Ready | None = None

    def begin(self, document: Document, changes: Document) -> None:
        """Make ready for ``document``, of which ``changes`` are tried, unless that is done or under way."""
        if self._ready is not None and self._ready.twin.revision == document.revision:
            return
        self.drop()
        twin = document.copy()
        self._ready = Ready(
            twin,
            self._trying.submit(lambda: self._trial.run(changes.rendering())),
            self._writing.submit(lambda: self._applier.draft(twin.rendering())),
            self._asking.submit(self._applier.get_ready),
        )

    def verdict(self, document: Document, changes: Document) -> Verdict:
        """Return HAProxy's verdict on ``changes``.

        Raises PublishError or HAProxyError if there is none; whoever asks again has it tried again.
        """
        self.begin(document, changes)
        assert self._ready is not None
        try:
            return self._waiting.until(self._ready.verdict)
        except FastlbError:
            self.drop()
            raise

    def take(self, document: Document) -> Drafts:
        """Return what was written ahead for ``document``, if anything was, which then knows its texts."""
        ready, self._ready = self._ready, None
        if ready is None:
            return {}
        self._waiting.until(ready.states)
        try:
            drafts = self._waiting.until(ready.drafts)
        except FastlbError:
            return {}
        if ready.twin.revision != document.revision:
            drop(drafts)
            return {}
        document.learn_texts(ready.twin)
        return drafts

    def drop(self) -> None:
        """Give up what is ready or being made."""
        if self._ready is not None:
            for work in self._ready[1:]:
                work.cancel()
            self._ready.drafts.add_done_callback(_drop)
        self._ready = None


def _drop(drafts: Future[Drafts]) -> None:
    if not drafts.cancelled() and drafts.exception() is None:
        drop(drafts.result())
