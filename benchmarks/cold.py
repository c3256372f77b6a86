"""Cold, beside marathon-lb: from Marathon's answer to configuration and maps on disk, each side in a warm process.

    AnswerServer --/v2/apps, whole--> a process --> haproxy.cfg replaced

What is timed is the same for both: from the moment when the last byte of ``/v2/apps`` has been handed to the kernel to
the moment when the configuration file is a new one (the maps are replaced before it). No process start, no HAProxy: the
validation is skipped and nothing is reloaded. Between two answers one app has a task more or less. marathon-lb is told
by an event and does what it always does. fastlb would remember; here it starts each time with nothing remembered.
"""

from __future__ import annotations

import sys
import threading
from contextlib import closing, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import TYPE_CHECKING

import orjson
import psutil

from benchmarks.figures import Row, spread
from benchmarks.generator import apps_answer
from benchmarks.marathon_lb import write_templates
from benchmarks.pipeline import Maker
from benchmarks.programs import ROOT, Program, own_address, until
from fastlb.cli import build_parser
from fastlb.files import publish
from fastlb.marathon import MarathonClient
from fastlb.marathon_settings import read_marathon
from fastlb.reading import read_again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.figures import Size
    from benchmarks.marathon_lb import Checkout

WRITTEN_WITHIN_S = 300.0
QUIET_S = 0.5
COLD_BESIDE = "answer to configuration, cold"
EVENT = b'data: {"eventType": "api_post_event"}\r\n\r\n'


class AnswerServer(ThreadingHTTPServer):
    """Answers ``/v2/apps`` with ``body``, whoever asks, and keeps event streams open."""

    daemon_threads = True

    def __init__(self, address: str, body: bytes) -> None:
        super().__init__((address, 0), _Handler)
        self.body = body
        self.sent_s = 0.0
        """When (monotonic) the last byte of the last answer had been handed to the kernel."""
        self.told = threading.Condition()
        self.events = 0

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://{self.server_address[0]!s}:{self.server_port}"

    def wait_for_another(self, known: int) -> int:
        """Wait until there are other events than ``known``; return how many."""
        with self.told:
            self.told.wait_for(lambda: self.events != known)
            return self.events

    def tell(self) -> None:
        """Send an event to every stream."""
        with self.told:
            self.events += 1
            self.told.notify_all()


class _Handler(BaseHTTPRequestHandler):
    server: AnswerServer

    def do_GET(self) -> None:
        if self.path.startswith("/v2/events"):
            self._stream()
            return
        body = self.server.body
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.sent_s = monotonic()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        known = self.server.events
        while True:
            known = self.server.wait_for_another(known)
            self.wfile.write(EVENT)


def run(size: Size, rounds: int, checkout: Checkout) -> list[Row]:
    """Return a row for each side."""
    answers = _two_answers(apps_answer(size))
    with TemporaryDirectory(prefix="fastlb-bench-") as folder:
        ours = _timed(answers, rounds, lambda url: _fastlb(url, Path(folder) / "fastlb"))
        theirs = _timed(answers, rounds, lambda url: _marathon_lb(url, Path(folder) / "marathon-lb", checkout))
    return [
        spread(COLD_BESIDE, size, "fastlb", "ms", ours),
        spread(COLD_BESIDE, size, "marathon-lb", "ms", theirs),
    ]


def _two_answers(answer: bytes) -> tuple[bytes, bytes]:
    """Return the answer and one in which an app has a task fewer."""
    document = orjson.loads(answer)
    app = next(app for app in document["apps"] if len(app["tasks"]) > 1)
    del app["tasks"][0]
    return answer, orjson.dumps(document)


def _timed(answers: tuple[bytes, bytes], rounds: int, start: Callable[[str], Program]) -> list[float]:
    with _serving(answers[0]) as server, start(server.url) as process:
        config = process.folder / "haproxy.cfg"
        until(lambda: process.said() is not None and config.exists(), WRITTEN_WITHIN_S, "first configuration")
        values = []
        for number in range(rounds):
            _wait_for_quiet(process)
            server.body = answers[(number + 1) % 2]
            before = config.stat().st_ino
            server.tell()
            until(partial(_is_another, config, before), WRITTEN_WITHIN_S, "new configuration")
            values.append((monotonic() - server.sent_s) * 1000)
        return values


@contextmanager
def _serving(body: bytes) -> Iterator[AnswerServer]:
    server = AnswerServer(own_address(), body)
    thread = threading.Thread(target=server.serve_forever, name="answers", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def _is_another(path: Path, inode: int) -> bool:
    return path.stat().st_ino != inode


def _wait_for_quiet(process: Program) -> None:
    """Wait until the process has not used its processor for a while."""

    def quiet() -> bool:
        before = psutil.Process(process.process.pid).cpu_times()
        sleep(QUIET_S)
        process.said()
        return psutil.Process(process.process.pid).cpu_times()[:2] == before[:2]

    until(quiet, WRITTEN_WITHIN_S, "rest")


def _fastlb(url: str, folder: Path) -> Program:
    words = [sys.executable, "-m", "benchmarks.cold", url, folder / "haproxy.cfg"]
    return Program(words, folder, "fastlb", PYTHONPATH=str(ROOT))


def _marathon_lb(url: str, folder: Path, checkout: Checkout) -> Program:
    write_templates(folder, own_address())
    words = checkout.words(url, folder / "haproxy.cfg", "false", "--skip-validation", "--max-reload-retries", "1")
    return Program(words, folder, "marathon-lb")


def main() -> None:
    """Be fastlb's side: at each event read everything, decide with nothing remembered, and write the files."""
    url, path = sys.argv[1], Path(sys.argv[2])
    maker = Maker()
    config = read_marathon(build_parser().parse_args(["sse", "--marathon", url]), {})
    stream = _events(url)
    while True:
        pipeline = maker.make()
        with closing(MarathonClient(config, read_again)) as client:
            pipeline.take(client.apps())
        rendering = pipeline.render()
        publish(path.with_name("domain2backend.map"), rendering.domain_map)
        publish(path.with_name("app2backend.map"), rendering.app_map)
        publish(path, rendering.config)
        del pipeline, rendering
        next(stream)


def _events(url: str) -> Iterator[bytes]:
    from urllib.request import urlopen

    with urlopen(f"{url}/v2/events") as answer:
        for line in answer:
            if line.startswith(b"data:"):
                yield line


if __name__ == "__main__":
    main()
