"""The paths of the stats port, as tools that know marathon-lb ask for them, and as an operator does."""

from __future__ import annotations

import contextlib
import http.client
import json
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fastlb.admin.client import ask_fastlb
from tests.fakes.front_door import STATS_PORT, app, until

if TYPE_CHECKING:
    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor

pytestmark = pytest.mark.haproxy


def ask(door: FrontDoor, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    """Status, content type and text of one request to the stats port; (0, "", "") if nobody answered."""
    connection = http.client.HTTPConnection(door.address, STATS_PORT, timeout=10)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode()
    return 0, "", ""


def ask_json(door: FrontDoor, path: str) -> tuple[int, dict]:
    status, kind, text = ask(door, path, Accept="application/json")
    assert kind == "application/json", text
    return status, json.loads(text)


@pytest.fixture(scope="module")
def shared(cluster: SimulatedMarathon, closed_door: FrontDoor) -> FrontDoor:
    """A front door with maps, behind which are an app with a password and one that is left out."""
    secret = {"HAPROXY_0_AUTH": "realm:me:hunter2", "HAPROXY_0_USERLIST_HEAD": "userlist user_{backend}\n"}
    secret["HAPROXY_0_USERLIST_HEAD"] += "  user {user} insecure-password {passwd}\n"
    cluster.load(
        [app("web", 24000), app("secret", 24001, labels=secret), app("bad", 24002, labels={"HAPROXY_0_PORT": "x"})]
    )
    return closed_door.up(cluster.url, "--haproxy-map")


def test_the_configuration_is_what_haproxy_runs_and_shows_no_password(shared):
    status, kind, text = ask(shared, "/_haproxy_getconfig")
    assert (status, kind) == (200, "text/plain")
    assert text == shared.config().replace("hunter2", "***")
    assert "user me insecure-password ***" in text


def test_over_the_local_socket_the_password_is_there(shared):
    local = shared.folder / "run" / "local.sock"
    assert ask_fastlb(local, "/_haproxy_getconfig") == (True, shared.config())
    assert stat.S_IMODE(local.stat().st_mode) == 0o600
    assert stat.S_IMODE((shared.folder / "run" / "admin.sock").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("path", "line"),
    [("/_haproxy_getvhostmap", "web.test web_24000"), ("/_haproxy_getappmap", "/web web_24000")],
)
def test_the_maps_are_what_haproxy_has(shared, path, line):
    status, kind, text = ask(shared, path)
    assert (status, kind, line in text.splitlines()) == (200, "text/plain", True)


def test_the_pids_are_those_of_haproxy_as_zdd_counts_them(shared):
    status, kind, text = ask(shared, "/_haproxy_getpids")
    assert (status, kind) == (200, "text/plain")
    assert {int(pid) for pid in text.split(" ")} == {one.pid for one in shared.haproxies()}
    assert int(text.split()[0]) == shared.worker().pid


def test_what_is_haproxys_own_stays_its_own(shared):
    assert ask(shared, "/_haproxy_health_check")[0] == 200
    assert ask(shared, "/haproxy?stats;csv")[2].startswith("# pxname,svname")
    assert "<html" in ask(shared, "/haproxy?stats")[2]
    assert ask(shared, "/metrics")[0] in {200, 404}  # built with the exporter or not


def test_health_says_that_all_is_well(shared):
    assert ask_json(shared, "/_fastlb/live") == (200, {"live": True, "why_not": []})
    assert ask_json(shared, "/_fastlb/ready") == (200, {"ready": True, "why_not": []})
    status, said = ask_json(shared, "/_fastlb/synced")
    assert (status, said["synced"], said["why_not"]) == (200, True, [])
    assert said["seconds_since_agreement"] >= 0


def test_an_app_is_explained_as_text_and_as_json(shared):
    status, kind, text = ask(shared, "/_fastlb/explain?app=/web")
    assert (status, kind) == (200, "text/plain")
    assert text.startswith("app /web: exposed\n\nservice 0, port 24000, http: exposed\n  vhosts web.test\n")
    status, found = ask_json(shared, "/_fastlb/explain?app=/bad")
    assert (status, found["services"][0]["why_not"]["kind"]) == (200, "label")


def test_the_history_says_how_an_app_came_to_be(shared, cluster):
    cluster.scale("/web", 3)
    cluster.wait_idle()
    shared.wait_for_tasks(cluster, "web")
    changes = ask_json(shared, "/_fastlb/explain?app=/web")[1]["changes"]
    assert changes[-1]["how"] == "reload"
    assert {change["how"] for change in changes} <= {"reload", "live"}
    assert len(changes) > 1


def test_what_haproxy_says_of_its_servers_is_shown(shared, cluster):
    wanted = {str(task["ports"][0]) for task in cluster.tasks("/web")}
    until(lambda: {one["address"].rpartition(":")[2] for one in servers_of(shared, "/web")} == wanted)
    assert {(one["backend"], one["queued"]) for one in servers_of(shared, "/web")} == {("web_24000", 0)}
    assert "servers as HAProxy sees them now" in ask(shared, "/_fastlb/explain?app=/web")[2]


def servers_of(door: FrontDoor, app_id: str) -> list[dict]:
    return [one for one in ask_json(door, f"/_fastlb/explain?app={app_id}")[1]["servers"] if one["status"] != "MAINT"]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/_fastlb/explain?app=/wbe", 404, "did you mean /web?"),
        ("/_fastlb/explain", 400, "which app?"),
        (f"/_fastlb/explain?app=/{'x' * 3000}", 400, "which app?"),
        ("/_fastlb/explain?app=%1b%5b31m%3Cscript%3E%00", 404, r"\x1b[31m<script>\x00"),
        ("/_mlb_signal/kill", 404, "Not Found"),
        ("/nothing", 404, "Not Found"),
    ],
)
def test_what_cannot_be_answered_says_why(shared, path, status, said):
    found, kind, text = ask(shared, path)
    assert (found, kind, said in text) == (status, "text/plain", True)


