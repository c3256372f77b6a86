"""The syslog socket of a container that has no syslogd: what is sent there comes out on standard output.

A head that was written for marathon-lb's image logs to /dev/log, where `HAPROXY_SYSLOGD` started a syslogd (COMPAT.md
2.5). Data flows: a datagram about traffic -> without its priority, made harmless -> a line. Nobody waits for it: while
more comes than is read, the kernel refuses and HAProxy drops, as with any syslogd.
"""

from __future__ import annotations

import contextlib
import logging
import re
import selectors
import socket
import sys
from typing import TYPE_CHECKING

from fastlb.haproxy_log import without_own_words
from fastlb.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

MOST_AT_ONCE = 256
"""Datagrams that are read before the loop, which has other things to do, goes on."""
LONGEST_DATAGRAM = 65_536
MODE = 0o666  # as everywhere: who logs is not asked who it is

_PRIORITY = re.compile(r"<\d{1,3}>")


@contextlib.contextmanager
def log_socket(selector: selectors.BaseSelector, path: Path | None) -> Iterator[None]:
    """Meanwhile print what is sent to ``path``, unless somebody else listens there; None: do nothing."""
    listener = _listener(path) if path else None
    if listener is None or path is None:
        yield
        return
    selector.register(listener, selectors.EVENT_READ, lambda: _pass_on(listener))
    try:
        yield
    finally:
        selector.unregister(listener)
        listener.close()
        path.unlink(missing_ok=True)


def _listener(path: Path) -> socket.socket | None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if _is_served(path):
            listener.close()
            return None
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(MODE)
    except OSError as reason:
        log.warning("there is no socket at %s (%s); what HAProxy is told to log there is lost", path, reason.strerror)
        listener.close()
        return None
    return listener


def _is_served(path: Path) -> bool:
    """Whether somebody listens there; a socket that a killed process left is nobody's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(str(path))
        except OSError:
            return path.exists() and not path.is_socket()
        return True


def _pass_on(listener: socket.socket) -> None:
    lines: list[str] = []
    with contextlib.suppress(BlockingIOError):
        while len(lines) < MOST_AT_ONCE:
            heard = without_own_words(listener.recv(LONGEST_DATAGRAM).rstrip(b"\n\0"))
            text = heard.decode(errors="backslashreplace")
            lines.append(one_line(_PRIORITY.sub("", text, count=1), LONGEST_DATAGRAM))
    with contextlib.suppress(OSError):
        sys.stdout.write("".join(f"{line}\n" for line in lines if line))
        sys.stdout.flush()
