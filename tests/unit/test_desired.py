"""What crosses apps: which services are written, in which order, and what siblings have to know of each other."""

from __future__ import annotations

import pytest

from fastlb.desired import desired_state
from fastlb.reading import read_app
from tests.fakes.apps import CHECK, app, desired, rules_of, task


def backends(documents, *argv):
    return [service.backend for service in desired(documents, *argv).services]


def notes(documents, *argv):
    return [str(note) for note in desired(documents, *argv).notes]


def grouped(**groups):
    return app(labels={f"HAPROXY_{name}": text for name, text in groups.items()})


@pytest.mark.parametrize(
    ("labels", "argv", "taken"),
    [
        ({"GROUP": "external"}, (), True),
        ({"GROUP": "x,external"}, (), True),
        ({"GROUP": " external"}, (), False),
        ({"GROUP": "internal"}, ("--group", "internal"), True),
        ({"GROUP": "internal"}, ("--group", "*"), True),
        ({"GROUP": "*"}, (), False),
        ({"GROUP": None}, (), False),
        ({"GROUP": None}, ("--group", "*"), True),
        ({"GROUP": "internal", "0_GROUP": "external"}, (), True),
        ({"GROUP": "external", "0_GROUP": "internal"}, (), False),
        ({"GROUP": "external", "0_GROUP": ""}, ("--group", ""), True),
        ({"GROUP": "external", "0_ENABLED": "no"}, (), False),
        ({"GROUP": "external"}, ("--strict-mode",), False),
        ({"GROUP": "external", "0_ENABLED": "true"}, ("--strict-mode",), True),
    ],
)
def test_a_service_is_taken_by_its_group_and_if_it_is_enabled(labels, argv, taken):
    assert bool(backends([grouped(**labels)], *argv)) is taken


def test_services_are_ordered_by_app_and_then_by_the_port_they_are_known_by():
    documents = [app("/b", [10003]), app("/a", [10001, 10002], {"HAPROXY_0_PORT": "10009"}), app("/A", [10005])]
    assert backends(documents) == ["A_10005", "a_10002", "a_10009", "b_10003"]


def test_the_framework_itself_is_skipped():
    apps = [read_app(app("/marathon-lb")), read_app(app("/x"))]
    state = desired_state(apps, rules_of(FRAMEWORK_NAME="marathon-lb"))
    assert [service.app_id for service in state.services] == ["/x"]


TASK = task(ipAddresses=[{"ipAddress": "127.8.0.1"}])
ASSIGNED = {"ipAddress": {"discovery": {"ports": [{"number": 80}]}}, "portDefinitions": [], "tasks": [TASK]}


@pytest.mark.parametrize(
    ("members", "argv", "expected"),
    [
        ({}, (), ["ipt_10072"]),
        ({"tasks": []}, (), []),
        ({"portDefinitions": [{"port": 5}]}, (), ["ipt_5"]),
        ({"networks": [{"mode": "container/bridge"}]}, (), []),
        ({}, ("--min-serv-port-ip-per-task", "0", "--max-serv-port-ip-per-task", "0"), []),
        ({}, ("--min-serv-port-ip-per-task", "7", "--max-serv-port-ip-per-task", "7"), ["ipt_7"]),
    ],
)
def test_only_apps_with_an_address_per_task_and_no_port_are_assigned_one(members, argv, expected):
    assert backends([app("/ipt") | ASSIGNED | members], *argv) == expected


@pytest.mark.parametrize(
    ("port", "argv", "left_out"),
    [
        ("80", (), True),
        ("443", (), True),
        ("9090", (), True),
        ("9091", (), True),
        ("80", ("--dont-bind-http-https",), False),
        ("9091", ("--dont-bind-http-https",), True),
        ("8080", ("--http-port", "8080"), True),
        ("80", ("--http-port", "8080"), False),
    ],
)
def test_a_service_on_one_of_haproxys_own_ports_is_left_out(port, argv, left_out):
    documents = [app(labels={"HAPROXY_0_PORT": port})]
    assert (backends(documents, *argv) == []) is left_out
    assert (
        any(f"(service port {port}): this port is one of HAProxy's own" in n for n in notes(documents, *argv))
        is left_out
    )


