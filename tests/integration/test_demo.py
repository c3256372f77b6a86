"""`fastlb demo` as newcomers run it: its claims hold, it says so when one does not, and it leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from fastlb.demo.claims import Claim, Sighting
from fastlb.demo.front import Answer
from fastlb.haproxy import find_haproxy

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.haproxy

DEMO = (sys.executable, "-m", "fastlb", "demo")
ENDS_WITHIN_S = 90.0
CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclass
class Demo:
    """A running demo whose output is read all the time; ``folder`` is its TMPDIR and holds nothing else."""

    process: subprocess.Popen[bytes]
    folder: Path
    pieces: list[bytes] = field(default_factory=list)

    @property
    def said(self) -> str:
        return CONTROL_SEQUENCE.sub("", b"".join(self.pieces).decode(errors="replace"))

    def read(self, output: int) -> None:
        try:
            while piece := os.read(output, 4096):
                self.pieces.append(piece)
        except OSError:  # what a terminal says when nobody is at its other end any more
            return

    def until_said(self, pattern: str, within_s: float = 60.0) -> re.Match[str]:
        deadline_s = time.monotonic() + within_s
        while (found := re.search(pattern, self.said)) is None:
            if self.process.poll() is not None:
                deadline_s = min(deadline_s, time.monotonic() + 1.0)  # its last words may be on their way
            assert time.monotonic() < deadline_s, f"it did not say {pattern!r}: {self.said}"
            time.sleep(0.02)
        return found

    def family(self) -> list[psutil.Process]:
        """Every process that has to do with the private folder: fastlb and HAProxy."""
        every = psutil.process_iter(["cmdline"])
        return [each for each in every if str(self.folder) in " ".join(each.info["cmdline"] or ())]

    def end_by(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(ENDS_WITHIN_S)


@contextmanager
def running(words: tuple[str, ...], ours: int, theirs: int, **environ: str) -> Iterator[Demo]:
    """Run the demo with its output at ``theirs``, and read it at ``ours``; in the end nothing of it may be left."""
    with tempfile.TemporaryDirectory(prefix="d") as name:  # short: sockets live in it
        environment = os.environ | {"TMPDIR": name, "TERM": "xterm"} | environ
        stdin = theirs if os.isatty(theirs) else subprocess.DEVNULL
        process = subprocess.Popen([*DEMO, *words], env=environment, stdin=stdin, stdout=theirs, stderr=theirs)
        demo = Demo(process, Path(name))
        reader = threading.Thread(target=demo.read, args=(ours,))
        reader.start()
        try:
            yield demo
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(ENDS_WITHIN_S)
            os.close(theirs)
            reader.join()
            os.close(ours)
        assert not demo.family(), demo.said
        assert not list(demo.folder.iterdir()), demo.said


@contextmanager
def piped(*words: str, **environ: str) -> Iterator[Demo]:
    ours, theirs = os.pipe()
    with running(words, ours, theirs, **environ) as demo:
        yield demo


@contextmanager
def at_a_terminal(rows: int, columns: int) -> Iterator[tuple[Demo, int]]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    with running((), ours, theirs) as demo:
        yield demo, theirs


def is_open(port: int) -> bool:
    with closing(socket.socket()) as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_one_lap_keeps_every_promise_and_leaves_nothing() -> None:
    with piped("--once") as demo:
        port = int(demo.until_said(r"'Host: www.example.com' http://127.0.0.1:(\d+)/\n").group(1))
        assert is_open(port)
        assert demo.process.wait(ENDS_WITHIN_S) == 0, demo.said
    for claim in (
        "the sticky line prints what it should",
        "fresh.example.com is answered by 2 new tasks and nobody else",
        "fresh.example.com is answered by 5 tasks (3 of them new) and nobody else",
        "search.example.com is answered by 2 tasks and nobody else",
        "with the header X-Release: 1",
        "cart.example.com is answered by 2 new tasks and nobody else",
        "/demo/broken and nothing else is in quarantine",
        "nobody answers for fresh.example.com any more",
        "not one request of the steady load failed",
    ):
        assert re.search(rf"holds +.*{re.escape(claim)}", demo.said), f"{claim!r} is missing: {demo.said}"
    assert re.search(r"Steady load: [1-9]\d+ requests, 0 failed", demo.said)
    assert " 0 did not" in demo.said
    assert not is_open(port)


@pytest.mark.slow
def test_a_claim_that_does_not_hold_is_said_and_ends_with_1() -> None:
    with piped("--once") as demo:
        demo.until_said("2/13 Scale up")
        for process in demo.family():
            if Path(process.info["cmdline"][0]).name == "haproxy":
                process.kill()
        assert demo.process.wait(ENDS_WITHIN_S) == 1, demo.said
    assert re.search(r"failed +not one request of the steady load failed: \d+ failed", demo.said), demo.said
    assert "The end of fastlb's log" in demo.said


def test_the_printed_lines_are_proved_without_curl_too_and_ctrl_c_in_the_middle_leaves_nothing() -> None:
    haproxy = find_haproxy(None, os.environ).path
    with piped("--once", "--haproxy", str(haproxy), PATH="/nonexistent") as demo:
        demo.until_said("holds +the stats line prints what it should")
        demo.until_said("1/13 Deploy")
        assert demo.end_by(signal.SIGINT) == 1
    assert not re.search(r"failed +the \w+ line", demo.said), demo.said


def test_without_once_it_goes_on_until_sigterm_and_then_leaves_nothing() -> None:
    with piped() as demo:
        demo.until_said("2/13 Scale up")
        assert demo.end_by(signal.SIGTERM) == 0, demo.said


def test_an_interruption_while_it_starts_leaves_nothing() -> None:
    with piped() as demo:
        demo.until_said("Curtain up")
        demo.end_by(signal.SIGINT)


def test_killed_fastlb_ends_the_demo_with_its_last_words_and_takes_haproxy_along() -> None:
    with piped("--once") as demo:
        demo.until_said("1/13 Deploy")
        supervisor = next(each for each in demo.family() if "sse" in each.info["cmdline"])
        supervisor.kill()
        assert demo.process.wait(ENDS_WITHIN_S) == 1
    assert "fastlb ended with -9; its last words" in demo.said


def test_at_a_terminal_it_shows_a_board_and_gives_the_keyboard_back() -> None:
    with at_a_terminal(24, 80) as (demo, terminal):
        demo.until_said("✓ fresh.example.com is answered by 2 new tasks")
        assert not termios.tcgetattr(terminal)[3] & termios.ECHO
        assert demo.end_by(signal.SIGINT) == 0
        demo.until_said("nothing is left")
        assert termios.tcgetattr(terminal)[3] & termios.ECHO


def test_a_haproxy_that_does_not_exist_is_one_line_and_a_failure() -> None:
    done = subprocess.run([*DEMO, "--haproxy", "/nonexistent/haproxy"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("fastlb: /nonexistent/haproxy was asked for as HAProxy")


@pytest.mark.parametrize("missing", ["aiohttp", "rich"])
def test_without_the_extra_it_says_how_to_get_it(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from fastlb.cli import main; sys.exit(main(['demo']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert "pip install 'fastlb[demo]'" in line
    assert missing in line


def answer(task: str, status: int = 200, **headers: str) -> Answer:
    return Answer(status, {"content-type": "application/json", **headers}, f'{{"task":"{task}"}}', at_s=0.0)


def task(task_id: str, state: str = "TASK_RUNNING", **more: object) -> dict[str, object]:
    return {"id": task_id, "state": state, **more}


A_AND_B = [answer("a"), answer("b")]
BOTH = [task("a"), task("b")]
ILL = task("b", healthCheckResults=[{"alive": False}])
TWO = Claim("two tasks answer", "host", "/app", 2)


@pytest.mark.parametrize(
    ("claim", "seen", "doubt"),
    [
        (TWO, Sighting(A_AND_B, BOTH, set(), ()), ""),
        (TWO, Sighting(A_AND_B, [task("a")], set(), ()), "Marathon has 1 tasks"),
        (TWO, Sighting(A_AND_B, [task("a"), ILL], set(), ()), "Marathon has 1 tasks"),
        (TWO, Sighting([answer("a")], BOTH, set(), ()), "1 of them answer, and 0 others"),
        (TWO, Sighting([answer("a"), answer("c")], BOTH, set(), ()), "1 of them answer, and 1 others"),
        (TWO, Sighting([answer("a"), answer("b", 502)], BOTH, set(), ()), "status 502"),
        (TWO, Sighting(A_AND_B, BOTH, {"/app"}, ()), "in quarantine: /app"),
        (
            Claim("", "host", "/app", 1, newcomers=1),
            Sighting([answer("a")], [task("a")], set(), before={"a"}),
            "0 of them are new",
        ),
        (
            Claim("", "host", "/app", 1, release="2"),
            Sighting([answer("a", **{"x-release": "1"})], [task("a")], set(), ()),
            "X-Release: 2",
        ),
        (Claim("", "host", "/app", 0), Sighting([answer("a")], [], set(), ()), "status 200"),
        (Claim("", "host", "/app", 0, refused=True), Sighting([answer("", 503)], [], {"/app", "/other"}, ()), "/other"),
    ],
)
def test_a_claim_doubts_what_it_does_not_cover(claim: Claim, seen: Sighting, doubt: str) -> None:
    said = claim.doubt(seen)
    assert doubt in said
    assert bool(said) is bool(doubt)
