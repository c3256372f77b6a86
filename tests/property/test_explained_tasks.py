"""What `explain` says about tasks is what `services` decides: in if and only if it is a server."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from fastlb.decision import Decider
from fastlb.explain import explain
from fastlb.services import SKIPPED_STATES, services_of
from fastlb.store import Store
from fastlb.task_reasons import why_out
from tests.fakes.apps import CHECK, app, renderer_of, rules_of, task

MODES = ["host", "container", "container/bridge", "odd"]
KNOWN = {"agent.test": "127.0.0.77"}
FLAGS = [(), ("--health-check",), ("--strict-mode",), ("--haproxy-map",)]
few = settings(max_examples=150, deadline=None)

tasks = st.lists(
    st.builds(
        task,
        st.integers(1, 9),
        st.sampled_from(["127.0.0.2", "127.0.0.3", "agent.test", "unknown.test", ""]),
        st.lists(st.integers(31000, 31002), max_size=3),
        state=st.sampled_from([None, "TASK_RUNNING", "TASK_LOST", "TASK_ODD", *sorted(SKIPPED_STATES)[:3]]),
        healthCheckResults=st.sampled_from([None, [], [{"alive": True}], [{"alive": False}]]),
        ipAddresses=st.sampled_from([[], [{}], [{"ipAddress": "127.8.0.1"}], [{"ipAddress": "127.8.0.2"}]]),
        draining=st.booleans(),
    ),
    max_size=5,
)
labels = st.fixed_dictionaries(
    {},
    optional={
        "HAPROXY_GROUP": st.sampled_from(["internal", 5]),
        "HAPROXY_0_ENABLED": st.sampled_from(["true", "false"]),
        "HAPROXY_1_PORT": st.sampled_from(["10009", "9090", "x"]),
        "HAPROXY_0_BACKEND_HEAD": st.just("{x}"),
        "HAPROXY_DEPLOYMENT_GROUP": st.just("shop"),
    },
)
documents = st.builds(
    lambda ports, labels, tasks, mode, checks, mapped, udp: app(
        "/app",
        ports,
        labels,
        tasks=tasks,
        networks=[{"mode": mode}],
        healthChecks=checks,
        container={"portMappings": [{"containerPort": 80, "servicePort": port} for port in ports]} if mapped else None,
        portDefinitions=[
            {"port": port, "protocol": "udp" if number == udp else "tcp"} for number, port in enumerate(ports)
        ],
    ),
    st.lists(st.sampled_from([10000, 10001, 9090]), max_size=3),
    labels,
    tasks,
    st.sampled_from(MODES),
    st.sampled_from([[], [CHECK]]),
    st.booleans(),
    st.integers(0, 5),
)


def decided(document, argv, *before):
    decider = Decider(Store(0.0), renderer_of(*argv), rules_of(*argv))
    for now_s, one in enumerate((*before, document)):
        decider.store.take([one], float(now_s))
    if decider.names_to_resolve():
        decider.learn_addresses(KNOWN)
    decider.decide()
    return decider


@few
@given(documents, st.sampled_from(FLAGS), documents)
def test_the_places_of_the_tasks_that_are_not_out_are_the_servers_of_the_services(document, argv, before):
    decider = decided(document, argv, before)
    explanation = explain("/app", decider)
    exposed = {service.index for service in explanation.services if service.exposed}
    places = Counter(
        (index, place, one.verdict == "draining")
        for one in explanation.tasks
        if one.verdict != "out"
        for index, place in one.places
        if index in exposed
    )
    servers = Counter(
        (each.service.port_index, f"{server.address}:{server.port}", server.draining)
        for each in decider.document.part(explanation.known_as).written
        for server in each.service.servers
    )
    assert places == servers


@few
@given(documents, st.sampled_from(FLAGS))
def test_a_service_is_exposed_if_and_only_if_it_is_written_and_else_says_why(document, argv):
    decider = decided(document, argv)
    explanation = explain("/app", decider)
    written = {each.service.port_index for each in decider.document.part(explanation.known_as).written}
    assert {service.index for service in explanation.services if service.exposed} == written
    assert explanation.exposed == bool(written)
    for service in explanation.services:
        assert service.exposed == (service.why_not is None)
        assert service.why_not is None or service.why_not.kind != "waiting"


@few
@given(documents, st.sampled_from(FLAGS))
def test_there_is_a_reason_if_and_only_if_a_task_can_be_no_server(document, argv):
    decider = decided(document, argv)
    read = decider.store.app("/app")._replace(labels={}, udp_only=frozenset())
    for one in read.tasks:
        alone = read._replace(tasks=(one,))
        services, _ = services_of(alone, decider.rules, (10000, 10001, 10002), decider.surroundings)
        assert bool(why_out(alone, one, decider.rules, decider.surroundings)) == (not services)
