"""One socket of HAProxy: a command in, its reply out.

It must not know what a command means or whether its reply is good news: callers decide. Data flows: one
command, or a batch of them -> a connection of its own -> the replies up to the end of the stream. A connection
is never kept: one that outlives a reload talks to the old worker and keeps it alive (HAPROXY.md F1).

The connection is half-closed after the command, because the master's socket ends a reply only then. The one
command that this cuts short is `wait` (HAPROXY.md 1).
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastlb.errors import RuntimeApiError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROMPT = "\n> "

# A line break or an unescaped semicolon starts a second command, a blank one prints help.
_MORE_THAN_ONE = re.compile(r"[\r\n\0]|(?<!\\)(?:\\\\)*;|^\s*$")


@dataclass(frozen=True, slots=True)
class RuntimeApi:
    """HAProxy's Runtime API, or its master's command line, at a Unix socket; every answer within
    `timeout_s`."""

    socket_path: Path
    timeout_s: float

    def ask(self, command: str) -> str:
        """The reply to one command, as HAProxy sent it.

        Raises RuntimeApiError if it is not exactly one command, or if no whole reply came: nobody listens,
        the time is up, the connection broke, or it ended without a byte.
        """
        self._demand_one_each([command])
        return self._reply(command, f"{command}\n")

    def ask_all(self, commands: Sequence[str]) -> list[str]:
        """The replies to several commands, in order, on one connection; none without commands.

        All of them are carried out, whatever the first ones are answered. They are sent at once, so they have to fit
        into HAProxy's buffer (`commands.batches`). Only its interactive mode takes lines one after the other on every
        version, and marks where a reply ends: some of 2.6 do not end in an empty line (HAPROXY.md 1).

        Raises RuntimeApiError as `ask` does, and if there are not as many replies as commands.
        """
        if not commands:
            return []
        self._demand_one_each(commands)
        what = commands[0] if len(commands) == 1 else f"{commands[0]} and {len(commands) - 1} more"
        parts = self._reply(what, "\n".join(["prompt", *commands, "quit\n"])).split(PROMPT)
        # The first prompt is the answer to `prompt`, and nothing comes after the last one.
        if len(parts) != len(commands) + 2 or parts[0] or parts[-1]:
            said = f"{max(len(parts) - 2, 0)} replies and then {parts[-1][-200:]!r}"
            raise RuntimeApiError(f"{what!r} on {self.socket_path} got {said}")
        return parts[1:-1]

    def ask_with(self, command: str, lines: Sequence[str]) -> str:
        """The reply to a command that brings text along, one line or more without an empty one.

        Raises RuntimeApiError as `ask` does, and for lines that would end the text early.
        """
        self._demand_one_each([command])
        if not lines or any(not line.strip() or "\n" in line for line in lines):
            raise RuntimeApiError(f"the text for {command!r} has empty or broken lines; it was not sent")
        return self._reply(command, "\n".join([f"{command} <<", *lines, "\n"]))

    def info(self) -> dict[str, str]:
        """`show info` of the process that answers, by name."""
        lines = (line.partition(": ") for line in self.ask("show info").splitlines())
        return {name: value for name, colon, value in lines if colon}

    def servers_state(self) -> str:
        """`show servers state`, in the form that `server-state-file` reads back."""
        return self.ask("show servers state")

    def _demand_one_each(self, commands: Sequence[str]) -> None:
        for command in commands:
            if _MORE_THAN_ONE.search(command):
                raise RuntimeApiError(f"{command!r} is not exactly one command; it was not sent to {self.socket_path}")

    def _reply(self, what: str, request: str) -> str:
        try:
            reply = self._exchange(request.encode())
        except OSError as reason:
            why = "no whole answer in time" if isinstance(reason, TimeoutError) else reason.strerror or reason
            raise RuntimeApiError(f"{what!r} on {self.socket_path} got no reply: {why}") from reason
        if not reply:
            raise RuntimeApiError(f"{what!r} on {self.socket_path} got no reply: closed without a byte")
        return reply.decode(errors="replace")

    def _exchange(self, request: bytes) -> bytes:
        deadline = time.monotonic() + self.timeout_s
        received = bytearray()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(self.timeout_s)
            connection.connect(str(self.socket_path))
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while True:
                connection.settimeout(max(deadline - time.monotonic(), 1e-3))
                piece = connection.recv(65_536)
                if not piece:
                    return bytes(received)
                received += piece
                if time.monotonic() > deadline:
                    raise TimeoutError
