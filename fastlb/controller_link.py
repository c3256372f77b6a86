"""The supervisor's end of the link to its controller.

It must not know what the messages mean. Data flows: a controller is started with the other end -> its messages, one
whole or none, come in through the supervisor's selector -> `on_message`; what it is told goes out at once or is lost,
since a controller that does not read must not hold up its supervisor.
"""

from __future__ import annotations

import json
import logging
import selectors
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

#: Where the controller finds its end of the link.
LINK_FD = "FASTLB_SUPERVISOR_FD"
MESSAGE_BYTES = 262_144


class ControllerLink:
    """The link while there is a controller; without one, whatever is told is lost."""

    def __init__(self, selector: selectors.BaseSelector, on_message: Callable[[Any], None]) -> None:
        self._selector = selector
        self._on_message = on_message
        self._link: socket.socket | None = None

    def open(self) -> socket.socket:
        """Make a new link; return the controller's end of it, which the caller closes when it is handed down."""
        # Packets keep their borders: one message each, whole or not at all.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self.drop()
        self._link = ours
        self._selector.register(ours, selectors.EVENT_READ, self._read)
        return theirs

    def tell(self, message: dict[str, Any]) -> None:
        """Send it, if somebody reads."""
        if self._link is None:
            return
        try:
            self._link.send(json.dumps(message).encode())
        except OSError as reason:
            log.warning("the controller does not listen: %s; it was not told %.200s", reason.strerror, message)

    def drop(self) -> None:
        """End the link, if there is one."""
        if self._link is not None:
            self._selector.unregister(self._link)
            self._link.close()
            self._link = None

    def _read(self) -> None:
        assert self._link is not None
        try:
            message = self._link.recv(MESSAGE_BYTES)
        except OSError:
            message = b""
        if not message:
            self.drop()
            return
        try:
            self._on_message(json.loads(message))
        except ValueError:
            log.error("the controller sent %.200r, which means nothing here; ignored", message)
