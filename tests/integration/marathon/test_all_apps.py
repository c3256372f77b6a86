"""Reading all apps, and waiting."""

from __future__ import annotations

import orjson
import pytest

from fastlb.errors import MarathonUnreachable
from fastlb.marathon import Tls
from fastlb.marathon.http import Http
from fastlb.marathon.transfer import Request
from tests.fakes.marathon_http import answer, json_answer, silence
from tests.integration.marathon.parts import (
    APPS,
    BAD_ANSWERS,
    free_port,
)


def test_apps_are_read_with_the_request_that_marathon_lb_sends(marathon, client_of):
    marathon.answers[APPS] = json_answer({"apps": [{"id": "/a"}]})
    assert client_of(marathon.url + "/").apps() == [{"id": "/a"}]
    [seen] = marathon.seen
    assert seen.path == "/v2/apps?embed=apps.tasks"
    assert seen.headers["Accept"] == "application/json"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["User-Agent"] == "marathon-lb"


def test_answers_travel_compressed(marathon, client_of):
    apps = [{"id": f"/app-{n}", "env": {"K": "v" * 100}} for n in range(200)]
    marathon.answers[APPS] = json_answer({"apps": apps})
    client = client_of(marathon.url)
    assert client.apps() == apps
    assert 0 < client.received_bytes < len(orjson.dumps(apps)) / 2
    assert client.requests == 1


def test_one_connection_serves_many_requests(marathon, client_of):
    marathon.answers[APPS] = json_answer({"apps": []})
    client = client_of(marathon.url)
    for _ in range(5):
        client.apps()
    assert len(marathon.connections) == 1
    assert client.requests == 5


def test_a_kept_connection_that_marathon_closed_costs_no_failure(marathon, client_of):
    marathon.answers[APPS] = json_answer({"apps": []})
    client = client_of(marathon.url)
    client.apps()
    marathon.cut()
    assert client.apps() == []


@pytest.mark.parametrize("reason", BAD_ANSWERS)
def test_a_bad_answer_is_named_and_the_next_endpoint_is_asked(reason, marathon, other, client_of):
    marathon.answers[APPS] = BAD_ANSWERS[reason]
    # Only who waits for silence needs a short timeout; the good answers of a busy machine may be late.
    patience = {"read_timeout_s": 1} if BAD_ANSWERS[reason] is silence else {}
    with pytest.raises(MarathonUnreachable) as caught:
        client_of(marathon.url, **patience).apps()
    assert f"{marathon.url}: {reason}" in str(caught.value)
    other.answers[APPS] = json_answer({"apps": [{"id": "/good"}]})
    assert client_of(marathon.url, other.url, **patience).apps() == [{"id": "/good"}]


def test_a_body_of_apps_that_are_no_objects_is_refused(marathon, client_of):
    marathon.answers[APPS] = json_answer({"apps": [{"id": "/a"}, None]})
    with pytest.raises(MarathonUnreachable, match="without a list of apps"):
        client_of(marathon.url).apps()


def test_when_all_fail_every_endpoint_is_named_with_its_reason(marathon, client_of):
    marathon.answers[APPS] = json_answer({}, 503)
    nobody = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(MarathonUnreachable) as caught:
        client_of(nobody, marathon.url).apps()
    assert f"{nobody}: connection refused" in str(caught.value)
    assert f"{marathon.url}: HTTP 503" in str(caught.value)


def test_the_endpoint_that_worked_is_asked_first_from_then_on(marathon, other, client_of, caplog):
    marathon.answers[APPS] = json_answer({}, 503)
    other.answers[APPS] = json_answer({"apps": []})
    client = client_of(marathon.url, other.url)
    for _ in range(3):
        client.apps()
    assert len(marathon.seen) == 1
    assert len(other.seen) == 3
    assert f"asked at {other.url} from now on, since {marathon.url}: HTTP 503" in caplog.text
    other.answers[APPS] = json_answer({}, 503)
    marathon.answers[APPS] = json_answer({"apps": []})
    client.apps()
    client.apps()
    assert len(marathon.seen) == 3
    assert len(other.seen) == 4


def test_an_answer_without_end_is_given_up(marathon):
    marathon.answers["/"] = answer(b"x" * 1000)
    http = Http(Tls(), connect_timeout_s=3, read_timeout_s=3, max_body_bytes=999)
    with http, pytest.raises(MarathonUnreachable, match="more than 999 bytes"):
        http.send(Request(marathon.url + "/"))
