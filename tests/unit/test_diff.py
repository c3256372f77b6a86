"""What runs against what should run: nothing to do, or a reload with every reason."""

from __future__ import annotations

from fastlb.diff import Plan, compare
from tests.fakes.apps import app, rendered, task

WEB = app("/web", [10000], {"HAPROXY_0_VHOST": "web.test"})


def reasons(before, after, *argv):
    return compare(rendered(before, *argv), rendered(after, *argv)).reasons


def test_what_runs_unknown_is_a_reason():
    assert compare(None, rendered([WEB])).reasons == ("HAProxy is given its first configuration, with 1 services",)


def test_the_same_text_is_nothing_to_do():
    plan = compare(rendered([WEB]), rendered([WEB]))
    assert (plan.is_nothing, str(plan)) == (True, "nothing to do")


def test_what_renders_to_the_same_text_is_nothing_to_do():
    assert reasons([WEB], [{**WEB, "instances": 5}]) == ()


def test_new_and_gone_services_are_named_with_their_apps():
    other = app("/other", [10001])
    assert reasons([WEB], [WEB, other]) == ("service other_10001 of app /other is new",)
    assert reasons([WEB, other], [WEB]) == ("service other_10001 of app /other is gone",)


def test_servers_are_counted():
    more = {**WEB, "tasks": [task(1, ports=[31009]), task(2), task(3, ports=[31005])]}
    assert reasons([WEB], [more]) == ("service web_10000 of app /web has 2 server(s) more or changed, 0 fewer",)


def test_changed_labels_are_named():
    moved = app("/web", [10000], {"HAPROXY_0_VHOST": "new.test"})
    assert reasons([WEB], [moved]) == ("the labels of service web_10000 of app /web changed",)


def test_changed_maps_are_named():
    moved = app("/web", [10000], {"HAPROXY_0_VHOST": "new.test"})
    assert "the vhost map changed" in reasons([WEB], [moved], "--haproxy-map")
    assert "the app-id map changed" in reasons([WEB], [], "--haproxy-map")


def test_whatever_else_changed_is_a_reason_too():
    assert compare(rendered([]), rendered([], "--maxconn", "77")).reasons == ("the shared sections changed",)


def test_many_reasons_are_shown_as_a_few_and_a_number():
    plan = Plan(tuple(f"reason {number}" for number in range(9)))
    assert str(plan).startswith("reload, because reason 0; reason 1;")
    assert str(plan).endswith("reason 4; and 4 more")
