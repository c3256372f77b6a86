"""``fastlb top``: the running fastlb in a terminal, redrawn in place; in a pipe, and with ``--once``, one picture.

    the local socket --asked by a thread--> Answers --> top_view --> the terminal
    keys, signals --selector--> the end

The thread may wait for an answer as long as it likes: keys are heard meanwhile. However it ends, but for kill -9, the
terminal is as it was before.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import termios
import threading
import time
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live

from fastlb.admin.client import ask_fastlb
from fastlb.errors import ExitCode, FastlbError
from fastlb.settings import read_paths
from fastlb.signals import signals
from fastlb.top_view import Screen, picture

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

STATE = "/_fastlb/state"
HINT = " q quits; times are UTC; fastlb explain APP_ID says more about an app"
SMALLEST_PAUSE_S = 0.1
LOOK_EVERY_S = 0.1
ROWS_OF_ONE_PICTURE = 40
COLUMNS_OF_A_PIPE = 160
QUIT_KEYS = b"qQ\x03\x04"
LOCAL_MODES, CONTROL_CHARACTERS = 3, 6
"""Places in what termios gives."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def top_command(args: argparse.Namespace) -> int:
    """Show the running fastlb until told to end. Raises FastlbError with ``--once`` if nobody answers."""
    path = read_paths(args).local_socket
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a locale without bars shows question marks
    console = Console(highlight=False)
    if args.once or not console.is_terminal or console.is_dumb_terminal:
        _print_once(console, path)
        return ExitCode.OK
    watch = _Watch(path, max(args.interval, SMALLEST_PAUSE_S))
    threading.Thread(target=watch.run, name="top-asks", daemon=True).start()
    _show(console, watch)
    return ExitCode.OK


def _print_once(console: Console, path: Path) -> None:
    if not console.is_terminal:
        console = Console(highlight=False, width=max(console.width, COLUMNS_OF_A_PIPE))
    console.print(picture(_ask(path), "", Screen(console.width, ROWS_OF_ONE_PICTURE, time.time())))


def _ask(path: Path) -> Mapping[str, Any]:
    known, answer = ask_fastlb(path, STATE, json=True)
    if not known:
        raise FastlbError(f"the fastlb at {path} is too old: it has no {STATE}")
    try:
        state: Mapping[str, Any] = json.loads(answer)
    except ValueError as error:
        raise FastlbError(f"the fastlb at {path} answers no JSON: {error}") from error
    return state


class _Watch:
    """Asks fastlb again and again; ``latest`` is its last answer and why there is no newer one, replaced as a whole."""

    def __init__(self, path: Path, interval_s: float) -> None:
        self._path = path
        self._interval_s = interval_s
        self.latest: tuple[Mapping[str, Any] | None, str] = (None, "it was not asked yet")

    def run(self) -> None:
        """Ask until the process ends."""
        while True:
            try:
                self.latest = _ask(self._path), ""
            except FastlbError as error:
                # What follows is advice for commands that can do without a running fastlb.
                self.latest = self.latest[0], str(error).partition(";")[0]
            time.sleep(self._interval_s)


def _show(console: Console, watch: _Watch) -> None:
    """Draw what is known until a key or a signal ends it."""
    ended = threading.Event()

    def take_signals(numbers: bytes) -> None:
        if not set(numbers).isdisjoint(ENDING):
            ended.set()

    def take_keys() -> None:
        keys = os.read(sys.stdin.fileno(), 1024)
        if not keys or not set(keys).isdisjoint(QUIT_KEYS):
            ended.set()

    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        stack.enter_context(signals(selector, (*ENDING, signal.SIGWINCH), take_signals))
        stack.enter_context(_single_keys(selector, take_keys))
        live = stack.enter_context(Live(console=console, screen=True, auto_refresh=False))
        before: object = None
        while not ended.is_set():
            latest, size = watch.latest, console.size
            clock = int(time.time()) if latest[1] else 0  # without an answer only ages change
            if (now := (id(latest), size, clock)) != before:
                live.update(picture(*latest, Screen(*size, time.time(), HINT)), refresh=True)
                before = now
            for key, _ in selector.select(LOOK_EVERY_S):
                key.data()


@contextmanager
def _single_keys(selector: selectors.BaseSelector, take: Callable[[], None]) -> Iterator[None]:
    """Have ``take`` called at every key, which is not echoed; Ctrl-Z, which would leave the picture behind, is none."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    changed = termios.tcgetattr(sys.stdin)
    changed[LOCAL_MODES] &= ~(termios.ECHO | termios.ICANON)
    changed[CONTROL_CHARACTERS][termios.VSUSP] = b"\0"
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, changed)
    selector.register(sys.stdin, selectors.EVENT_READ, take)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)
