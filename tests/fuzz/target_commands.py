"""Server lines and map entries to commands of the Runtime API: nothing in one would begin another."""

from __future__ import annotations

import re

from fastlb.capabilities import Capabilities
from fastlb.commands import Command, MapSwap
from fastlb.live import change, stop
from fastlb.live_maps import UnfitMap, map_steps_between
from fastlb.servers import read_backend
from tests.fuzz.choices import Choices

PLAIN = re.compile(r"[ !%&()*+,\-./0-9:=?@A-Z\[\]^_a-z{|}~]*")
"""What the socket takes as it stands: no separator, quote, escape, comment, payload or line break."""
MAP = "/etc/haproxy/domain2backend.map"
HEADS = ["backend b\n  mode http\n", "backend b\n  balance leastconn\n  mode tcp\n"]
LINES = [
    b"  server a 127.0.0.1:31000 id 7 check inter 5s fall 3",
    b"  server a 127.0.0.1:31001 id 7 weight 3 disabled",
    b"  server b [::1]:80 id 8 cookie x check port 90 ssl verify none",
    b"  server c host.example:80",
]
SEEDS = [
    b"\x00" + b"\n".join(LINES[:1]) + b"\n|" + b"\n".join(LINES[1:3]) + b"\n",
    b"\x01" + b"\n".join(LINES[1:]) + b"\n|\n",
    b"\x02a.example app_1\nb.example app_2\n|a.example app_3\nc.example app_4\n",
    b"\x02a b\n|" + b"".join(b"h%d b\n" % number for number in range(101)),
    b"\x02#a b\n a\n|@1 b\n<< c\n",
]


def check(data: bytes) -> None:
    """The first byte says whether it is about servers or a map; ``|`` parts what was from what is wanted."""
    kind = Choices(data).below(4)
    before, _, after = data[1:].decode(errors="replace").partition("|")
    steps = _of_map(before, after) if kind > 1 else _of_servers(HEADS[kind], before, after)
    for step in steps:
        if isinstance(step, MapSwap):
            assert all(PLAIN.fullmatch(word) and " " not in word and word for entry in step.entries for word in entry)
        else:
            assert PLAIN.fullmatch(step.line), step
            assert step.line.split()[0] in {"add", "set", "del", "enable", "disable", "shutdown"}, step


def _of_map(before: str, after: str) -> list[Command | MapSwap]:
    tables = [[_entry(line) for line in text.split("\n") if line] for text in (before, after)]
    try:
        return list(map_steps_between(MAP, *tables))
    except UnfitMap:
        return []


def _entry(line: str) -> tuple[str, str]:
    key, _, value = line.partition(" ")
    return key, value


def _of_servers(head: str, before: str, after: str) -> list[Command]:
    was, wanted = (read_backend("b", head, text) for text in (before, after))
    if was.unfit or wanted.unfit:
        return []
    commands = list(stop(was, was.servers)[0])
    for version in [(2, 6, 12), (3, 4, 0)]:
        told = change(was, wanted, Capabilities(version))
        commands += [*told.gains, *told.losses]
    return commands