def test_all_problems_are_listed(shared):
    _, _, text = ask(shared, "/_fastlb/problems")
    assert text == "app /bad (service port 24002): label HAPROXY_0_PORT is 'x', an integer is needed\n"


def test_a_forged_address_does_not_help(shared):
    headers = {"X-Fastlb-Client": "8.8.8.8"}
    assert ask(shared, "/_mlb_signal/hup", **headers)[0] == 200


@pytest.mark.parametrize("name", ["hup", "usr1"])
def test_signals_do_what_they_do(shared, name):
    since = shared.now()
    assert ask(shared, f"/_mlb_signal/{name}") == (200, "text/plain", f"Sent SIG{name.upper()} signal to marathon-lb")
    if name == "hup":
        shared.wait_for("fetched", since, asked="everything")
    else:
        shared.wait_for("reload", since, reasons=["SIGUSR1"])


def test_the_command_asks_the_running_fastlb(shared):
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fastlb", "explain", *words, "--run-dir", str(shared.folder / "run")]
        return subprocess.run(
            command, env=shared.environment(), capture_output=True, text=True, timeout=20, check=False
        )

    found = run("/web")
    assert (found.returncode, found.stdout.startswith("app /web: exposed")) == (0, True), found.stderr
    assert json.loads(run("/web", "--json").stdout)["known_as"] == "/web"
    assert (run("/wbe").returncode, run("/wbe").stdout) == (1, "Marathon has no app /wbe\ndid you mean /web?\n")
    assert run("--all-problems").stdout.startswith("app /bad")


def test_the_endpoints_of_a_poll_are_there_too(door, own_cluster):
    own_cluster.load([app("web", 24000)])
    door.up(own_cluster.url, "--poll-interval", "300", mode="poll")
    since = door.now()
    assert ask(door, "/_mlb_signal/hup")[0] == 200
    door.wait_for("fetched", since, asked="everything")
    assert ask(door, "/_haproxy_getconfig")[2] == door.config()


def test_beside_a_haproxy_that_somebody_else_runs_the_local_socket_answers(door, own_cluster):
    own_cluster.load([app("web", 24000)])
    door.start(own_cluster.url, "--command", "true", "--reload-timeout", "1")
    local = door.folder / "run" / "local.sock"
    until(local.exists, said=door.log)
    until(lambda: ask_fastlb(local, "/_fastlb/explain", app="/web")[1].startswith("app /web: exposed"), said=door.log)


def test_without_a_controller_haproxy_says_so_and_goes_on_with_its_own_paths(door, own_cluster):
    own_cluster.load([app("web", 24000)])
    door.up(own_cluster.url)
    controller = door.controller()
    door.tree()
    controller.kill()
    seen = until(lambda: next((found for found in [ask(door, "/_fastlb/live")] if found[0] == 503), None))
    assert "fastlb does not answer at the moment" in seen[2]
    assert ask(door, "/_haproxy_health_check")[0] == 200
    until(lambda: ask(door, "/_fastlb/ready")[0] == 200, said=door.log)


def test_access_can_be_limited_to_a_token_or_turned_off(door, own_cluster):
    own_cluster.load([app("web", 24000)])
    (door.folder / "token").write_text("open sesame\n")
    rules = ["/_haproxy_getconfig=token", "/_haproxy_getpids=off", "/_mlb_signal/=10.0.0.0/8", "/_fastlb/=private"]
    flags = [word for rule in rules for word in ("--admin-access", rule)]
    door.up(own_cluster.url, *flags, "--admin-token-file", str(door.folder / "token"))
    assert ask(door, "/_haproxy_getconfig")[0] == 403
    assert ask(door, "/_haproxy_getconfig", Authorization="Bearer wrong")[0] == 403
    assert ask(door, "/_haproxy_getconfig", Authorization="Bearer open sesame")[0] == 200
    assert ask(door, "/_haproxy_getpids", Authorization="Bearer open sesame")[0] == 403
    assert ask(door, "/_mlb_signal/hup", **{"X-Fastlb-Client": "10.0.0.1"})[0] == 403
    assert ask(door, "/_fastlb/ready")[0] == 200
    assert ask_fastlb(door.folder / "run" / "local.sock", "/_haproxy_getpids")[0]


def test_many_requests_are_limited(door, own_cluster):
    own_cluster.load([app("web", 24000)])
    door.up(own_cluster.url)
    connection = http.client.HTTPConnection(door.address, STATS_PORT, timeout=10)
    statuses, said = set(), b""
    with contextlib.closing(connection):
        for _ in range(1500):
            connection.request("GET", "/_fastlb/live")
            answer = connection.getresponse()
            said = answer.read()
            statuses.add(answer.status)
            if answer.status == 429:
                break
    assert (statuses, b"wait for ten seconds" in said) == ({200, 429}, True)
    assert ask(door, "/_haproxy_health_check")[0] == 200
    until(lambda: status_from("127.88.0.1", door) == 200)


def status_from(source: str, door: FrontDoor) -> int:
    connection = http.client.HTTPConnection(door.address, STATS_PORT, timeout=10, source_address=(source, 0))
    with contextlib.closing(connection):
        connection.request("GET", "/_fastlb/ready")
        return connection.getresponse().status
