"""The simulated Marathon over HTTP: answers, headers, errors, packing, faults, the follower."""

from __future__ import annotations

import gzip
import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from fastlb.simulator.dialects import DIALECTS
from fastlb.simulator.faults import Fault
from fastlb.simulator.population import population
from fastlb.simulator.refusals import Refusal
from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from fastlb.simulator.world import Delays

WEB = {"id": "/shop/web", "instances": 2, "cmd": "Serve", "labels": {"HAPROXY_GROUP": "external"}}
API = {"id": "/shop/deep/api", "labels": {"HAPROXY_0_GROUP": "internal"}}


@pytest.fixture
def marathon():
    with SimulatedMarathon() as simulated:
        simulated.load([WEB, API])
        yield simulated


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, data, named)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def ids(answer: Answer) -> set[str]:
    return {app["id"] for app in answer.json["apps"]}


def test_the_list_has_tasks_only_when_asked(marathon):
    bare = ask(marathon.url, "/v2/apps").json["apps"][0]
    assert bare["tasksRunning"] == 2
    assert bare["deployments"] == []
    assert "tasks" not in bare
    for embed in ("tasks", "apps.tasks", "app.tasks", "group.apps.tasks"):
        assert len(ask(marathon.url, f"/v2/apps?embed={embed}&embed=nonsense").json["apps"][0]["tasks"]) == 2


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("id=DEEP", {"/shop/deep/api"}),
        ("cmd=serve", {"/shop/web"}),
        ("label=HAPROXY_GROUP", {"/shop/web"}),
        ("label=HAPROXY_GROUP%3D%3Dinternal", set()),
        ("label=HAPROXY_GROUP&id=api", set()),
    ],
)
def test_filters_are_anded(marathon, query, expected):
    assert ids(ask(marathon.url, f"/v2/apps?{query}")) == expected


def test_a_single_app_is_found_with_any_number_of_slashes(marathon):
    for path in ("shop/deep/api", "/shop/deep/api", "//shop//deep/api"):
        app = ask(marathon.url, f"/v2/apps/{path}").json["app"]
        assert app["id"] == "/shop/deep/api"
        assert len(app["tasks"]) == 1


def test_a_wildcard_gives_all_apps_below_a_group(marathon):
    assert len(ask(marathon.url, "/v2/apps/shop/*").json["*"]) == 2
    assert len(ask(marathon.url, "/v2/apps//shop/deep/*").json["*"]) == 1
    assert len(ask(marathon.url, "/v2/apps/*").json["*"]) == 2
    assert ask(marathon.url, "/v2/apps/nowhere/*").json == {"message": "Group '/nowhere' does not exist"}


def test_service_ports_stand_on_tasks_of_v2_tasks_only(marathon):
    assert ask(marathon.url, "/v2/tasks").json["tasks"][0]["servicePorts"] == [10000]
    assert ask(marathon.url, "/v2/apps/shop/web/tasks").json["tasks"][0]["servicePorts"] == []
    assert ask(marathon.url, "/v2/tasks?status=staging").json["tasks"] == []
    lines = ask(marathon.url, "/v2/tasks", Accept="text/plain").body.decode().splitlines()
    assert lines[0].split("\t")[:2] == ["shop_web", "10000"]


def test_versions_groups_leader_info_and_ping_answer(marathon):
    (version,) = ask(marathon.url, "/v2/apps/shop/web/versions").json["versions"]
    assert ask(marathon.url, f"/v2/apps/shop/web/versions/{version}").json["version"] == version
    tree = ask(marathon.url, "/v2/groups").json["groups"][0]
    assert (tree["id"], tree["apps"][0]["id"], tree["groups"][0]["id"]) == ("/shop", "/shop/web", "/shop/deep")
    assert ask(marathon.url, "/v2/leader").json["leader"] == urlsplit(marathon.url).netloc
    assert ask(marathon.url, "/v2/info").json["version"] == DIALECTS["1.8"].release
    assert ask(marathon.url, "/ping").body == b"pong"
    assert ask(marathon.url, "/v2/deployments").json == []


def test_every_answer_forbids_caching_and_names_the_leader(marathon):
    for path in ("/v2/apps", "/ping", "/v2/apps/none"):
        headers = ask(marathon.url, path).headers
        assert headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
        assert headers["X-Marathon-Leader"] == marathon.url
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["ETag"] is headers["Last-Modified"] is None


def test_gets_are_gzipped_when_accepted_and_long_bodies_are_chunked(marathon):
    marathon.load(population(100, 3))
    plain = ask(marathon.url, "/v2/apps?embed=apps.tasks")
    packed = ask(marathon.url, "/v2/apps?embed=apps.tasks", Accept_Encoding="gzip")
    assert plain.headers["Transfer-Encoding"] == "chunked"
    assert plain.headers["Content-Encoding"] is None
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(packed.body) == plain.body
    short = ask(marathon.url, "/v2/apps/shop/web")
    assert int(short.headers["Content-Length"]) == len(short.body)


