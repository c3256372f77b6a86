"""Reading the apps of one's own group only."""

from __future__ import annotations

from fastlb.marathon import Selector
from tests.fakes.marathon_http import json_answer
from tests.integration.marathon.parts import APPS, apps_by_id, path_of

OURS = {"id": "/ours", "labels": {"HAPROXY_GROUP": "external"}}
LISTED = {"id": "/listed", "labels": {"HAPROXY_GROUP": "external,internal"}}
THEIRS = {"id": "/theirs", "labels": {"HAPROXY_GROUP": "internal"}}


def test_everything_is_asked_for_by_label_and_what_was_not_selected_all_the_same_is_left_out(marathon, client_of):
    marathon.answers[APPS] = json_answer({"apps": [THEIRS, OURS, LISTED]})
    assert client_of(marathon.url, selector=Selector(("external", "a b"))).apps() == [OURS]
    assert marathon.paths() == [
        "/v2/apps?embed=apps.tasks&label=HAPROXY_GROUP%20in%20%28external%2Ca%5C%20b%29",
    ]


def test_a_single_app_that_is_not_selected_counts_as_gone_and_one_that_names_the_group_is_told_of_once(
    marathon, client_of, caplog
):
    for app in (OURS, LISTED, THEIRS):
        marathon.answers[path_of(app["id"])] = json_answer({"app": app})
    client = client_of(marathon.url, selector=Selector(("external",)))
    for _ in range(2):
        found = apps_by_id(client, ["/ours", "/listed", "/theirs"]).found
        assert found == {"/ours": OURS, "/listed": None, "/theirs": None}
    (record,) = caplog.records
    assert record.message.startswith("app /listed is not read: HAPROXY_GROUP in (external) does not select it")
