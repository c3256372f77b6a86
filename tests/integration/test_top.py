"""`fastlb top` at a terminal and in a pipe, beside a running fastlb."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.fakes.front_door import app, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor

pytestmark = pytest.mark.haproxy

TOP = (sys.executable, "-m", "fastlb", "top", "--interval", "0.2")
ENDS_WITHIN_S = 20.0
CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
HOME = "\x1b[H"
FULL_SCREEN, AS_BEFORE, CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"
HOSTILE = "\x1b]0;owned\x07\x1b[2J"


@dataclass
class Terminal:
    """A running top, and what it has written to its terminal."""

    process: subprocess.Popen[bytes]
    ours: int
    theirs: int
    pieces: list[bytes] = field(default_factory=list)

    def read(self) -> None:
        try:
            while piece := os.read(self.ours, 65536):
                self.pieces.append(piece)
        except OSError:  # what a terminal says when nobody is at its other end any more
            return

    @property
    def picture(self) -> str:
        """The last picture that is complete."""
        pictures = b"".join(self.pieces).decode(errors="replace").split(HOME)
        return CONTROL_SEQUENCE.sub("", pictures[-2] if len(pictures) > 2 else pictures[-1])

    def until_shown(self, text: str) -> None:
        until(lambda: text in self.picture, said=lambda: f"{text!r} is not in {self.picture}")

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def in_new_session() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def at_a_terminal(run_dir: Path, rows: int = 24, columns: int = 80) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"LINES", "COLUMNS"}}
    process = subprocess.Popen(
        [*TOP, "--run-dir", str(run_dir)],
        env=environment | {"TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=in_new_session,
    )
    terminal = Terminal(process, ours, theirs)
    reader = threading.Thread(target=terminal.read)
    reader.start()
    try:
        yield terminal
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(ENDS_WITHIN_S)
        os.close(theirs)
        reader.join()
        os.close(ours)


@pytest.fixture(scope="module")
def shared(cluster: SimulatedMarathon, closed_door: FrontDoor) -> FrontDoor:
    """A front door behind which is an app that is left out, whose label would do something to a terminal."""
    labels = {"HAPROXY_0_VHOST": f"evil{HOSTILE}.test", "HAPROXY_0_PORT": f"x{HOSTILE}"}
    cluster.load([app("web", 24100), app("evil", 24101, labels=labels)])
    return closed_door.up(cluster.url)


def once(run_dir: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command, environment = [*TOP, "--run-dir", str(run_dir)], os.environ | environ
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def test_in_a_pipe_it_is_one_picture_and_its_end(shared):
    until(lambda: "2 apps" in once(shared.folder / "run").stdout)
    done = once(shared.folder / "run")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert "/evil" in done.stdout
    assert "\\x1b]0;owned\\x07" in done.stdout


def test_a_locale_that_cannot_write_it_all_gets_what_it_can(shared):
    done = once(shared.folder / "run", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr, done.stdout.isascii()) == (0, "", True)


def test_in_a_pipe_without_a_fastlb_it_fails_and_says_so(tmp_path):
    done = once(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"fastlb: no fastlb answers at {tmp_path}/local.sock")


@pytest.mark.parametrize("ending", [b"q", b"\x03", signal.SIGTERM], ids=["q", "Ctrl-C", "SIGTERM"])
def test_however_it_ends_the_terminal_is_as_it_was(shared, ending):
    with at_a_terminal(shared.folder / "run") as terminal:
        before = termios.tcgetattr(terminal.theirs)
        terminal.until_shown("changes")
        assert termios.tcgetattr(terminal.theirs) != before
        assert FULL_SCREEN in b"".join(terminal.pieces)
        if isinstance(ending, bytes):
            os.write(terminal.ours, ending)
        else:
            terminal.process.send_signal(ending)
        assert terminal.process.wait(ENDS_WITHIN_S) == 0
        assert termios.tcgetattr(terminal.theirs) == before
        until(lambda: AS_BEFORE in b"".join(terminal.pieces))
        written = b"".join(terminal.pieces)
        assert written.rfind(CURSOR) > written.rfind(b"\x1b[?25l")
        assert b"Traceback" not in written
        assert b"\x1b]0;owned" not in written


def test_a_change_arrives_and_the_picture_follows_the_size_of_the_terminal(shared, cluster):
    with at_a_terminal(shared.folder / "run") as terminal:
        terminal.until_shown("2 apps")
        cluster.create_app(app("arriving", 24102))
        terminal.until_shown("/arriving")
        assert max(map(len, terminal.picture.splitlines())) <= 80
        terminal.resize(12, 60)
        until(lambda: len(terminal.picture.splitlines()) == 12, said=lambda: terminal.picture)
        assert max(map(len, terminal.picture.splitlines())) <= 60


def test_it_goes_on_trying_while_nobody_answers(door, own_cluster):
    own_cluster.load([app("web", 24103)])
    with at_a_terminal(door.folder / "run") as terminal:
        terminal.until_shown("fastlb does not answer, still trying")
        door.up(own_cluster.url)
        terminal.until_shown("1 apps")
        door.stop()
        terminal.until_shown("still trying; what is below is")
        assert "1 apps" in terminal.picture
