"""Two apps that ask for one vhost or service port: who has it, what the other is told; history does not matter."""

from __future__ import annotations

from itertools import permutations

import pytest

from fastlb.census import take_census
from fastlb.decision import Decider
from fastlb.explain import all_problems, explain
from fastlb.store import Store
from tests.fakes.apps import app, renderer_of, rules_of

OLD, NEW = "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"
FIRST = ("--conflicts", "first")


def aged(app_id, at, port=20000, **labels):
    return app(app_id, [port], labels, versionInfo={"lastConfigChangeAt": at, "lastScalingAt": NEW})


def decided(*documents, argv=FIRST):
    decider = Decider(Store(0.0), renderer_of(*argv), rules_of(*argv))
    decider.store.take(documents, 0.0)
    decider.decide()
    return decider


def granted(decider):
    services = (each for app in decider.store.apps for each in decider.desired.services(app.id))
    return {(each.app_id, each.port, each.options.vhost) for each in services}


def test_the_older_definition_has_a_vhost_whatever_the_ids_and_the_other_keeps_the_rest():
    decider = decided(
        aged("/a", NEW, 20000, HAPROXY_0_VHOST="x.test,y.test"), aged("/b", OLD, 20001, HAPROXY_0_VHOST="x.test")
    )
    assert granted(decider) == {("/a", 20000, "y.test"), ("/b", 20001, "x.test")}
    (note,) = decider.notes
    assert str(note) == (
        "app /a (service port 20000): vhost 'x.test' is that of app /b, which has been defined as it is for longer; it "
        "is not routed"
    )


def test_the_older_definition_has_a_service_port_and_the_others_service_is_left_out():
    decider = decided(aged("/a", NEW), aged("/b", OLD))
    assert granted(decider) == {("/b", 20000, None)}
    assert take_census(decider).left_out["conflict"] == 1
    (problem,) = all_problems(decider)
    assert problem == (
        "app /a (service port 20000): app /b has this service port, and has been defined as it is for longer; left out"
    )
    (report,) = explain("/a", decider).services
    assert (report.exposed, report.why_not.kind) == (False, "conflict")


def test_without_the_flag_both_are_written_as_marathon_lb_does():
    services = granted(decided(aged("/a", NEW), aged("/b", OLD), argv=()))
    assert services == {("/a", 20000, None), ("/b", 20000, None)}


@pytest.mark.parametrize("at", [OLD, None])
def test_of_equal_age_the_smaller_id_comes_first(at):
    assert granted(decided(aged("/b", at), aged("/a", at))) == {("/a", 20000, None)}


def test_an_app_of_which_marathon_tells_no_date_is_the_youngest():
    assert granted(decided(aged("/b", OLD), aged("/a", None))) == {("/b", 20000, None)}


def test_apps_share_a_vhost_by_paths_and_not_one_path():
    decider = decided(
        aged("/a", OLD, 20000, HAPROXY_0_VHOST="x.test"),
        aged("/b", OLD, 20001, HAPROXY_0_VHOST="x.test", HAPROXY_0_PATH="/b"),
        aged("/c", OLD, 20002, HAPROXY_0_VHOST="x.test", HAPROXY_0_PATH="/b"),
    )
    assert granted(decider) == {("/a", 20000, "x.test"), ("/b", 20001, "x.test"), ("/c", 20002, None)}


def test_a_service_without_a_port_takes_no_vhost_from_anybody():
    decider = decided(
        aged("/a", OLD, 20000),
        aged("/b", "2026-01-01T12:00:00Z", 20000, HAPROXY_0_VHOST="x.test"),
        aged("/c", NEW, 20001, HAPROXY_0_VHOST="x.test"),
    )
    assert granted(decider) == {("/a", 20000, None), ("/c", 20001, "x.test")}


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [("*", "127.0.0.1", False), ("127.0.0.1", "*", False), ("127.0.0.1", "127.0.0.2", True), ("::1", "::1", False)],
)
def test_ports_are_in_each_others_way_at_addresses_that_overlap(one, other, share):
    decider = decided(aged("/a", OLD, HAPROXY_0_BIND_ADDR=one), aged("/b", NEW, HAPROXY_0_BIND_ADDR=other))
    assert len(granted(decider)) == 1 + share


def test_a_deployment_group_is_as_old_as_its_oldest_member():
    grouped = {"HAPROXY_DEPLOYMENT_GROUP": "pool"}
    decider = decided(aged("/blue", OLD, **grouped), aged("/green", NEW, **grouped), aged("/a", "2026-01-01T12:00:00Z"))
    assert decider.desired.services("/a") == ()
    assert len(decider.desired.services("/pool")) == 1


def test_what_an_app_gives_up_goes_to_the_next_one():
    decider = decided(aged("/a", OLD, HAPROXY_0_VHOST="x.test"), aged("/b", NEW, 20000, HAPROXY_0_VHOST="x.test"))
    assert granted(decider) == {("/a", 20000, "x.test")}
    decider.store.take_apps({"/a": aged("/a", OLD, 20001, HAPROXY_0_VHOST="x.test")}, 0.0)
    decider.decide()
    assert granted(decider) == {("/a", 20001, "x.test"), ("/b", 20000, None)}
    decider.store.take_apps({"/a": None}, 0.0)
    decider.decide()
    assert granted(decider) == {("/b", 20000, "x.test")}
    assert decider.notes == []


def test_the_order_in_which_apps_come_makes_no_difference():
    documents = [
        aged("/a", NEW, 20000, HAPROXY_0_VHOST="x.test"),
        aged("/b", OLD, 20000, HAPROXY_0_VHOST="y.test"),
        aged("/c", OLD, 20001, HAPROXY_0_VHOST="x.test,y.test"),
    ]
    expected = granted(decided(*documents))
    for order in permutations(documents):
        decider = decided()
        for document in order:
            decider.store.take_apps({document["id"]: document}, 0.0)
            decider.decide()
        assert granted(decider) == expected


def test_many_who_ask_for_one_thing_cost_no_more_than_their_number(monkeypatch):
    compared = []
    decider = decided(*(aged(f"/app{number}", OLD, HAPROXY_0_VHOST="x.test") for number in range(300)))
    assert len(granted(decider)) == 1
    since = decider.desired._claims._since
    monkeypatch.setattr(decider.desired._claims, "_since", lambda each: compared.append(each) or since(each))
    decider.store.take_apps({"/app0": None}, 0.0)
    decider.decide()
    assert len(granted(decider)) == 1
    assert len(compared) < 5 * 300
