"""From what Marathon said to what HAProxy is given, and which apps go on in an older form."""

from __future__ import annotations

from fastlb.decision import Decider, mistakes_in
from fastlb.store import Store
from tests.fakes.apps import app, renderer_of, rules_of, task


def deciding(*documents):
    decider = Decider(Store(0.0), renderer_of(), rules_of())
    decider.store.take(documents, 0.0)
    return decider


def accept(decider):
    decider.decide()
    decider.accepted()


def vhosts(rendering):
    return [service.options.vhost for service in rendering.services]


def web(vhost="web.test", **members):
    labels = {"HAPROXY_0_VHOST": vhost, **members.pop("labels", {})}
    return app("/web", [10000], labels, **members)


BAD_LABEL = {"HAPROXY_0_BACKEND_WEIGHT": "heavy"}


def test_names_of_hosts_are_asked_for_and_their_addresses_used():
    decider = deciding(app("/web", tasks=[task(host="agent.test")]))
    assert decider.names_to_resolve() == {"agent.test"}
    assert decider.decide().services == []
    decider.learn_addresses({"agent.test": "127.0.0.9"})
    assert decider.names_to_resolve() == set()
    assert [server.address for service in decider.decide().services for server in service.servers] == ["127.0.0.9"]


def test_a_service_whose_labels_became_unusable_goes_on_as_it_was():
    decider = deciding(web())
    accept(decider)
    decider.store.take([web("new.test", labels=BAD_LABEL, tasks=[task(1), task(2, ports=[31005])])], 1.0)
    rendering = decider.decide()
    assert vhosts(rendering) == ["web.test"]
    assert len(rendering.services[0].servers) == 2
    assert "HAPROXY_0_BACKEND_WEIGHT" in decider.quarantine.refused["/web"].reason


def test_a_service_whose_labels_never_could_be_used_is_left_out():
    decider = deciding(web(labels=BAD_LABEL))
    rendering = decider.decide()
    assert (vhosts(rendering), mistakes_in(decider.notes).keys()) == ([], {"/web"})
    assert not decider.quarantine.refused


def test_a_form_with_as_many_mistakes_as_before_is_taken():
    decider = deciding(web(labels=BAD_LABEL))
    accept(decider)
    decider.store.take([web("new.test", labels=BAD_LABEL)], 1.0)
    decider.decide()
    assert not decider.quarantine.refused


def test_of_some_apps_only_those_are_rendered_and_nothing_is_learned():
    decider = deciding(web(), app("/other", [10001]))
    accept(decider)
    decider.store.take([web(labels=BAD_LABEL), app("/other", [10001])], 1.0)
    assert [service.app_id for service in decider.only({"/other"}).services] == ["/other"]
    assert not decider.quarantine.refused


def test_a_deployment_group_whose_labels_became_unusable_goes_on_as_it_was():
    group = {"HAPROXY_DEPLOYMENT_GROUP": "shop"}
    decider = deciding(web(labels=group))
    accept(decider)
    decider.store.take([web("new.test", labels={**group, **BAD_LABEL})], 1.0)
    assert vhosts(decider.decide()) == ["web.test"]


def test_a_new_member_that_spoils_its_deployment_group_is_left_out_of_it():
    group = {"HAPROXY_DEPLOYMENT_GROUP": "shop"}
    decider = deciding(web(labels=group))
    accept(decider)
    decider.store.take([web(labels=group), app("/green", [10000], {**group, **BAD_LABEL})], 1.0)
    assert vhosts(decider.decide()) == ["web.test"]
    assert decider.quarantine.refused.keys() == {"/green"}


def test_an_app_that_joins_a_group_of_which_nothing_can_be_used_goes_on_as_it_was():
    group = {"HAPROXY_DEPLOYMENT_GROUP": "shop"}
    spoilt = app("/green", [10000], {**group, **BAD_LABEL})
    decider = deciding(web(), spoilt)
    accept(decider)
    decider.store.take_apps({"/web": web("new.test", labels=group)}, 1.0)
    assert vhosts(decider.decide()) == ["web.test"]


def test_an_app_that_is_worse_off_for_the_sake_of_anothers_last_good_form_goes_on_as_it_was_too():
    pool = {"HAPROXY_DEPLOYMENT_GROUP": "pool", "HAPROXY_DEPLOYMENT_STARTED_AT": "2026-01-01T00:00:00Z"}
    decider = deciding(web(labels=pool), app("/other", [10001]))
    accept(decider)
    dateless = app("/other", [10001], {"HAPROXY_DEPLOYMENT_GROUP": "pool"})
    decider.store.take([web(labels=BAD_LABEL), dateless], 1.0)
    assert [service.app_id for service in decider.decide().services] == ["/other", "/pool"]


def test_task_events_of_an_app_of_other_groups_do_not_matter():
    assert deciding(web(labels={"HAPROXY_GROUP": "internal"})).cannot_matter("/web")
    assert not deciding(web()).cannot_matter("/web")


def test_task_events_matter_of_an_app_that_could_not_be_read_when_it_was_of_another_group():
    decider = deciding(web(labels={"HAPROXY_GROUP": "internal"}))
    decider.store.take_apps({"/web": web(tasks=[{"id": "odd", "ports": "none"}])}, 0.0)
    assert not decider.cannot_matter("/web")
    decider.store.take_apps({"/web": web(labels={"HAPROXY_GROUP": "internal"})}, 0.0)
    assert decider.cannot_matter("/web")


def test_task_events_matter_of_an_app_that_goes_on_in_its_last_good_form():
    decider = deciding(web())
    accept(decider)
    decider.store.take_apps({"/web": web(labels={"HAPROXY_GROUP": 5})}, 0.0)
    assert vhosts(decider.decide()) == ["web.test"]
    assert not decider.cannot_matter("/web")
