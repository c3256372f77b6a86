"""What is sent to HAProxy is counted by kind, and so is what failed; the socket is one that answers as it is told."""

from __future__ import annotations

import pytest

from fastlb.commands import ADDED, Command, MapSwap
from fastlb.errors import RuntimeApiError
from fastlb.runtime import Runtime

ADD = Command("add server web/a 127.0.0.1:1", "it is new", ADDED)
READY = Command("set server web/a state ready", "it takes requests")


class Api:
    """Answers every command the same; None: not at all."""

    def __init__(self, reply):
        self.reply = reply

    def ask(self, command):
        return self.ask_all([command])[0]

    def ask_all(self, commands):
        if self.reply is None:
            raise RuntimeApiError("nobody listens")
        return [self.reply] * len(commands)


@pytest.mark.parametrize(
    ("reply", "failed"),
    [
        ("", {"add server": 1}),
        ("New server registered.", {"set server": 1}),
        (None, {"add server": 1, "set server": 1}),
    ],
)
def test_commands_are_counted_by_kind_and_so_are_those_that_failed(reply, failed):
    runtime = Runtime(Api(reply))
    assert not runtime.carry_out([(ADD, READY)]).ok
    assert runtime.sent == {"add server": 1, "set server": 1}
    assert runtime.failed == failed


def test_a_map_that_was_not_swapped_counts_as_one_failure():
    runtime = Runtime(Api("no such map"))
    assert not runtime.carry_out([(MapSwap("/a.map", (("k", "v"),), "why"),)]).ok
    assert (runtime.sent, runtime.failed) == ({"swap map": 1}, {"swap map": 1})
