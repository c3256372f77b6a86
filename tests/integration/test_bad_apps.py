"""One cluster in which nearly every app is wrong in its own way: each is named once, and costs nobody else anything.

The rows are those of COMPAT.md 10.1, the ports that HAProxy has itself, ports that clash, and UDP. All of them are
behind one daemon, in map mode, so that one row's damage would show in all the others.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from fastlb.simulator.server import SimulatedMarathon
from tests.fakes.front_door import APPID_PORT, HTTP_PORT, HTTPS_PORT, STATS_PORT, app, distort, front_door, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fakes.front_door import FrontDoor, Json

pytestmark = pytest.mark.haproxy

ports = count(25000)


@dataclass
class Row:
    """An app that is wrong, what is said about it, and whether it is routed nevertheless."""

    said: str
    labels: dict[str, str] = field(default_factory=dict)
    wrong: Callable[[Json], Any] | None = None
    routed: bool = False
    more: Json = field(default_factory=dict)
    port: int = 0


def member(name: str, value: Any) -> Callable[[Json], None]:
    """Put ``value`` into a member; None takes the member away."""

    def change(document: Json) -> None:
        document[name] = value
        if value is None:
            del document[name]

    return change


def of_task(name: str, value: Any) -> Callable[[Json], None]:
    return lambda document: member(name, value)(document["tasks"][0])


def of_check(name: str, value: Any) -> Callable[[Json], None]:
    return lambda document: member(name, value)(document["healthChecks"][0])


def template(text: str) -> dict[str, str]:
    return {"HAPROXY_0_BACKEND_HEAD": text}


CHECKED: Json = {"checks": True}
INDEXED = "label BACKEND_HEALTHCHECK_PORT_INDEX points to no server; health checks use the service's own port"
ROWS = {
    # templates of labels
    "template-unknown": Row("{nonsense}", template("\nbackend {nonsense}\n")),
    "template-positional": Row("a placeholder without a name", template("\nbackend {}\n")),
    "template-brace": Row("template BACKEND_HEAD", template("\nbackend {\n")),
    "template-attribute": Row("{backend.__class__}", template("\nbackend {backend.__class__}\n")),
    # labels
    "label-integer": Row("label HAPROXY_0_BACKEND_WEIGHT is 'heavy'", {"HAPROXY_0_BACKEND_WEIGHT": "heavy"}),
    "label-auth": Row("label HAPROXY_0_AUTH has 1 colons", {"HAPROXY_0_AUTH": "realm:user"}),
    "label-line": Row("contains a line break", {"HAPROXY_0_BALANCE": "roundrobin\n  mode tcp"}),
    "label-port": Row("label HAPROXY_0_PORT is 70000", {"HAPROXY_0_PORT": "70000"}),
    "label-number": Row(
        "label HAPROXY_0_VHOST is 5", wrong=member("labels", {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": 5})
    ),
    "label-group-number": Row("label HAPROXY_GROUP is 5", wrong=member("labels", {"HAPROXY_GROUP": 5})),
    "labels-missing": Row("labels is missing, an object is needed", wrong=member("labels", None)),
    "labels-array": Row("labels is an array, an object is needed", wrong=member("labels", ["HAPROXY_GROUP"])),
    # health checks
    "check-index": Row(INDEXED, {"HAPROXY_0_BACKEND_HEALTHCHECK_PORT_INDEX": "1"}, routed=True, more=CHECKED),
    "check-no-protocol": Row("its health check has no protocol", wrong=of_check("protocol", None), more=CHECKED),
    "check-no-number": Row(
        "its health check has no timeoutSeconds", wrong=of_check("timeoutSeconds", None), more=CHECKED
    ),
    "check-null": Row("an entry of healthChecks", wrong=member("healthChecks", [None]), more=CHECKED),
    "result-no-alive": Row("without alive", wrong=of_task("healthCheckResults", [{"firstSuccess": "x"}]), more=CHECKED),
    # members of the app and its tasks
    "tasks-missing": Row("it has no tasks member", wrong=member("tasks", None)),
    "tasks-null": Row("an entry of the tasks is missing", wrong=member("tasks", [None])),
    "ports-null": Row("an entry of portDefinitions", wrong=member("portDefinitions", [None])),
    "address-null": Row("an entry of ipAddresses", wrong=of_task("ipAddresses", [None])),
    # ports
    "own-http": Row("one of HAProxy's own", port=HTTP_PORT),
    "own-https": Row("one of HAProxy's own", port=HTTPS_PORT),
    "own-stats": Row("one of HAProxy's own", port=STATS_PORT),
    "own-appid": Row("one of HAProxy's own", port=APPID_PORT),
    "udp-only": Row(
        "UDP only, which HAProxy does not balance; not exposed",
        more={"portDefinitions": [{"port": next(ports), "protocol": "udp"}]},
    ),
    # deployment groups
    "group-empty": Row("label HAPROXY_DEPLOYMENT_GROUP is ''", {"HAPROXY_DEPLOYMENT_GROUP": ""}),
}


def paired(group: str, said: str, blue: Json, green: Json, wrong: Callable[[Json], Any] | None = None) -> None:
    """Two apps of one deployment group, wrong in combination; the message names the group."""
    common = {"HAPROXY_DEPLOYMENT_GROUP": group}
    ROWS[f"{group}-blue"] = Row("", {**common, **blue}, wrong)
    ROWS[f"{group}-green"] = Row("", {**common, **green}, wrong)
    GROUPS[group] = said


GROUPS: dict[str, str] = {}
NEW = {"HAPROXY_DEPLOYMENT_NEW_INSTANCES": "1"}
TARGET = {"HAPROXY_DEPLOYMENT_TARGET_INSTANCES": "2"}
STARTED = "HAPROXY_DEPLOYMENT_STARTED_AT"
paired("no-target", "TARGET_INSTANCES", NEW, NEW)
paired("no-scaling-time", "versionInfo.lastScalingAt", NEW | TARGET, NEW | TARGET, member("versionInfo", None))
paired("no-instances", "no instances member", {}, {}, member("instances", None))
paired("no-date", "which is no date", {STARTED: "2020-01-01"}, {STARTED: "once upon a time"})
paired("zones", "time zone", {STARTED: "2020-01-01T00:00:00Z"}, {STARTED: "2020-01-02T00:00:00"})


@pytest.fixture(scope="module")
def cluster() -> Iterator[SimulatedMarathon]:
    with SimulatedMarathon() as marathon:
        # In map mode the very first service fills the map template from a label of its own (COMPAT.md 5.4).
        filled_wrong = {
            "HAPROXY_0_HTTP_FRONTEND_ACL": "  acl x hdr(host) -i {hostname}\n  use_backend {backend} if x\n"
        }
        marathon.load([app("aaa", next(ports), labels=filled_wrong), app("web", next(ports))])
        for name, row in ROWS.items():
            definition = app(name, row.port or next(ports), labels=row.labels, **row.more)
            marathon.load([definition])
            if row.wrong:
                distort(marathon, f"/{name}", row.wrong)
        shared = next(ports)
        marathon.load([app("twin-one", shared), app("twin-two", shared), app("hostless", next(ports))])
        distort(marathon, "/hostless", of_task("host", None))
        yield marathon


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory, cluster: SimulatedMarathon) -> Iterator[FrontDoor]:
    with front_door(tmp_path_factory.mktemp("door")) as door:
        door.up(cluster.url, "--haproxy-map", "--health-check").wait_for_line("app /")
        yield door


def lines_about(zoo: FrontDoor, app_id: str) -> list[str]:
    return [line for line in zoo.lines(f"app {app_id}") if re.search(rf": app {app_id}[ :]", line)]


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.said])
def test_an_app_that_is_wrong_is_named_once_with_its_reason(zoo, name):
    row = ROWS[name]
    (line,) = until(lambda: lines_about(zoo, f"/{name}"), said=zoo.log)
    assert row.said in line
    assert ("left out" in line) is (not row.routed and name != "udp-only")
    assert any(backend.startswith(f"{name}_") for backend in zoo.routed()) is row.routed


@pytest.mark.parametrize("group", GROUPS)
def test_a_deployment_group_whose_apps_contradict_each_other_is_named_once(zoo, group):
    (line,) = [line for line in zoo.lines(group) if "left out" in line]
    assert GROUPS[group] in line


def test_the_app_without_a_mistake_is_routed(zoo, cluster):
    zoo.wait_for_tasks(cluster, "web")
    assert zoo.status("web.test", port=HTTPS_PORT) == 200


def test_a_label_that_cannot_fill_the_map_template_gives_way_to_the_global_one(zoo, cluster):
    zoo.wait_for_tasks(cluster, "aaa")
    assert "domain2backend.map" in zoo.config()


def test_two_services_on_one_port_are_both_written_and_it_is_said(zoo, cluster):
    zoo.wait_for_tasks(cluster, "twin-one")
    zoo.wait_for_tasks(cluster, "twin-two")
    (line,) = lines_about(zoo, "/twin-two")
    assert "app /twin-one has the same service port" in line


def test_a_task_without_a_host_is_skipped_and_its_siblings_serve(zoo, cluster):
    _lost, kept = (task["id"] for task in cluster.tasks("/hostless"))
    assert zoo.answering("hostless.test") == {kept}


def test_haproxy_keeps_its_own_ports(zoo):
    assert [zoo.status("nobody.test", port=port) for port in (HTTP_PORT, HTTPS_PORT, APPID_PORT)] == [503, 503, 503]
    with contextlib.closing(http.client.HTTPConnection(zoo.address, STATS_PORT, timeout=5)) as connection:
        connection.request("GET", "/_haproxy_health_check")
        assert connection.getresponse().status == 200


def test_a_fresh_look_finds_the_same_and_says_nothing_twice(zoo):
    before = zoo.lines("left out")
    start = zoo.now()
    zoo.process.send_signal(signal.SIGHUP)
    zoo.wait_for("agreed", start)
    assert zoo.lines("left out") == before


def test_an_app_that_can_be_read_again_is_routed_and_that_is_said(zoo, cluster):
    cluster.update_app("/labels-missing", {"labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "mended.test"}})
    zoo.wait_for_status("mended.test", 200)
    zoo.wait_for_line("app /labels-missing: nothing of it is left out any more")


def test_an_app_that_cannot_be_read_any_more_stays_as_it_was(zoo, cluster):
    distort(cluster, "/web", member("labels", None))
    zoo.process.send_signal(signal.SIGHUP)
    line = zoo.wait_for_line("app /web: labels is missing")
    assert "its last good form stays" in line
    zoo.wait_for_tasks(cluster, "web")
