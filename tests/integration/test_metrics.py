"""The metrics of a running fastlb, as Prometheus scrapes them, and what a scrape costs."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fastlb.admin.client import ask_fastlb
from fastlb.runtime_api import RuntimeApi
from fastlb.simulator.population import population
from tests.fakes.front_door import HTTP_PORT, STATS_PORT, app, until

if TYPE_CHECKING:
    import psutil

    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor

pytestmark = pytest.mark.haproxy

METRICS, SNAPSHOT = "/_fastlb/metrics", "/metrics/snapshot"
MANY_APPS, MANY_SCRAPES = 1000, 3000


def ask(door: FrontDoor, path: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(door.address, STATS_PORT, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def samples(text: str) -> dict[str, float]:
    """Each sample by its name without the prefix, with its labels' values after it."""
    return {
        " ".join((sample.name.removeprefix("fastlb_"), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(door: FrontDoor) -> dict[str, float]:
    status, kind, text = ask(door, METRICS)
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    return samples(text)


@pytest.fixture(scope="module")
def shared(cluster: SimulatedMarathon, closed_door: FrontDoor) -> FrontDoor:
    cluster.load([app("web", 24000), app("bad", 24002, labels={"HAPROXY_0_PORT": "x"})])
    return closed_door.up(cluster.url)


def test_what_is_there_is_told_through_haproxy(shared):
    now = until(lambda: (found := scraped(shared)).get("apps") and found, said=shared.log)
    assert (now["apps"], now["services"], now["servers"], now["left_out unusable"]) == (2, 1, 2, 1)
    assert (now["haproxy_up"], now["marathon_readable"], now["event_stream_open"]) == (1, 1, 1)
    assert (now["reloads_total ok"], now["reloads_total failed"], now["reload_reasons_total ok start"]) == (1, 0, 1)
    assert now["fetch_seconds_count everything"] >= 1
    assert now["fetch_received_bytes_total everything"] > 100
    assert 0 <= now["last_agreement_age_seconds"] < now["process_cpu_seconds_total"] + 60
    assert now["process_resident_memory_bytes"] == pytest.approx(shared.controller().memory_info().rss, rel=0.2)
    assert [name for name in now if name.startswith("haproxy_info ")]


def test_the_local_socket_tells_the_same_names(shared):
    found, text = ask_fastlb(shared.folder / "run" / "local.sock", METRICS)
    assert found
    assert samples(text).keys() == scraped(shared).keys()


def test_a_change_is_counted_from_its_event_to_haproxys_answer(shared, cluster):
    before = scraped(shared)
    cluster.scale("/web", 3)
    cluster.wait_idle()
    after = until(lambda: (now := scraped(shared))["servers"] == 3 and now, said=shared.log)
    assert gained(before, after, "event_to_applied_seconds_count live") > 0
    assert gained(before, after, "runtime_commands_total add server") > 0
    assert gained(before, after, "runtime_command_failures_total add server") == 0
    assert gained(before, after, "fetch_seconds_count apps") > 0
    assert sum(gained(before, after, name) for name in after if name.startswith("events_total ")) > 0
    assert gained(before, after, "rendered_fragments_total") > 0
    assert after["last_event_age_seconds"] < after["process_cpu_seconds_total"] + 60


def gained(before: dict[str, float], after: dict[str, float], name: str) -> float:
    return after.get(name, 0.0) - before.get(name, 0.0)


def test_a_collector_of_mesos_reads_flat_json(shared):
    status, kind, text = ask(shared, SNAPSHOT)
    assert (status, kind) == (200, "application/json")
    flat = json.loads(text)
    assert flat["fastlb/services"] == 1
    assert all(isinstance(value, float) for value in flat.values())


def test_the_snapshot_keeps_to_the_rate_of_libprocess(door, own_cluster):
    own_cluster.load([app("web", 24000)])
    door.up(own_cluster.url, LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT="2/40mins")
    assert ask(door, SNAPSHOT)[0] == 200
    status, kind, said = ask(door, SNAPSHOT)
    assert (status, kind, "--snapshot-rate-limit" in said) == (429, "text/plain", True)
    assert ask(door, METRICS)[0] == 200


def test_an_old_worker_is_there_with_what_it_holds(door, own_cluster):
    own_cluster.load([app("web", 24000)])
    door.up(own_cluster.url)
    with socket.create_connection((door.address, HTTP_PORT)) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        until(lambda: int(RuntimeApi(door.folder / "run" / "socket", 2.0).info()["CurrConns"]) > 0)
        own_cluster.create_app(app("other", 24001))
        now = until(lambda: (found := scraped(door))["old_workers"] and found, said=door.log)
        assert (now["old_workers"], now["old_workers_connections"]) == (1, 1)
        assert now["old_workers_resident_bytes"] > 1e6
        assert now["reload_reasons_total ok service_new"] == 1
    until(lambda: scraped(door)["old_workers"] == 0, said=door.log)


def test_a_haproxy_that_is_gone_is_down(door, own_cluster):
    own_cluster.load([app("web", 24000)])
    door.start(own_cluster.url, "--command", "true", "--reload-timeout", "1")
    local = door.folder / "run" / "local.sock"
    until(local.exists, said=door.log)
    now = samples(ask_fastlb(local, METRICS)[1])
    assert (now["haproxy_up"], [name for name in now if name.startswith("haproxy_info")]) == (0, [])


def test_a_scrape_of_many_apps_costs_the_loop_nothing(door, own_cluster):
    own_cluster.load(population(MANY_APPS, 1))
    door.up(own_cluster.url)
    local, controller = door.folder / "run" / "local.sock", door.controller()
    until(lambda: samples(ask_fastlb(local, METRICS)[1]).get("apps", 0) >= MANY_APPS, said=door.log)
    loop_before_s, others_before_s = thread_times_s(controller)
    for _ in range(MANY_SCRAPES):
        assert ask_fastlb(local, METRICS)[0]
    loop_s, others_s = thread_times_s(controller)
    assert others_s > others_before_s
    assert loop_s - loop_before_s < 0.25 * (others_s - others_before_s)


def thread_times_s(process: psutil.Process) -> tuple[float, float]:
    """Processor time of the loop's thread, and of all others together."""
    times_s = {each.id: each.user_time + each.system_time for each in process.threads()}
    loop_s = times_s.pop(process.pid)
    return loop_s, sum(times_s.values())
