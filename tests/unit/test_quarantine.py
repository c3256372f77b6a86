"""Which form of an app is tried: the newest, the last good one, or none."""

from __future__ import annotations

from fastlb.quarantine import Quarantine
from tests.fakes.apps import app, read_all, task


def form(app_id="/web", tasks=1, **labels):
    (found,), _ = read_all([app(app_id, labels=labels, tasks=[task(number) for number in range(tasks)])])
    return found


GOOD, BAD, MENDED = form(), form(HAPROXY_0_BALANCE="bad"), form(HAPROXY_0_BALANCE="source")


def accepting(*apps):
    quarantine = Quarantine()
    quarantine.accepted({each.id: each for each in apps}, {})
    return quarantine


def forms(quarantine, apps):
    return [tried for each in apps if (tried := quarantine.form(each)) is not None]


def test_apps_are_tried_as_they_are():
    assert forms(Quarantine(), [GOOD, BAD]) == [GOOD, BAD]


def test_a_refused_app_that_was_never_good_is_left_out_until_it_changes():
    quarantine = Quarantine()
    assert quarantine.refuse("/web", "no", [BAD]) == ["/web"]
    assert forms(quarantine, [BAD]) == []
    assert quarantine.refused["/web"].entirely
    assert forms(quarantine, [MENDED]) == [MENDED]
    assert not quarantine.refused


def test_an_app_that_was_good_goes_on_in_its_last_good_form_with_its_present_tasks():
    quarantine = accepting(GOOD)
    quarantine.refuse("/web", "no", [BAD])
    more_tasks = form(tasks=3, HAPROXY_0_BALANCE="bad")
    assert forms(quarantine, [more_tasks]) == [GOOD._replace(tasks=more_tasks.tasks)]
    assert not quarantine.refused["/web"].entirely


def test_when_the_last_good_form_is_refused_too_nothing_of_the_app_is_left_until_anything_of_it_changes():
    quarantine = accepting(GOOD)
    quarantine.refuse("/web", "no", [BAD])
    quarantine.refuse("/web", "no again", [BAD])
    assert forms(quarantine, [BAD]) == []
    assert quarantine.refused["/web"].reason == "no again"
    one_task_more = form(tasks=2, HAPROXY_0_BALANCE="bad")
    assert forms(quarantine, [one_task_more]) == [one_task_more]


def test_a_form_that_was_good_and_is_refused_now_has_no_substitute():
    quarantine = accepting(GOOD)
    quarantine.refuse("/web", "its port is taken", [GOOD])
    assert forms(quarantine, [GOOD]) == []


def test_what_was_applied_while_an_app_was_refused_does_not_make_its_bad_form_good():
    quarantine = accepting(GOOD)
    quarantine.refuse("/web", "no", [BAD])
    quarantine.accepted({"/web": BAD}, {})
    assert forms(quarantine, [BAD]) == [GOOD]


def test_released_apps_are_tried_as_they_are_and_can_be_refused_again():
    quarantine = accepting(GOOD)
    quarantine.refuse("/web", "no", [BAD])
    quarantine.release_all()
    assert forms(quarantine, [BAD]) == [BAD]
    quarantine.refuse("/web", "no", [BAD])
    assert forms(quarantine, [BAD]) == [GOOD]


def test_of_a_deployment_group_only_the_member_that_changed_is_refused():
    blue = form("/blue", HAPROXY_DEPLOYMENT_GROUP="shop")
    green = form("/green", HAPROXY_DEPLOYMENT_GROUP="shop")
    quarantine = accepting(blue)
    assert quarantine.refuse("/shop", "no", [blue, green]) == ["/green"]
    assert forms(quarantine, [blue, green]) == [blue]


def test_of_a_deployment_group_in_which_nothing_changed_all_members_are_refused():
    group = [form(app_id, HAPROXY_DEPLOYMENT_GROUP="shop") for app_id in ("/blue", "/green")]
    assert accepting(*group).refuse("/shop", "no", group) == ["/blue", "/green"]


