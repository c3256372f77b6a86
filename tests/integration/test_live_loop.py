"""``fastlb sse`` and a HAProxy that is changed while it runs: what is live, what is reloaded, what is on disk."""

from __future__ import annotations

import os
import signal
import time
from itertools import count
from typing import TYPE_CHECKING

import pytest

from fastlb.runtime_api import RuntimeApi
from fastlb.simulator.faults import Fault
from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from tests.fakes.front_door import FrontDoor, app, front_door, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.haproxy

ports = count(26000)


@pytest.fixture(scope="module")
def cluster() -> Iterator[SimulatedMarathon]:
    with SimulatedMarathon(SimulatorSettings()) as marathon:
        marathon.load([app("always", next(ports))])
        yield marathon


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, cluster: SimulatedMarathon) -> Iterator[FrontDoor]:
    with front_door(tmp_path_factory.mktemp("door")) as door:
        door.start(cluster.url, "--haproxy-map", "--health-check")
        door.wait_for("reload", ok=True)
        yield door
        assert door.status("always.test") == 200
        assert door.stop() == 0


@pytest.fixture(autouse=True)
def no_faults_for_the_next_test(cluster: SimulatedMarathon) -> Iterator[None]:
    yield
    cluster.clear()


@pytest.fixture
def web(cluster: SimulatedMarathon, shared: FrontDoor) -> str:
    """The name of a new app of this test, with three tasks that are routed already."""
    port, start = next(ports), shared.now()
    name = f"web{port}"
    cluster.create_app(app(name, port) | {"instances": 3})
    cluster.wait_idle()
    until(lambda: f"(app /{name})" in str(shared.journal("reload", start)), said=shared.log)
    shared.wait_for_tasks(cluster, name)
    return name


def servers(shared: FrontDoor) -> dict[str, str]:
    """The administrative state of each server that HAProxy has, by backend and name."""
    state = RuntimeApi(shared.folder / "run" / "socket", 5).servers_state().splitlines()
    return {f"{words[1]}/{words[3]}": words[6] for words in map(str.split, state[2:]) if words}


def in_service(shared: FrontDoor, name: str) -> set[str]:
    return {server for server, admin in servers(shared).items() if server.startswith(name) and admin == "0"}


def on_disk(shared: FrontDoor, name: str) -> set[str]:
    """The servers that the configuration on disk has for an app."""
    block = next(block for block in shared.config().split("\nbackend ") if block.startswith(name))
    backend = block.split("\n", 1)[0]
    return {f"{backend}/{line.split()[1]}" for line in block.splitlines() if line.strip().startswith("server ")}


def test_scaling_and_killing_change_a_haproxy_that_goes_on_running(cluster, shared, web):
    start, worker = shared.now(), shared.worker()
    for instances in (6, 2, 4):
        cluster.scale(f"/{web}", instances)
        cluster.wait_idle()
        shared.wait_for_tasks(cluster, web)
    cluster.kill_task(min(task["id"] for task in cluster.tasks(f"/{web}")))
    cluster.wait_idle()
    shared.wait_for_tasks(cluster, web)
    assert shared.worker() == worker
    assert (shared.journal("reload", start), shared.journal("tried", start)) == ([], [])
    assert all(entry["steps"] for entry in shared.journal("live", start))


def test_the_files_on_disk_follow_what_is_changed_live(cluster, shared, web):
    for instances in (5, 1):
        cluster.scale(f"/{web}", instances)
        cluster.wait_idle()
        shared.wait_for_tasks(cluster, web)
        until(lambda: on_disk(shared, web) == in_service(shared, web), said=shared.log)


def test_a_worker_that_is_killed_after_live_changes_is_replaced_by_one_that_has_them(cluster, shared, web):
    cluster.scale(f"/{web}", 5)
    cluster.wait_idle()
    shared.wait_for_tasks(cluster, web)
    until(lambda: on_disk(shared, web) == in_service(shared, web))
    start, worker = shared.now(), shared.worker()
    os.kill(worker.pid, signal.SIGKILL)
    shared.wait_for("haproxy_started", start)
    shared.wait_for_tasks(cluster, web)
    assert shared.journal("fetched", start) == []
    cluster.scale(f"/{web}", 2)
    cluster.wait_idle()
    shared.wait_for_tasks(cluster, web)


def test_a_task_that_is_killed_gets_no_request_although_marathon_does_not_answer(cluster, shared, web):
    cluster.arm(Fault.SLOW, path=f"/v2/apps/{web}", value=3.0)
    start, victim = shared.now(), min(task["id"] for task in cluster.tasks(f"/{web}"))
    cluster.kill_task(victim)
    assert shared.wait_for("stopped", start, apps=[f"/{web}"])["servers"] == 1
    answering = shared.answering(f"{web}.test", 30)
    assert victim not in answering
    assert "" not in answering
    assert not [entry for entry in shared.journal("fetched", start) if f"/{web}" in entry["asked"]]
    cluster.clear()
    cluster.wait_idle()
    shared.wait_for_tasks(cluster, web)


