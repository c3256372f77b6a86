"""Both twins of the hot path make the same of an app, whatever its JSON holds: same values, same errors, same notes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastlb import reading, services
from fastlb.errors import AppError
from fastlb.labels import LABELS, VALUE_LABELS
from fastlb.model import App, HealthCheck, Rules, Server, Service, ServiceOptions, Task
from fastlb.reading import read_app
from fastlb.services import SKIPPED_STATES, Surroundings
from tests.fakes.apps import CHECK, app, task

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

numbers = st.integers(0, 70000)
protocols = st.sampled_from(["tcp", "udp", "udp,tcp"])
modes = st.sampled_from(["host", "container", "container/bridge", "odd"])
hosts = st.sampled_from(["127.0.0.1", "127.0.0.10", "127.0.0.2", "127.1.2.256", "agent-1", "agent.example", ""])
states = st.sampled_from(["TASK_RUNNING", "TASK_RUNNING", "TASK_LOST", *sorted(SKIPPED_STATES)])
LABEL_TEXTS = [
    *"a.example A.example,b.example /path external external,internal TCP http true T yes no leastconn".split(),
    *"0 8080 65535 65536 007 -5 +5 1_0 realm:user:secret".split(),
    *["", "a, b", "a b", " 7 ", "x\ty", "a\nb", "a\r\nb {backend}", "\x7f", "É.example", "1" * 18, "9" * 19],
]
LABEL_NAMES = [
    *["HAPROXY_GROUP", "HAPROXY_1_GROUP", "HAPROXY_", "HAPROXY_0", "HAPROXY_0_", "HAPROXY__PORT", "HAPROXY_01_PORT"],
    *["HAPROXY_12_PORT", "HAPROXY_9999999999_PORT", "HAPROXY_0_É", "HAPROXY_é_PORT", "haproxy_0_PORT", "other", "ключ"],
]
label_texts = st.sampled_from(LABEL_TEXTS)
label_names = st.sampled_from(LABEL_NAMES) | st.builds(
    "HAPROXY_{}_{}".format, st.sampled_from(["0", "0", "1", "2"]), st.sampled_from([*sorted(LABELS), "UNKNOWN"])
)
odd_texts = label_texts | hosts | st.sampled_from(["udp", "USER", "BRIDGE", "HTTP", "a\u2003b", "\ud800", "x" * 40])
odd = st.recursive(
    st.none() | st.booleans() | numbers | st.sampled_from([-1, 2**63, 10**30, 1.5]) | odd_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_texts, inner, max_size=3),
    max_leaves=4,
)


def objects(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Json]]:
    return st.lists(st.fixed_dictionaries({}, optional=members), max_size=3)


ports = st.lists(numbers, max_size=3)
mappings = objects(containerPort=numbers, servicePort=numbers, protocol=protocols)
checks = objects(
    protocol=st.sampled_from(["HTTP", "TCP", "MESOS_HTTP", "MESOS_TCP"]),
    port=numbers,
    portIndex=st.integers(0, 2),
    command=st.fixed_dictionaries({"value": odd}),
)
tasks = st.lists(
    st.builds(
        lambda number, members: task(number, **members),
        st.integers(1, 5),
        st.fixed_dictionaries(
            {"host": hosts, "ports": ports},
            optional={
                "state": states,
                "ipAddresses": objects(ipAddress=hosts, protocol=st.just("IPv4")),
                "healthCheckResults": objects(alive=st.booleans()),
                "draining": st.booleans(),
            },
        ),
    ),
    max_size=5,
)
good_documents = st.builds(
    lambda app_id, members: app(app_id) | copy.deepcopy(members),
    st.sampled_from(["/app", "/dir/App.x", "/a_b-c", "/é", "/a\x7f"]),
    st.fixed_dictionaries(
        {"labels": st.dictionaries(label_names, label_texts, max_size=6), "tasks": tasks},
        optional={
            "portDefinitions": objects(port=numbers, protocol=protocols) | st.none(),
            "ports": ports,
            "networks": objects(mode=modes),
            "container": st.fixed_dictionaries(
                {},
                optional={
                    "portMappings": mappings,
                    "docker": st.fixed_dictionaries(
                        {}, optional={"portMappings": mappings, "network": st.sampled_from(["HOST", "USER", "BRIDGE"])}
                    ),
                },
            ),
            "ipAddress": st.fixed_dictionaries(
                {}, optional={"discovery": st.fixed_dictionaries({"ports": objects(number=numbers)})}
            ),
            "healthChecks": checks,
            "instances": numbers,
            "versionInfo": st.fixed_dictionaries({"lastScalingAt": st.just("2026-01-01T00:00:00.000Z")}),
        },
    ),
)


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a document where another value could be."""
    for key in document if isinstance(document, dict) else range(len(document)):
        yield document, key
        if isinstance(document[key], dict | list):
            yield from places(document[key])


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """Draw a good app, or one in which something is odd, null or missing."""
    document = draw(good_documents)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        holder, key = draw(st.sampled_from(list(places(document))))
        if draw(st.booleans()):
            holder[key] = draw(odd)
        else:
            del holder[key]
    return document


