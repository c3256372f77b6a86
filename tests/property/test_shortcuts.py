"""What the compiled twin decides and writes past the rooms is what the rooms say; the usual needs no room at all."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlb import kernel
from fastlb.desired import Desired
from fastlb.labels import LABELS
from fastlb.model import App, Rules, Service
from fastlb.render import EMPTY, KINDS, NO_RULES, Part, Renderer
from fastlb.services import SKIPPED_STATES, Surroundings
from tests.fakes.apps import CHECK, app, renderer_of, rules_of, task
from tests.property.test_cold_model import documents, read, serving_documents, surroundings

FLAGS = [(), ("--haproxy-map",), ("--haproxy-map", "--group-https-by-vhost"), ("--dont-bind-http-https",)]
OTHER_CATALOGUE = {"HAPROXY_BACKEND_SERVER_OPTIONS": "  server {serverName} {host_ipv4}:{port:05d}\n"}
rules = st.builds(
    Rules,
    groups=st.sampled_from([("external",), ("*",), ("internal", "a")]),
    strict_mode=st.booleans(),
    health_check=st.booleans(),
    framework_name=st.sampled_from([None, "marathon", "app"]),
    own_app=st.sampled_from([None, "/app"]),
    own_ports=st.sampled_from([(), (("*", 10000),), (("127.0.0.9", 8080),)]),
    min_assigned_port=st.sampled_from([0, 10050]),
    max_assigned_port=st.sampled_from([0, 10100]),
)


def nothing(*_: object) -> None:
    """Be a twin without shortcuts."""


def wanted(found: App, rules: Rules, around: Surroundings) -> Any:
    desired = Desired(rules)
    with patch.object(kernel, "plain_services", nothing):
        desired.update({found.id: found}, around, order=[found.id])
    known_as = desired.known_as(found.id)
    return desired.services(known_as), desired.notes


@settings(max_examples=600, deadline=None)
@given(st.one_of(documents(), serving_documents, serving_documents).map(read), rules, surroundings)
def test_services_decided_past_the_rooms_are_those_of_the_rooms(compiled, found, rules, around):
    if found is not None:
        services = compiled.plain_services(found, rules, around, LABELS, SKIPPED_STATES)
        assert services is None or repr((services, [])) == repr(wanted(found, rules, around))


def parts(renderer: Renderer, services: tuple[Service, ...], plain_part: Any) -> list[Part]:
    with patch.object(kernel, "plain_part", plain_part):
        return [renderer.part(services, EMPTY, NO_RULES) for _ in range(2)]


@pytest.mark.parametrize("environ", [{}, OTHER_CATALOGUE])
@pytest.mark.parametrize("argv", FLAGS)
@settings(max_examples=150, deadline=None)
@given(st.one_of(documents(), serving_documents, serving_documents).map(read))
def test_parts_made_past_the_rooms_are_those_of_the_rooms(compiled, argv, environ, found):
    if found is not None:
        services, _ = wanted(found, rules_of(*argv), Surroundings())
        renderer = renderer_of(*argv, **environ)
        (_, past), (_, through) = (parts(renderer, services, each) for each in (compiled.plain_part, nothing))
        assert repr(past) == repr(through)
        assert past == through
        assert renderer.rendered_fragments == 4 * len(services)


USUAL = [
    app(),
    app(labels={"HAPROXY_0_VHOST": "a.example,b.example"}, healthChecks=[CHECK]),
    app(ports=[10002, 10001], labels={"HAPROXY_0_VHOST": "a", "HAPROXY_1_STICKY": "true"}, tasks=[task(ports=[1, 2])]),
    app(tasks=[]),
    app(labels={"HAPROXY_GROUP": "internal"}),
]


@pytest.mark.parametrize("document", USUAL)
def test_the_usual_needs_no_room(compiled, document):
    argv = ("--haproxy-map", "--health-check")
    around, renderer = Surroundings(known_alive={"task.1"}), renderer_of(*argv)
    found = read(document)
    assert found is not None
    services = compiled.plain_services(found, rules_of(*argv), around, LABELS, SKIPPED_STATES)
    assert services is not None
    parts(renderer, services, nothing)
    assert compiled.plain_part(services, renderer._writer.plain, KINDS) is not None


@pytest.mark.parametrize(
    "arguments", [(None, None, None), ((), (), ()), (((),), ({}, {}), KINDS), (("x",), ({}, {}), KINDS)]
)
def test_odd_arguments_go_the_way_of_the_rooms(kernel_twin, arguments):
    assert kernel_twin.plain_part(*arguments) is None
    assert kernel_twin.plain_services(*arguments, None, None) is None
