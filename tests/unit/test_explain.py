"""Why is my app not routed: one sentence per service, one per task, and what else an operator asks."""

from __future__ import annotations

import pytest

from fastlb.decision import Decider
from fastlb.explain import all_problems, explain, unknown
from fastlb.explanation import Explanation, Unknown
from fastlb.history import History
from fastlb.running import Running
from fastlb.store import Store
from tests.fakes.apps import CHECK, app, renderer_of, rules_of, task


def deciding(*documents, argv=(), **environ):
    decider = Decider(Store(0.0), renderer_of(*argv, **environ), rules_of(*argv, **environ))
    decider.store.take(documents, 0.0)
    decider.decide()
    return decider


def explained(*documents, argv=(), of=None, **environ):
    found = explain(of or documents[0]["id"], deciding(*documents, argv=argv, **environ))
    assert isinstance(found, Explanation)
    return found


def why_not(explanation):
    """Return the kind and the sentence of every service that is not exposed."""
    return [(one.why_not.kind, one.why_not.text) for one in explanation.services if one.why_not]


CONTAINER = {"networks": [{"mode": "container"}], "portDefinitions": []}

BROKEN = {
    "group": (app(labels={"HAPROXY_GROUP": "internal,dmz"}), (), "its groups are 'internal', 'dmz', and --group takes"),
    "no group": (app(labels={"HAPROXY_GROUP": None}), (), "it is in no group, and --group takes external"),
    "own group": (app(labels={"HAPROXY_0_GROUP": "internal"}), (), "its groups are 'internal'"),
    "strict": (app(), ("--strict-mode",), "--strict-mode needs label HAPROXY_0_ENABLED: true"),
    "disabled": (
        app(labels={"HAPROXY_0_ENABLED": "1"}),
        (),
        "label HAPROXY_0_ENABLED is '1', which does not enable it",
    ),
    "udp": (app(portDefinitions=[{"port": 1, "protocol": "udp"}]), (), "it speaks UDP only"),
    "label": (app(labels={"HAPROXY_0_PORT": "http"}), (), "label HAPROXY_0_PORT is 'http', an integer is needed"),
    "group label": (app(labels={"HAPROXY_GROUP": 5}), (), "label HAPROXY_GROUP is 5, a text is needed"),
    "own port": (app(ports=[9090]), (), "this port is one of HAProxy's own"),
    "no tasks": (app(tasks=[]), (), "the app has no tasks"),
    "scaled": (app(tasks=[], instances=0), (), "no tasks and is scaled to 0 instances"),
    "staging": (app(tasks=[task(state="TASK_STAGING")]), (), "none of the app's 1 task(s) takes requests"),
    "template": (app(labels={"HAPROXY_0_BACKEND_HEAD": "{x}"}), (), "template BACKEND_HEAD: "),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_service_that_is_not_exposed_says_why_in_one_sentence(name):
    document, argv, sentence = BROKEN[name]
    explanation = explained(document, argv=argv)
    ((_, text),) = why_not(explanation)
    assert sentence in text
    assert "\n" not in text
    assert not explanation.exposed
    assert [each.verdict for each in explanation.tasks] == ["out"] * len(document["tasks"])


def test_an_exposed_service_says_where_it_can_be_reached():
    document = app("/dir/web", [10000, 10001], {"HAPROXY_0_VHOST": "a.test,b.test", "HAPROXY_0_PATH": "/p"})
    explanation = explained(document)
    web, tcp = explanation.services
    assert (explanation.exposed, explanation.problems, why_not(explanation)) == (True, (), [])
    assert (web.mode, web.vhosts, web.path, web.bind, web.app_id) == (
        "http",
        ("a.test", "b.test"),
        "/p",
        "*:10000",
        "/dir/web",
    )
    assert (tcp.mode, tcp.vhosts, tcp.bind, tcp.app_id, tcp.backend) == ("tcp", (), "*:10001", None, "dir_web_10001")
    places = [place for place, _ in web.written]
    assert places == ["http frontend", "https frontend", "app-id frontend", "frontend of its port", "backend"]
    assert "server 127_0_0_2_31000 127.0.0.2:31000" in dict(web.written)["backend"]


def test_with_maps_the_entries_are_shown():
    explanation = explained(app(labels={"HAPROXY_0_VHOST": "a.test"}), argv=("--haproxy-map",))
    written = dict(explanation.services[0].written)
    assert (written["map of vhosts"], written["map of app ids"]) == ("a.test app_10000\n", "/app app_10000\n")


def test_what_is_written_shows_no_password():
    written = explained(app(labels={"HAPROXY_0_VHOST": "a", "HAPROXY_0_AUTH": "r:me:hunter2"})).services[0].written
    assert "user me password ***" in dict(written)["userlists"]
    assert "hunter2" not in str(written)


OUT = {
    "state": ({"state": "TASK_KILLING"}, "its state is TASK_KILLING"),
    "host": ({"host": ""}, "names no host"),
    "name": ({"host": "agent.test"}, "its host agent.test does not resolve"),
    "dead": ({"healthCheckResults": [{"alive": False}]}, "do not call it alive"),
    "unknown": ({}, "have no result for it yet"),
}


@pytest.mark.parametrize("name", OUT)
def test_a_task_that_takes_no_requests_says_why(name):
    members, sentence = OUT[name]
    alive = {"healthCheckResults": [{"alive": True}]}
    bad = {**task(2), **({} if name in {"dead", "unknown"} else alive), **members}
    explanation = explained(app(tasks=[task(1, **alive), bad], healthChecks=[CHECK]), argv=("--health-check",))
    assert [each.verdict for each in explanation.tasks] == ["in", "out"]
    assert sentence in explanation.tasks[1].why
    assert explanation.exposed


def test_a_task_without_an_address_of_its_own_or_a_port_says_so():
    inside = {**CONTAINER, "container": {"portMappings": [{"containerPort": 80, "servicePort": 10000}]}}
    without = explained(app(tasks=[task(1)], **inside))
    assert "no address of its own" in without.tasks[0].why
    portless = explained(app(networks=[{"mode": "odd"}], tasks=[task(1)]))
    assert "no port of it is known" in portless.tasks[0].why


def test_a_task_with_too_few_ports_serves_the_services_that_it_has_ports_for():
    explanation = explained(app(ports=[10000, 10001], tasks=[task(ports=[31000])]))
    assert [one.places for one in explanation.tasks] == [((0, "127.0.0.2:31000"),)]
    ((_, text),) = why_not(explanation)
    assert "1 because it has no port for this service" in text


def test_tasks_of_a_deployment_group_drain_and_the_group_is_named():
    group = {"HAPROXY_DEPLOYMENT_GROUP": "shop", "HAPROXY_0_VHOST": "shop.test"}
    blue = app("/shop-blue", labels={**group, "HAPROXY_DEPLOYMENT_STARTED_AT": "2026-01-01"})
    green = app("/shop-green", labels={**group, "HAPROXY_DEPLOYMENT_STARTED_AT": "2026-01-02"}, tasks=[task(2)])
    explanation = explained(blue, green, of="/shop-green")
    assert (explanation.known_as, explanation.group) == ("/shop", ("/shop-blue", "/shop-green"))
    assert {each.id: each.verdict for each in explanation.tasks} == {"task.1": "draining", "task.2": "in"}
    assert explanation.services[0].app_id == "/shop"


def test_a_member_that_its_deployment_group_leaves_out_says_why():
    documents = [
        app(f"/shop-{colour}", labels={"HAPROXY_DEPLOYMENT_GROUP": "shop", "HAPROXY_DEPLOYMENT_STARTED_AT": date})
        for colour, date in (("blue", "2026-01-01"), ("green", "soon"))
    ]
    explanation = explained(*documents)
    assert ["/shop-green" in problem.text and "soon" in problem.text for problem in explanation.problems] == [True]


def test_both_apps_on_one_port_say_that_they_share_it():
    documents = [app("/a"), app("/b")]
    for mine, other in (("/a", "/b"), ("/b", "/a")):
        (remark,) = explained(*documents, of=mine).services[0].remarks
        assert f"shares its service port with {other}" in remark


def test_vhosts_without_their_frontends_are_remarked_upon():
    explanation = explained(app(labels={"HAPROXY_0_VHOST": "a.test"}), argv=("--dont-bind-http-https",))
    assert ["--dont-bind-http-https" in remark for remark in explanation.services[0].remarks] == [True]


def test_a_service_in_whose_place_another_one_is_says_so():
    explanation = explained(app(ports=[10000, 10000]))
    assert [kind for kind, _ in why_not(explanation)] == ["replaced"]


def test_an_app_that_gets_its_ports_assigned_shows_them():
    inside = {**CONTAINER, "container": {"portMappings": [{"containerPort": 80}]}}
    with_address = task(ipAddresses=[{"ipAddress": "127.8.0.1"}])
    (service,) = explained(app("/ipt", tasks=[with_address], **inside)).services
    assert (service.exposed, 10050 <= service.port <= 10100) == (True, True)
    waiting = explained(app("/ipt", tasks=[], **inside))
    assert ["assigned some as soon as it has a task" in each.text for each in waiting.problems] == [True]


def test_an_app_without_ports_says_so():
    explanation = explained(app(ports=[]))
    assert [(each.kind, each.text) for each in explanation.problems] == [
        ("no port", "it has no service port; its definition asks for none")
    ]


def test_the_framework_itself_is_never_exposed():
    explanation = explained(app("/lb"), FRAMEWORK_NAME="lb")
    assert [each.kind for each in explanation.problems] == ["framework"]
    assert [kind for kind, _ in why_not(explanation)] == ["framework"]


def test_the_load_balancer_itself_says_so_where_no_label_exposes_it():
    unlabelled = {**app("/lb"), "labels": {}}
    explanation = explained(unlabelled, argv=("--group", "*"), MARATHON_APP_ID="/lb")
    assert [(each.kind, "this load balancer itself" in each.text) for each in explanation.problems] == [
        ("framework", True)
    ]
    assert explained(app("/lb"), MARATHON_APP_ID="/lb").exposed


def test_an_app_whose_json_cannot_be_read_says_what_is_wrong_with_it():
    explanation = explained(app("/odd", labels=None) | {"labels": None})
    assert (explanation.exposed, explanation.services) == (False, ())
    assert [each.text for each in explanation.problems] == ["labels is missing, an object is needed"]


def test_an_app_that_became_unreadable_is_explained_as_it_was():
    decider = deciding(app("/web"))
    decider.store.take_apps({"/web": {**app("/web"), "labels": None}}, 0.0)
    decider.decide()
    explanation = explain("/web", decider)
    assert explanation.exposed
    assert ["its last good form stays" in each.text for each in explanation.problems] == [True]


def test_an_app_whose_new_form_is_refused_shows_the_form_in_use_and_the_labels_as_they_are_now():
    decider = deciding(app("/web", labels={"HAPROXY_0_VHOST": "old.test"}))
    decider.accepted()
    decider.store.take([app("/web", labels={"HAPROXY_0_VHOST": "new.test"})], 1.0)
    decider.decide()
    decider.quarantine.refuse("/web", "HAProxy says: no", decider.store.apps)
    decider.decide()
    explanation = explain("/web", decider)
    assert explanation.services[0].vhosts == ("old.test",)
    assert "HAProxy says: no; its last good form stays" in explanation.problems[0].text
    assert [each.value for each in explanation.labels if each.name == "HAPROXY_0_VHOST"] == ["new.test"]


def test_an_app_that_haproxy_refuses_and_that_never_was_good_is_left_out_with_haproxys_words():
    decider = deciding(app("/web"))
    decider.quarantine.refuse("/web", "HAProxy says: no", decider.store.apps)
    decider.decide()
    explanation = explain("/web", decider)
    ((kind, text),) = why_not(explanation)
    assert (kind, "HAProxy says: no" in text, explanation.tasks[0].verdict) == ("refused", True, "out")


def test_an_id_that_marathon_has_not_gets_the_nearest_ones():
    assert explain("/team/wbe", deciding(app("/team/web"))) is None
    assert unknown("/team/wbe", ["/team/web", "/other/wbe", "/db"]).nearest == ("/other/wbe", "/team/web")
    assert unknown("x" * 100_000, ["/web"]) == Unknown("x" * 100_000, ())


def test_what_haproxy_does_not_run_yet_is_said():
    decider, running = deciding(app("/web")), Running(1.0)
    assert [each.kind for each in explain("/web", decider, running).problems] == ["waiting"]
    running.loaded(decider.decide())
    assert explain("/web", decider, running).problems == ()
    decider.store.take([app("/web", [10005])], 1.0)
    decider.decide()
    assert [each.kind for each in explain("/web", decider, running).problems] == ["waiting"]


def test_the_last_changes_are_those_of_the_app():
    history = History()
    history.note("live", {"/web": ["a server came"], "/other": ["x"]}, 5.0)
    assert [change.why for change in explain("/web", deciding(app("/web")), None, history).changes] == ["a server came"]


def test_of_the_whole_cluster_everything_is_listed_that_was_not_meant_to_be_left_out():
    decider = deciding(
        app("/good"),
        app("/internal", labels={"HAPROXY_GROUP": "internal"}),
        app("/off", labels={"HAPROXY_0_ENABLED": "false"}),
        app("/idle", tasks=[]),
        app("/udp", [10003, 10004], portDefinitions=[{"port": 10003}, {"port": 10004, "protocol": "udp"}]),
        app("/dead", tasks=[task(state="TASK_STAGING")]),
        app("/bad", labels={"HAPROXY_0_BACKEND_WEIGHT": "x"}),
        app("/refused", [10009]),
        {"id": "/odd"},
    )
    decider.quarantine.refuse("/refused", "HAProxy says: no", decider.store.apps)
    decider.decide()
    problems = all_problems(decider)
    assert problems == sorted(problems)
    assert [line.split()[1].rstrip(":") for line in problems] == ["/bad", "/dead", "/odd", "/refused", "/udp"]
