"""Plain text: the playbill with the curl lines, a line as it happens, and the last word.

Nothing here knows colours or terminals; what `view` shows live says the same.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fastlb import __version__
from fastlb.demo.board import Kind
from fastlb.demo.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastlb.demo.board import Board, Line
    from fastlb.demo.curls import Example
    from fastlb.demo.ports import Ports
    from fastlb.haproxy import HAProxy

TITLE_WIDTH = 12
SHOWN = frozenset({Kind.STEP, Kind.HOLDS, Kind.FAILED, Kind.RELOAD, Kind.QUARANTINE})
"""Single events are left out, they come by the dozen."""


def say(text: str) -> None:
    """Print ``text`` at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def playbill(haproxy: HAProxy, ports: Ports, examples: Iterable[Example]) -> list[tuple[str, str]]:
    """Return what runs where, and what to try: titles and texts."""
    return [
        ("Marathon", f"http://{HOST}:{ports.marathon}/v2/apps (simulated; its tasks are real servers)"),
        ("fastlb", f"{__version__}, as fastlb sse --haproxy-map"),
        ("HAProxy", f"{haproxy.version_text}, http://{HOST}:{ports.stats}/haproxy?stats in a browser"),
        ("", ""),
        *((example.title, example.line) for example in examples),
    ]


def in_columns(rows: Iterable[tuple[str, str]]) -> str:
    """Return ``rows`` as lines, titles first."""
    return "\n".join(f"  {title:<{TITLE_WIDTH}}{text}".rstrip() for title, text in rows)


def tell(line: Line) -> None:
    """Print a line as it happens; a step begins with an empty line."""
    if line.kind in SHOWN:
        start = "\n" if line.kind is Kind.STEP else ""
        say(f"{start}{line.at_s:6.1f} s  {line.kind:<{TITLE_WIDTH}}{line.text}")


def last_word(board: Board) -> str:
    """Return the sum of it all."""
    good, bad = board.claims_held, board.claims_failed
    return "\n".join(
        (
            f"{good} claims held, {bad} did not. {board.reloads} reloads.",
            f"Steady load: {board.requests} requests, {board.failed_requests} failed.",
            f"From event to applied: {board.to_applied}.",
            f"From event to traffic: {board.to_traffic}.",
        )
    )
