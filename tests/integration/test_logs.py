"""The log of the assembled daemon: where it goes, what a line is, how many there are, and what is in none."""

from __future__ import annotations

import http.client
import json
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.fakes.front_door import HTTP_PORT, app, until

if TYPE_CHECKING:
    from tests.fakes.front_door import FrontDoor

pytestmark = pytest.mark.haproxy

PASSWORD = "hunter2"
HOSTILE = "x\nERROR forged\x1b[2J\x9b\u2028"
SECRETIVE = {
    "HAPROXY_0_AUTH": f"realm:me:{PASSWORD}",
    "HAPROXY_0_USERLIST_HEAD": "userlist user_{backend}\n  user {user} insecure-password {passwd}\n",
}
CREDENTIALS = {
    "MARATHON_USER": "admin",
    "MARATHON_PASSWORD": PASSWORD,
    "VAULT_TOKEN": PASSWORD,
}
"""They are not all used, and none of them is anybody's business."""
FLIPS = 60


def lines(door: FrontDoor) -> list[dict]:
    return [json.loads(line) for line in door.log().splitlines()]


def test_in_json_every_line_is_one_object_whatever_the_labels_say(door, own_cluster):
    own_cluster.load([app("web", 24200), app("bad", 24201, labels={"HAPROXY_0_VHOST": HOSTILE})])
    door.up(own_cluster.url, "--log-format", "json", "--log-level", "DEBUG")
    own_cluster.create_app(app("new", 24202))
    until(lambda: "reload: new backend new_24202 (app /new)" in door.log(), said=door.log)
    until(lambda: any(line.get("app") == "/bad" for line in lines(door)), said=door.log)
    door.stop()
    found = lines(door)
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in found)
    assert all(text.isprintable() for text in door.log().splitlines())
    assert {"fastlb.children", "fastlb.rollout", "fastlb.reporter", "haproxy"} <= {line["logger"] for line in found}
    assert [line["apps"] for line in found if "new backend new_24202" in line["message"] and "apps" in line] == [
        ["/new"]
    ]
    (bad,) = [line for line in found if line.get("app") == "/bad"]
    assert (bad["level"], "x\\nERROR forged\\x1b[2J\\x9b\\u2028" in bad["message"]) == ("ERROR", True)


def test_the_daemon_logs_to_standard_output_and_a_single_pass_where_marathon_lb_did(door, own_cluster):
    own_cluster.load([app("web", 24210)])
    start = door.now()
    with (door.folder / "out").open("wb") as out, (door.folder / "err").open("wb") as err:
        door.process = subprocess.Popen(
            door.command("sse", own_cluster.url), env=door.environment(), cwd=door.folder, stdout=out, stderr=err
        )
    door.wait_for("reload", start, ok=True)
    door.stop()
    assert "reload: HAProxy is given its first configuration" in (door.folder / "out").read_text()
    assert (door.folder / "err").read_text() == ""
    once = door.run(own_cluster.url, "--once")
    assert (once.returncode, once.stdout) == (0, "")
    assert "reload: HAProxy is given its first configuration" in once.stderr


@pytest.mark.parametrize("form", ["%(asctime)-15s %(name)s: %(message)s", "json"])
def test_no_password_is_in_the_log_not_even_for_debug(door, own_cluster, form):
    broken = {"HAPROXY_0_BACKEND_HEAD": f"backend {{backend}}\n  stats auth me:{PASSWORD}\n  frobnicate {PASSWORD}\n"}
    own_cluster.load([app("web", 24220), app("secret", 24221, labels=SECRETIVE)])
    door.up(own_cluster.url, "--haproxy-map", "--log-format", form, "--log-level", "DEBUG", **CREDENTIALS)
    start = door.now()
    own_cluster.update_app("/secret", {"labels": {**app("x", 1)["labels"], **SECRETIVE, "HAPROXY_0_STICKY": "true"}})
    door.wait_for("reload", start, ok=True)
    own_cluster.scale("/secret", 3)
    bad_auth = {"HAPROXY_0_AUTH": f"realm:me:{PASSWORD}:{PASSWORD}"}
    own_cluster.create_app(app("colons", 24222, labels=bad_auth))
    own_cluster.create_app(app("broken", 24223, labels=broken))
    until(lambda: "app /colons" in door.log() and door.journal("refused", start), said=door.log)
    door.stop()
    told = [line for line in door.log().splitlines() if PASSWORD in line]
    assert told == []


def test_routine_changes_are_few_lines_for_info_and_structural_ones_a_line_each(door, own_cluster):
    own_cluster.load([app("web", 24230, instances=4, checks=True), app("api", 24231, instances=4, checks=True)])
    door.up(own_cluster.url, "--health-check", "--log-level", "INFO")
    door.wait_for_tasks(own_cluster, "web")
    said, start = len(door.log().splitlines()), door.now()
    tasks = [task["id"] for name in ("web", "api") for task in own_cluster.tasks(f"/{name}")[1:]]
    for number in range(FLIPS):
        own_cluster.set_healthy(tasks[number % len(tasks)], healthy=number // len(tasks) % 2 == 1)
        until(lambda done=number: len(door.journal("live", start)) > done, said=door.log)
    assert len(door.log().splitlines()) - said <= 2, door.log()
    own_cluster.create_app(app("new", 24232))
    until(lambda: "reload: new backend new_24232 (app /new); in " in door.log(), said=door.log)
    assert len(door.log().splitlines()) - said <= 3, door.log()


def test_haproxy_logs_requests_to_standard_output_if_that_is_asked_for_after_a_reload_too(door, own_cluster):
    own_cluster.load([app("web", 24240)])
    door.up(own_cluster.url, "--haproxy-log", "stdout", "--log-level", "WARNING")
    request(door)
    until(lambda: "Connect from" in door.log(), said=door.log)
    start, before = door.now(), door.log().count("Connect from")
    own_cluster.create_app(app("new", 24241))
    door.wait_for("reload", start, ok=True)
    request(door)
    until(lambda: door.log().count("Connect from") > before, said=door.log)


def request(door: FrontDoor) -> None:
    with closing(http.client.HTTPConnection(door.address, HTTP_PORT, timeout=10)) as connection:
        connection.request("GET", "/", headers={"Host": "nobody.test"})
        connection.getresponse().read()
