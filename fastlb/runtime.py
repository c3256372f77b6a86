"""Carries out steps on a running HAProxy over its socket, and reads back what it has.

It must not know what a change is for. Data flows: phases of steps --runtime_api--> replies --`Command.is_good`-->
`Outcome`. Any reply that is not the expected one, or none, ends the work: what HAProxy has then is unknown, and the
outcome says so in HAProxy's words. Whoever called reads back or reloads.

A batch is one connection: its commands are all carried out, whatever the first ones are answered, which is why
`commands.phases` keeps apart what must not follow a refusal.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from re import MULTILINE, fullmatch, search
from typing import TYPE_CHECKING, NamedTuple

from fastlb.capabilities import AT_RUN_TIME, Capabilities
from fastlb.commands import NO_BACKEND, PREPARED, Command, MapSwap, batches, last_line
from fastlb.errors import RuntimeApiError
from fastlb.seen import read_map, read_servers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastlb.commands import Phase
    from fastlb.runtime_api import RuntimeApi
    from fastlb.seen import SeenServer


class Outcome(NamedTuple):
    """Whether HAProxy did everything; else ``doubt`` says what it was asked and what it answered."""

    ok: bool
    doubt: str = ""


class Runtime:
    """A HAProxy whose Runtime API answers at a socket."""

    def __init__(self, api: RuntimeApi) -> None:
        self._api = api
        self.sent: Counter[str] = Counter()
        """How many commands were sent, by their first two words; ``swap map`` for a whole map."""
        self.failed: Counter[str] = Counter()
        """How many of them were not answered, or not as is expected of a change."""

    def capabilities(self) -> Capabilities:
        """Ask which version runs, which need not be the program that was found, and what the socket may be used for.

        Raises RuntimeApiError if it cannot be changed while it runs; the head may have been written by somebody else.
        """
        info, level = self._api.ask_all(["show info", "show cli level"])
        said = search(r"^Version: (((\d+)\.(\d+)(?:\.(\d+))?).*)", info, MULTILINE)
        if said is None:
            raise RuntimeApiError(f"`show info` on {self._api.socket_path} names no version")
        version = tuple(int(number or 0) for number in said.groups()[2:])
        if version < AT_RUN_TIME:
            raise RuntimeApiError(f"HAProxy {said[1]} at {self._api.socket_path} is too old to be changed live")
        if level.strip() != "admin":
            raise RuntimeApiError(f"{self._api.socket_path} has the level {level.strip()[:99]!r}, not `level admin`")
        return Capabilities(version)

    def carry_out(self, phases: Iterable[Phase]) -> Outcome:
        """Do all steps, phase by phase, up to the first doubt; never raises."""
        try:
            for phase in phases:
                self._commands([step for step in phase if isinstance(step, Command)])
                for step in phase:
                    if isinstance(step, MapSwap):
                        self._count_swap(step)
        except RuntimeApiError as error:
            return Outcome(False, str(error))
        return Outcome(True)

    def replies(self, commands: Sequence[Command]) -> list[str]:
        """Send commands whose replies decide what comes next; return them in order. Raises RuntimeApiError."""
        return self._ask([command.line for command in commands])

    def servers(self, backends: Sequence[str] = ()) -> dict[str, dict[str, SeenServer]]:
        """Read back servers by backend and name. Raises RuntimeApiError.

        Of these backends, those that HAProxy does not have left out; or of all, those without servers left out. All at
        once cost HAProxy little, but 60 ms of ours for 15,000 servers: an audit asks for a few at a time.
        """
        if not backends:
            return read_servers(self._api.servers_state())
        replies = self._ask([f"show servers state {backend}" for backend in backends])
        answers = zip(backends, replies, strict=True)
        return {name: read_servers(reply).get(name, {}) for name, reply in answers if last_line(reply) != NO_BACKEND}

    def map_entries(self, path: str) -> list[tuple[str, str]]:
        """Read back the entries of one map. Raises RuntimeApiError."""
        return read_map(self._api.ask(f"show map {path}"))

    def _ask(self, lines: Sequence[str]) -> list[str]:
        return list(chain.from_iterable(map(self._ask_batch, batches(lines))))

    def _ask_batch(self, lines: Sequence[str]) -> list[str]:
        self.sent.update(map(_kind_of, lines))
        try:
            return self._api.ask_all(lines)
        except RuntimeApiError:
            self.failed.update(map(_kind_of, lines))
            raise

    def _commands(self, commands: list[Command]) -> None:
        for command, reply in zip(commands, self.replies(commands), strict=True):
            if not command.is_good(reply):
                self.failed[_kind_of(command.line)] += 1
            _demand(command, reply)

    def _count_swap(self, swap: MapSwap) -> None:
        self.sent["swap map"] += 1
        try:
            self._swap(swap)
        except RuntimeApiError:
            self.failed["swap map"] += 1
            raise

    def _swap(self, swap: MapSwap) -> None:
        """Fill a new version of the map, compare it with what it should be, and only then put it in place."""
        prepare = Command(f"prepare map {swap.path}", swap.why, PREPARED)
        reply = self._api.ask(prepare.line)
        _demand(prepare, reply)
        number = fullmatch(PREPARED, reply.strip())
        version = f"@{number[1] if number else ''} {swap.path}"
        for lines in batches([f"{key} {value}" for key, value in swap.entries]):
            _demand(Command(f"add map {version}", swap.why), self._api.ask_with(f"add map {version}", lines))
        if read_map(self._api.ask(f"show map {version}")) != list(swap.entries):
            self._api.ask(f"clear map {version}")
            raise RuntimeApiError(f"the new version of map {swap.path} is not what was sent; the old one stays")
        _demand(Command(f"commit map {version}", swap.why), self._api.ask(f"commit map {version}"))


def _kind_of(line: str) -> str:
    return " ".join(line.split(maxsplit=2)[:2])


def _demand(command: Command, reply: str) -> None:
    if not command.is_good(reply):
        raise RuntimeApiError(f"`{command.line}` ({command.why}) was answered {reply.strip()[:300]!r}")
