"""The live board: one calm picture of what runs, what is being played, and what happened last.

It only reads the `Board`, several times a second, in rich's own thread. It stands below the printed playbill, so the
curl lines stay on the screen, or one page up where the terminal is small.
"""

from __future__ import annotations

import time
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
    from collections.abc import Iterable
    from types import TracebackType

    from rich.console import RenderableType

    from fastlb.demo.board import Board, Line
    from fastlb.demo.ports import Ports
    from fastlb.haproxy import HAProxy

REFRESHES_PER_S = 5
FEWEST_EVENT_LINES, MOST_EVENT_LINES = 8, 14
OTHER_LINES = 14
"""Rows of the board that are no events."""
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


class LiveView:
    """A context manager: inside it the terminal shows the board; afterwards it is as it was."""

    def __init__(self, board: Board, haproxy: HAProxy, ports: Ports, rows_above: int) -> None:
        """``rows_above`` printed before should stay visible if the terminal is high enough."""
        self._board = board
        self._haproxy = haproxy
        self._ports = ports
        self._rows_above = rows_above
        self._console = Console(highlight=False)
        self._live = Live(
            console=self._console, get_renderable=self._picture, refresh_per_second=REFRESHES_PER_S, transient=True
        )

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def _picture(self) -> RenderableType:
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
        board, haproxy = self._board, self._haproxy
        chain = f"Marathon :{self._ports.marathon} → fastlb {__version__} → HAProxy {haproxy.version_text}"
        rows = (
            ("running", Text(f"{chain}, master {board.master_pid}, worker {board.worker_pid}")),
            ("serving", _counters(board)),
            ("event → applied", Text(str(board.to_applied))),
            ("event → traffic", Text(str(board.to_traffic))),
            ("steady load", _load(board)),
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


def _counters(board: Board) -> Text:
    text = Text(f"{board.apps} apps  {board.services} services  {board.servers} servers  {board.reloads} reloads")
    text.append(f"  {board.old_workers} old workers", "default" if board.old_workers else "dim")
    quarantined = len(board.quarantined)
    return text.append(f"  {quarantined} in quarantine", "yellow" if quarantined else "dim")


def _load(board: Board) -> Text:
    text = Text(f"{board.requests} requests, ")
    return text.append(f"{board.failed_requests} failed", "bold red" if board.failed_requests else "green")


def _line(line: Line) -> Text:
    times = f" x{line.times}" if line.times > 1 else ""
    parts = ((f"{line.at_s:6.1f} s  ", "dim"), (f"{line.kind:<12}", COLOURS[line.kind]), line.text, (times, "dim"))
    return _cut(Text.assemble(*parts))


def _cut(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _spinner() -> str:
    return SPINNER[int(time.monotonic() * REFRESHES_PER_S) % len(SPINNER)]
