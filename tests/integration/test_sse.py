"""``fastlb sse`` with a real HAProxy: what changes in Marathon changes who is asked, whatever dies meanwhile."""

from __future__ import annotations

import signal
from contextlib import closing
from http.client import HTTPConnection
from itertools import count
from typing import TYPE_CHECKING

import pytest

from fastlb.simulator.faults import Fault
from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from fastlb.simulator.world import Delays
from tests.fakes.front_door import APPID_PORT, FrontDoor, app, front_door, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.haproxy

HEARTBEAT_TIMEOUT_S = 1.0
SLOW_S = 2.0
ports = count(22000)


@pytest.fixture(scope="module")
def cluster() -> Iterator[SimulatedMarathon]:
    with SimulatedMarathon(SimulatorSettings(heartbeat_s=HEARTBEAT_TIMEOUT_S / 5)) as marathon:
        marathon.load([app("always", next(ports))])
        yield marathon


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, cluster: SimulatedMarathon) -> Iterator[FrontDoor]:
    with front_door(tmp_path_factory.mktemp("door")) as door:
        door.start(cluster.url, "--heartbeat-timeout", str(HEARTBEAT_TIMEOUT_S), "--health-check")
        door.wait_for_status("always.test", 200)
        yield door
        assert door.status("always.test") == 200
        assert door.stop() == 0


@pytest.fixture(autouse=True)
def no_faults_for_the_next_test(cluster: SimulatedMarathon) -> Iterator[None]:
    yield
    cluster.clear()


@pytest.fixture
def web(cluster: SimulatedMarathon, shared: FrontDoor) -> str:
    """The name of a new app of this test, routed already."""
    port, start = next(ports), shared.now()
    name = f"web{port}"
    cluster.create_app(app(name, port, checks=True))
    cluster.wait_idle()
    until(lambda: f"(app /{name})" in str(shared.journal("reload", start)), said=shared.log)
    shared.wait_for_tasks(cluster, name)
    return name


def test_scaling_up_and_down_changes_who_is_asked(cluster, shared, web):
    for instances in (5, 1, 3):
        cluster.scale(f"/{web}", instances)
        cluster.wait_idle()
        assert len(cluster.tasks(f"/{web}")) == instances
        shared.wait_for_tasks(cluster, web)


def test_a_task_that_is_killed_is_replaced_in_the_routes(cluster, shared, web):
    before = {task["id"] for task in cluster.tasks(f"/{web}")}
    cluster.kill_task(min(before))
    cluster.wait_idle()
    assert {task["id"] for task in cluster.tasks(f"/{web}")} != before
    shared.wait_for_tasks(cluster, web)


def test_a_task_that_marathon_finds_unhealthy_gets_no_requests_until_it_recovers(cluster, shared, web):
    ill, well = (task["id"] for task in cluster.tasks(f"/{web}"))
    cluster.set_healthy(ill, False)
    until(lambda: shared.answering(f"{web}.test") == {well})
    cluster.set_healthy(ill, True)
    shared.wait_for_tasks(cluster, web)


def test_a_deleted_app_is_no_longer_routed(cluster, shared, web):
    assert any(name.startswith(web) for name in shared.routed())
    cluster.delete_app(f"/{web}")
    cluster.wait_idle()
    until(lambda: not any(name.startswith(web) for name in shared.routed()), said=shared.log)
    shared.wait_for_status(f"{web}.test", 503)


