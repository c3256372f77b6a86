"""Servers on their way out of a running HAProxy: out already, deleted as soon as their last connection is gone.

    begin -> (wait) -> del server -> gone
                ^          |  connections left: again later; after `finish_within_s` they are cut first
                '----------'

Mutable, without I/O and without a clock: the caller passes monotonic seconds, sends what is `due` and tells what was
answered (`heard`). It must not know why a server leaves. A new worker starts from the file, without these servers:
then `forget` all of them. One that HAProxy does not let go stays out until then, which costs a few kilobytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from fastlb.commands import DELETED, Command, last_line
from fastlb.live import take_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastlb.servers import ServerLine

FIRST_AGAIN_S = 1.0
LAST_AGAIN_S = 60.0

_GONE = ("No such server.", "No such backend.")
_BUSY = "Server still has connections attached to it"
_AWAKE = "Only servers in maintenance mode can be deleted"


class Due(NamedTuple):
    """What to send for one server now; the reply to the last command, which deletes it, is what has to be told."""

    backend: str
    name: str
    commands: tuple[Command, ...]


@dataclass(slots=True)
class _Leaver:
    server: ServerLine
    cut_s: float
    next_s: float
    again_s: float = FIRST_AGAIN_S
    awake: bool = False


class Leaving:
    """All servers that are out for good, and when to try next to delete each of them."""

    def __init__(self, finish_within_s: float) -> None:
        """``finish_within_s`` is how long connections may last on a server that left."""
        self._finish_within_s = finish_within_s
        self._leavers: dict[str, dict[str, _Leaver]] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(map(len, self._leavers.values()))

    def of(self, backend: str) -> Mapping[str, ServerLine]:
        """Return those of one backend by name: HAProxy still has them, and their ids."""
        return {name: leaver.server for name, leaver in self._leavers.get(backend, {}).items()}

    def begin(self, backend: str, server: ServerLine, now_s: float, delete_after_s: float) -> None:
        """Take note of a server that was just taken out (`Capabilities.delete_after_s`)."""
        leaver = _Leaver(server, now_s + self._finish_within_s, now_s + delete_after_s)
        self._leavers.setdefault(backend, {}).setdefault(server.name, leaver)

    def stay(self, backend: str, name: str) -> None:
        """Forget one that serves again, or is gone."""
        leavers = self._leavers.get(backend, {})
        leavers.pop(name, None)
        if not leavers:
            self._leavers.pop(backend, None)

    def forget(self) -> None:
        """Forget all of them: another worker serves, which never had them."""
        self._leavers.clear()

    @property
    def next_s(self) -> float:
        """When something is due next; infinite if nothing will be."""
        return min((leaver.next_s for every in self._leavers.values() for leaver in every.values()), default=inf)

    def due(self, now_s: float) -> list[Due]:
        """Return what to send now."""
        every = [(backend, name) for backend, leavers in self._leavers.items() for name in leavers]
        ready = [(backend, name) for backend, name in every if self._leavers[backend][name].next_s <= now_s]
        return [Due(backend, name, self._commands(backend, name, now_s)) for backend, name in ready]

    def heard(self, due: Due, reply: str | None, now_s: float) -> str | None:
        """Take the reply to the deletion (None: there was none); return what a person should know, if anything."""
        leaver = self._leavers.get(due.backend, {}).get(due.name)
        if leaver is None:
            return None
        said = last_line(reply or _BUSY)
        if due.commands[-1].is_good(said) or said in _GONE:
            self.stay(due.backend, due.name)
            return None
        leaver.awake = said.startswith(_AWAKE)
        if leaver.awake or said.startswith(_BUSY):
            self._again(leaver, now_s)
            return None
        leaver.next_s = inf
        return f"server {due.backend}/{due.name} is out, but stays in HAProxy until its next reload: {said}"

    def _again(self, leaver: _Leaver, now_s: float) -> None:
        soon_s = now_s + leaver.again_s
        leaver.next_s = min(soon_s, leaver.cut_s) if now_s < leaver.cut_s else soon_s
        leaver.again_s = min(2 * leaver.again_s, LAST_AGAIN_S)

    def _commands(self, backend: str, name: str, now_s: float) -> tuple[Command, ...]:
        leaver = self._leavers[backend][name]
        commands = [take_out(backend, name, "somebody brought it back")] if leaver.awake else []
        if now_s >= leaver.cut_s:
            why = f"its connections had {self._finish_within_s:g} s to finish"
            commands.append(Command(f"shutdown sessions server {backend}/{name}", why))
        return *commands, Command(f"del server {backend}/{name}", "it left", DELETED)
