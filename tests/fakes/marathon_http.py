"""A threaded HTTP server on loopback that misbehaves as told: faults of Marathon, of proxies, of login servers.

`FakeMarathon` knows nothing of Marathon's state; a test says for each path how to answer. `FakeCluster` has apps and an
event stream, but nothing happens in it by itself. Every request is kept for the test to look at. Closing ends all
threads and sockets.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import orjson

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping

DEADLINE_S = 20.0
ALL_APPS = "/v2/apps"


def eventually(what: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Poll until `what()` is true; fail after the deadline."""
    until_s = time.monotonic() + deadline_s
    while not what():
        assert time.monotonic() < until_s, "it did not happen in time"
        time.sleep(0.01)


@dataclass(frozen=True)
class Seen:
    """One request as the server got it."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class FakeMarathon:
    """`answers` maps a path without its query to what answers it; anything else gets a 404 as Marathon gives it."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Callable[[Handler], None]] = {}
        self.seen: list[Seen] = []
        self.connections: list[socket.socket] = []
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.fake = self
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self.cut()
        self._server.server_close()

    def cut(self) -> None:
        """End every open connection, whatever it is doing."""
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def respond(self, handler: Handler) -> None:
        self.seen.append(Seen(handler.path, dict(handler.headers), handler.read_body()))
        path = handler.path.partition("?")[0]
        (self.answers.get(path) or self.otherwise(path))(handler)

    def otherwise(self, _path: str) -> Callable[[Handler], None]:
        """What answers a path that no test has said anything about."""
        return json_answer({"message": "no such app"}, 404)

    def paths(self) -> list[str]:
        return [seen.path for seen in self.seen]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.fake.connections.append(self.connection)

    def do_GET(self) -> None:
        self.server.fake.respond(self)

    do_POST = do_GET  # noqa: N815 - the name is the standard library's

    def read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
        """Say nothing: the tests look at `seen`."""


class _Server(ThreadingHTTPServer):
    # Ended threads are waited for, so that a test leaves none behind.
    daemon_threads = False
    # With the 5 that it would have otherwise, one of many connections at once waits a second for its second try.
    request_queue_size = 64
    fake: FakeMarathon

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is what many tests are about."""


def answer(
    body: bytes,
    status: int = 200,
    content_type: str = "application/json",
    *,
    promised_bytes: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Callable[[Handler], None]:
    """Answer these bytes; with `promised_bytes` the connection ends before that many were sent."""

    def respond(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body) if promised_bytes is None else promised_bytes))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = promised_bytes is not None

    return respond


def json_answer(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Callable[[Handler], None]:
    """Answer a document, compressed if that is accepted."""

    def respond(handler: Handler) -> None:
        body = orjson.dumps(document)
        more = dict(headers or {})
        if "gzip" in handler.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body)
            more["Content-Encoding"] = "gzip"
        answer(body, status, headers=more)(handler)

    return respond


def redirect(to: str) -> Callable[[Handler], None]:
    """Point elsewhere, keeping the query, as a follower does for /v2/events."""

    def respond(handler: Handler) -> None:
        target = f"{to}{handler.path}" if to.count("/") == 2 else to
        answer(b"", 302, headers={"Location": target})(handler)

    return respond


def silence(handler: Handler) -> None:
    """Answer nothing until the server closes."""
    handler.server.fake.closing.wait(DEADLINE_S)
    handler.close_connection = True


def protected(secret: str, inner: Callable[[Handler], None]) -> Callable[[Handler], None]:
    """Answer 401 without the right Authorization header."""

    def respond(handler: Handler) -> None:
        allowed = handler.headers.get("Authorization") == secret
        (inner if allowed else answer(b"<html>no</html>", 401, "text/html"))(handler)

    return respond


class FakeStream:
    """Answers /v2/events: first the headers and `greeting`, then whatever `send` is given, on all connections."""

    def __init__(self, greeting: bytes = b"", content_type: str = "text/event-stream;charset=utf-8") -> None:
        self.opened = 0
        self._greeting = greeting
        self._content_type = content_type
        self._open: list[Handler] = []
        self._ended = threading.Event()

    def __call__(self, handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", self._content_type)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(self._greeting)
        self._ended.clear()
        self._open.append(handler)
        self.opened += 1
        while not (self._ended.wait(0.02) or handler.server.fake.closing.is_set()):
            pass

    def send(self, data: bytes) -> None:
        for handler in self._open:
            handler.wfile.write(data)

    def cut(self) -> None:
        """End all connections in an orderly way; later ones are served again."""
        self._open.clear()
        self._ended.set()


ATTACHED = b'event: event_stream_attached\r\ndata: {"eventType":"event_stream_attached"}\r\n\r\n'


class FakeCluster(FakeMarathon):
    """Answers for `apps` what their documents say at that moment; `answers` still say for each path otherwise."""

    def __init__(self, documents: Iterable[dict[str, Any]]) -> None:
        self.apps = {document["id"]: document for document in documents}
        self.stream = FakeStream(ATTACHED)
        super().__init__()
        self.obey()

    def otherwise(self, path: str) -> Callable[[Handler], None]:
        if path == ALL_APPS:
            return json_answer({"apps": list(self.apps.values())})
        document = self.apps.get(path.removeprefix(ALL_APPS))
        return json_answer({"app": document}) if document else super().otherwise(path)

    def tell(self, *events: dict[str, Any]) -> None:
        """Send events to all streams."""
        texts = (b"event: %s\r\ndata: %s\r\n\r\n" % (each["eventType"].encode(), orjson.dumps(each)) for each in events)
        self.stream.send(b"".join(texts))

    def asked(self, since: int = 0) -> list[str]:
        """The paths below /v2/apps of all requests but the first ``since``, without queries."""
        paths = [path.partition("?")[0] for path in self.paths()[since:]]
        return [path.removeprefix(ALL_APPS) or "everything" for path in paths if path.startswith(ALL_APPS)]

    def obey(self) -> None:
        """Answer again for all paths what the documents say."""
        self.answers = {"/v2/events": self.stream}

    @contextlib.contextmanager
    def held(self, path: str) -> Iterator[threading.Event]:
        """Answer requests for ``path`` that come until the event is set as of now, but only then, or at the end."""
        answer_of_now, release = self.otherwise(path), threading.Event()

        def respond(handler: Handler) -> None:
            answer = self.otherwise(path) if release.is_set() else answer_of_now
            while not (release.wait(0.02) or self.closing.is_set()):
                pass
            answer(handler)

        self.answers[path] = respond
        try:
            yield release
        finally:
            self.answers.pop(path, None)
            release.set()
