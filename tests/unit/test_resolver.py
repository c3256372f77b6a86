"""Host names to addresses: what is kept, what is asked again, and that a silent name server costs a bounded time."""

from __future__ import annotations

import socket
import threading

import pytest

from fastlb import resolver
from fastlb.resolver import Resolver


@pytest.fixture
def name_server(monkeypatch):
    """The C library's lookup with known answers; returns them (to be changed) and the names that were asked for."""
    answers: dict[str, str] = {f"agent-{n}": f"127.7.0.{n}" for n in range(40)}
    asked: list[str] = []

    def look_up(name):
        asked.append(name)
        if name not in answers:
            raise socket.gaierror(-2, "Name or service not known")
        return answers[name]

    monkeypatch.setattr(socket, "gethostbyname", look_up)
    return answers, asked


def test_names_become_addresses(name_server):
    wanted = {f"agent-{n}": f"127.7.0.{n}" for n in range(40)}
    assert Resolver(100).addresses(wanted) == wanted


def test_a_known_name_is_not_asked_again(name_server):
    names = Resolver(10)
    assert names.addresses(["agent-1"]) == names.addresses(["agent-1", "agent-1"])
    assert name_server[1] == ["agent-1"]


def test_a_failure_is_said_and_asked_again(name_server, caplog):
    answers, _ = name_server
    names = Resolver(10)
    assert names.addresses(["late", "agent-1"]) == {"agent-1": "127.7.0.1"}
    assert "host name late does not resolve" in caplog.text
    answers["late"] = "127.7.1.1"
    assert names.addresses(["late"]) == {"late": "127.7.1.1"}


def test_a_failure_that_lasts_is_said_once_and_its_end_too(name_server, caplog):
    caplog.set_level("INFO")
    names = Resolver(10)
    for _ in range(3):
        names.addresses(["nobody"])
    name_server[0]["nobody"] = "127.7.1.1"
    names.addresses(["nobody"])
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_the_name_that_was_not_used_for_longest_is_forgotten(name_server):
    names = Resolver(2)
    for name in ("agent-1", "agent-2", "agent-1", "agent-3", "agent-1", "agent-2"):
        names.addresses([name])
    assert name_server[1] == ["agent-1", "agent-2", "agent-3", "agent-2"]


def test_a_name_that_cannot_even_be_asked_for_is_a_failure():
    assert Resolver(2).addresses(["x" * 300, "a..b"]) == {}


def test_a_name_server_that_hangs_costs_the_names_it_hangs_on(monkeypatch):
    answered = threading.Event()

    def look_up(name):
        if name == "hangs":
            answered.wait(60)
        return "127.7.0.1"

    monkeypatch.setattr(socket, "gethostbyname", look_up)
    monkeypatch.setattr(resolver, "LOOKUP_TIMEOUT_S", 0.2)
    assert Resolver(2).addresses(["hangs", "works"]) == {"works": "127.7.0.1"}
    answered.set()


def test_a_name_that_was_waited_for_in_vain_holds_up_nobody_for_a_while(monkeypatch):
    answered, asked = threading.Event(), []

    def look_up(name):
        asked.append(name)
        answered.wait(60)
        return "127.7.0.1"

    monkeypatch.setattr(socket, "gethostbyname", look_up)
    monkeypatch.setattr(resolver, "LOOKUP_TIMEOUT_S", 0.2)
    names = Resolver(2)
    assert [names.addresses(["hangs"]) for _ in range(3)] == [{}, {}, {}]
    assert asked == ["hangs"]
    answered.set()


def test_a_name_that_was_waited_for_in_vain_is_asked_again_later(monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(socket, "gethostbyname", lambda name: answered.wait(60) and "127.7.0.1")
    monkeypatch.setattr(resolver, "LOOKUP_TIMEOUT_S", 0.2)
    monkeypatch.setattr(resolver, "SILENT_FOR_S", 0)
    names = Resolver(2)
    assert names.addresses(["hangs"]) == {}
    answered.set()
    monkeypatch.setattr(resolver, "LOOKUP_TIMEOUT_S", 20)
    assert names.addresses(["hangs"]) == {"hangs": "127.7.0.1"}


def test_addresses_outlive_the_process_and_serve_where_nothing_resolves(name_server, tmp_path, caplog):
    memory = tmp_path / "addresses.json"
    Resolver(10, memory).addresses(["agent-1", "agent-2"])
    name_server[0].clear()
    assert Resolver(10, memory).addresses(["agent-1", "nobody"]) == {"agent-1": "127.7.0.1"}
    assert "host name agent-1 does not resolve to an IPv4 address; that of before, 127.7.0.1, stays" in caplog.text
    name_server[0]["agent-1"] = "127.7.9.9"
    assert Resolver(10, memory).addresses(["agent-1"]) == {"agent-1": "127.7.9.9"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"agent-1": 7}'])
def test_a_file_of_addresses_that_means_nothing_is_nothing(name_server, tmp_path, text):
    memory = tmp_path / "addresses.json"
    memory.write_text(text)
    assert Resolver(10, memory).addresses(["agent-1", "nobody"]) == {"agent-1": "127.7.0.1"}


def test_a_real_lookup_works():
    assert Resolver(2).addresses(["localhost"]) == {"localhost": "127.0.0.1"}
