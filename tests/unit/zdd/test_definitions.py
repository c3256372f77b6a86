"""The definition of the next colour, whatever Marathon's version and the app's networking (COMPAT.md 9.2)."""

from __future__ import annotations

import orjson
import pytest

from fastlb.zdd.definitions import (
    Sizes,
    first_colour,
    group_of,
    mark_of,
    next_colour,
    read_definition,
    service_port,
)
from fastlb.zdd.outcomes import Code, ZddError

NOW = "2026-01-02T03:04:05.678901"
LABELS = {"HAPROXY_DEPLOYMENT_GROUP": "web", "HAPROXY_DEPLOYMENT_ALT_PORT": "10001"}


def app(**members):
    return {"id": "/shop/api", "instances": 4, "labels": dict(LABELS), "portDefinitions": [{"port": 10000}]} | members


def mapping(port, **more):
    return {"containerPort": 80, "hostPort": 0, "servicePort": port} | more


# Marathon 1.4 with a bridge, a network of containers, and the hosts' network in two ways; the same for 1.5.
NETWORKS = {
    "1.4 bridge": lambda port: {"container": {"docker": {"network": "BRIDGE", "portMappings": [mapping(port)]}}},
    "1.4 container": lambda port: {
        "ipAddress": {"networkName": "dcos"},
        "container": {"docker": {"network": "USER", "portMappings": [mapping(port)]}},
    },
    "1.4 host": lambda port: {"ports": [port], "portDefinitions": None},
    "1.5 host": lambda port: {"networks": [{"mode": "host"}], "portDefinitions": [{"port": port, "name": "http"}]},
    "1.5 bridge": lambda port: {
        "networks": [{"mode": "container/bridge"}],
        "container": {"portMappings": [mapping(port)]},
        "portDefinitions": None,
    },
    "1.5 container": lambda port: {
        "networks": [{"mode": "container", "name": "dcos"}],
        "container": {"portMappings": [mapping(port)]},
        "portDefinitions": None,
    },
}


def read(document):
    return read_definition(orjson.dumps(document).decode())


def refused(document_or_text):
    text = document_or_text if isinstance(document_or_text, str) else orjson.dumps(document_or_text).decode()
    with pytest.raises(ZddError) as caught:
        first_colour(read_definition(text), NOW)
    return caught.value


@pytest.mark.parametrize("networking", NETWORKS)
def test_colours_take_turns_at_two_ports_in_every_way_of_networking(networking):
    definition = read(app(**NETWORKS[networking](10000)))
    colours, ports = [], []
    last = first_colour(definition, NOW)
    for _ in range(4):
        colours.append(last["id"])
        ports.append(service_port(last))
        last = next_colour(definition, last, Sizes(1, 0), NOW) | {"instances": 4}
    assert colours == ["/shop/api-blue", "/shop/api-green"] * 2
    assert ports == [10000, 10001, 10000, 10001]


def test_the_labels_of_the_first_colour_say_everything_that_a_later_run_needs():
    labels = first_colour(read(app()), NOW)["labels"]
    assert labels == LABELS | {
        "HAPROXY_APP_ID": "/shop/api",
        "HAPROXY_0_PORT": "10000",
        "HAPROXY_DEPLOYMENT_NEW_INSTANCES": "0",
        "HAPROXY_DEPLOYMENT_TARGET_INSTANCES": "4",
        "HAPROXY_DEPLOYMENT_COLOUR": "blue",
        "HAPROXY_DEPLOYMENT_STARTED_AT": NOW,
        "FASTLB_ZDD_FILE": mark_of(read(app())),
    }


def test_files_that_ask_for_the_same_have_the_same_mark():
    text = orjson.dumps(app(), option=orjson.OPT_INDENT_2).decode()
    reordered = dict(reversed(app().items()))
    assert mark_of(read_definition(f"// as it was\n{text}")) == mark_of(read(reordered)) == mark_of(read(app(cmd=None)))
    assert mark_of(read(app(cmd="x"))) != mark_of(read(app()))


