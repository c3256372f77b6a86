"""What holds for every rendering: same input, same text; nobody's mistake changes another one's text."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlb.decision import Decider
from fastlb.store import Store
from tests.fakes.apps import CHECK, app, body_of, document_of, rendered, renderer_of, rules_of, task

FLAGS = [(), ("--haproxy-map",), ("--group-https-by-vhost",), ("--haproxy-map", "--group-https-by-vhost")]
IDS = ("/a", "/b", "/dir/c", "/Dir.D")

label_values = {
    "HAPROXY_0_VHOST": ["a.example", "b.example,a.example", "C.example"],
    "HAPROXY_0_PATH": ["/p", ""],
    "HAPROXY_0_AUTH": ["realm:user:$6$x", ":user:x"],
    "HAPROXY_0_REDIRECT_TO_HTTPS": ["true"],
    "HAPROXY_0_BACKEND_WEIGHT": ["7", "-2"],
    "HAPROXY_0_STICKY": ["true"],
    "HAPROXY_0_MODE": ["http", "tcp"],
    "HAPROXY_0_SSL_CERT": ["/one.pem"],
    "HAPROXY_0_HTTP_FRONTEND_ACL": ["  acl x_{backend} always_true\n", "  # no placeholder\n"],
    "HAPROXY_0_BACKEND_SERVER_OPTIONS": ["  server {serverName} {host}:{port}{otherOptions}\n"],
    "HAPROXY_0_FRONTEND_HEAD": ["{unknown}"],
    "HAPROXY_1_PORT": ["10009"],
    "HAPROXY_1_BACKEND_HEALTHCHECK_PORT_INDEX": ["0", "5"],
}
labels = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in label_values.items()})
ports = st.lists(st.integers(10000, 10003), max_size=3, unique=True)
tasks = st.lists(st.integers(2, 9), max_size=3, unique=True).map(
    lambda hosts: [task(n, f"127.0.0.{n}", [31000 + n, 32000 + n, 33000 + n]) for n in hosts]
)
checks = st.sampled_from([[], [CHECK], [{**CHECK, "protocol": "TCP", "port": 9000}]])
clusters = st.lists(st.sampled_from(IDS), unique=True).flatmap(
    lambda ids: st.tuples(*(st.builds(app, st.just(i), ports, labels, tasks=tasks, healthChecks=checks) for i in ids))
)
flags = st.sampled_from(FLAGS)
few = settings(max_examples=60, deadline=None)


@few
@given(clusters, flags, st.randoms(use_true_random=False))
def test_the_order_in_which_apps_arrive_makes_no_difference(documents, argv, chance):
    shuffled = list(documents)
    chance.shuffle(shuffled)
    one, other = rendered(documents, *argv), rendered(shuffled, *argv)
    assert (one.config, one.domain_map, one.app_map) == (other.config, other.domain_map, other.app_map)


@few
@given(st.lists(clusters, min_size=2, max_size=5), flags)
def test_a_decider_that_has_seen_other_states_decides_like_a_fresh_one(states, argv):
    used = Decider(Store(0.0), renderer_of(*argv), rules_of(*argv))
    for documents in states:
        used.store.take(documents, 0.0)
        assert used.decide().rendering().texts == document_of(documents, *argv).rendering().texts
        assert used.decide().rendering().texts == rendered(documents, *argv).texts


def test_what_did_not_change_is_neither_rendered_nor_joined_again():
    documents = [app(f"/app-{n}", [10000 + n]) for n in range(20)]
    renderer = renderer_of()
    decider = Decider(Store(0.0), renderer, rules_of())
    decider.store.take(documents, 0.0)
    decider.decide().rendering()
    assert (renderer.rendered_fragments, renderer.joined_documents) == (20, 1)
    documents = copy.deepcopy(documents)
    documents[7]["labels"]["HAPROXY_0_STICKY"] = "true"
    decider.store.take(documents, 0.0)
    decider.decide()
    assert (renderer.rendered_fragments, renderer.joined_documents) == (21, 1)
    decider.store.take(copy.deepcopy(documents), 0.0)
    decider.decide().rendering()
    decider.decide().rendering()
    assert (renderer.rendered_fragments, renderer.joined_documents) == (21, 2)


def places(value, path=()):
    """Every place in a JSON value where another value could stand."""
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from places(member, (*path, name))


def replaced(value, path, new):
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], new)
    return changed


ODD = app(
    "/odd",
    [10002, 10003],
    {
        "HAPROXY_0_VHOST": "odd.example",
        "HAPROXY_0_BACKEND_HEALTHCHECK_PORT_INDEX": "1",
        "HAPROXY_1_AUTH": "r:u:p",
        "HAPROXY_1_PORT": "10004",
        "HAPROXY_1_ENABLED": "true",
        "HAPROXY_DEPLOYMENT_GROUP": "odd",
        "HAPROXY_DEPLOYMENT_STARTED_AT": "2020-01-01T00:00:00Z",
        "HAPROXY_DEPLOYMENT_NEW_INSTANCES": "0",
        "HAPROXY_DEPLOYMENT_TARGET_INSTANCES": "1",
    },
    container={"docker": {"network": "BRIDGE"}, "portMappings": [{"containerPort": 80, "servicePort": 10002}]},
    networks=[{"mode": "container/bridge"}],
    ipAddress={"discovery": {"ports": [{"number": 80}]}},
    healthChecks=[{**CHECK, "port": 8080}],
    versionInfo={"lastScalingAt": "2020-01-01T00:00:00Z"},
    tasks=[task(healthCheckResults=[{"alive": True}], ipAddresses=[{"ipAddress": "127.0.0.2"}], draining=False)],
)
json_junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(list(places(ODD))), json_junk, st.sampled_from([(), ("--health-check",)]))
def test_any_json_in_any_place_of_an_app_costs_that_app_at_most(path, new, argv):
    good = [app("/good", [10000], {"HAPROXY_0_VHOST": "a.example"}), app("/better", [10001])]
    partner = json.loads(json.dumps(ODD)) | {"id": "/partner"}
    alone = rendered(good, *argv)
    rendering = rendered([good[0], replaced(ODD, path, new), partner, good[1]], *argv)
    assert pieces_of(rendering, "/good", "/better") == pieces_of(alone, "/good", "/better")
    assert not [note for note in rendering.notes if "please report this" in note.text]


def pieces_of(rendering, *app_ids):
    return [
        text
        for section in rendering.sections
        for position, text in enumerate(section.texts)
        if section.app_of(position) in app_ids
    ]


TEXT_LABELS = """AUTH BACKEND_NETWORK_ALLOWED_ACL BALANCE BIND_ADDR BIND_OPTIONS GROUP HTTP_BACKEND_PROXYPASS_PATH
    HTTP_BACKEND_REDIR HTTP_BACKEND_REVPROXY_PATH MODE PATH SSL_CERT VHOST""".split()


@pytest.mark.parametrize("label", TEXT_LABELS)
@settings(max_examples=80, deadline=None)
@given(text=st.text(st.characters() | st.sampled_from("\r\n\t\v\f\0\x85\u2028\\\"'#{}%"), max_size=20))
def test_the_text_of_a_label_stays_in_its_line(label, text):
    """Compare with the same label holding one word per word and one host per host: that much may add lines."""
    harmless = {
        "AUTH": "r:u:p" if text.split(":")[:1] != [""] else ":u:p",
        "BACKEND_NETWORK_ALLOWED_ACL": " ".join(["127.0.0.1"] * len(text.split())) or text,
        "GROUP": text,
        "MODE": "other" if text.lower() not in {"http", "tcp"} else text,
        "VHOST": ",".join(["h.example" if host else "" for host in text.split(",")]),
    }.get(label, "x" if text else "")
    base = {"HAPROXY_0_MODE": "http", "HAPROXY_0_VHOST": "h.example", "HAPROXY_0_GROUP": "external"}
    known, given_text = ({**base, f"HAPROXY_0_{label}": value} for value in (harmless, text))
    written = rendered([app(labels=given_text)])
    if label == "AUTH" and written.services and not written.services[0].options.user:
        return  # a user that is empty writes no userlist, which is the rule and not a matter of its text
    if written.services:
        assert written.config.count("\n") == rendered([app(labels=known)]).config.count("\n")
    elif label != "GROUP":
        assert f"HAPROXY_0_{label}" in written.notes[0].text


@pytest.mark.parametrize(
    "members",
    [
        {"id": "/app\nbackend evil"},
        {"tasks": [task(host="127.0.0.2\nbackend evil")]},
        {"tasks": [task(ipAddresses=[{"ipAddress": "127.0.0.2\nbackend evil"}])]},
        {"labels": {"HAPROXY_GROUP": "external", "HAPROXY_DEPLOYMENT_GROUP": "g\nbackend evil"}},
        *({"healthChecks": [{**CHECK, name: "1\nbackend evil"}]} for name in CHECK),
    ],
)
def test_no_other_text_of_an_app_adds_lines(members):
    assert "evil" not in body_of(rendered([app(**members) if "labels" not in members else app() | members]))