def test_what_is_known_of_apps_that_are_gone_is_forgotten():
    quarantine = accepting(GOOD)
    quarantine.refuse("/web", "no", [BAD])
    quarantine.accepted({"/web": None}, {})
    assert not quarantine.refused
    assert forms(quarantine, [BAD]) == [BAD]
    quarantine.refuse("/web", "no", [BAD])
    assert forms(quarantine, [BAD]) == []


def test_a_form_is_worse_only_if_more_of_its_services_were_left_out_than_of_the_last_good_one():
    quarantine = accepting(GOOD)
    assert quarantine.worse([BAD], {"/web": 1}) == [BAD]
    assert quarantine.worse([BAD], {}) == []
    assert quarantine.worse([GOOD._replace(tasks=())], {"/web": 1}) == [], "only its tasks differ"
    assert quarantine.worse([form("/new")], {"/new": 1}) == []
    quarantine.accepted({"/web": GOOD}, {"/web": 2})
    assert quarantine.worse([BAD], {"/web": 2}) == []


def test_a_deployment_group_is_worse_by_the_doing_of_the_member_that_is_new():
    blue = form("/blue", HAPROXY_DEPLOYMENT_GROUP="shop")
    green = form("/green", HAPROXY_DEPLOYMENT_GROUP="shop")
    assert accepting(blue).worse([blue, green], {"/blue": 1, "/green": 1}) == [green]
    assert accepting(blue).worse([green, blue], {"/blue": 1}) == [green]
    assert accepting(blue, green).worse([blue, green], {"/blue": 1, "/green": 1}) == []


def test_a_member_of_a_deployment_group_is_not_refused_for_its_tasks_while_another_one_is_new():
    blue = form("/blue", HAPROXY_DEPLOYMENT_GROUP="shop")
    more_of_blue = form("/blue", tasks=2, HAPROXY_DEPLOYMENT_GROUP="shop")
    green = form("/green", HAPROXY_DEPLOYMENT_GROUP="shop")
    quarantine = accepting(blue)
    assert quarantine.refuse("/shop", "no", [more_of_blue, green]) == ["/green"]
    assert forms(quarantine, [more_of_blue, green]) == [more_of_blue]


def test_an_app_is_found_by_the_id_of_the_form_that_was_tried():
    quarantine = accepting(form("/blue", HAPROXY_DEPLOYMENT_GROUP="shop"))
    alone = form("/blue", HAPROXY_0_BALANCE="bad")
    assert quarantine.refuse("/blue", "no", [alone]) == ["/blue"]
    assert quarantine.refuse("/shop", "its last good form neither", [alone]) == ["/blue"]
    assert forms(quarantine, [alone]) == []


def test_when_a_deployment_group_is_refused_again_those_left_out_before_are_not_blamed_again():
    blue = form("/blue", HAPROXY_DEPLOYMENT_GROUP="shop")
    green = form("/green", HAPROXY_DEPLOYMENT_GROUP="shop")
    quarantine = accepting(blue)
    quarantine.refuse("/shop", "no", [blue, green])
    assert quarantine.refuse("/shop", "no", [blue, green]) == ["/blue"]
    assert forms(quarantine, [blue, green]) == []


def test_what_haproxy_ended_on_is_all_that_is_new_and_stays_out_until_it_changes_or_somebody_asks():
    quarantine = accepting(GOOD)
    other = form("/other")
    assert quarantine.refuse_new("it ended", [GOOD, other], harmful=True) == ["/other"]
    quarantine.release_all()
    assert forms(quarantine, [GOOD, form("/other", tasks=3)]) == [GOOD]
    assert forms(quarantine, [form("/other", HAPROXY_0_BALANCE="source")]) != []
    quarantine.refuse_new("it ended", [GOOD, other], harmful=True)
    quarantine.release_all(harmful=True)
    assert forms(quarantine, [GOOD, other]) == [GOOD, other]


def test_where_everything_is_new_nothing_is_refused_since_nothing_would_be_left():
    quarantine = Quarantine()
    assert quarantine.refuse_new("it ended", [GOOD, form("/other")], harmful=True) == []
    assert forms(quarantine, [GOOD]) == [GOOD]