def outcome(function: Any, *arguments: Any) -> Any:
    """Return the result as text (all of it, types included), or the error with its message."""
    try:
        return repr(function(*arguments))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other twin has to raise the same
        return type(error), str(error)


@settings(max_examples=1500, deadline=None)
@given(documents() | odd)
@example(app(healthChecks=[{**CHECK, "deep": [[[[{"a": None}]]]]}]))
@example(app(tasks=[task(healthCheckResults=[{"alive": True}, {"alive": False}])]))
def test_both_twins_read_the_same_app(compiled, document):
    before = copy.deepcopy(document)
    assert outcome(compiled.read_app, document, reading._read_app) == outcome(reading._read_app, document)
    assert repr(document) == repr(before)


GOOD = {
    "text": st.sampled_from(["/path", "leastconn", "-i /x /y", ""]),
    "lower": st.sampled_from(["http", "TCP", "health"]),
    "vhost": st.sampled_from(["a.example", "A.example,b.example", "a,b", ""]),
    "bool": st.sampled_from(["true", "T", "yes", "no", ""]),
    "int": st.sampled_from(["0", "1", "2", "007"]),
    "port": st.sampled_from(["0", "8080", "10000"]),
    "texts": st.sampled_from(["external", "external,internal", "a,,b", ""]),
    "auth": st.just("realm:user:secret"),
    "template": st.sampled_from(["a\r\nb {backend}", "é", ""]),
}
good_labels = st.one_of(
    st.tuples(st.just(f"HAPROXY_{index}_{name}"), GOOD[kind])
    for index in range(2)
    for name, (_, kind) in {**VALUE_LABELS, "BACKEND_HEAD": LABELS["BACKEND_HEAD"]}.items()
)
labelled = st.builds(
    lambda good, few: {"HAPROXY_GROUP": "external", **dict(good), **few},
    st.lists(good_labels, min_size=1, max_size=8),
    st.one_of(st.just({}), st.just({}), st.dictionaries(label_names, label_texts, max_size=1)),
)
serving = st.lists(
    st.builds(
        task,
        st.integers(1, 5),
        st.sampled_from(["127.0.0.1", "127.0.0.10", "127.0.0.2", "agent"]),
        st.sampled_from([[31000], [31001], [31000, 31001], [31005, 31000, 31001], []]),
        ipAddresses=st.sampled_from([[], [{"ipAddress": "127.17.0.2"}], [{"ipAddress": "127.17.0.10"}]]),
        healthCheckResults=st.sampled_from([[], [{"alive": True}], [{"alive": False}]]),
        draining=st.booleans(),
    ),
    max_size=4,
)
serving_documents = st.builds(
    lambda labels, tasks, members: app(labels=labels, tasks=tasks) | copy.deepcopy(members),
    labelled,
    serving,
    st.fixed_dictionaries(
        {"networks": st.sampled_from([[], [{"mode": "container"}], [{"mode": "container/bridge"}]])},
        optional={
            "healthChecks": checks,
            "ipAddress": st.just({"discovery": {"ports": [{"number": 90}]}}),
            "portDefinitions": st.sampled_from([[], [{"port": 10000, "protocol": "udp"}, {"port": 10001}]]),
            "container": st.just({"portMappings": [{"containerPort": 80, "servicePort": 10000}]}),
        },
    ),
)
rules = st.builds(
    Rules,
    groups=st.sampled_from([("external",), ("*",)]),
    strict_mode=st.booleans(),
    health_check=st.booleans(),
    bind_address=st.sampled_from(["*", "127.0.0.1"]),
)
surroundings = st.builds(
    Surroundings,
    addresses=st.dictionaries(hosts, st.sampled_from(["127.5.5.5", "127.5.5.6"]), max_size=3),
    known_alive=st.frozensets(st.sampled_from([f"task.{number}" for number in range(1, 6)])),
)
assigned = st.one_of(
    st.none(), st.just([10000, 10001]), st.lists(st.sampled_from([10000, 10001, 10002, 10000, None]), max_size=3)
)


def read(document: Any) -> App | None:
    try:
        return read_app(document)
    except AppError:
        return None


INDEXED = {**CHECK, "portIndex": 3}
INDEX_LABEL = {"HAPROXY_0_BACKEND_HEALTHCHECK_PORT_INDEX": "3", "HAPROXY_0_MODE": "tcp"}


