"""An explanation as text and JSON: all of it is there, and nothing in it can harm whoever looks at it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fastlb.explain import explain
from fastlb.explain_text import as_json, as_text, harmless
from fastlb.explanation import Change, ServerNow, Unknown
from fastlb.history import History
from tests.fakes.apps import app, task
from tests.unit.test_explain import deciding

NASTY = "\x1b]0;owned\x07\x1b[2J\r\n\u202e<script>alert(1)</script>'\"\u0000\x9b31m"


def nasty_cluster():
    labels = {f"HAPROXY_0_{name}": f"{NASTY}:a:b" for name in ("VHOST", "PATH", "AUTH", "BACKEND_HEAD", "X")}
    return deciding(
        app("/<b>\u00e9'\"", [10000], labels),
        app("/t", [10001], {"HAPROXY_0_BACKEND_HEAD": f"backend {{backend}}\n  # {NASTY}\n", f"HAPROXY_{NASTY}": "x"}),
        app("/s", tasks=[task(id=f"{NASTY}", state="TASK_RUNNING")]) | {"labels": {"HAPROXY_GROUP": NASTY}},
    )


@pytest.mark.parametrize("app_id", ["/<b>\u00e9'\"", "/t", "/s"])
def test_no_control_character_reaches_the_terminal(app_id):
    text = as_text(explain(app_id, nasty_cluster()))
    assert [line for line in text.split("\n") if not line.isprintable()] == []


@pytest.mark.parametrize("app_id", ["/<b>\u00e9'\"", "/t", "/s"])
def test_the_json_is_plain_ascii_and_says_the_same(app_id):
    text = as_json(explain(app_id, nasty_cluster()))
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert json.loads(text)["app_id"] == app_id


def test_what_is_not_printable_is_shown_as_an_escape():
    assert harmless("a\x1b[31mb\u202ec\ud800d\u00e9") == r"a\x1b[31mb\u202ec\ud800d" + "\u00e9"


def test_a_very_long_text_is_cut():
    assert harmless("x" * 5000).endswith("... (5000 characters)")


def test_everything_is_in_the_text():
    history = History()
    history.note("reload", {"/web": ["new backend web_10000 (app /web)"]}, 0.0, 0.25)
    decider = deciding(app("/web", [10000, 10001], {"HAPROXY_0_VHOST": "a.test", "HAPROXY_1_ENABLED": "no"}))
    text = as_text(explain("/web", decider, None, history))
    for part in (
        "app /web: exposed",
        "service 0, port 10000, http: exposed\n  vhosts a.test\n  listens on *:10000, backend web_10000\n  1 server(s)",
        "service 1, port 10001, tcp: not exposed: label HAPROXY_1_ENABLED is 'no', which does not enable it",
        "in        task.1  127.0.0.2  TASK_RUNNING  127.0.0.2:31000 (service 0)",
        "HAPROXY_0_VHOST = 'a.test'\n      host names",
        "1970-01-01 00:00:00 UTC  reload, 0.250 s after the event: new backend web_10000 (app /web)",
        "service 0, backend:\n    backend web_10000",
    ):
        assert part in text


def test_a_port_that_a_label_changed_says_so():
    text = as_text(explain("/web", deciding(app("/web", labels={"HAPROXY_0_PORT": "8080"}))))
    assert "port 8080 (label PORT; Marathon says 10000)" in text


def test_what_is_wrong_with_a_label_is_said_at_the_top_and_once():
    text = as_text(explain("/web", deciding(app("/web", labels={"HAPROXY_0_VHOTS": "a", "HAPROXY_0_PORT": "x"}))))
    top = text.partition("\ntasks\n")[0]
    assert "\n  ! label HAPROXY_0_VHOTS: no label has this name; did you mean HAPROXY_0_VHOST?\n" in top
    assert top.count("HAPROXY_0_PORT is 'x'") == 1


def test_why_nothing_of_an_app_is_used_is_said_once():
    decider = deciding(app("/web"))
    decider.quarantine.refuse("/web", "HAProxy says: no", decider.store.apps)
    decider.decide()
    text = as_text(explain("/web", decider))
    assert text.startswith("app /web: not exposed\n  ! HAProxy says: no; it is left out until it changes\n")
    assert "service 0, port 10000, tcp: not exposed: for the reason above\n" in text
    assert text.count("HAProxy says") == 1


def test_why_no_task_counts_is_counted_and_a_task_without_a_port_has_no_gap():
    tasks = [task(number, state=state) for number, state in enumerate(("TASK_STAGING", "TASK_STAGING", "TASK_KILLING"))]
    text = as_text(explain("/web", deciding(app("/web", tasks=tasks))))
    assert "3 task(s) takes requests for it: 2 because its state is TASK_STAGING; 1 because its state is TASK_K" in text
    assert "TASK_STAGING: its state is TASK_STAGING\n" in text


def test_a_server_that_haproxy_still_has_after_its_task_went_is_out_of_service():
    gone = ServerNow("web_10000", "s", "127.0.0.2:31000", "MAINT", "", 0, 0, 4)
    text = as_text(replace(explain("/web", deciding(app("/web"))), servers=(gone,)))
    assert "MAINT     127.0.0.2:31000  s for 4 s; 0 connection(s), 0 waiting, out of service" in text


def test_an_unknown_app_and_a_cluster_without_problems():
    assert as_text(Unknown("/wbe", ("/web",))) == "Marathon has no app /wbe\ndid you mean /web?\n"
    assert json.loads(as_json(Unknown("/wbe", ("/web",)))) == {"app_id": "/wbe", "nearest": ["/web"]}
    assert (as_text([]), as_json([])) == ("nothing is left out\n", "[]\n")


def test_a_change_without_an_event_says_nothing_about_one():
    history = History()
    history.note("live", {"/web": ["x"]}, 0.0)
    assert history.of("/web") == (Change(0.0, "live", "x", None),)
    assert "UTC  live: x" in as_text(explain("/web", deciding(app("/web")), None, history))
