"""Load balancers as a deployment sees them: fastlb with its old workers, any other HAProxy, and who does not answer."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from fastlb.admin.draining import Workers
from fastlb.haproxy import find_haproxy
from fastlb.settings import Paths
from fastlb.zdd.balancers import BalancerError, Balancers
from fastlb.zdd.seen import ServerSeen
from tests.fakes.front_door import HTTP_PORT, app, claimed_address, until
from tests.fakes.live_haproxy import LiveHAProxy, backend, lines, tasks, text_of
from tests.zdd.stage import GROUP, HOST, PORT, Stage, staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastlb.zdd.draining import Verdict

TIMEOUT_S = 5.0
REAL_LOOK_UP = socket.getaddrinfo
PORT_OF_STATISTICS = 29090
FOREIGN = """
defaults
    mode http
    timeout connect 2s
    timeout client 5s
    timeout server 5s
listen stats
    bind {address}:{port}
    {pids}
    stats enable
backend web_26000
    server 127_0_0_2_31000 127.0.0.2:31000
    server agent_127_0_0_3_8080 127.0.0.3:8080 disabled
"""


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One load balancer that serves an app of two tasks."""
    with staged(tmp_path_factory.mktemp("seen"), instances=2, balancers=1) as stage:
        stage.marathon.create_app(stage.definition | {"id": f"/{GROUP}-blue"})
        until(stage.all_ready, said=stage.doors[0].log)
        yield stage


@contextlib.contextmanager
def foreign(folder: Path, pids: str = "") -> Iterator[str]:
    """A HAProxy that is no fastlb; the URL of its statistics. ``pids`` are what it says its processes are."""
    rule = (
        f'http-request return content-type text/plain string "{pids}" if {{ path /_haproxy_getpids }}' if pids else ""
    )
    with claimed_address() as address:
        (folder / "haproxy.cfg").write_text(FOREIGN.format(address=address, port=PORT_OF_STATISTICS, pids=rule))
        command = [find_haproxy(None, os.environ).path, "-db", "-f", folder / "haproxy.cfg"]
        with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                until(lambda: listens(address), said=(folder / "log").read_text)
                yield f"http://{address}:{PORT_OF_STATISTICS}"
            finally:
                process.terminate()


def listens(address: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, PORT_OF_STATISTICS)):
        return True
    return False


def reload(stage: Stage) -> None:
    """Have HAProxy reloaded, as a new app does."""
    before = stage.doors[0].now()
    stage.marathon.create_app(app("guest", PORT + 1, instances=1))
    stage.doors[0].wait_for("reload", before, ok=True)


def asked(stage: Stage, path: str, upgrade: str = "") -> socket.socket:
    """Return a connection to the stage on which the beginning of an answer has come."""
    connection = asked_at(stage.doors[0].address, HTTP_PORT, path, upgrade)
    assert connection.recv(4096)
    return connection


def asked_at(address: str, port: int, path: str, upgrade: str = "") -> socket.socket:
    """Return a connection on which a request was sent."""
    connection = socket.create_connection((address, port), 10)
    wish = f"Connection: Upgrade\r\nUpgrade: {upgrade}" if upgrade else "Connection: keep-alive"
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{wish}\r\n\r\n".encode())
    return connection


def take_over(stage: Stage) -> Verdict:
    """Have a sibling that takes over from both tasks; return what is seen once they get nothing new any more."""
    sibling = stage.definition | {"id": f"/{GROUP}-green", "portDefinitions": [{"port": PORT + 2}]}
    labels = {"HAPROXY_0_PORT": str(PORT), "HAPROXY_DEPLOYMENT_STARTED_AT": "2026-01-01T00:00:00.000000"}
    labels |= {"HAPROXY_DEPLOYMENT_NEW_INSTANCES": "0", "HAPROXY_DEPLOYMENT_TARGET_INSTANCES": "2"}
    stage.marathon.create_app(sibling | {"labels": sibling["labels"] | labels})
    stage.marathon.wait_idle()
    return until(lambda: all_out(stage), said=stage.doors[0].log)


def all_out(stage: Stage) -> Verdict | None:
    verdict = old_tasks(stage)
    return verdict if all(task.is_marked for task in verdict.tasks.values()) else None


def old_tasks(stage: Stage) -> Verdict:
    return stage.see([each for each in stage.apps() if each["id"].endswith("blue")])


def test_what_an_old_worker_holds_keeps_a_task_whose_server_is_out(stage):
    with contextlib.closing(asked(stage, "/socket", "words")) as held:
        reload(stage)
        verdict = take_over(stage)
        assert (verdict.held(verdict.tasks), verdict.unseen) == (1, ())
        assert len(verdict.drained(verdict.tasks)) == 1
        held.sendall(b"word")
        assert held.recv(4) == b"word"
    until(lambda: len(old_tasks(stage).drained(verdict.tasks)) == 2)


