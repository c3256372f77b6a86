"""One question to a running fastlb, through the socket that is only open to its own user."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastlb.errors import FastlbError

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_WITHIN_S = 20.0
ANSWERS = (http.client.OK, http.client.NOT_FOUND)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the socket at ``path``."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask_fastlb(path: Path, target: str, *, json: bool = False, **query: str) -> tuple[bool, str]:
    """Return whether there is what was asked for, and the answer. Raises FastlbError if there was none.

    ``path`` is the socket, ``target`` the path of the endpoint.
    """
    words = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    connection = _UnixConnection(path)
    try:
        connection.request("GET", f"{target}?{words}", headers={"Accept": "application/json" if json else "text/plain"})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise FastlbError(
            f"no fastlb answers at {path} ({error}); --run-dir says where the running one is, --apps-file asks none"
        ) from error
    finally:
        connection.close()
    if answer.status not in ANSWERS:
        raise FastlbError(f"fastlb answers {answer.status}: {text.strip()}")
    return answer.status == http.client.OK, text
