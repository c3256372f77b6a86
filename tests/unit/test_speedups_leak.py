"""The compiled hot path gives back every object it takes, also when it fails half-way."""

from __future__ import annotations

import contextlib
import gc
import sys
import tracemalloc
from itertools import pairwise

import pytest

from fastlb.templates import compile_placeholders

CALLS = 300
ROUNDS = 5
SERVERS = [(f"host-{n}.example", f"10.0.0.{n}", 31000 + n, n == 3) for n in range(8)]
LINE = compile_placeholders("  server {serverName} {host_ipv4}:{port:05d} id {serverId!r}{cookieOptions}\n")

ARGUMENTS = {
    "clean": ("host.name_é",),
    "cookie": ("a_b_1",),
    "fill": (LINE, {"serverName": "x", "host_ipv4": "y", "port": 70000, "serverId": 40000, "cookieOptions": "z"}),
    "map_text": ([("a.example", "a_10000"), ("b.example", "b_10001")],),
    "server_lines": (LINE, SERVERS, True, [" check"]),
    "server_name": ("host", "10.0.0.1", 31000),
    "server_values": (SERVERS, True, [" check"]),
    "entry_hash": ("a.example", "a_10000"),
    "table_hash": ([("a.example", "a_10000"), ("é.example", "b_10001")],),
}
PLAIN_LINE = compile_placeholders("  server {serverName} id {serverId}{cookieOptions}\n")
MORE = [
    ("server_lines", (PLAIN_LINE, SERVERS, True, [" check"])),
    ("server_lines", (PLAIN_LINE, [*SERVERS[:3], ("a", "b", 1)], True, [" check"])),
    ("server_lines", (PLAIN_LINE, SERVERS[:3], True, ["a", "b", "é"])),
    ("fill", (PLAIN_LINE, {"serverName": "x", "serverId": 1, "cookieOptions": None})),
]
WRONG = {
    "clean": (b"x",),
    "cookie": ("\ud800",),
    "fill": ((("port", (), None, "%%%"),), {"port": 1}),
    "map_text": ([("a", "b"), ("c",)],),
    "server_lines": ((("nothing",),), SERVERS, True, [" check"]),
    "server_values": (SERVERS, True, ["a", "b", "c"]),
    "table_hash": ([("a", "b"), ("c", "\ud800")],),
}


@pytest.mark.parametrize(("name", "arguments"), [*ARGUMENTS.items(), *MORE, *WRONG.items()])
def test_no_memory_block_is_kept(compiled, name, arguments):
    function = getattr(compiled, name)
    counts = []
    for _ in range(ROUNDS):
        for _ in range(CALLS):
            with contextlib.suppress(TypeError, ValueError, KeyError, IndexError):
                function(*arguments)
        gc.collect()
        counts.append(sys.getallocatedblocks())
    growth = [after - before for before, after in pairwise(counts)]
    assert min(growth) < CALLS // 2


def test_claimed_ids_are_given_back_with_their_set(compiled):
    def claim():
        taken = set()
        for number in range(CALLS):
            compiled.server_id(f"name {number}", taken)

    claim()
    gc.collect()
    before = sys.getallocatedblocks()
    claim()
    gc.collect()
    assert sys.getallocatedblocks() - before < CALLS // 2


def test_events_are_given_back_with_their_cutter(compiled):
    def cut():
        cutter = compiled.EventCutter(50)
        for piece in (b"event: a\ndata: 1\n", b"data: 2\n\ndata", b": " + b"x" * 99, b"\n\nevent: b\ndata: 3\r\r"):
            cutter.cut(piece)
        with pytest.raises(TypeError):
            cutter.cut(None)

    cut()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(CALLS):
        cut()
    gc.collect()
    assert sys.getallocatedblocks() - before < CALLS // 2


@pytest.mark.parametrize("last", [("a", "b", 1, False), ("é", "b", 1, False), ("a", "b")])
def test_large_buffers_are_given_back(compiled, last):
    """They are no blocks of Python's, and are counted in bytes."""

    def write():
        with contextlib.suppress(ValueError):
            compiled.server_lines(PLAIN_LINE, [*SERVERS * 50, last], True, [" check"])

    write()
    tracemalloc.start()
    try:
        write()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            write()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < len(SERVERS) * 50 * 20
    finally:
        tracemalloc.stop()
