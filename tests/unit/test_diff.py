"""What runs against what should run: nothing to do, or a reload with every reason."""

from __future__ import annotations

import re

import pytest

from fastlb.capabilities import Capabilities
from fastlb.diff import Plan, compare
from fastlb.running import Running
from tests.fakes.apps import app, document_of, task

WEB = app("/web", [10000], {"HAPROXY_0_VHOST": "web.test"})


def reasons(before, after, *argv):
    return plan(before, after, *argv).reasons


def plan(before, after, *argv):
    ids = {document["id"] for document in (*before, *after)}
    return compare(running(document_of(before, *argv)), document_of(after, *argv), ids, {})


def running(document):
    """Return what is known of a HAProxy that was loaded with ``document`` and takes nothing while it runs."""
    known = Running(60.0)
    known.loaded(document)
    return known


def test_what_runs_unknown_is_a_reason():
    assert compare(Running(60.0), document_of([WEB]), (), {}).reasons == (
        "HAProxy is given its first configuration, with 1 services",
    )


def test_the_same_text_is_nothing_to_do():
    same = plan([WEB], [WEB])
    assert (same.is_nothing, str(same)) == (True, "nothing to do")


def test_what_renders_to_the_same_text_is_nothing_to_do():
    assert reasons([WEB], [{**WEB, "instances": 5}]) == ()


def test_new_and_gone_services_are_named_with_their_apps():
    other = app("/other", [10001])
    assert reasons([WEB], [WEB, other]) == ("new backend other_10001 (app /other)",)
    assert reasons([WEB, other], [WEB]) == ("backend other_10001 (app /other) is gone",)


def test_servers_are_counted():
    more = {**WEB, "tasks": [task(1, ports=[31009]), task(2), task(3, ports=[31005])]}
    assert reasons([WEB], [more]) == ("backend web_10000 (app /web) has 2 server(s) more or changed, 0 fewer",)


def test_changed_labels_are_named():
    moved = app("/web", [10000], {"HAPROXY_0_VHOST": "new.test"})
    assert reasons([WEB], [moved]) == ("the labels of backend web_10000 (app /web) changed",)


CHECKED = {
    "healthChecks": [
        {"protocol": "HTTP", "portIndex": 0, "timeoutSeconds": 1, "intervalSeconds": 1, "gracePeriodSeconds": 1,
         "maxConsecutiveFailures": 1}
    ]
}  # fmt: skip
FIRST = app("/first", [10001], {"HAPROXY_0_VHOST": "first.test"})
MAPS = {"domains": "/etc/haproxy/domain2backend.map", "app_ids": "/etc/haproxy/app2backend.map"}


def with_tasks(*numbers, state="TASK_RUNNING", **more):
    tasks = [task(number, ports=[31000 + number], state=state) for number in numbers]
    return {**WEB, "tasks": tasks, **more}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (with_tasks(1), with_tasks(1), []),
        (with_tasks(1), with_tasks(1, 2), ["add server web_10000/", "set server web_10000/ state ready"]),
        (with_tasks(1, 2), with_tasks(1), ["set server web_10000/ state maint"]),
        (
            with_tasks(1),
            with_tasks(2),
            ["add server web_10000/", "set server web_10000/ state ready", "set server web_10000/ state maint"],
        ),
        (
            with_tasks(1, **CHECKED),
            with_tasks(1, 2, **CHECKED),
            ["add server web_10000/", "enable health web_10000/", "set server web_10000/ state ready"],
        ),
        (
            WEB,
            app("/web", [10000], {"HAPROXY_0_VHOST": "new.test"}),
            [f"add map {MAPS['domains']} new.test web_10000", f"del map {MAPS['domains']} web.test"],
        ),
        (
            WEB,
            app("/web", [10000], {"HAPROXY_0_VHOST": "web.test,new.test"}),
            [f"add map {MAPS['domains']} new.test web_10000"],
        ),
    ],
)
def test_what_a_running_haproxy_takes_is_done_live(before, after, expected):
    runs = running(document_of([FIRST, before], "--haproxy-map"))
    runs.capabilities = Capabilities((2, 8))
    found = compare(runs, document_of([FIRST, after], "--haproxy-map"), {"/first", "/web"}, MAPS)
    assert found.reasons == ()
    steps = [re.sub(r"web_10000/\S+( 127.*)?", "web_10000/", step.line) for phase in found.phases for step in phase]
    assert steps == expected


def test_an_app_that_needs_a_reload_does_not_hold_up_the_others():
    runs = running(document_of([FIRST, WEB], "--haproxy-map"))
    runs.capabilities = Capabilities((2, 8))
    sticky = app("/first", [10001], {"HAPROXY_0_VHOST": "first.test", "HAPROXY_0_STICKY": "true"})
    found = compare(runs, document_of([sticky, with_tasks(1, 2)], "--haproxy-map"), {"/first", "/web"}, MAPS)
    assert (list(found.live), list(found.reload)) == (["/web"], ["/first"])
    assert str(found).startswith("live: add server web_10000/")
    assert str(found).endswith("; then reload: the labels of backend first_10001 (app /first) changed")


def test_apps_that_cannot_differ_are_not_looked_at():
    assert compare(running(document_of([WEB])), document_of([]), (), {}).is_nothing


def test_who_has_to_write_the_map_rule_now_is_named():
    first = app("/first", [10001], {"HAPROXY_0_VHOST": "first.test"})
    runs, wanted = document_of([first, WEB], "--haproxy-map"), document_of([WEB], "--haproxy-map")
    found = compare(running(runs), wanted, {"/first", "/web"}, {}).reasons
    assert "what is written for backend web_10000 (app /web) changed" in found


def test_many_reasons_are_shown_as_a_few_and_a_number():
    many = Plan(reload={"/a": tuple(f"reason {number}" for number in range(9))})
    assert str(many).startswith("reload: reason 0; reason 1;")
    assert str(many).endswith("reason 4; and 4 more")


def test_a_plan_can_be_shown_line_by_line():
    known = running(document_of([WEB]))
    known.capabilities = Capabilities((2, 8, 10))
    more, other = {**WEB, "tasks": [*WEB["tasks"], task(9, ports=[31009])]}, app("/other", [10001])
    shown = compare(known, document_of([more, other]), {"/web", "/other"}, {}).lines
    assert [line.partition("   # ")[2] for line in shown] == [
        "it is new",
        "it takes requests",
        "new backend other_10001 (app /other)",
    ]
    assert (shown[0].split()[:2], shown[2].split()[0]) == (["add", "server"], "reload")
