"""Definitions in, JSON out: old and new forms, service ports, label selectors, places, population."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fastlb.simulator import service_ports, shapes
from fastlb.simulator.addresses import Addresses
from fastlb.simulator.definitions import Mode, read_definition
from fastlb.simulator.dialects import DIALECTS
from fastlb.simulator.faults import Fault, Faults
from fastlb.simulator.population import KINDS, population
from fastlb.simulator.refusals import Refusal
from fastlb.simulator.selectors import parse_selector

NEW, OLD = DIALECTS["1.8"], DIALECTS["1.4"]
BRIDGE_1_4 = {
    "id": "/b",
    "container": {
        "type": "DOCKER",
        "docker": {"image": "x", "network": "BRIDGE", "portMappings": [{"containerPort": 80, "servicePort": 10101}]},
    },
}
IP_PER_TASK = {"id": "/i", "ipAddress": {"discovery": {"ports": [{"number": 80, "name": "http", "protocol": "tcp"}]}}}


@pytest.mark.parametrize(
    ("raw", "mode"),
    [
        ({"id": "/a"}, Mode.HOST),
        (BRIDGE_1_4, Mode.BRIDGE),
        ({"id": "/a", "container": {"docker": {"image": "x", "network": "USER"}}}, Mode.CONTAINER),
        ({"id": "/a", "container": {"docker": {"image": "x", "network": "HOST"}}}, Mode.HOST),
        (IP_PER_TASK, Mode.CONTAINER),
        ({"id": "/a", "ipAddress": {"networkName": "mesos-bridge"}}, Mode.BRIDGE),
        ({"id": "/a", "networks": [{"mode": "container/bridge"}]}, Mode.BRIDGE),
        ({"id": "/a", "networks": [{"name": "dcos"}]}, Mode.CONTAINER),
    ],
)
def test_every_networking_form_is_read(raw, mode):
    assert read_definition(raw, NEW).mode is mode


def test_1_5_answers_old_input_in_the_new_form():
    shown = shapes.definition_json(read_definition(BRIDGE_1_4, NEW), NEW)
    assert shown["networks"] == [{"mode": "container/bridge"}]
    mapping = {"containerPort": 80, "hostPort": 0, "servicePort": 10101, "protocol": "tcp", "labels": {}}
    assert shown["container"]["portMappings"] == [mapping]
    assert "network" not in shown["container"]["docker"]
    assert not {"ports", "ipAddress", "uris", "cmd", "portDefinitions", "healthChecks"} & shown.keys()
    assert None not in shown.values()


def test_1_4_shows_nulls_ports_and_the_old_network():
    shown = shapes.definition_json(read_definition(BRIDGE_1_4, OLD), OLD)
    assert shown["cmd"] is None
    assert shown["ipAddress"] is None
    assert shown["ports"] == [10101]
    assert shown["portDefinitions"] == [{"port": 10101, "protocol": "tcp", "labels": {}}]
    assert shown["container"]["docker"]["network"] == "BRIDGE"
    assert shown["healthChecks"] == []
    assert "networks" not in shown


def test_1_4_ip_per_task_has_discovery_ports_and_no_service_ports():
    definition = read_definition(IP_PER_TASK, OLD)
    shown = shapes.definition_json(definition, OLD)
    assert definition.service_ports == []
    assert shown["ipAddress"]["discovery"]["ports"][0]["number"] == 80
    assert not {"ports", "portDefinitions", "requirePorts"} & shown.keys()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"networks": [{"mode": "host"}]}, [("default", None, 0)]),
        ({"networks": [{"mode": "container/bridge"}]}, [("default", 0, 0)]),
        ({"networks": [{"mode": "container"}]}, [("default", 0, None)]),
        ({"portDefinitions": []}, []),
        ({"networks": [{"mode": "container"}], "container": {"portMappings": []}}, []),
    ],
)
def test_port_defaults_depend_on_the_mode(raw, expected):
    ports = read_definition({"id": "/a", **raw}, NEW).ports
    assert [(port.name, port.container_port, port.host_port) for port in ports] == expected


def test_new_service_ports_are_own_former_ones_first_then_the_lowest_free():
    wanted = read_definition({"id": "/a", "ports": [0, 0, 0]}, NEW)
    former = read_definition({"id": "/a", "ports": [10007, 30000]}, NEW)
    assigned = service_ports.assign(wanted, former, {10000, 10002, 10007})
    assert assigned.service_ports == [10007, 10001, 10003]


def test_service_ports_given_by_hand_may_collide_with_anything():
    wanted = read_definition({"id": "/a", "ports": [10000, 80]}, NEW)
    assert service_ports.assign(wanted, None, {10000, 80}) is wanted


def test_an_exhausted_range_is_a_failure_of_the_server():
    used = set(range(service_ports.FIRST_PORT, service_ports.LAST_PORT + 1))
    with pytest.raises(Refusal) as refusal:
        service_ports.assign(read_definition({"id": "/a"}, NEW), None, used)
    assert refusal.value.status == 500


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("", True),
        ("HAPROXY_GROUP", True),
        ("HAPROXY_GROUP==external", True),
        ("HAPROXY_GROUP == internal", False),
        ("HAPROXY_GROUP!=internal", True),
        ("MISSING!=x", False),
        ("HAPROXY_GROUP in (a, external)", True),
        ("HAPROXY_GROUP in ()", False),
        ("HAPROXY_GROUP notin (a,b)", True),
        ("MISSING notin (a)", False),
        (r"path==a\/b", True),
        ("HAPROXY_GROUP,path", True),
        ("HAPROXY_GROUP, MISSING", False),
    ],
)
def test_a_label_selector_selects_what_marathon_selects(selector, selected):
    assert parse_selector(selector)({"HAPROXY_GROUP": "external", "path": "a/b"}) is selected


@pytest.mark.parametrize("selector", ["A=b", "A,", "==b", "A in b", "A in (b", "a/b", "A B"])
def test_a_selector_that_does_not_parse_is_refused(selector):
    with pytest.raises(Refusal) as refusal:
        parse_selector(selector)
    assert refusal.value.status == 422
    assert refusal.value.body["message"].startswith("Can not parse label selector")


def test_places_of_one_app_never_share_an_address_and_all_apps_share_few():
    addresses = Addresses(99, real_tasks=4)
    everywhere = set()
    for number in range(300):
        definition = read_definition({"id": f"/a{number}", "ports": [0, 0]}, NEW)
        taken = []
        for _ in range(40):
            taken.append(addresses.place(definition, taken))
        mine = [address for place in taken for address in place.listens]
        assert len(mine) == len(set(mine)) == 80
        everywhere.update(mine)
    assert len(everywhere) < 150


def test_a_released_place_can_be_real_again():
    addresses = Addresses(99, real_tasks=1)
    definition = read_definition({"id": "/a"}, NEW)
    first = addresses.place(definition, [])
    assert first.slot is None
    assert addresses.place(definition, [first]).slot is not None
    addresses.release(first)
    assert addresses.place(definition, []).slot is None


def test_required_ports_are_the_service_ports_on_different_agents():
    addresses = Addresses(99, real_tasks=10)
    definition = read_definition({"id": "/a", "ports": [12345], "requirePorts": True}, NEW)
    places = [addresses.place(definition, []) for _ in range(3)]
    assert {place.host_ports for place in places} == {(12345,)}
    assert len({place.host for place in places}) == 3


def test_container_addresses_pair_with_container_ports_and_only_some_have_host_ports():
    mappings = [{"containerPort": 8080}, {"containerPort": 0, "hostPort": 0}]
    raw = {"id": "/c", "networks": [{"mode": "container"}], "container": {"portMappings": mappings}}
    place = Addresses(99, 10).place(read_definition(raw, NEW), [])
    (host_port,) = place.host_ports
    assert place.listens == ((place.host, host_port), (place.ip, 8080), (place.ip, host_port))


def test_equal_seeds_give_equal_populations():
    assert list(population(200, 3, seed=7)) == list(population(200, 3, seed=7))
    assert list(population(200, 3, seed=7)) != list(population(200, 3, seed=8))


def test_a_population_is_accepted_as_it_is_and_has_unique_service_ports():
    apps = [read_definition(raw, NEW) for raw in population(2000, 2)]
    ports = [port for app in apps for port in app.service_ports]
    assert len(apps) == len({app.id for app in apps}) == 2000
    assert len(ports) == len(set(ports))
    assert {app.mode for app in apps} == set(Mode)
    labels = {name for app in apps for name in app.labels}
    assert {"HAPROXY_0_VHOST", "HAPROXY_0_PATH", "HAPROXY_0_STICKY", "HAPROXY_DEPLOYMENT_GROUP"} <= labels


def test_a_population_is_mixed_as_clusters_are():
    drawn = [raw for raw in population(5000, 1) if "HAPROXY_DEPLOYMENT_GROUP" not in raw["labels"]]
    every = [raw["labels"] for raw in drawn]
    tcp = [labels for labels in every if labels["HAPROXY_0_MODE"] == "tcp"]
    http = [labels for labels in every if labels["HAPROXY_0_MODE"] == "http"]
    assert all("HAPROXY_0_VHOST" in labels for labels in http)
    special = {
        "two vhosts": [labels for labels in http if "," in labels["HAPROXY_0_VHOST"]],
        "path": [labels for labels in http if "HAPROXY_0_PATH" in labels],
        "sticky": [labels for labels in http if "HAPROXY_0_STICKY" in labels],
        "redirect": [labels for labels in http if "HAPROXY_0_REDIRECT_TO_HTTPS" in labels],
        "tcp": tcp,
    }
    for kind, found in special.items():
        assert 0.8 < len(found) / len(every) * 100 / KINDS[kind] < 1.2, kind
    assert len(http) - sum(len(found) for kind, found in special.items() if kind != "tcp") > 0.55 * len(every)
    assert 0.67 < sum("healthChecks" in raw for raw in drawn) / len(drawn) < 0.73


def test_a_population_of_twenty_thousand_has_enough_service_ports():
    assert sum(1 for _ in population(20_000, 1)) == 20_000


def test_a_fault_happens_as_often_as_it_was_armed_for_and_only_on_its_path():
    faults = Faults()
    faults.arm(Fault.ERROR, times=2, value=503, path="/v2/apps")
    assert faults.strike(Fault.ERROR, "/ping") is None
    assert [faults.strike(Fault.ERROR, "/v2/apps") for _ in range(3)] == [503, 503, None]


def test_the_command_line_can_be_built_without_aiohttp():
    code = "import sys; sys.modules['aiohttp'] = None; import fastlb.simulator.cli"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