def test_own_ports_on_another_address_are_free():
    labels = {"HAPROXY_0_PORT": "80", "HAPROXY_0_BIND_ADDR": "127.0.0.3"}
    assert backends([app(labels=labels)], "--bind-address", "127.0.0.1") == ["app_80"]
    assert backends([app(labels=labels)]) == []


def test_two_apps_on_one_port_are_both_written_with_a_warning():
    documents = [app("/a"), app("/b")]
    assert backends(documents) == ["a_10000", "b_10000"]
    (said,) = notes(documents)
    assert said.startswith("app /b (service port 10000): app /a has the same service port; both are written")


def indexed(index, **members):
    """An app with two ports (the second one known as 9000) whose first service points to ``index``."""
    labels = {"HAPROXY_0_BACKEND_HEALTHCHECK_PORT_INDEX": index, "HAPROXY_1_PORT": "9000"}
    tasks = [task(1, "127.0.0.2", [1, 11]), task(2, "127.0.0.3", [2, 12])]
    return app(ports=[10000, 10001], labels=labels, **{"healthChecks": [CHECK], "tasks": tasks, **members})


@pytest.mark.parametrize(
    ("index", "ports"),
    [("0", (11, 12)), ("1", (1, 2)), ("-1", (1, 2)), ("-2", (11, 12)), ("9", (1, 2)), ("-3", (1, 2))],
)
def test_a_health_check_index_means_the_rank_by_service_port(index, ports):
    document = indexed(index)
    (service,) = [s for s in desired([document]).services if s.port_index == 0]
    assert service.indexed_ports == ports
    assert not notes([document])


@pytest.mark.parametrize(
    ("document", "ports"),
    [
        (indexed("2"), (1, 2)),
        (indexed("0", tasks=[task(1, "127.0.0.2", [1, 11]), task(2, "127.0.0.3", [2])]), (11, 2)),
    ],
)
def test_a_health_check_index_that_points_to_nothing_means_the_own_port_and_a_note(document, ports):
    (service,) = [s for s in desired([document]).services if s.port_index == 0]
    assert service.indexed_ports == ports
    (said,) = notes([document])
    assert said.startswith("app /app (service port 10000): label BACKEND_HEALTHCHECK_PORT_INDEX points to no server")


def test_without_the_index_label_no_port_is_looked_up():
    assert desired([app(healthChecks=[CHECK])]).services[0].indexed_ports is None


def without(document, *path):
    *path, last = path
    target = document
    for name in path:
        target = target[name]
    del target[last]
    return document


def bad(labels=None, **members):
    return app("/bad", [10007], labels, **members)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (bad({"HAPROXY_0_BACKEND_WEIGHT": "x"}), "(service port 10007): label HAPROXY_0_BACKEND_WEIGHT"),
        (bad({"HAPROXY_0_AUTH": "a:b"}), "(service port 10007): label HAPROXY_0_AUTH"),
        (bad({"HAPROXY_0_VHOST": 5}), "(service port 10007): label HAPROXY_0_VHOST"),
        (bad({"HAPROXY_GROUP": 5}), "label HAPROXY_GROUP is 5"),
        (bad({"HAPROXY_DEPLOYMENT_GROUP": ""}), "label HAPROXY_DEPLOYMENT_GROUP is ''"),
        (
            without(bad(healthChecks=[dict(CHECK)]), "healthChecks", 0, "protocol"),
            "(service port 10007): its health check",
        ),
        (without(bad(), "labels"), "labels is missing"),
        (without(bad(), "tasks"), "it has no tasks member"),
        (bad(tasks=[task(healthCheckResults=[{}])]), "a health check result without alive"),
        (bad(tasks=[None]), "an entry of the tasks is missing"),
        (bad(healthChecks=[None]), "an entry of healthChecks is missing"),
    ],
)
def test_what_aborts_marathon_lb_leaves_out_the_guilty_alone_and_names_it(document, words):
    documents = [app("/good"), document, app("/other", [10001])]
    assert backends(documents) == ["good_10000", "other_10001"]
    (said,) = notes(documents)
    assert said.startswith("app /bad")
    assert words in said
    assert said.endswith("is left out")


def test_a_task_without_a_host_is_skipped_alone():
    document = without(app(tasks=[task(1), task(2)]), "tasks", 0, "host")
    assert [len(service.servers) for service in desired([document]).services] == [1]
