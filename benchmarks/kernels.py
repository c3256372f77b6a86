"""The hot path, function by function: the compiled twin beside the pure one, in one process, turn by turn.

Those functions whose plain way is a room of its own (reading, labels, servers of an app) are not here: what they give
is in the cold model of `cases`.
"""

from __future__ import annotations

import timeit
from time import process_time
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Row, spread
from benchmarks.generator import event_stream
from fastlb import _native
from fastlb.template_sources import template_sources
from fastlb.templates import compile_placeholders

if TYPE_CHECKING:
    from types import ModuleType

ROUND_S = 0.02
"""Each round repeats a call for about so long."""
PIECE_BYTES = 16384
"""What one read of the event stream gives at most."""
STREAM_MEGABYTES = 0.25
MAX_EVENT_BYTES = 2**20
COMPILED, PURE = "compiled", "pure"
NAMES, IDS, MAPS, CUTTING = "one name", "one id", "map text of 1,000 entries", "event stream, per MB"


def run(rounds: int) -> list[Row]:
    """Return microseconds of processor time per call of both twins. Raises ImportError if there is only one."""
    from fastlb import _speedups

    rows = []
    given = _arguments()
    for name, call in CALLS.items():
        scale = 1 / STREAM_MEGABYTES if name == CUTTING else 1.0
        for twin, values in zip(
            (PURE, COMPILED), _microseconds(call, given, (_native, _speedups), rounds), strict=True
        ):
            rows.append(spread(name, "kernel", twin, "us", [value * scale for value in values]))
    return rows


CALLS = {
    "one text cleaned": "clean(host)",
    NAMES: "server_name(host, address, 31000)",
    IDS: "server_id(name, set())",
    "one cookie": "cookie(name)",
    "one address looked at": "is_ipv4(address)",
    "one template filled in": "fill(program, values)",
    "values of 20 servers": "server_values(servers, True, no_checks)",
    "lines of 20 servers": "server_lines(program, servers, False, no_checks)",
    "lines of 20 servers with cookies": "server_lines(program, servers, True, no_checks)",
    "lines of 3 servers": "server_lines(program, few, False, no_checks)",
    MAPS: "map_text(pairs)",
    "hash of one entry": "entry_hash(host, name)",
    "hash of 1,000 entries": "table_hash(pairs)",
    CUTTING: "cutter = EventCutter(most); any(cutter.cut(piece) is None for piece in pieces)",
}
"""What is done once, with the functions of a twin and the arguments by name."""


def _arguments() -> dict[str, Any]:
    """Return typical arguments."""
    program = compile_placeholders(template_sources({})["BACKEND_SERVER_OPTIONS"].text)
    servers = [(f"agent-{number}.example.com", f"127.0.3.{number}", 31000 + number, False) for number in range(20)]
    stream = event_stream(STREAM_MEGABYTES)
    return {
        "host": "agent-1.example.com",
        "address": "127.0.3.1",
        "name": "agent-1_example_com_127_0_3_1_31000",
        "program": program,
        "servers": servers,
        "few": servers[:3],
        "no_checks": [""],
        "values": _native.server_values(servers[:1], True, [""])[0],
        "pairs": [(f"svc-{number}.example.com", f"shop_svc-{number}_{10000 + number}") for number in range(1000)],
        "most": MAX_EVENT_BYTES,
        "pieces": [stream[start : start + PIECE_BYTES] for start in range(0, len(stream), PIECE_BYTES)],
    }


def _microseconds(call: str, given: dict[str, Any], twins: tuple[ModuleType, ...], rounds: int) -> list[list[float]]:
    """Return microseconds per call, a list per twin; the twins take turns, so that both see the same machine."""
    timers = [timeit.Timer(call, timer=process_time, globals=vars(twin) | given) for twin in twins]
    values: list[list[float]] = [[] for _ in twins]
    numbers = [_calls_per_round(timer) for timer in timers]
    for _ in range(rounds):
        for timer, number, found in zip(timers, numbers, values, strict=True):
            found.append(timer.timeit(number) / number * 1e6)
    return values


def _calls_per_round(timer: timeit.Timer) -> int:
    number = 1
    while (took_s := timer.timeit(number)) < ROUND_S / 4:
        number *= 2
    return max(1, int(number * ROUND_S / took_s))