def test_an_app_is_created_changed_killed_and_deleted(marathon):
    created = ask(marathon.url, "/v2/apps", "POST", {"id": "/new", "instances": 1})
    assert created.status == 201
    assert created.json["deployments"] == [{"id": created.headers["Marathon-Deployment-Id"]}]
    assert created.json["portDefinitions"][0]["port"] == 0
    marathon.wait_idle()
    changed = ask(marathon.url, "/v2/apps/new", "PUT", {"instances": 3})
    assert (changed.status, set(changed.json)) == (200, {"version", "deploymentId"})
    marathon.wait_idle()
    victim = marathon.tasks("/new")[0]["id"]
    scaled = ask(marathon.url, "/v2/tasks/delete?scale=true", "POST", {"ids": [victim]})
    assert set(scaled.json) == {"version", "deploymentId"}
    marathon.wait_idle()
    assert victim not in {task["id"] for task in marathon.tasks("/new")}
    killed = ask(marathon.url, f"/v2/apps/new/tasks/{marathon.tasks('/new')[0]['id']}", "DELETE")
    assert killed.json["task"]["appId"] == "/new"
    marathon.wait_idle()
    assert len(marathon.tasks("/new")) == 2
    assert ask(marathon.url, "/v2/apps/new/restart", "POST").status == 200
    marathon.wait_idle()
    assert ask(marathon.url, "/v2/apps/new", "DELETE").status == 200
    assert ask(marathon.url, "/v2/apps/new").status == 404
    marathon.wait_idle()


def test_put_creates_and_patch_does_not(marathon):
    assert ask(marathon.url, "/v2/apps/made", "PUT", {"instances": 0}).status == 201
    assert ask(marathon.url, "/v2/apps/missing", "PATCH", {"instances": 0}).status == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/v2/apps/x", None, 404, "App '/x' does not exist"),
        ("POST", "/v2/apps", {"id": "/shop/web"}, 409, "An app with id [/shop/web] already exists."),
        ("POST", "/v2/apps", {"id": "/Bad"}, 422, "Object is not valid"),
        ("POST", "/v2/apps", {"id": 7}, 422, "Invalid JSON"),
        ("POST", "/v2/apps", b"{", 400, "Invalid JSON"),
        ("PUT", "/v2/apps/shop/web", {"version": "x", "instances": 1}, 422, "Object is not valid"),
        ("POST", "/v2/tasks/delete", {"ids": ["nonsense"]}, 400, "Invalid task id 'nonsense'."),
        ("DELETE", "/v2/deployments/x", None, 404, "DeploymentPlan x does not exist"),
        ("GET", "/v2/apps?label=A%3Db", None, 422, None),
        ("GET", "/nowhere", None, 500, None),
    ],
)
def test_errors_have_marathons_status_and_message(marathon, method, path, body, status, message):
    answer = ask(marathon.url, path, method, body)
    assert answer.status == status
    assert message in (None, answer.json["message"])


def test_a_locked_app_answers_409_with_the_deployment():
    with SimulatedMarathon(SimulatorSettings(delays=Delays(staging_s=30))) as marathon:
        deployment = marathon.create_app(WEB)
        answer = ask(marathon.url, "/v2/apps/shop/web", "PUT", {"instances": 1})
        assert (answer.status, answer.json["deployments"]) == (409, [{"id": deployment}])
        assert ask(marathon.url, "/v2/apps/shop/web").json["app"]["deployments"] == [{"id": deployment}]
        assert ask(marathon.url, "/v2/apps/shop/web?force=true", "PUT", {"instances": 0}).status == 200
        with pytest.raises(Refusal):
            marathon.restart_app("/none")
        with pytest.raises(TimeoutError, match="not idle"):
            marathon.wait_idle(timeout_s=0.01)


def test_a_post_is_answered_when_the_definition_is_visible():
    with SimulatedMarathon(SimulatorSettings(delays=Delays(visible_s=0.05))) as marathon:
        assert ask(marathon.url, "/v2/apps", "POST", WEB).status == 201
        assert ask(marathon.url, "/v2/apps/shop/web").status == 200


@pytest.mark.parametrize("release", DIALECTS)
def test_every_release_has_its_own_shapes(release):
    dialect = DIALECTS[release]
    with SimulatedMarathon(SimulatorSettings(version_shape=release)) as marathon:
        marathon.create_app({**WEB, "instances": 1, "healthChecks": [{"path": "/health"}]})
        marathon.wait_idle()
        (app,) = ask(marathon.url, "/v2/apps?embed=apps.tasks").json["apps"]
        (task,) = app["tasks"]
        assert ("networks" in app) is dialect.networks
        assert ("uris" in app) is not dialect.networks
        assert ("servicePorts" in task) is dialect.full_tasks
        assert ("._app." in task["id"]) is dialect.keeps_dead
        (result,) = task["healthCheckResults"]
        assert result["instanceId"].startswith("instance [") is dialect.full_tasks
        assert ("lastFailure" in result) is not dialect.full_tasks
        assert ask(marathon.url, "/nowhere").status == dialect.unknown_route_status


