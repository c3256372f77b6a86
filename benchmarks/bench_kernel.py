"""The hot path, function by function: the compiled twin beside the pure one, in one process, turn by turn."""

from __future__ import annotations

import timeit
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Row, row_of, spread
from fastlb import _native
from fastlb.template_sources import template_sources
from fastlb.templates import compile_placeholders

if TYPE_CHECKING:
    from types import ModuleType

ROUND_S = 0.02
"""Each round repeats a call for about so long."""


def run(rounds: int) -> list[Row]:
    """Return nanoseconds per call of both twins, and the ratio of their medians. Raises ImportError."""
    from fastlb import _speedups

    rows = []
    for name, arguments in cases().items():
        pure, compiled = nanoseconds(name, arguments, (_native, _speedups), rounds)
        rows += [spread(f"{name}, pure Python", "one call", "ns", pure)]
        rows += [spread(f"{name}, compiled", "one call", "ns", compiled)]
        ratios = [one / other for one, other in zip(pure, compiled, strict=True)]
        rows += [spread(f"{name}, ratio", "one call", "x", ratios)]
    return rows


def check(rows: list[Row]) -> list[str]:
    """Return what is wrong with the figures: only ratios count, since machines differ."""
    ratio = row_of(rows, "server_lines, ratio", "one call").median
    return [] if ratio >= 1 else [f"compiled server_lines is slower than pure Python: {ratio:.2f} x"]


def cases() -> dict[str, tuple[Any, ...]]:
    """Return typical arguments for every function of the hot path."""
    source = template_sources({})["BACKEND_SERVER_OPTIONS"]
    program = compile_placeholders(source.text)
    servers = [(f"agent-{number}.example.com", f"127.0.3.{number}", 31000 + number, False) for number in range(20)]
    values = _native.server_values(servers[:1], True, [""])[0]
    pairs = [(f"svc-{number}.example.com", f"shop_svc-{number}_{10000 + number}") for number in range(1000)]
    return {
        "clean": ("svc-17.shop.example.com",),
        "cookie": ("agent-1_example_com_10_0_3_1_31001",),
        "fill": (program, values),
        "map_text": (pairs,),
        "server_id": ("agent-1_example_com_10_0_3_1_31001", frozenset()),
        "server_lines": (program, servers, True, [""]),
        "server_name": servers[0][:3],
        "server_values": (servers, True, [""]),
    }


def nanoseconds(name: str, arguments: tuple[Any, ...], twins: tuple[ModuleType, ...], rounds: int) -> list[list[float]]:
    """Return nanoseconds per call, a list per twin; the twins take turns, so that both see the same machine."""
    timers = [timeit.Timer(_call(getattr(twin, name), arguments)) for twin in twins]
    calls, took_s = timers[0].autorange()
    number = max(1, int(calls * ROUND_S / took_s))
    values: list[list[float]] = [[] for _ in twins]
    for _ in range(rounds):
        for timer, found in zip(timers, values, strict=True):
            found.append(timer.timeit(number) / number * 1e9)
    return values


def _call(function: Any, arguments: tuple[Any, ...]) -> Any:
    if arguments and isinstance(arguments[-1], frozenset):
        return lambda: function(*arguments[:-1], set(arguments[-1]))
    return lambda: function(*arguments)
