"""Sockets that are no HAProxy's, or one's that does not do as it should: always an outcome in words, in time."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from fastlb.commands import ADDED, Command, MapSwap
from fastlb.errors import RuntimeApiError
from fastlb.runtime import Runtime
from fastlb.runtime_api import RuntimeApi
from tests.fakes.live_haproxy import LiveHAProxy, backend, lines, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TWO = (
    Command("add server b/s 127.0.0.1:1", "it is new", ADDED),
    Command("set server b/s state ready", "it takes requests"),
)
SWAP = MapSwap("hosts.map", (("a.test", "b"),), "it changed")
TIMEOUT_S = 0.3

ANSWERS = {
    "nothing": (b"", "closed without a byte"),
    "half a line": (b"\n> New server regis", "0 replies and then .New server regis"),
    "one reply of two": (b"\n> New server registered.\n\n> ", "1 replies"),
    "no prompt": (b"New server registered.\n\n\n", "0 replies"),
    "something else": (b"HTTP/1.1 400 Bad request\r\n\r\n<html>", "0 replies.*html"),
    "no permission": (b"\n> Permission denied\n\n> Permission denied\n\n> ", "was answered 'Permission denied'"),
    "an older version": (b"\n> Unknown command. Please enter\n\n> \n> ", "was answered 'Unknown command"),
    "binary": (b"\xff\xfe\x00" * 100, "0 replies"),
    "the second is refused": (b"\n> New server registered.\n\n> No such server.\n\n> ", "state ready.*No such server"),
}


HANGS = b"hang"
DRIPS = b"drip"


@contextlib.contextmanager
def listening(path: Path, answer: bytes) -> Iterator[list[bytes]]:
    """A socket that reads one request to its end and gives one answer, or none, or a byte now and then."""
    heard: list[bytes] = []
    over = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(BrokenPipeError):
                while piece := connection.recv(65_536):
                    heard.append(piece)
                if answer not in {HANGS, DRIPS}:
                    connection.sendall(answer)
                while answer in {HANGS, DRIPS} and not over.wait(0.02):
                    connection.sendall(b"x" if answer == DRIPS else b"")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield heard
        finally:
            over.set()
            thread.join()


def runtime(path: Path) -> Runtime:
    return Runtime(RuntimeApi(path, TIMEOUT_S))


@pytest.mark.parametrize(("answer", "doubt"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_not_the_expected_one_is_a_doubt_in_its_words(tmp_path, answer, doubt):
    with listening(tmp_path / "s", answer):
        outcome = runtime(tmp_path / "s").carry_out([TWO])
    assert not outcome.ok
    assert re.search(doubt, outcome.doubt), outcome.doubt


def test_a_good_answer_to_each_command_is_no_doubt(tmp_path):
    with listening(tmp_path / "s", b"\n> New server registered.\n\n> \n> ") as heard:
        assert runtime(tmp_path / "s").carry_out([TWO]).ok
    assert b"".join(heard) == b"prompt\nadd server b/s 127.0.0.1:1\nset server b/s state ready\nquit\n"


@pytest.mark.parametrize("answer", [HANGS, DRIPS])
def test_a_socket_that_hangs_or_drips_is_a_doubt_in_time(tmp_path, answer):
    with listening(tmp_path / "s", answer):
        outcome = runtime(tmp_path / "s").carry_out([TWO])
    assert not outcome.ok
    assert "no whole answer in time" in outcome.doubt
    assert "add server b/s 127.0.0.1:1 and 1 more" in outcome.doubt


def test_a_socket_that_is_not_there_or_refuses_is_a_doubt(tmp_path):
    assert "No such file" in runtime(tmp_path / "none").carry_out([TWO]).doubt
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
    assert "refused" in runtime(tmp_path / "s").carry_out([(SWAP,)]).doubt


def test_the_next_phase_does_not_begin_after_a_doubt(tmp_path):
    with listening(tmp_path / "s", b"\n> Already exists a server with the same name in backend.\n\n> ") as heard:
        outcome = runtime(tmp_path / "s").carry_out([(TWO[0],), (TWO[1],)])
    assert "Already exists" in outcome.doubt
    assert b"state ready" not in b"".join(heard)


@pytest.mark.parametrize("line", ["a\nb", "a;b", "", "a\0b", " "])
def test_what_is_more_or_less_than_one_command_is_never_sent(tmp_path, line):
    outcome = runtime(tmp_path / "none").carry_out([(Command(line, "it is odd"),)])
    assert "not exactly one command" in outcome.doubt


@pytest.mark.parametrize("text", [[], ["a b", ""], ["a\nb"]])
def test_text_that_would_end_early_is_never_sent(tmp_path, text):
    with pytest.raises(RuntimeApiError, match="empty or broken lines"):
        RuntimeApi(tmp_path / "none", TIMEOUT_S).ask_with("add map @1 m", text)


def at_the_start(info: bytes, level: bytes = b"admin") -> bytes:
    """What HAProxy answers when it is asked what it can do."""
    return b"\n> " + info + b"\n\n> " + level + b"\n\n> "


UNUSABLE = {
    "no number": (at_the_start(b"Version: new"), "names no version"),
    "no version": (at_the_start(b"Name: HAProxy"), "names no version"),
    "not HAProxy": (b"hello\n", "0 replies"),
    "too old": (at_the_start(b"Name: HAProxy\nVersion: 2.4.22"), "HAProxy 2.4.22 at .* is too old"),
    "operator": (at_the_start(b"Version: 2.8.10", b"operator"), "level 'operator', not `level admin`"),
    "user": (at_the_start(b"Version: 2.8.10", b"user"), "level 'user'"),
}


@pytest.mark.parametrize(("answer", "doubt"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_haproxy_that_cannot_be_changed_live_is_an_error(tmp_path, answer, doubt):
    with listening(tmp_path / "s", answer), pytest.raises(RuntimeApiError, match=doubt):
        runtime(tmp_path / "s").capabilities()


@pytest.mark.parametrize(
    ("said", "version"), [(b"2.6.12-1+deb12u4", (2, 6, 12)), (b"3.4.7-1", (3, 4, 7)), (b"3.5-dev5-ab12", (3, 5, 0))]
)
def test_what_haproxy_can_do_is_known_from_the_version_that_answers(tmp_path, said, version):
    with listening(tmp_path / "s", at_the_start(b"Name: HAProxy\nVersion: " + said)):
        assert runtime(tmp_path / "s").capabilities().version == version


@pytest.mark.haproxy
def test_thousands_of_commands_and_replies_in_one_phase_come_through(tmp_path):
    live = LiveHAProxy(tmp_path)
    only = backend(lines([1]))
    live.write([text_of(only, lines([1]))])
    try:
        live.start()
        add = [Command(f"add server app_10000/s{n} 127.0.0.1:{n}", "it is new", ADDED) for n in range(1, 2001)]
        assert live.runtime.carry_out([tuple(add)]).ok
        assert len(live.servers()) == 2001
    finally:
        live.stop()


@pytest.mark.haproxy
def test_a_worker_that_was_stopped_in_its_tracks_is_a_doubt_in_time(tmp_path):
    live = LiveHAProxy(tmp_path)
    only = backend(lines([1]))
    live.write([text_of(only, lines([1]))])
    try:
        worker = int(live.start().api.info()["Pid"])
        subprocess.run(["kill", "-STOP", str(worker)], check=True)
        try:
            outcome = runtime(tmp_path / "api.sock").carry_out([TWO])
        finally:
            subprocess.run(["kill", "-CONT", str(worker)], check=True)
        assert "no whole answer in time" in outcome.doubt
    finally:
        live.stop()
