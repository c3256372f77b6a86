"""What runs against what should run: nothing to do, or a reload with every reason."""

from __future__ import annotations

from fastlb.diff import Plan, compare
from tests.fakes.apps import app, document_of, task

WEB = app("/web", [10000], {"HAPROXY_0_VHOST": "web.test"})


def reasons(before, after, *argv):
    return plan(before, after, *argv).reasons


def plan(before, after, *argv):
    ids = {document["id"] for document in (*before, *after)}
    return compare(document_of(before, *argv), document_of(after, *argv), ids)


def test_what_runs_unknown_is_a_reason():
    assert compare(None, document_of([WEB]), ()).reasons == (
        "HAProxy is given its first configuration, with 1 services",
    )


def test_the_same_text_is_nothing_to_do():
    same = plan([WEB], [WEB])
    assert (same.is_nothing, str(same)) == (True, "nothing to do")


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


def test_apps_that_cannot_differ_are_not_looked_at():
    assert compare(document_of([WEB]), document_of([]), ()).is_nothing


def test_who_has_to_write_the_map_rule_now_is_named():
    first = app("/first", [10001], {"HAPROXY_0_VHOST": "first.test"})
    runs, wanted = document_of([first, WEB], "--haproxy-map"), document_of([WEB], "--haproxy-map")
    assert (
        "what is written for service web_10000 of app /web changed" in compare(runs, wanted, {"/first", "/web"}).reasons
    )


def test_many_reasons_are_shown_as_a_few_and_a_number():
    many = Plan(tuple(f"reason {number}" for number in range(9)))
    assert str(many).startswith("reload, because reason 0; reason 1;")
    assert str(many).endswith("reason 4; and 4 more")
