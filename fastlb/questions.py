"""What other threads ask the loop, since what it knows is its own: one look at it, on its own thread.

    asker --Asked--> inbox --> loop --respond--> the asker's Future

A look is a function without side effects that takes little time. Who has stopped waiting cancels the future, and is not
answered any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from fastlb.decision import Decider
    from fastlb.history import History
    from fastlb.running import Running


class Known(NamedTuple):
    """What the loop knows; to be looked at on its thread only, and not to be changed."""

    decider: Decider
    running: Running
    history: History


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: ``look`` at what is known and put what comes of it, or what it raises, into ``answer``."""

    look: Callable[[Known], Any]
    answer: Future[Any]

    def respond(self, known: Known) -> None:
        """Look, and answer; whatever happens, it happens to the asker."""
        if not self.answer.set_running_or_notify_cancel():
            return
        try:
            self.answer.set_result(self.look(known))
        except Exception as error:  # noqa: BLE001 - a question must never cost the loop anything
            self.answer.set_exception(error)
