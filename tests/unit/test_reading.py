"""Marathon's JSON in all its shapes, and what is said about an app that cannot be read."""

from __future__ import annotations

import pytest

from fastlb.errors import AppError
from fastlb.reading import app_id_of, read_app
from tests.fakes.apps import CHECK, app, task

MAPPINGS = [{"containerPort": 80, "servicePort": 10001}, {"containerPort": 81}, {"containerPort": 82, "servicePort": 0}]


def read(**members):
    return read_app(app() | members)


@pytest.mark.parametrize(
    ("members", "mode"),
    [
        ({}, "host"),
        ({"ipAddress": {}}, "host"),
        ({"ipAddress": {"networkName": "n"}}, "container"),
        ({"container": {"docker": {"network": "USER"}}}, "container"),
        ({"container": {"docker": {"network": "BRIDGE"}}, "ipAddress": {"x": 1}}, "container/bridge"),
        ({"container": {"docker": {"network": "HOST"}}, "ipAddress": {"x": 1}}, "container"),
        ({"networks": [{"mode": "host"}], "container": {"docker": {"network": "BRIDGE"}}}, "host"),
        ({"networks": [{"name": "dcos"}]}, "container"),
        ({"networks": [{"mode": "host"}, {"mode": "container/bridge"}]}, "container/bridge"),
        ({"networks": [{"mode": "strange"}]}, "strange"),
        ({"networks": None}, "host"),
    ],
)
def test_the_networking_mode_follows_the_last_member_that_says_one(members, mode):
    assert read(**members).mode == mode


@pytest.mark.parametrize(
    ("members", "ports"),
    [
        ({"portDefinitions": [{"port": 1}, {"name": "none"}, {"port": 2}]}, (1, 2)),
        ({"portDefinitions": [], "ports": [3]}, ()),
        ({"portDefinitions": None, "ports": [3, 4]}, (3, 4)),
        ({"portDefinitions": None}, ()),
        ({"networks": [{"mode": "container/bridge"}], "container": {"portMappings": MAPPINGS}}, (10001, 0)),
        (
            {"networks": [{"mode": "host"}], "container": {"portMappings": MAPPINGS}, "portDefinitions": [{"port": 1}]},
            (1,),
        ),
        (
            {
                "container": {
                    "docker": {"network": "USER", "portMappings": MAPPINGS},
                    "portMappings": [{"servicePort": 7}],
                }
            },
            (10001, 0),
        ),
        (
            {"container": {"docker": {"network": "USER", "portMappings": []}, "portMappings": [{"servicePort": 7}]}},
            (7,),
        ),
        (
            {"networks": [{}], "container": {"portMappings": [{"containerPort": 1}]}, "portDefinitions": [{"port": 5}]},
            (5,),
        ),
    ],
)
def test_service_ports_come_from_the_first_place_that_has_some(members, ports):
    assert read(**members).service_ports == ports


def test_ports_that_speak_udp_only_are_marked():
    definitions = [{"port": 1, "protocol": "udp"}, {"port": 2, "protocol": "udp,tcp"}, {"port": 3}]
    assert read(portDefinitions=definitions).udp_only == {0}


def test_absent_null_and_empty_are_the_same():
    empty = {"healthChecks": [], "container": {}, "networks": [], "ipAddress": {}, "versionInfo": {}}
    null = dict.fromkeys(empty)
    assert read() == read(**empty) == read(**null)


def test_nulls_inside_a_health_check_are_dropped():
    check = read(healthChecks=[{**CHECK, "port": None, "command": {"value": None}, "list": [None]}]).health_checks[0]
    assert check.members == {**CHECK, "command": {}, "list": [None]}
    assert (check.port, check.port_index, check.protocol) == (None, 0, "HTTP")


@pytest.mark.parametrize(
    ("results", "alive"),
    [
        ([], None),
        (None, None),
        ([{"alive": False}], False),
        ([{"alive": False}, {"alive": True}], True),
    ],
)
def test_a_task_is_alive_if_any_check_says_so(results, alive):
    assert read(tasks=[task(healthCheckResults=results)]).tasks[0].alive is alive


@pytest.mark.parametrize(
    ("addresses", "address"),
    [
        ([], None),
        ([{"protocol": "IPv4"}, {"ipAddress": "127.1.1.2"}], None),
        ([{"ipAddress": "fe80::1"}, {"ipAddress": "127.1.1.2"}], "fe80::1"),
    ],
)
def test_only_the_first_address_of_a_task_counts(addresses, address):
    assert read(tasks=[task(ipAddresses=addresses)]).tasks[0].address == address


def test_numbers_may_be_texts():
    ports = {"discovery": {"ports": [{"number": "90"}, {"name": "x"}]}}
    assert read(ipAddress=ports, ports=["3"], portDefinitions=None).discovery_ports == (90,)


def test_a_task_without_a_host_has_an_empty_one():
    document = app()
    del document["tasks"][0]["host"]
    assert read_app(document).tasks[0].host == ""


def without(name):
    document = app()
    del document[name]
    return document


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("text", "an entry of the apps is a text, not an object"),
        (None, "an entry of the apps is missing"),
        (without("id"), "an app without an id"),
        (app(""), "an app without an id"),
        (app("/a b"), "contains a blank or control character"),
        (app("/a\x00b"), "contains a blank or control character"),
        (without("labels"), "labels is missing"),
        (app() | {"labels": []}, "labels is an array"),
        (without("tasks"), "it has no tasks member"),
        (app(tasks={}), "tasks is an object, an array is needed"),
        (app(tasks=[None]), "an entry of the tasks is missing"),
        (app(tasks=[task(host="a b")]), "host is 'a b', one word is needed"),
        (app(tasks=[task(ports=[None])]), "ports is missing, an integer is needed"),
        (app(tasks=[task(state=["x"])]), "state is"),
        (app(tasks=[task(healthCheckResults=[{"x": 1}])]), "task task.1: a health check result without alive"),
        (app(tasks=[task(healthCheckResults=[None])]), "an entry of healthCheckResults is missing"),
        (app(healthChecks=[None]), "an entry of healthChecks is missing"),
        (app(healthChecks=[{**CHECK, "protocol": 5}]), "protocol is 5"),
        (app(portDefinitions=[{"port": 1.5}]), "port is a number, an integer is needed"),
        (app(portDefinitions=[{"port": True}]), "port is a boolean, an integer is needed"),
        (app(portDefinitions=None) | {"ports": [None]}, "ports is missing"),
        (app(networks=[{"mode": {}}]), "mode is"),
        (app(networks="host"), "networks is a text, an array is needed"),
        (app(container=[]), "container is an array, an object is needed"),
        (app(versionInfo={"lastScalingAt": 5}), "lastScalingAt is 5"),
    ],
)
def test_an_app_that_cannot_be_read_says_why(document, words):
    with pytest.raises(AppError, match=words):
        read_app(document)


@pytest.mark.parametrize(("document", "app_id"), [({"id": "/a"}, "/a"), ({"id": 5}, None), ({}, None), ("/a", None)])
def test_an_id_is_found_even_in_what_is_no_app(document, app_id):
    assert app_id_of(document) == app_id