def check_services(compiled: Any, app: App, rules: Rules, service_ports: Any, around: Surroundings) -> None:
    arguments = (app, rules, service_ports, around)
    found = outcome(compiled.services_of, *arguments, LABELS, SKIPPED_STATES, services._services_of)
    assert found == outcome(services._services_of, *arguments)


@settings(max_examples=1500, deadline=None)
@given(st.one_of(documents(), serving_documents, serving_documents).map(read), rules, surroundings, assigned)
def test_both_twins_make_the_same_services(compiled, found, rules, around, given_ports):
    if found is not None:
        check_services(compiled, found, rules, found.service_ports if given_ports is None else given_ports, around)


@pytest.mark.parametrize(
    "document",
    [
        app(healthChecks=[INDEXED], labels=INDEX_LABEL),
        app(healthChecks=[CHECK, INDEXED], labels=INDEX_LABEL),
        app(portDefinitions=[], tasks=[task(ports=[])], container={"portMappings": [{"containerPort": 80}]}),
    ],
)
def test_both_twins_make_the_same_services_of_rare_apps(compiled, document):
    check_services(compiled, read_app(document), Rules(("external",)), [10000], Surroundings())


@pytest.mark.parametrize("name", [*(f"HAPROXY_0_{name}" for name in sorted(LABELS)), *LABEL_NAMES])
def test_both_twins_read_each_label_alike_whatever_its_text(compiled, name):
    for value in [*LABEL_TEXTS, None, 7, True, {}]:
        read = read_app(app())._replace(labels={name: value})
        check_services(compiled, read, Rules(("*",)), (10000,), Surroundings())


def never(*_: object) -> Any:
    raise AssertionError("what has the usual form is known to the compiled twin itself")


MEMBERS = {
    "healthChecks": [CHECK],
    "instances": 3,
    "networks": [{"mode": "container/bridge"}],
    "container": {"docker": {}, "portMappings": [{"containerPort": 80, "servicePort": 10000, "protocol": "tcp"}]},
    "versionInfo": {"lastScalingAt": "2026-01-01T00:00:00.000Z"},
    "tasks": [
        task(1, "127.0.0.2", healthCheckResults=[{"alive": True}], ipAddresses=[{"ipAddress": "127.17.0.2"}]),
        task(2, "agent.example", state="TASK_KILLING", draining=False),
    ],
}
PLAIN = {
    "VHOST": "A.example,b.example",
    "PATH": "/x",
    "MODE": "HTTP",
    "STICKY": "true",
    "BACKEND_WEIGHT": "3",
    "BALANCE": "source",
    "GROUP": "external,x",
    "PORT": "80",
    "UNKNOWN": "",
    "BACKEND_HEAD": "a\r\nb\n",
}
PLAIN_LABELS = {f"HAPROXY_0_{name}": text for name, text in PLAIN.items()}


@pytest.mark.parametrize("document", [app(), app(labels=PLAIN_LABELS, **MEMBERS), app(portDefinitions=None, ports=[1])])
def test_an_app_of_the_usual_form_needs_no_general_way(compiled, document):
    found = compiled.read_app(document, never)
    compiled.services_of(
        found, Rules(("external",)), found.service_ports, Surroundings(), LABELS, SKIPPED_STATES, never
    )


def test_what_is_made_in_c_is_what_python_makes(compiled):
    found = compiled.read_app(app(labels=PLAIN_LABELS, **MEMBERS), never)
    arguments = (found, Rules(("external",)), found.service_ports, Surroundings(), LABELS, SKIPPED_STATES, never)
    ((service,), _) = compiled.services_of(*arguments)
    made = {App: found, Task: found.tasks[0], HealthCheck: found.health_checks[0]}
    made |= {Service: service, ServiceOptions: service.options, Server: service.servers[0]}
    for kind, value in made.items():
        assert type(value) is kind
        assert value == kind(**value._asdict())
    assert hash(found.tasks[0]) == hash(Task(**found.tasks[0]._asdict()))


def test_members_too_deep_for_the_compiled_twin_are_left_to_the_general_way(compiled):
    deep: Any = 1
    for _ in range(150):
        deep = {"x": deep}
    document = app(healthChecks=[{**CHECK, "deep": deep}])
    assert compiled.read_app(document, reading._read_app) == reading._read_app(document)


@pytest.mark.parametrize("count", [1, 2, 700])
def test_any_number_of_servers_comes_in_server_order(compiled, count):
    many = [task(n, f"127.0.{n * 7 % 5}.{n * 13 % 11}", [31000 + n * 17 % 7]) for n in range(count)]
    read = read_app(app(tasks=many, labels={"HAPROXY_0_VHOST": "a"}))
    arguments = (read, Rules(("external",)), read.service_ports, Surroundings())
    found = compiled.services_of(*arguments, LABELS, SKIPPED_STATES, never)
    assert found == services._services_of(*arguments)
    assert len(found[0][0].servers) == count