@pytest.mark.parametrize("reloads", [False, True], ids=["changed live", "reloaded"])
def test_a_task_that_is_killed_stays_out_whatever_else_changes_before_marathon_answers(cluster, shared, web, reloads):
    cluster.arm(Fault.SLOW, path=f"/v2/apps/{web}", value=5.0)
    start, victim = shared.now(), min(task["id"] for task in cluster.tasks(f"/{web}"))
    cluster.set_task_state(victim, "TASK_KILLING")
    shared.wait_for("stopped", start, apps=[f"/{web}"])
    if reloads:
        cluster.create_app(app(f"beside-{web}", next(ports)))
    else:
        cluster.scale("/always", len(cluster.tasks("/always")) + 1)
    shared.wait_for("reload" if reloads else "live", start)
    if reloads:  # the new worker serves for a moment before it is told
        until(lambda: victim not in shared.answering(f"{web}.test", 30))
    assert victim not in shared.answering(f"{web}.test", 30)
    assert not [entry for entry in shared.journal("fetched", start) if f"/{web}" in entry["asked"]]


def test_a_task_that_is_killed_while_haproxy_is_being_reloaded_is_out_at_once_and_afterwards(cluster, shared, web):
    cluster.arm(Fault.SLOW, path=f"/v2/apps/{web}", value=8.0)
    start, victim, master = shared.now(), min(task["id"] for task in cluster.tasks(f"/{web}")), shared.master()
    master.suspend()
    try:
        cluster.create_app(app(f"during-{web}", next(ports)))
        shared.wait_for("tried", start)
        cluster.set_task_state(victim, "TASK_KILLING")
        shared.wait_for("stopped", start, apps=[f"/{web}"])
        assert (shared.journal("reload", start), victim in shared.answering(f"{web}.test", 30)) == ([], False)
    finally:
        master.resume()
    shared.wait_for("reload", start, ok=True)
    until(lambda: victim not in shared.answering(f"{web}.test", 30))
    assert victim not in shared.answering(f"{web}.test", 30)


def test_a_server_that_left_is_deleted_once_nobody_needs_it(cluster, shared, web):
    before = in_service(shared, web)
    cluster.scale(f"/{web}", 1)
    cluster.wait_idle()
    until(lambda: len(in_service(shared, web)) == 1)
    until(lambda: len(set(servers(shared)) & before) == 1, within_s=45)


def test_another_vhost_is_routed_without_a_reload(cluster, shared, web):
    start = shared.now()
    labels = {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": f"new-{web}.test,{web}.test"}
    cluster.update_app(f"/{web}", {"labels": labels})
    shared.wait_for_status(f"new-{web}.test", 200)
    cluster.wait_idle()
    cluster.update_app(f"/{web}", {"labels": labels | {"HAPROXY_0_VHOST": f"new-{web}.test"}})
    shared.wait_for_status(f"{web}.test", 503)
    shared.wait_for_status(f"new-{web}.test", 200)
    assert shared.journal("reload", start) == []


def test_apps_that_come_together_are_loaded_by_few_reloads(cluster, shared):
    start, new = shared.now(), [next(ports) for _ in range(8)]
    for port in new:
        cluster.create_app(app(f"many{port}", port))
    cluster.wait_idle()
    for port in new:
        shared.wait_for_status(f"many{port}.test", 200)
    shared.wait_for("reload", start, ok=True)
    assert 1 <= len(shared.journal("reload", start)) <= 3


def test_what_haproxy_refuses_to_do_live_is_done_by_a_reload(cluster, shared, web):
    start, api = shared.now(), RuntimeApi(shared.folder / "run" / "socket", 5)
    for server in in_service(shared, web):
        api.ask(f"set server {server} state maint")
        until(lambda server=server: "Server deleted" in api.ask(f"del server {server}"))
    cluster.scale(f"/{web}", 1)
    cluster.wait_idle()
    shared.wait_for_tasks(cluster, web)
    assert "No such server" in shared.journal("doubt", start)[0]["said"]
    assert "what HAProxy has is not known" in shared.wait_for("reload", start, ok=True)["reasons"][0]


@pytest.mark.parametrize(
    ("tamper", "repair"),
    [
        ("set server {server} state maint", "state ready"),
        ("set server {server} addr 127.0.0.1 port 1", "addr"),
        ("del map {folder}/domain2backend.map web.test", "add map"),
        ("set map {folder}/domain2backend.map web.test nowhere", "set map"),
        ("add map {folder}/domain2backend.map stranger.test nowhere", "del map"),
    ],
)
def test_what_somebody_changed_by_hand_is_noticed_and_repaired(door, own_cluster, tamper, repair):
    own_cluster.load([app("web", next(ports), instances=1)])
    start = door.up(own_cluster.url, "--haproxy-map", "--audit-interval", "1").now()
    (server,) = in_service(door, "web")
    RuntimeApi(door.folder / "run" / "socket", 5).ask(tamper.format(server=server, folder=door.config_path.parent))
    drift = door.wait_for("drift", start)
    assert repair in drift["repairs"][0]
    door.wait_for_status("web.test", 200)
    assert door.journal("reload", start) == []


def test_a_haproxy_as_it_should_be_is_left_alone(door, own_cluster):
    own_cluster.load([app(f"web{number}", next(ports)) for number in range(5)])
    start = door.up(own_cluster.url, "--haproxy-map", "--audit-interval", "1").now()
    own_cluster.scale("/web3", 5)
    own_cluster.wait_idle()
    door.wait_for_tasks(own_cluster, "web3")
    door.wait_for("live", start)
    time.sleep(2.5)  # as long as two rounds take
    assert (door.journal("drift", start), door.journal("reload", start)) == ([], [])
