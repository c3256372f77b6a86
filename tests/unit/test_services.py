"""One app to its services: which health check, which mode, which tasks, which addresses and ports."""

from __future__ import annotations

import pytest

from fastlb.errors import AppError
from fastlb.reading import read_app
from fastlb.services import SKIPPED_STATES, Surroundings, names_to_resolve, services_of
from tests.fakes.apps import CHECK, app, rules_of, task


def services(document, *argv, addresses=None, known_alive=(), ports=None):
    read = read_app(document)
    around = Surroundings(addresses or {}, frozenset(known_alive))
    return services_of(read, rules_of(*argv), read.service_ports if ports is None else ports, around)


def only(document, *argv, **given):
    (service,), notes = services(document, *argv, **given)
    assert not notes
    return service


def servers(document, *argv, **given):
    """Return address:port of every server of every service, and a ! for a draining one."""
    found, _ = services(document, *argv, **given)
    return [[f"{s.address}:{s.port}{'!' * s.draining}" for s in service.servers] for service in found]


def check(**members):
    return {name: value for name, value in {**CHECK, **members}.items() if value is not ...}


@pytest.mark.parametrize(
    ("checks", "chosen"),
    [
        ([check()], 0),
        ([check(portIndex=1), check()], 1),
        ([check(portIndex=1), check(port=8080, portIndex=...)], 1),
        ([check(portIndex=1, port=8080), check()], 0),
        ([check(portIndex=..., port=0)], None),
        ([], None),
    ],
)
def test_a_check_with_a_port_serves_every_service_else_its_index_decides(checks, chosen):
    found = only(app(healthChecks=checks)).health_check
    assert (found and found.members) == (None if chosen is None else checks[chosen])


@pytest.mark.parametrize(
    ("labels", "protocol", "mode"),
    [
        ({}, None, "tcp"),
        ({"VHOST": "a"}, None, "http"),
        ({"VHOST": ""}, None, "tcp"),
        ({}, "HTTP", "http"),
        ({}, "MESOS_HTTP", "tcp"),
        ({"MODE": "tcp"}, "HTTP", "tcp"),
        ({"MODE": "Health", "VHOST": "a"}, None, "health"),
        ({"MODE": ""}, "HTTP", ""),
    ],
)
def test_the_mode_is_label_then_check_then_vhost(labels, protocol, mode):
    given = {f"HAPROXY_0_{name}": text for name, text in labels.items()}
    checks = [] if protocol is None else [check(protocol=protocol)]
    assert only(app(labels=given, healthChecks=checks)).mode == mode


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS", "MESOS_HTTP", "MESOS_HTTPS"])
def test_a_check_found_by_the_index_label_beats_the_mode_label(protocol):
    labels = {"HAPROXY_0_BACKEND_HEALTHCHECK_PORT_INDEX": "3", "HAPROXY_0_MODE": "tcp"}
    assert only(app(labels=labels, healthChecks=[check(portIndex=3, protocol=protocol)])).mode == "http"


def test_the_port_label_renames_the_backend_and_does_not_change_the_pairing():
    service = only(app("/dir/App.x", labels={"HAPROXY_0_PORT": "8080"}))
    assert (service.port, service.backend, service.servers[0].port) == (8080, "dir_App.x_8080", 31000)


def test_a_second_service_at_the_same_port_takes_the_place_of_the_first():
    document = app(ports=[10000, 10001, 10000], labels={"HAPROXY_2_BALANCE": "source"})
    found, _ = services(document)
    assert [(s.port, s.port_index, s.options.balance) for s in found] == [
        (10000, 2, "source"),
        (10001, 1, "roundrobin"),
    ]
    assert [len(s.servers) for s in found] == [2, 1]


@pytest.mark.parametrize("state", sorted(SKIPPED_STATES))
def test_tasks_that_take_no_requests_are_skipped(state):
    assert services(app(tasks=[task(state=state)]))[0] == []


@pytest.mark.parametrize("state", ["TASK_RUNNING", "TASK_LOST", "TASK_UNREACHABLE", "TASK_ODD", None])
def test_other_tasks_count(state):
    assert servers(app(tasks=[task(state=state)])) == [["127.0.0.2:31000"]]


@pytest.mark.parametrize("host", ["", None])
def test_a_task_without_a_host_is_skipped(host):
    assert services(app(tasks=[task(host=host)])) == ([], [])


@pytest.mark.parametrize(
    ("results", "known", "counts"),
    [
        ([{"alive": True}], (), True),
        ([{"alive": False}], ("task.1",), False),
        (None, (), False),
        (None, ("task.1",), True),
    ],
)
def test_the_health_filter_takes_tasks_that_are_alive_or_were(results, known, counts):
    document = app(healthChecks=[CHECK], tasks=[task(healthCheckResults=results)])
    assert bool(services(document, "--health-check", known_alive=known)[0]) is counts
    assert servers(document) == [["127.0.0.2:31000"]]


def test_the_health_filter_needs_a_health_check():
    assert servers(app(), "--health-check") == [["127.0.0.2:31000"]]