def test_an_idle_client_of_an_old_worker_keeps_the_tasks_that_may_get_its_next_request(tmp_path):
    """As long as it may ask again, which an operator's own timeouts decide; the worker stays for what others hold."""
    with tasks(1) as ports, socket.create_server(("127.0.0.1", 0)) as silent:
        haproxy = LiveHAProxy(tmp_path)
        haproxy.write([text_of(backend(""), lines([*ports, silent.getsockname()[1]]))])
        config = tmp_path / "haproxy.cfg"
        config.write_text(config.read_text().replace("http-keep-alive 1s", "http-keep-alive 30s"))
        (tmp_path / "socket").symlink_to(tmp_path / "api.sock")
        workers = Workers(Paths(config, tmp_path))
        clients: list[socket.socket] = []
        haproxy.start()
        try:
            clients += [asked_at("127.0.0.1", haproxy.port, "/"), asked_at("127.0.0.1", haproxy.port, "/")]
            (answered, *_), _, _ = select.select(clients, [], [], TIMEOUT_S)
            assert haproxy.reload().ok
            until(lambda: idle_clients(workers) == [1])
            answered.close()
            until(lambda: idle_clients(workers) == [0])
        finally:
            for client in clients:
                client.close()
            haproxy.stop()


def idle_clients(workers: Workers) -> list[int]:
    return [worker["idle_clients"] for worker in workers.look(["app_10000"])["old_workers"]]


def test_fastlb_tells_of_all_its_apps_or_of_one(stage):
    stage.marathon.create_app(app("guest", PORT + 1, instances=1))
    urls = stage.balancer_urls
    one, every = Balancers(urls, TIMEOUT_S, app_id=GROUP), Balancers(urls, TIMEOUT_S)
    backends = {f"{GROUP}_{PORT}", f"guest_{PORT + 1}"}
    until(lambda: backends <= {server.backend for server in every.look()[0].servers})
    assert {server.backend for server in one.look()[0].servers} == {f"{GROUP}_{PORT}"}
    assert Balancers(urls, TIMEOUT_S, app_id="nobody").look()[0].servers == ()


def test_any_other_haproxy_is_read_by_its_statistics(tmp_path):
    with foreign(tmp_path, "10 11") as url:
        seen = Balancers([url], TIMEOUT_S, app_id=GROUP).look()[0]
    assert set(seen.servers) == {
        ServerSeen("web_26000", "127_0_0_2", 31000, "no check", 0, 0),
        ServerSeen("web_26000", "agent_127_0_0_3", 8080, "MAINT", 0, 0),
    }
    assert seen.unseen_workers == 0


@pytest.mark.parametrize(("pids", "unseen"), [("10 11 12", 1), ("10 11 12 13", 2), ("10", 0), ("busy", 1), ("", 1)])
def test_workers_that_nobody_can_look_into_are_counted_by_pids(tmp_path, pids, unseen):
    with foreign(tmp_path, pids) as url:
        assert Balancers([url], TIMEOUT_S).look()[0].unseen_workers == unseen


def test_every_address_behind_a_name_is_asked(tmp_path, monkeypatch):
    with foreign(tmp_path, "1 2") as url:
        address, port = url.removeprefix("http://").split(":")
        name = f"http://lb.test:{port}"
        resolve_to(monkeypatch, address, "127.9.9.9")
        with pytest.raises(BalancerError, match=rf"127\.9\.9\.9:{port}: it does not answer"):
            Balancers([name], TIMEOUT_S).look()
        resolve_to(monkeypatch, address)
        assert [each.address for each in Balancers([name], TIMEOUT_S).look()] == [f"{address}:{port}"]


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have the name lb.test stand for these addresses, one of them twice, as several interfaces say it."""

    def look_up(host: str, port: int, *more: Any) -> list[Any]:
        if host != "lb.test":
            return REAL_LOOK_UP(host, port, *more)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in (addresses[0], *addresses)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1", "http://HOST:PORT is needed"),
        ("ftp://127.0.0.1:9090", "http://HOST:PORT is needed"),
        ("http://no-such-name.invalid:9090", "its name has no IPv4 address"),
        ("http://127.0.0.1:99999", "it is no URL"),
        ("http://user:secret@127.0.0.1", "http://HOST:PORT is needed"),
    ],
)
def test_a_url_that_cannot_be_used_says_why_and_no_secret(url, said):
    with pytest.raises(BalancerError, match=said) as caught:
        Balancers([url], TIMEOUT_S).look()
    assert "secret" not in str(caught.value)


def test_who_accepts_and_says_nothing_costs_the_time_limit_only():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BalancerError, match="no answer within"):
            Balancers([url], 0.2).look()


def test_an_answer_that_is_no_page_of_statistics_says_so(tmp_path):
    with foreign(tmp_path, "1 2") as url, pytest.raises(BalancerError, match="its statistics cannot be used"):
        Balancers([f"{url}/elsewhere"], TIMEOUT_S).look()
