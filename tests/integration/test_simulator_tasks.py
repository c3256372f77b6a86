"""The tasks of the simulated Marathon are real servers on loopback, and nothing of them stays behind."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from fastlb.errors import UsageError
from fastlb.simulator.population import population
from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from fastlb.simulator.tasks import Behaviour

if TYPE_CHECKING:
    from pathlib import Path

CONTAINER = {
    "networks": [{"mode": "container", "name": "dcos"}],
    "container": {"docker": {"image": "x"}, "portMappings": [{"containerPort": 8080}]},
}
WEB = {"id": "/web", "instances": 2, "healthChecks": [{"path": "/alive"}]}


@pytest.fixture
def marathon():
    with SimulatedMarathon() as simulated:
        simulated.create_app(WEB)
        simulated.wait_idle()
        yield simulated


def get(address: tuple[str, int], path: str = "/", timeout_s: float = 20.0) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(*address, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"Host": "web.example.com"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def address_of(task: dict[str, Any]) -> tuple[str, int]:
    return task["host"], task["ports"][0]


def test_each_task_answers_and_says_who_it_is(marathon):
    for task in marathon.tasks("/web"):
        status, body = get(address_of(task), "/a?b=c")
        assert status == 200
        assert body == {
            "app": "/web",
            "task": task["id"],
            "shared_by": 1,
            "address": task["host"],
            "port": task["ports"][0],
            "path": "/a?b=c",
            "host": "web.example.com",
        }


def test_an_unhealthy_task_fails_its_health_path_only_and_marathon_knows(marathon):
    task = marathon.tasks("/web")[0]
    marathon.set_healthy(task["id"], False)
    assert get(address_of(task), "/alive")[0] == 503
    assert get(address_of(task), "/other")[0] == 200
    assert marathon.tasks("/web")[0]["healthCheckResults"][0]["alive"] is False
    marathon.set_healthy(task["id"], True)
    assert get(address_of(task), "/alive")[0] == 200


def test_a_hung_task_accepts_and_never_answers(marathon):
    task = marathon.tasks("/web")[0]
    marathon.behave(task["id"], Behaviour.HUNG)
    with pytest.raises(TimeoutError):
        get(address_of(task), timeout_s=0.3)


def test_a_killed_task_refuses_and_hangs_up_on_its_clients(marathon):
    task = marathon.tasks("/web")[0]
    with socket.create_connection(address_of(task), timeout=20) as idle:
        marathon.kill_task(task["id"], scale=True)
        marathon.wait_idle()
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        get(address_of(task))


def test_a_crashed_server_is_still_running_for_marathon(marathon):
    task = marathon.tasks("/web")[0]
    marathon.crash_server(task["id"])
    with pytest.raises(ConnectionRefusedError):
        get(address_of(task))
    assert marathon.tasks("/web")[0]["state"] == "TASK_RUNNING"


def test_a_container_answers_at_its_own_address(marathon):
    marathon.create_app({"id": "/c", "instances": 2, **CONTAINER})
    marathon.wait_idle()
    for task in marathon.tasks("/c"):
        address = (task["ipAddresses"][0]["ipAddress"], 8080)
        assert get(address)[1]["task"] == task["id"]


def test_tasks_beyond_the_limit_share_listeners_and_all_answer():
    with SimulatedMarathon(SimulatorSettings(real_servers=10)) as marathon:
        marathon.load(population(300, 3))
        assert marathon.call(lambda service: service.tasks.count) < 200
        for app_id in marathon.call(lambda service: list(service.cluster.apps))[-20:]:
            tasks = marathon.tasks(app_id)
            addresses = {place for task in tasks for place in marathon.call(_listens(task["id"]))}
            assert len(addresses) >= len(tasks)
            assert all(get(address)[0] == 200 for address in addresses)


def _listens(task_id: str):
    return lambda service: service.cluster.task(task_id).place.listens


def test_agents_can_have_names():
    with SimulatedMarathon(SimulatorSettings(agents=("localhost",))) as marathon:
        marathon.load([WEB])
        for task in marathon.tasks("/web"):
            assert task["host"] == "localhost"
            assert get(address_of(task))[1]["task"] == task["id"]


def test_two_simulators_do_not_get_in_each_others_way(marathon):
    with SimulatedMarathon() as other:
        other.create_app(WEB)
        other.wait_idle()
        mine = {address_of(task) for task in marathon.tasks("/web")}
        assert not mine & {address_of(task) for task in other.tasks("/web")}


def test_nothing_stays_behind():
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    with SimulatedMarathon(SimulatorSettings(follower=True)) as marathon:
        marathon.load(population(50, 2))
        get(marathon.call(lambda service: next(iter(service.cluster.instances.tasks.values())).place.listens[0]))
    assert set(threading.enumerate()) == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208 - the same


def test_a_port_in_use_is_an_error_of_the_start():
    with SimulatedMarathon() as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), SimulatedMarathon(SimulatorSettings(port=port)):
            pytest.fail("it started")


COMMAND = """
import argparse, sys
from fastlb.simulator import cli
parser = argparse.ArgumentParser()
cli.add_parser(parser.add_subparsers())
args = parser.parse_args(sys.argv[1:])
sys.exit(args.run(args))
"""


def test_the_command_serves_until_sigterm_and_ends_cleanly(tmp_path: Path):
    output = tmp_path / "out"
    argv = [sys.executable, "-W", "error", "-c", COMMAND, "simulate", "--apps", "20", "--port", "0", "--follower"]
    with output.open("wb") as sink, subprocess.Popen(argv, stdout=sink, stderr=subprocess.STDOUT) as process:
        try:
            url = _announced(output, process)
            host, _, port = url.rpartition("//")[2].partition(":")
            assert len(get((host, int(port)), "/v2/apps")[1]["apps"]) == 20
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0, output.read_text()
        finally:
            process.kill()


def _announced(output: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 30
    while "a follower" not in output.read_text():
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return output.read_text().splitlines()[0].rpartition(" ")[2]


def test_the_command_refuses_addresses_that_others_can_reach():
    import argparse

    from fastlb.simulator import cli

    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    for host in ("0.0.0.0", "192.0.2.1", "example.com"):
        with pytest.raises(UsageError, match="loopback only"):
            cli.run(parser.parse_args(["simulate", "--host", host]))