def test_a_changed_label_moves_the_vhost(cluster, shared, web):
    labels = {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": f"new-{web}.test"}
    cluster.update_app(f"/{web}", {"labels": labels})
    cluster.wait_idle()
    shared.wait_for_status(f"new-{web}.test", 200)
    assert shared.status(f"{web}.test") == 503


def test_an_app_that_leaves_the_group_is_no_longer_routed(cluster, shared, web):
    cluster.update_app(f"/{web}", {"labels": {"HAPROXY_GROUP": "internal", "HAPROXY_0_VHOST": f"{web}.test"}})
    shared.wait_for_status(f"{web}.test", 503)


def test_an_app_of_another_group_costs_no_trial_and_no_reload(door, own_cluster):
    own_cluster.load([app("web", next(ports))])
    start = door.up(own_cluster.url).now()
    own_cluster.create_app(app("foreign", next(ports), labels={"HAPROXY_GROUP": "internal"}))
    own_cluster.wait_idle()
    door.wait_for("agreed", start)
    assert (door.journal("tried", start), door.journal("reload", start)) == ([], [])


def test_sighup_reads_everything_anew(cluster, shared, web):
    cluster.arm(Fault.LOST_EVENTS)
    cluster.scale(f"/{web}", 4)
    cluster.wait_idle()
    assert len(shared.answering(f"{web}.test")) == 2
    shared.process.send_signal(signal.SIGHUP)
    shared.wait_for_tasks(cluster, web)


def test_sigusr1_reloads_what_is_on_disk_without_asking_marathon(door, own_cluster):
    own_cluster.load([app("web", next(ports))])
    start = door.up(own_cluster.url).now()
    worker = door.worker()
    door.process.send_signal(signal.SIGUSR1)
    assert door.wait_for("reload", start)["reasons"] == ["SIGUSR1"]
    assert door.worker() != worker
    assert door.journal("fetched", start) == []


def test_events_that_make_no_sense_do_not_end_the_following(cluster, shared, web):
    start = shared.now()
    cluster.send_garbage()
    cluster.scale(f"/{web}", 3)
    cluster.wait_idle()
    shared.wait_for_tasks(cluster, web)
    assert shared.journal("stream_lost", start) == []


def test_events_that_come_twice_do_no_harm(cluster, shared, web):
    cluster.arm(Fault.DUPLICATE_EVENTS)
    cluster.scale(f"/{web}", 3)
    cluster.wait_idle()
    shared.wait_for_tasks(cluster, web)


def test_a_stream_that_was_cut_is_opened_again_and_what_it_missed_is_read(cluster, shared, web):
    start = shared.now()
    cluster.arm(Fault.ERROR, path="/v2/events")
    cluster.cut_streams()
    shared.wait_for("stream_lost", start)
    cluster.scale(f"/{web}", 4)
    cluster.wait_idle()
    assert len(shared.answering(f"{web}.test")) == 2
    cluster.clear()
    shared.wait_for("stream_opened", start)
    shared.wait_for_tasks(cluster, web)


def test_a_stream_that_has_stalled_is_given_up_and_what_it_missed_is_read(cluster, shared, web):
    start = shared.now()
    cluster.arm(Fault.STALLED_STREAM)
    cluster.scale(f"/{web}", 4)
    cluster.wait_idle()
    lost = shared.wait_for("stream_lost", start)
    cluster.clear()
    assert f"{HEARTBEAT_TIMEOUT_S:g}" in lost["reason"]
    shared.wait_for_tasks(cluster, web)


def test_waiting_for_a_slow_marathon_costs_no_processor_time(cluster, shared, web):
    cluster.arm(Fault.SLOW, value=SLOW_S, path="/v2/apps", times=1)
    start, before = shared.now(), shared.controller().cpu_times()
    cluster.scale(f"/{web}", 3)
    cluster.wait_idle()
    slow = until(lambda: [one["seconds"] for one in shared.journal("fetched", start) if one["seconds"] >= SLOW_S])
    after = shared.controller().cpu_times()
    assert after.user + after.system - before.user - before.system < slow[0] / 4
    shared.wait_for_tasks(cluster, web)


def test_a_killed_controller_comes_back_follows_again_and_traffic_does_not_notice(cluster, shared, web):
    controller, start = shared.controller(), shared.now()
    config, master = shared.config(), shared.master()
    controller.kill()
    while not shared.journal("fetched", start):
        assert shared.answering(f"{web}.test", 2) <= {task["id"] for task in cluster.tasks(f"/{web}")}
    shared.wait_for("reload", start, ok=True)
    assert (shared.config(), shared.master()) == (config, master)
    assert shared.controller() != controller
    cluster.scale(f"/{web}", 3)
    cluster.wait_idle()
    shared.wait_for_tasks(cluster, web)


@pytest.mark.parametrize("victim", ["master", "worker"])
def test_a_killed_haproxy_comes_back_on_the_same_routes(cluster, shared, web, victim):
    start = shared.now()
    (shared.master() if victim == "master" else shared.worker()).kill()
    shared.wait_for("haproxy_exited", start)
    shared.wait_for("haproxy_started", start)
    shared.wait_for_tasks(cluster, web)
    cluster.scale(f"/{web}", 3)
    cluster.wait_idle()
    shared.wait_for_tasks(cluster, web)


def test_the_app_id_frontend_routes_by_header(shared, web):
    with closing(HTTPConnection(shared.address, APPID_PORT, timeout=5)) as connection:
        connection.request("GET", "/", headers={"X-Marathon-App-Id": f"/{web}"})
        assert connection.getresponse().status == 200


def test_servers_stay_when_a_new_leader_has_forgotten_all_health_results(door):
    never = Delays(healthy_s=3600.0)
    with SimulatedMarathon(SimulatorSettings(delays=never)) as cluster:
        cluster.load([app("web", next(ports), checks=True)])
        door.start(cluster.url, "--health-check").wait_for_status("web.test", 200)
        config, start = door.config(), door.now()
        cluster.change_leader()
        assert all("healthCheckResults" not in task or not task["healthCheckResults"] for task in cluster.tasks("/web"))
        door.wait_for("stream_opened", start)
        door.wait_for("agreed", start)
        assert door.config() == config
        door.wait_for_tasks(cluster, "web")
        door.stop()


def test_what_events_have_missed_is_read_at_the_next_resync(door, own_cluster):
    own_cluster.load([app("web", next(ports))])
    door.start(own_cluster.url, "--resync-interval", "1").wait_for_tasks(own_cluster, "web")
    own_cluster.arm(Fault.LOST_EVENTS)
    own_cluster.scale("/web", 4)
    own_cluster.wait_idle()
    door.wait_for_tasks(own_cluster, "web")


def test_the_maps_route_and_follow(door, own_cluster):
    own_cluster.load(
        [app("one", next(ports)), app("two", next(ports), labels={"HAPROXY_0_VHOST": "two.test,zwei.test"})]
    )
    door.start(own_cluster.url, "--haproxy-map").wait_for_tasks(own_cluster, "two")
    backends = {name.rpartition("_")[0]: name for name in door.routed()}
    domains, ids = (door.config_path.with_name(f"{name}2backend.map") for name in ("domain", "app"))
    one, two = backends["one"], backends["two"]
    assert domains.read_text() == f"one.test {one}\ntwo.test {two}\nzwei.test {two}\n"
    assert ids.read_text() == f"/one {one}\n/two {two}\n"
    assert "one.test" not in door.config()
    own_cluster.create_app(app("three", next(ports)))
    door.wait_for_status("three.test", 200)
    own_cluster.delete_app("/one")
    until(lambda: "one.test" not in domains.read_text(), said=door.log)
    door.wait_for_status("one.test", 503)
    assert door.status("zwei.test") == 200
