"""The admin server by itself: it answers in time, costs no more than it may, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from queue import Empty, SimpleQueue

import pytest

from fastlb.access import read_access
from fastlb.admin import endpoints as endpoints_module
from fastlb.admin import explaining as explaining_module
from fastlb.admin import loop as loop_module
from fastlb.admin.client import _UnixConnection, ask_fastlb
from fastlb.admin.endpoints import MASKED_AT_ONCE, MOST_READERS, Endpoints, Limits
from fastlb.admin.explaining import MOST_COMPARING
from fastlb.admin.loop import MOST_WAITING, Loop
from fastlb.admin.server import AdminServer
from fastlb.board import Board
from fastlb.errors import FastlbError
from fastlb.explanation import Unknown
from fastlb.history import History
from fastlb.inbox import Signalled
from fastlb.questions import Asked, Known
from fastlb.running import Running
from fastlb.settings import Paths
from tests.fakes.apps import app
from tests.fakes.front_door import until
from tests.unit.test_explain import deciding

LONG_LABEL = "  # " + "x" * 60_000 + "\n"


class Stage:
    """A server in a folder, and a thread that answers as the loop does, unless it is told to be ``deaf``."""

    def __init__(self, folder):
        self.paths = Paths(folder / "haproxy.cfg", folder)
        self.board, self.inbox, self.deaf, self.signals = Board(), SimpleQueue(), threading.Event(), []
        decider = deciding(app("/web", labels={"HAPROXY_0_VHOST": "web.test"}))
        self.running = Running(1.0)
        self.running.loaded(decider.document)
        self.known = Known(decider, self.running, History())
        routes = Endpoints(self.paths, Limits(10.0, 60.0), self.board, Loop(self.inbox)).routes()
        self.server = AdminServer(self.paths.admin_socket, self.paths.local_socket, read_access((), ""), routes)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._answer)

    def _answer(self):
        while not self._ended.is_set():
            with contextlib.suppress(Empty):
                message = self.inbox.get(timeout=0.01)
                if isinstance(message, Asked) and not self.deaf.is_set():
                    message.respond(self.known)
                elif isinstance(message, Signalled):
                    self.signals.append(message.number)

    def __enter__(self):
        self._thread.start()
        self.server.start()
        return self

    def __exit__(self, *_error):
        self.server.stop()
        self._ended.set()
        self._thread.join()

    def connection(self, path=None):
        return _UnixConnection(path or self.paths.admin_socket)

    def get(self, target, client="127.0.0.1", method="GET", **headers):
        connection = self.connection()
        with contextlib.closing(connection):
            connection.request(method, target, headers={"X-Fastlb-Client": client, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()


@pytest.fixture
def stage(tmp_path):
    with Stage(tmp_path) as running:
        yield running
    assert [path for path in tmp_path.iterdir() if path.is_socket()] == []


def test_a_socket_that_a_killed_process_left_is_replaced(tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "admin.sock"))
    with Stage(tmp_path) as stage:
        assert stage.get("/_fastlb/live")[0] == 200


def test_the_socket_of_a_successor_stays(tmp_path):
    with Stage(tmp_path) as successor:
        with Stage(tmp_path) as stage:
            stage.paths.admin_socket.unlink()
            successor.server._front.touch()
        assert stage.paths.admin_socket.exists()
        stage.paths.admin_socket.unlink()


def test_a_server_that_cannot_listen_is_said_and_costs_nothing_else(tmp_path, caplog):
    stage = Stage(tmp_path)
    stage.paths.admin_socket.mkdir()
    with stage:
        assert "the admin endpoints are not available" in caplog.text


def test_a_loop_that_does_not_answer_costs_the_asker_a_limited_time(stage, monkeypatch):
    monkeypatch.setattr(loop_module, "ANSWER_WITHIN_S", 0.05)
    stage.deaf.set()
    status, said = stage.get("/_fastlb/explain?app=/web")
    assert (status, "the loop is busy" in said) == (503, True)
    stage.deaf.clear()
    assert stage.get("/_fastlb/explain?app=/web")[0] == 200


def test_only_a_few_questions_wait_for_the_loop(stage, monkeypatch):
    monkeypatch.setattr(loop_module, "ANSWER_WITHIN_S", 30.0)
    stage.deaf.set()
    with contextlib.ExitStack() as stack:

        def ask():
            connection = stack.enter_context(contextlib.closing(stage.connection()))
            connection.request("GET", "/_fastlb/explain?app=/web", headers={"X-Fastlb-Client": "127.0.0.1"})
            return connection

        waiting = [ask() for _ in range(MOST_WAITING + 1)]
        for connection in waiting:
            connection.sock.settimeout(0.01)
        refused = until(lambda: next(filter(None, map(answer_of, waiting)), ""))
        assert "too many questions are waiting" in refused
        assert stage.get("/_fastlb/live")[0] == 200


def answer_of(connection):
    """Return the text of an answer, empty if there is none yet."""
    with contextlib.suppress(TimeoutError):
        connection.sock.recv(1, socket.MSG_PEEK)
        return connection.getresponse().read().decode()
    return ""


def test_who_has_gone_is_not_answered(stage):
    stage.deaf.set()
    connection = stage.connection()
    connection.request("GET", "/_fastlb/problems", headers={"X-Fastlb-Client": "127.0.0.1"})
    connection.close()
    stage.deaf.clear()
    assert stage.get("/_fastlb/problems") == (200, "nothing is left out\n")


def long_document():
    """More than sockets hold that nobody reads from: three million characters."""
    labels = {"HAPROXY_0_BACKEND_HEAD": f"backend {{backend}}\n{LONG_LABEL}"}
    return deciding(*(app(f"/web{number}", [10000 + number], labels) for number in range(50))).document


def test_a_slow_reader_keeps_nobody_waiting(stage):
    stage.running.loaded(long_document())
    slow = stage.connection()
    with contextlib.closing(slow):
        slow.request("GET", "/_haproxy_getconfig", headers={"X-Fastlb-Client": "127.0.0.1"})
        answer = slow.getresponse()
        assert answer.read(7) == b"global\n"
        assert stage.get("/_fastlb/live")[0] == 200
        rest = answer.read()
    assert rest.count(LONG_LABEL.encode()) == 50


def test_many_slow_readers_take_no_more_than_their_part(stage):
    stage.running.loaded(long_document())
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_READERS):
            slow = stack.enter_context(contextlib.closing(stage.connection()))
            slow.request("GET", "/_haproxy_getconfig", headers={"X-Fastlb-Client": "127.0.0.1"})
            assert slow.getresponse().read(7) == b"global\n"
        status, said = stage.get("/_haproxy_getconfig")
        assert (status, "too many are reading" in said) == (503, True)
        assert stage.get("/_fastlb/live")[0] == 200
    assert until(lambda: stage.get("/_haproxy_getconfig")[0] == 200)


def test_a_long_configuration_is_masked_to_its_end(stage):
    users = {"HAPROXY_0_AUTH": "realm:me:hunter2", "HAPROXY_0_VHOST": "a.test"}
    documents = [app(f"/web{number}", [10000 + number], users) for number in range(200)]
    stage.running.loaded(deciding(*documents).document)
    _, text = stage.get("/_haproxy_getconfig")
    assert len(text) > MASKED_AT_ONCE
    assert (text.count("user me password ***"), "hunter2" in text) == (200, False)
    assert len(text.splitlines()) == len(stage.running.document.rendering().config.splitlines())


def test_the_configuration_is_joined_once_for_all_who_ask_within_a_moment(stage, monkeypatch):
    monkeypatch.setattr(endpoints_module, "IN_FORCE_FOR_S", 60.0)
    endpoints = Endpoints(stage.paths, Limits(10.0, 60.0), stage.board, CountingLoop())
    asyncio.run(asked_often(endpoints))
    assert endpoints._loop.asked == 1


class CountingLoop:
    """A loop that counts how often it is asked for the texts."""

    asked = 0

    async def ask(self, look):
        self.asked += 1
        return "config", "vhosts", "apps"


async def asked_often(endpoints):
    for _ in range(50):
        assert await endpoints._in_force.get() == ("config", "vhosts", "apps")


def test_ids_that_nobody_has_are_compared_for_a_few_at_a_time(stage, monkeypatch):
    compared, go_on = [], threading.Event()

    def slowly(app_id, known):
        compared.append(app_id)
        assert go_on.wait(20)
        return Unknown(app_id, ("/web",))

    monkeypatch.setattr(explaining_module, "unknown", slowly)
    with contextlib.ExitStack() as stack:
        for number in range(MOST_COMPARING):
            waiting = stack.enter_context(contextlib.closing(stage.connection()))
            waiting.request("GET", f"/_fastlb/explain?app=/wb{number}", headers={"X-Fastlb-Client": "127.0.0.1"})
        until(lambda: "did you mean" not in stage.get("/_fastlb/explain?app=/wbe")[1] if compared else False)
        go_on.set()


def test_a_head_request_has_the_length_and_no_text(stage):
    connection = stage.connection()
    with contextlib.closing(connection):
        connection.request("HEAD", "/_haproxy_getconfig", headers={"X-Fastlb-Client": "127.0.0.1"})
        answer = connection.getresponse()
        assert (answer.status, int(answer.headers["Content-Length"]) > 100, answer.read()) == (200, True, b"")


def test_what_haproxy_has_is_read_from_the_files_while_nobody_knows_it(stage):
    stage.running.unknown("a doubt")
    stage.paths.config.write_text("stats auth admin:secret\n")
    assert stage.get("/_haproxy_getconfig") == (200, "stats auth admin:***\n")
    assert stage.get("/_haproxy_getvhostmap") == (200, "")


def test_signals_are_taken_from_private_networks_only(stage):
    assert stage.get("/_mlb_signal/hup", client="8.8.8.8")[0] == 403
    assert stage.get("/_mlb_signal/usr1", method="POST")[0] == 200
    until(lambda: stage.signals)
    assert [number.name for number in stage.signals] == ["SIGUSR1"]


def test_without_an_address_a_request_is_from_nowhere(stage):
    connection = stage.connection()
    with contextlib.closing(connection):
        connection.request("GET", "/_mlb_signal/hup")
        assert connection.getresponse().status == 403


def test_haproxy_without_processes_is_said(stage):
    status, said = stage.get("/_haproxy_getpids")
    assert (status, "got no reply" in said) == (503, True)


def test_no_answer_may_be_guessed_or_kept(stage):
    connection = stage.connection()
    with contextlib.closing(connection):
        for target in ("/_fastlb/live", "/_fastlb/problems", "/_haproxy_getconfig", "/nothing"):
            connection.request("GET", target, headers={"X-Fastlb-Client": "127.0.0.1"})
            answer = connection.getresponse()
            answer.read()
            assert (answer.headers["X-Content-Type-Options"], answer.headers["Cache-Control"]) == (
                "nosniff",
                "no-store",
            )


NOW = {"agreed_s": 0.0}
HEALTH = {
    "new": ({}, "live ", "HAProxy has not been given yet what Marathon says"),
    "unreachable": ({"fetch_failure": "nobody there"}, "live ", "Marathon cannot be read: nobody there"),
    "well": (NOW, "live ready synced ", ""),
    "old": ({"agreed_s": -61.0}, "live ready ", "HAProxy last agreed with Marathon 61 s ago"),
    "gone": ({**NOW, "haproxy_gone": "it was killed"}, "live ", "HAProxy is gone: it was killed"),
    "busy": ({**NOW, "busy_since_s": -5.0}, "live ready synced ", ""),
    "hung": ({**NOW, "busy_since_s": -11.0}, "ready synced ", "the loop has been busy for 11 s"),
}


@pytest.mark.parametrize("name", HEALTH)
def test_health_says_why_not(stage, name):
    fields, well, why = HEALTH[name]
    for field, value in fields.items():
        setattr(stage.board, field, time.monotonic() + value if field.endswith("_s") else value)
    found, reasons = "", []
    for kind in ("live", "ready", "synced"):
        status, text = stage.get(f"/_fastlb/{kind}")
        said = json.loads(text)
        assert said[kind] is (status == 200)
        found += f"{kind} " * said[kind]
        reasons += said["why_not"]
    assert found == well
    assert (why in reasons) if why else reasons == []


def test_the_client_says_where_it_looked_for_a_fastlb_that_is_not_there(tmp_path):
    with pytest.raises(FastlbError, match=r"no fastlb answers at .*local\.sock"):
        ask_fastlb(tmp_path / "local.sock", "/_fastlb/problems")


def test_the_client_quotes_what_it_asks_for(stage):
    known, said = ask_fastlb(stage.paths.local_socket, "/_fastlb/explain", app="/a b&c=\u00e9\x00")
    assert (known, said) == (False, "Marathon has no app /a b&c=\u00e9\\x00\n")


def test_a_request_that_is_no_http_is_refused(stage):
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(stage.paths.admin_socket))
        raw.settimeout(5)
        raw.sendall(b"\x00\xff\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.0 400")
    assert stage.get("/_fastlb/live")[0] == 200


def test_a_body_that_nobody_asked_for_is_not_kept(stage):
    connection = stage.connection()
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("POST", "/_mlb_signal/hup", body=b"x" * 5_000_000, headers={"X-Fastlb-Client": "127.0.0.1"})
        assert connection.getresponse().status in {200, 413}
    assert stage.get("/_fastlb/live")[0] == 200
