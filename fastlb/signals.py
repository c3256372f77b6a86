"""Signals as bytes in a selector, so that one loop hears of them as of everything else.

It must not know what a signal is for. Data flows: a signal -> its number as a byte in a socket -> `take`, called in the
loop and never in the middle of something else.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@contextlib.contextmanager
def signals(
    selector: selectors.BaseSelector, numbers: Sequence[signal.Signals], take: Callable[[bytes], None]
) -> Iterator[None]:
    """Have ``take`` called with the numbers of those that came; at the end everything is as it was before."""
    inbox, outbox = socket.socketpair()
    with inbox, outbox:
        inbox.setblocking(False)
        outbox.setblocking(False)
        before = signal.set_wakeup_fd(outbox.fileno())
        handlers = [(number, signal.signal(number, lambda *_: None)) for number in numbers]
        selector.register(inbox, selectors.EVENT_READ, lambda: take(inbox.recv(4096)))
        try:
            yield
        finally:
            selector.unregister(inbox)
            signal.set_wakeup_fd(before)
            for number, handler in handlers:
                signal.signal(number, handler)