@pytest.mark.parametrize(
    ("running", "sizes", "instances", "split"),
    [
        (10, Sizes(1, 0), 1, 0),
        (10, Sizes(20, 0), 10, 0),
        (10, Sizes(5, 3), 3, 3),
        (2, Sizes(1, 9), 1, 2),
        (0, Sizes(1, 5), 0, 0),
    ],
)
def test_the_size_of_the_next_colour_follows_the_running_app_and_not_the_file(running, sizes, instances, split):
    last = first_colour(read(app()), NOW) | {"instances": running}
    following = next_colour(read(app(instances=99)), last, sizes, NOW)
    labels = following["labels"]
    assert following["instances"] == instances
    assert labels["HAPROXY_DEPLOYMENT_TARGET_INSTANCES"] == str(running)
    assert labels["HAPROXY_DEPLOYMENT_NEW_INSTANCES"] == str(split)


def test_only_the_first_of_several_service_ports_has_an_alternative():
    definition = read(app(portDefinitions=[{"port": 10000}, {"port": 10500}]))
    following = next_colour(definition, first_colour(definition, NOW), Sizes(1, 0), NOW)
    assert [each["port"] for each in following["portDefinitions"]] == [10001, 10500]


def test_an_app_that_was_not_deployed_by_zdd_can_be_followed():
    following = next_colour(read(app()), app(), Sizes(1, 0), NOW)
    assert (following["id"], service_port(following)) == ("/shop/api-blue", 10001)


def test_the_colour_of_the_running_app_is_never_taken_again_whatever_its_labels_say():
    last = app(id="/shop/api-blue")
    assert next_colour(read(app()), last, Sizes(1, 0), NOW)["id"] == "/shop/api-green"


def test_the_given_definition_stays_as_it_is():
    definition = read(app())
    before = orjson.dumps(definition)
    next_colour(definition, first_colour(definition, NOW), Sizes(1, 0), NOW)
    assert orjson.dumps(definition) == before


def test_nulls_and_comments_count_as_nothing():
    text = """
    // what this is
    {"id": "/shop/api", /* not yet:
      "instances": 9, */ "instances": 4, "cmd": null, "args": ["http://a//b", "/* kept */"],
      "container": {"docker": null}, "labels": {"HAPROXY_DEPLOYMENT_GROUP": "web", "HAPROXY_0_VHOST": null,
      "HAPROXY_DEPLOYMENT_ALT_PORT": "10001"}, "portDefinitions": [{"port": 10000, "name": null}]}
    """
    expected = app(args=["http://a//b", "/* kept */"], container={})
    assert read_definition(text) == expected


def test_a_group_is_the_same_with_and_without_a_slash():
    assert group_of({"labels": {"HAPROXY_DEPLOYMENT_GROUP": "/web"}}) == group_of(app()) == "web"
    assert group_of({"labels": None}) is None


@pytest.mark.parametrize(
    ("document", "code", "words"),
    [
        ("{", Code.UNEXPECTED, "no JSON"),
        ("[]", Code.UNEXPECTED, "JSON object"),
        (app(id=None), Code.UNEXPECTED, "no id"),
        (app(labels=None), Code.DEFINITION, "no labels"),
        (app(labels={"HAPROXY_DEPLOYMENT_GROUP": "web"}), Code.DEFINITION, "HAPROXY_DEPLOYMENT_ALT_PORT"),
        (app(labels={"HAPROXY_DEPLOYMENT_ALT_PORT": "1"}), Code.DEFINITION, "HAPROXY_DEPLOYMENT_GROUP"),
        (app(labels=LABELS | {"HAPROXY_DEPLOYMENT_ALT_PORT": "x"}), Code.DEFINITION, "'x'"),
        (app(labels=LABELS | {"HAPROXY_DEPLOYMENT_ALT_PORT": 10001}), Code.DEFINITION, "a text is needed"),
        (app(portDefinitions=[]), Code.DEFINITION, "service port"),
        (app(portDefinitions=[{"port": 0}]), Code.DEFINITION, "service port"),
        (app(instances="3"), Code.DEFINITION, "'3'"),
        (app(instances=-1), Code.DEFINITION, "-1"),
    ],
)
def test_what_cannot_be_deployed_is_refused_with_its_code_and_reason(document, code, words):
    error = refused(document)
    assert error.code == code
    assert words in str(error)