CONTAINER = {"networks": [{"mode": "container"}]}
MAPPED = {"portMappings": [{"containerPort": 80, "servicePort": 10000}]}
DISCOVERY = {"ipAddress": {"discovery": {"ports": [{"number": 90}]}}, "portDefinitions": [], "ports": [10000]}
INSIDE = task(ipAddresses=[{"ipAddress": "127.8.0.1"}])


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"tasks": [task(ports=[])]}, "127.0.0.2:10000"),
        ({"networks": [{"mode": "container/bridge"}], "container": MAPPED, "tasks": [task()]}, "127.0.0.2:31000"),
        (
            {
                "networks": [{"mode": "container/bridge"}],
                "container": MAPPED,
                "portDefinitions": [],
                "tasks": [task(ports=[])],
            },
            "127.0.0.2:80",
        ),
        ({**CONTAINER, "container": MAPPED, "tasks": [INSIDE]}, "127.8.0.1:80"),
        ({"networks": [{"mode": "odd"}], "container": MAPPED, "tasks": [INSIDE]}, "127.0.0.2:80"),
    ],
)
def test_the_networking_mode_decides_address_and_ports(members, expected):
    assert servers(app() | members) == [[expected]]


def test_ports_of_discovery_come_before_those_of_the_mappings():
    document = app() | DISCOVERY | {"container": {"portMappings": [{"containerPort": 80}]}, "tasks": [INSIDE]}
    assert servers(document, ports=[10000]) == [["127.8.0.1:90"]]


def test_a_task_without_an_address_of_its_own_is_skipped_in_container_mode():
    assert services(app() | CONTAINER | {"container": MAPPED})[0] == []


def test_ports_are_paired_as_far_as_the_shorter_list_goes():
    document = app(ports=[10000, 10001], tasks=[task(1, ports=[1]), task(2, ports=[2, 3, 4])])
    assert servers(document) == [["127.0.0.2:1", "127.0.0.2:2"], ["127.0.0.2:3"]]


def test_a_host_name_needs_an_address():
    document = app(tasks=[task(1, "agent"), task(2, "gone")])
    assert servers(document, addresses={"agent": "127.5.5.5"}) == [["127.5.5.5:31000"]]


@pytest.mark.parametrize(
    ("document", "names"),
    [
        (app(tasks=[task(1, "agent"), task(2, "127.0.0.2"), task(3, "")]), {"agent"}),
        (app(tasks=[task(1, "1.2.3")]), {"1.2.3"}),
        (app(**CONTAINER, tasks=[task(1, "agent")]), set()),
    ],
)
def test_only_names_that_matter_are_resolved(document, names):
    assert names_to_resolve(read_app(document)) == names


def test_servers_are_ordered_by_host_as_text_then_port_then_address():
    tasks = [
        task(1, "127.0.0.2", [5]),
        task(2, "127.0.0.10", [7]),
        task(3, "127.0.0.2", [4], draining=True),
    ]
    assert servers(app(tasks=tasks)) == [["127.0.0.10:7", "127.0.0.2:4!", "127.0.0.2:5"]]
    same = [task(n, "127.0.0.9", ipAddresses=[{"ipAddress": f"127.8.0.{n}"}]) for n in (3, 1)]
    assert servers(app() | CONTAINER | {"container": MAPPED, "tasks": same}) == [["127.8.0.1:80", "127.8.0.3:80"]]


def test_udp_is_left_out_with_a_note_and_keeps_its_place():
    definitions = [{"port": 10000, "protocol": "udp"}, {"port": 10001}]
    found, notes = services(app(portDefinitions=definitions, tasks=[task(ports=[1, 2])]))
    assert [(s.port, s.servers[0].port) for s in found] == [(10001, 2)]
    assert (
        str(notes[0])
        == "app /app (service port 10000): it speaks UDP only, which HAProxy does not balance; not exposed"
    )


def test_an_exhausted_range_leaves_out_the_service_and_keeps_its_place():
    found, notes = services(app(tasks=[task(ports=[1, 2])]), ports=[None, 10001])
    assert [s.servers[0].port for s in found] == [2]
    assert "no port is left in the assigned range for service 0" in str(notes[0])


def test_groups_are_those_of_the_service_else_of_the_app():
    document = app(ports=[10000, 10001], labels={"HAPROXY_GROUP": "external,x", "HAPROXY_1_GROUP": ""})
    assert [s.groups for s in services(document)[0]] == [("external", "x"), ("",)]


@pytest.mark.parametrize(("argv", "enabled"), [((), True), (("--strict-mode",), False)])
def test_strict_mode_turns_services_off_by_default(argv, enabled):
    assert only(app(), *argv).options.enabled is enabled


def test_a_label_that_cannot_be_read_costs_its_service_and_says_where():
    found, notes = services(app(ports=[10000, 10001], labels={"HAPROXY_0_PORT": "http"}))
    assert [s.port for s in found] == [10001]
    assert str(notes[0]) == (
        "app /app (service port 10000): label HAPROXY_0_PORT is 'http', an integer is needed; this service is left out"
    )


def test_a_check_without_protocol_costs_the_services_that_use_it():
    found, notes = services(app(ports=[10000, 10001], healthChecks=[check(protocol=...)]))
    assert [s.port for s in found] == [10001]
    assert "(service port 10000): its health check has no protocol" in str(notes[0])


def test_a_group_label_that_is_no_text_costs_the_app():
    with pytest.raises(AppError, match="label HAPROXY_GROUP is 7"):
        services(app(labels={"HAPROXY_GROUP": 7}))


def test_nothing_is_said_about_apps_that_nobody_asked_for():
    assert services(app(labels={"HAPROXY_GROUP": "internal", "HAPROXY_0_PORT": "http"}))[1] == []