def test_faults_happen_on_demand_and_end(marathon):
    marathon.arm(Fault.ERROR, times=2, value=503)
    assert [ask(marathon.url, "/v2/apps").status for _ in range(3)] == [503, 503, 200]
    marathon.arm(Fault.HTML, times=1)
    assert ask(marathon.url, "/v2/apps").headers["Content-Type"].startswith("text/html")
    marathon.arm(Fault.UNAUTHORIZED, times=1)
    refused = ask(marathon.url, "/ping")
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="Mesosphere"')
    marathon.arm(Fault.NO_APPS, times=1)
    assert ask(marathon.url, "/v2/apps").json == {"apps": []}
    marathon.arm(Fault.SLOW, times=1, value=0.2)
    begun = time.monotonic()
    assert ask(marathon.url, "/v2/apps").status == 200
    assert time.monotonic() - begun >= 0.2


def test_a_truncated_answer_announces_more_than_it_sends(marathon):
    marathon.arm(Fault.TRUNCATED, times=1)
    with pytest.raises(http.client.IncompleteRead):
        ask(marathon.url, "/v2/apps?embed=apps.tasks")
    assert ids(ask(marathon.url, "/v2/apps")) == {"/shop/web", "/shop/deep/api"}


def test_faults_and_tasks_can_be_changed_with_plain_requests(marathon):
    armed = ask(marathon.url, "/_sim/faults/error", "PUT", {"times": 1, "value": 502, "path": "/v2/apps"})
    assert armed.json["faults"] == {"error": {"times": 1, "value": 502, "path": "/v2/apps"}}
    assert ask(marathon.url, "/v2/apps").status == 502
    ask(marathon.url, "/_sim/faults/html", "PUT")
    assert ask(marathon.url, "/_sim/faults", "DELETE").json["faults"] == {}
    assert ask(marathon.url, "/_sim/faults/nonsense", "PUT").status == 404
    task_id = marathon.tasks("/shop/web")[0]["id"]
    ask(marathon.url, f"/_sim/tasks/{task_id}", "POST", {"state": "TASK_UNREACHABLE"})
    assert "TASK_UNREACHABLE" in {task["state"] for task in marathon.tasks("/shop/web")}
    assert ask(marathon.url, f"/_sim/tasks/{task_id}", "POST", {"nonsense": 1}).status == 400


def test_a_demanded_authorization_covers_ping_too():
    with SimulatedMarathon(SimulatorSettings(authorization="Basic dTpw")) as marathon:
        assert ask(marathon.url, "/ping").status == 401
        assert ask(marathon.url, "/ping", Authorization="Basic dTpw").status == 200


def test_a_follower_proxies_and_sends_event_clients_to_the_leader():
    with SimulatedMarathon(SimulatorSettings(follower=True)) as marathon:
        marathon.load([WEB])
        answer = ask(marathon.follower_url, "/v2/apps?embed=apps.tasks", Accept_Encoding="gzip")
        assert json.loads(gzip.decompress(answer.body))["apps"][0]["id"] == "/shop/web"
        assert answer.headers["X-Marathon-Leader"] == marathon.url
        assert answer.headers["X-Marathon-Via"] == f"1.1 {urlsplit(marathon.follower_url).netloc}"
        assert ask(marathon.follower_url, "/v2/apps/none").status == 404
        redirect = ask(marathon.follower_url, "/v2/events?event_type=a", Accept="text/event-stream")
        assert (redirect.status, redirect.headers["Location"]) == (302, f"{marathon.url}/v2/events?event_type=a")
        assert redirect.headers["X-Marathon-Leader"] is None
        loop = ask(marathon.follower_url, "/ping", X_Marathon_Via="1.1 somebody")
        assert (loop.status, loop.body) == (502, b"Detected proxying loop.")


@pytest.mark.parametrize("release", ["1.4", "1.8"])
def test_a_follower_reports_a_missing_or_slow_leader(release):
    dialect = DIALECTS[release]
    settings = SimulatorSettings(version_shape=release, follower=True, leader_read_timeout_s=0.2)
    with SimulatedMarathon(settings) as marathon:
        marathon.arm(Fault.NO_LEADER, times=1)
        answer = ask(marathon.follower_url, "/v2/apps")
        assert (answer.status, answer.body) == (dialect.no_leader_status, b"Could not determine the current leader")
        marathon.arm(Fault.SLOW, times=1, value=20)
        assert ask(marathon.follower_url, "/v2/apps").status == dialect.slow_leader_status
