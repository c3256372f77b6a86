"""The selector that is sent means to Marathon (here: the simulated one) what it means to fastlb."""

from __future__ import annotations

import pytest

from fastlb.marathon import Selector, selector_of
from fastlb.simulator.selectors import parse_selector

ODD = ("a b", "a/b", "a,b", "(x)", "back\\slash", "ümlaut", "in", "==")


@pytest.mark.parametrize("groups", [("external",), ("external", "internal"), *((group, "other") for group in ODD)])
@pytest.mark.parametrize("group", ["external", "internal", "external,internal", "External", "", None, *ODD])
def test_marathon_selects_the_apps_whose_group_is_exactly_one_of_ours(groups, group):
    labels = {} if group is None else {"HAPROXY_GROUP": group}
    selector = Selector(groups)
    assert selector.selects({"labels": labels}) is (group in groups)
    assert parse_selector(selector.expression)(labels) is (group in groups)


@pytest.mark.parametrize("groups", [("*",), ("external", "*"), ("",)])
def test_groups_that_no_selector_can_name_select_nothing(groups):
    assert selector_of(groups) is None


@pytest.mark.parametrize(
    ("labels", "missed"),
    [
        ({"HAPROXY_GROUP": "external,internal"}, True),
        ({"HAPROXY_0_GROUP": "external"}, True),
        ({"HAPROXY_GROUP": "internal", "HAPROXY_12_GROUP": "a,external"}, True),
        ({"HAPROXY_GROUP": "external"}, False),
        ({"HAPROXY_GROUP": "internal"}, False),
        ({"HAPROXY_DEPLOYMENT_GROUP": "external"}, False),
        ({"HAPROXY_0_GROUP": 5}, False),
        ({}, False),
    ],
)
def test_an_app_that_names_our_group_otherwise_is_missed(labels, missed):
    assert Selector(("external",)).misses({"labels": labels}) is missed


@pytest.mark.parametrize("labels", [None, [], "x"])
def test_labels_that_make_no_sense_are_left_to_who_reads_them(labels):
    selector = Selector(("external",))
    assert selector.selects({"labels": labels})
    assert not selector.misses({"labels": labels})
