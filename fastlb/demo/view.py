"""The live board: one calm picture of what runs, what is being played, and what happened last.

It only reads the `Board`, several times a second, in rich's own thread. It stands below the printed playbill, so the
curl lines stay on the screen, or one page up where the terminal is small.
"""

from __future__ import annotations

import sys
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.box import ROUNDED
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fastlb import __version__
from fastlb.demo.board import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType

    from fastlb.demo.board import Board, Latency, Line
    from fastlb.haproxy import HAProxy

REFRESHES_PER_S = 5
FEWEST_EVENT_LINES, MOST_EVENT_LINES = 8, 14
OTHER_LINES = 15
"""Rows of the board that are no events."""
LOCAL_MODES = 3
"""The position of these flags in what termios gives."""
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
BORDER = "grey50"
COLOURS = {
    Kind.EVENT: "cyan",
    Kind.RELOAD: "blue",
    Kind.QUARANTINE: "yellow",
    Kind.STEP: "bold",
    Kind.HOLDS: "green",
    Kind.FAILED: "bold red",
}


@contextmanager
def live_view(board: Board, haproxy: HAProxy, rows_above: int) -> Iterator[None]:
    """Show the board meanwhile; ``rows_above`` printed before stay visible if the terminal is high enough."""
    console = Console(highlight=False)
    picture = Picture(board, haproxy, console, rows_above)
    live = Live(console=console, get_renderable=picture.draw, refresh_per_second=REFRESHES_PER_S, transient=True)
    with _quiet_keyboard(), live:
        yield


@contextmanager
def _quiet_keyboard() -> Iterator[None]:
    """Do not echo keys into the picture, and forget them afterwards."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    quiet = before.copy()
    quiet[LOCAL_MODES] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)


class Picture:
    """Draws the board as it is at the moment."""

    def __init__(self, board: Board, haproxy: HAProxy, console: Console, rows_above: int) -> None:
        self._board = board
        self._haproxy = haproxy
        self._console = console
        self._rows_above = rows_above

    def draw(self) -> RenderableType:
        """Return the whole picture, fitting into the terminal."""
        room = self._console.size.height - OTHER_LINES
        count = min(max(room - self._rows_above, min(room, FEWEST_EVENT_LINES), 1), MOST_EVENT_LINES)
        lines = [_line(line) for line in self._board.recent(count)]
        lines += [Text("")] * (count - len(lines))
        return Group(
            _panel("fastlb demo", self._state(), "Ctrl-C ends it"),
            _panel("on stage", self._step()),
            _panel("what happens", Group(*lines)),
        )

    def _state(self) -> Table:
        board = self._board
        version = ".".join(map(str, self._haproxy.version))
        chain = f"Marathon → fastlb {__version__} → HAProxy {version}, worker {board.worker_pid}"
        rows = (
            ("running", Text(chain)),
            ("serving", _served(board)),
            ("reloads", _reloads(board)),
            ("applied", _after_event(board.to_applied)),
            ("traffic", _after_event(board.to_traffic)),
            ("load", _load(board)),
        )
        return _grid((Text(title, style="dim"), text) for title, text in rows)

    def _step(self) -> Group:
        now = self._board.now
        mark, style = {True: ("✓", "green"), False: ("✗", "bold red"), None: (_spinner(), "yellow")}[now.holds]
        return Group(
            _cut(Text.assemble((now.title, "bold"), "  ", now.said)),
            _cut(Text.assemble((f"{mark} ", style), (now.claim, style if now.holds is not None else "default"))),
        )


def _panel(title: str, content: RenderableType, subtitle: str | None = None) -> Panel:
    return Panel(
        content,
        title=f"[bold]{title}[/]",
        title_align="left",
        subtitle=subtitle,
        subtitle_align="right",
        box=ROUNDED,
        border_style=BORDER,
        padding=(0, 1),
    )


def _grid(rows: Iterable[tuple[Text, Text]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for row in rows:
        grid.add_row(*row)
    return grid


def _served(board: Board) -> Text:
    text = Text(f"{board.apps} apps, {board.services} services, {board.servers} servers")
    count = len(board.quarantined)
    return text.append(f", {count} in quarantine", "yellow") if count else text


def _reloads(board: Board) -> Text:
    return Text(str(board.reloads)).append(f", {board.old_workers} old workers finish what they hold", "dim")


def _after_event(latency: Latency) -> Text:
    return Text(str(latency)).append("   after the event" if latency.measured_s else "", "dim")


def _load(board: Board) -> Text:
    text = Text(f"{board.requests} requests, ")
    return text.append(f"{board.failed_requests} failed", "bold red" if board.failed_requests else "green")


def _line(line: Line) -> Text:
    about = f"{line.about}  " if line.about else ""
    earlier = f"  and {line.earlier} before it" if line.earlier else ""
    head = ((f"{line.at_s:6.1f} s  ", "dim"), (f"{line.kind:<12}", COLOURS[line.kind]))
    return _cut(Text.assemble(*head, about, line.text, (earlier, "dim")))


def _cut(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _spinner() -> str:
    return SPINNER[int(time.monotonic() * REFRESHES_PER_S) % len(SPINNER)]
