"""What a head written for a syslogd logs to its socket comes out, line by line."""

from __future__ import annotations

import logging
import selectors
import socket

import pytest

from fastlb.log_socket import MOST_AT_ONCE, log_socket


@pytest.fixture
def selector():
    with selectors.DefaultSelector() as selector:
        yield selector


def send(path, *texts):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for text in texts:
            sender.sendto(text, str(path))


def turn(selector):
    for key, _ in selector.select(5):
        key.data()


def test_what_is_sent_is_printed_without_its_priority_and_harms_no_terminal(selector, tmp_path, capsys):
    with log_socket(selector, tmp_path / "log"):
        send(tmp_path / "log", b"<134>Nov 21 18:30:00 haproxy[7]: GET /\n", b"a\nb\x1b[2J\xff")
        turn(selector)
    assert capsys.readouterr().out == "Nov 21 18:30:00 haproxy[7]: GET /\na\\nb\\x1b[2J\\xff\n"


def test_what_haproxy_says_of_its_proxies_and_servers_is_left_out(selector, tmp_path, capsys):
    with log_socket(selector, tmp_path / "log"):
        send(
            tmp_path / "log",
            b"<132>Nov 21 18:30:00 haproxy[7]: Proxy web_1 stopped (cumulated conns: FE: 0, BE: 12).\n",
            b"<133>Nov  1 18:30:00 lb.example haproxy[7]: Server web_1/s is UP/READY (leaving forced maintenance).\n",
            b"<134>Nov 21 18:30:00 haproxy[7]: GET /\n",
        )
        turn(selector)
    assert capsys.readouterr().out == "Nov 21 18:30:00 haproxy[7]: GET /\n"


def test_everybody_may_write_and_nothing_is_left(selector, tmp_path):
    with log_socket(selector, tmp_path / "log"):
        assert (tmp_path / "log").stat().st_mode & 0o777 == 0o666
    assert list(tmp_path.iterdir()) == []
    assert not selector.get_map()


def test_a_flood_does_not_keep_the_loop(selector, tmp_path, monkeypatch):
    class Endless:
        def recv(self, _size):
            return b"again"

    written = []
    monkeypatch.setattr("sys.stdout.write", written.append)
    from fastlb.log_socket import _pass_on

    _pass_on(Endless())
    assert "".join(written).count("\n") == MOST_AT_ONCE


def test_a_socket_that_a_killed_run_left_is_taken_over(selector, tmp_path, capsys):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stale:
        stale.bind(str(tmp_path / "log"))
    with log_socket(selector, tmp_path / "log"):
        send(tmp_path / "log", b"heard")
        turn(selector)
    assert capsys.readouterr().out == "heard\n"


def test_a_socket_that_somebody_serves_is_left_alone(selector, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslogd:
        syslogd.bind(str(tmp_path / "log"))
        with log_socket(selector, tmp_path / "log"):
            assert not selector.get_map()
        send(tmp_path / "log", b"still there")
        assert syslogd.recv(100) == b"still there"


def test_where_there_can_be_none_that_is_said_and_nothing_fails(selector, tmp_path, caplog):
    with log_socket(selector, tmp_path / "no folder" / "log"), log_socket(selector, None):
        assert not selector.get_map()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "what HAProxy is told to log there is lost" in caplog.text
