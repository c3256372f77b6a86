"""Reading single apps."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from fastlb.marathon import Told
from fastlb.marathon.http import MOST_AT_ONCE
from tests.fakes.marathon_http import DEADLINE_S, answer, eventually, json_answer, protected, redirect, silence
from tests.integration.marathon.parts import (
    APPS,
    BAD_ANSWERS,
    BASIC,
    BASIC_HEADER,
    AppAnswers,
    apps_by_id,
    as_found,
    free_port,
    path_of,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Crowd:
    """Holds each answer back until `most` requests were under way at the same time, and notes how many ever were."""

    def __init__(self, most: int) -> None:
        self.seen_at_once = 0
        self._most = most
        self._inside = 0
        self._change = threading.Condition()

    def hold(self, inner: Callable[..., None]) -> Callable[..., None]:
        def respond(handler: Any) -> None:
            with self._change:
                self._inside += 1
                self.seen_at_once = max(self.seen_at_once, self._inside)
                self._change.notify_all()
                self._change.wait_for(lambda: self.seen_at_once >= self._most, DEADLINE_S)
                self._inside -= 1
            inner(handler)

        return respond


def test_an_app_is_read_by_its_path_with_the_slashes_as_they_are(marathon, client_of):
    marathon.answers["/v2/apps/group/web"] = json_answer({"app": {"id": "/group/web"}})
    assert apps_by_id(client_of(marathon.url), ["/group/web"]) == AppAnswers({"/group/web": {"id": "/group/web"}}, {})
    assert marathon.seen[0].headers["User-Agent"] == "marathon-lb"


def test_an_app_that_marathon_does_not_know_is_none(marathon, other, client_of):
    app_ids = serve(marathon, 2)
    found = apps_by_id(client_of(marathon.url, other.url), [*app_ids, "/gone"]).found
    assert found == as_found(app_ids) | {"/gone": None}
    assert other.seen == []


def test_thirty_apps_are_read_eight_at_a_time_over_connections_that_are_kept(marathon, client_of):
    crowd = Crowd(MOST_AT_ONCE)
    app_ids = serve(marathon, 30, lambda document: crowd.hold(json_answer(document)))
    client = client_of(marathon.url)
    for _ in range(2):
        assert apps_by_id(client, app_ids) == AppAnswers(as_found(app_ids), {})
    assert crowd.seen_at_once == MOST_AT_ONCE
    assert len(marathon.connections) == MOST_AT_ONCE
    assert client.requests == len(marathon.seen) == 60


def test_bytes_of_many_answers_are_counted_as_they_were_sent(marathon, client_of):
    app_ids = serve(marathon, 20, lambda document: answer(orjson.dumps(document)))
    client = client_of(marathon.url)
    apps_by_id(client, app_ids)
    assert client.received_bytes == sum(len(orjson.dumps({"app": {"id": app_id}})) for app_id in app_ids)


def test_one_slow_app_does_not_hold_up_the_others(marathon, client_of):
    app_ids = serve(marathon, 30)

    def slow(handler: Any) -> None:
        eventually(lambda: len(marathon.seen) == len(app_ids))
        json_answer({"app": {"id": app_ids[0]}})(handler)

    marathon.answers[path_of(app_ids[0])] = slow
    assert apps_by_id(client_of(marathon.url), app_ids) == AppAnswers(as_found(app_ids), {})


# Silence is tried apart: there the good answers have to come within the timeout, so that it has to be a long one.
BAD_APPS = {**BAD_ANSWERS, "answered JSON without an app": json_answer({"message": "hm"})}
for of_lists in ("answered JSON without a list of apps", "answered a list of apps of which none has an id"):
    del BAD_APPS[of_lists]
del BAD_APPS["no byte for 1 s"]


@pytest.mark.parametrize("reason", BAD_APPS)
def test_a_bad_answer_for_one_of_twenty_apps_fails_alone_and_is_named(reason, marathon, client_of):
    app_ids = serve(marathon, 20)
    bad = app_ids[7]
    marathon.answers[path_of(bad)] = BAD_APPS[reason]
    answers = apps_by_id(client_of(marathon.url), app_ids)
    assert answers.found == as_found([app_id for app_id in app_ids if app_id != bad])
    assert list(answers.failed) == [bad]
    assert f"{marathon.url}: {reason}" in answers.failed[bad]


def test_an_app_that_marathon_never_answers_for_fails_alone(marathon, client_of):
    app_ids = serve(marathon, 20)
    marathon.answers[path_of(app_ids[7])] = silence
    answers = apps_by_id(client_of(marathon.url, read_timeout_s=3), app_ids)
    assert answers.found == as_found([app_id for app_id in app_ids if app_id != app_ids[7]])
    assert answers.failed == {app_ids[7]: f"no Marathon gave a usable answer: {marathon.url}: no byte for 3 s"}


def test_an_app_with_another_id_is_passed_on_as_it_is(marathon, client_of):
    marathon.answers[path_of("/a")] = json_answer({"app": {"id": "/b"}})
    assert apps_by_id(client_of(marathon.url), ["/a"]).found == {"/a": {"id": "/b"}}


def test_only_the_apps_that_failed_are_asked_for_at_the_next_endpoint(marathon, other, client_of, caplog):
    app_ids = serve(marathon, 20)
    serve(other, 20)
    marathon.answers[path_of(app_ids[3])] = json_answer({}, 500)
    client = client_of(marathon.url, other.url)
    assert apps_by_id(client, app_ids) == AppAnswers(as_found(app_ids), {})
    assert other.paths() == [path_of(app_ids[3])]
    apps_by_id(client, app_ids[:1])
    assert len(other.seen) == 1, "the first endpoint works, so it stays the first"
    assert caplog.text == ""


def test_an_app_that_fails_everywhere_has_the_reason_of_each_endpoint(marathon, other, client_of):
    marathon.answers[path_of("/a")] = json_answer({}, 500)
    other.answers[path_of("/a")] = json_answer({}, 503)
    reason = apps_by_id(client_of(marathon.url, other.url), ["/a"]).failed["/a"]
    assert f"{marathon.url}: HTTP 500" in reason
    assert f"{other.url}: HTTP 503" in reason


def test_the_endpoint_that_gave_single_apps_is_asked_first_from_then_on(marathon, client_of, caplog):
    app_ids = serve(marathon, 20)
    nobody = f"http://127.0.0.1:{free_port()}"
    client = client_of(nobody, marathon.url)
    for _ in range(2):
        assert apps_by_id(client, app_ids) == AppAnswers(as_found(app_ids), {})
    assert client.requests == 2 * len(app_ids) + MOST_AT_ONCE
    assert f"asked at {marathon.url} from now on, since {nobody}: connection refused" in caplog.text


def test_an_endpoint_that_hangs_costs_one_timeout_however_many_apps_are_asked_for(marathon, client_of):
    app_ids = serve(marathon, 30, lambda _: silence)
    answers = apps_by_id(client_of(marathon.url, read_timeout_s=0.3), app_ids)
    assert answers.found == {}
    assert set(answers.failed) == set(app_ids)
    assert all("no byte for 0.3 s" in reason for reason in answers.failed.values())
    assert len(marathon.seen) < 2 * MOST_AT_ONCE


def test_kept_connections_that_marathon_closed_cost_no_failure(marathon, client_of):
    app_ids = serve(marathon, 20)
    client = client_of(marathon.url)
    apps_by_id(client, app_ids)
    marathon.cut()
    assert apps_by_id(client, app_ids).failed == {}


def test_a_client_that_read_single_apps_reads_everything_over_the_same_connections(marathon, client_of):
    app_ids = serve(marathon, 20)
    marathon.answers[APPS] = json_answer({"apps": []})
    client = client_of(marathon.url)
    apps_by_id(client, app_ids)
    connections = len(marathon.connections)
    assert client.apps() == []
    assert len(marathon.connections) == connections


def test_a_follower_of_single_apps_is_followed_with_credentials(marathon, other, client_of):
    app_ids = serve(other, 20, lambda document: protected(BASIC_HEADER, json_answer(document)))
    for app_id in app_ids:
        marathon.answers[path_of(app_id)] = redirect(other.url)
    assert apps_by_id(client_of(marathon.url, login=BASIC), app_ids) == AppAnswers(as_found(app_ids), {})


ODD_IDS = {
    "/group-1/sub.group/0a-b.c-9": "/v2/apps/group-1/sub.group/0a-b.c-9",
    "/a b/100%/c?d#e": "/v2/apps/a%20b/100%25/c%3Fd%23e",
    "/grün": "/v2/apps/gr%C3%BCn",
}


@pytest.mark.parametrize("app_id", ODD_IDS)
def test_an_id_is_quoted_so_that_it_stays_one(app_id, marathon, client_of):
    marathon.answers[ODD_IDS[app_id]] = json_answer({"app": {"id": app_id}})
    assert apps_by_id(client_of(marathon.url), [app_id]).found == {app_id: {"id": app_id}}


def test_an_endpoint_that_hangs_for_one_app_does_not_keep_another_from_the_next_endpoint(marathon, other, client_of):
    marathon.answers[path_of("/hung")] = silence
    other.answers[path_of("/b")] = json_answer({"app": {"id": "/b"}})
    client = client_of(marathon.url, other.url)
    client.ask(["/hung", "/b"])
    marathon.answers[path_of("/b")] = json_answer({}, 500)
    told: list[Told] = []
    while not told:
        told = client.told()
    assert told == [Told("/b", {"id": "/b"})]


def test_what_is_dropped_is_given_up_and_never_told(marathon, client_of):
    app_ids = serve(marathon, 20)
    marathon.answers[path_of(app_ids[0])] = silence
    client = client_of(marathon.url)
    client.ask(app_ids)
    told = client.told()
    client.drop([app_ids[0], app_ids[19]])
    while len(told) < 18:
        told += client.told()
    assert {each.app_id for each in told} == set(app_ids[1:19])
    assert client.told() == []


def test_a_wait_ends_when_it_is_woken(marathon, client_of):
    marathon.answers[path_of("/a")] = silence
    client = client_of(marathon.url)
    client.ask(["/a"])
    eventually(lambda: client.told() == [] and marathon.paths())

    def waited_s(*, woken: bool) -> float:
        began_s = time.monotonic()
        for _ in range(10):
            if woken:
                client.wake()
            assert client.told() == []
        return time.monotonic() - began_s

    assert waited_s(woken=True) < waited_s(woken=False) / 2
