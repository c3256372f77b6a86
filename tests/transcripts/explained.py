"""`fastlb explain` for apps that are broken, each in another way: `docs/explain.md`."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastlb.simulator.server import SimulatedMarathon
from tests.fakes.front_door import distort, front_door
from tests.transcripts.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

HEADING = """\
# Why is my app not routed?

`fastlb explain` for apps that are broken, each in another way: what a real run printed, with HAProxy and a simulated
Marathon. `python -m tests.transcripts` runs it again and writes this page, and a test holds what it says of each app
against a run of today. The load balancer runs with `--group external --health-check`. The first answer is whole, of the
others only the beginning is shown, up to the labels.
"""
CASES = (
    (
        "A label with a name that does not exist",
        "The app is exposed, but has no vhost; the line with the `!` below *labels* says why.",
        "fastlb explain /shop/vhots",
    ),
    ("A value that cannot be read", "", "fastlb explain /shop/typo"),
    ("The wrong group", "It is for another load balancer, or the label is wrong.", "fastlb explain /shop/inside"),
    (
        "Strict mode",
        "What a flag would lead to can be tried beside the running fastlb, on an answer of Marathon.",
        (
            'curl -qs "$MARATHON/v2/apps?embed=apps.tasks" > apps.json;'
            " fastlb explain /shop/strict --group external --strict-mode --apps-file apps.json"
        ),
    ),
    ("No port", "", "fastlb explain /shop/worker"),
    ("UDP only", "", "fastlb explain /shop/dns"),
    ("Refused by HAProxy", "With HAProxy's own words.", "fastlb explain /shop/refused"),
    ("Two apps on one service port", "", "fastlb explain /shop/clash"),
    ("Unhealthy, staging, without an address", "", "fastlb explain /shop/sick"),
    ("A newer form that is refused, while the last good one serves", "", "fastlb explain /shop/newer"),
    (
        "An id that wants to do harm",
        "It is text, and does nothing to a terminal.",
        "fastlb explain \"$(printf '/shop/\\033[31m<script>\\342\\200\\256')\"",
    ),
    ("An id that Marathon does not have", "", "fastlb explain /shop/newre"),
    ("All of the cluster", "What was not meant to be left out, one line each.", "fastlb explain --all-problems"),
)
BEGINNING = " | sed '/^labels/,$d'"
HOSTILE_ID = "/shop/\x1b[31m<script>\u202e"
CHECK = {"protocol": "HTTP", "path": "/health", "intervalSeconds": 2, "gracePeriodSeconds": 5}
REFUSED = {"HAPROXY_0_BACKEND_HTTP_OPTIONS": "  option forwardfor\n  frobnicate now\n"}
ALIVE = [{"alive": True}]


def page() -> str:
    """Ask about all of them, and return the page."""
    with _broken_cluster() as shell:
        return "\n".join([HEADING, *(_section(shell, *case) for case in CASES)])


def _section(shell: Shell, title: str, about: str, command: str) -> str:
    return "\n".join(
        [
            f"## {title}\n",
            *([f"{about}\n"] if about else []),
            shell.block(command if title == CASES[0][0] else f"{command}{BEGINNING}", 60),
        ]
    )


@contextmanager
def _broken_cluster() -> Iterator[Shell]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastlb-why-")))
        marathon = stack.enter_context(SimulatedMarathon())
        marathon.load(_apps())
        distort(marathon, "/shop/sick", _sicken)
        distort(marathon, "/shop/hostile", lambda document: document.update(id=HOSTILE_ID))
        door = stack.enter_context(front_door(folder)).up(marathon.url, "--health-check")
        door.wait_for_tasks(marathon, "shop/newer", "newer.test")
        labels = {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "newer.test", **REFUSED}
        marathon.update_app("/shop/newer", {"labels": labels})
        door.wait_for("refused", app="/shop/newer")
        marathon.wait_idle()
        door.wait_for_tasks(marathon, "shop/newer", "newer.test")
        yield Shell(door, MARATHON=marathon.url)


def _apps() -> Iterator[Json]:
    yield _app(0, "vhots", {"HAPROXY_0_VHOST": None, "HAPROXY_0_VHOTS": "shop.test"}, instances=2)
    yield _app(1, "typo", {"HAPROXY_0_PORT": "http"})
    yield _app(2, "inside", {"HAPROXY_GROUP": "internal"})
    yield _app(3, "strict")
    yield _app(4, "worker", portDefinitions=[])
    yield _app(5, "dns", portDefinitions=[{"port": 24005, "protocol": "udp"}])
    yield _app(6, "refused", REFUSED)
    yield _app(10, "clash")
    yield _app(10, "other")
    yield _app(7, "sick", healthChecks=[CHECK], instances=3)
    yield _app(8, "newer")
    yield _app(9, "hostile", {"HAPROXY_0_PATH": "/\x1b[2J"})


def _app(number: int, name: str, labels: Json | None = None, **members: Any) -> Json:
    every = {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": f"{name}.test", **(labels or {})}
    return {
        "id": f"/shop/{name}",
        "cmd": "serve",
        "instances": 1,
        "portDefinitions": [{"port": 24000 + number}],
        **members,
        "labels": {label: value for label, value in every.items() if value is not None},
    }


def _sicken(document: Json) -> None:
    """Have one task unhealthy, one staging, one without a host."""
    for task in document["tasks"]:
        task["healthCheckResults"] = ALIVE
    unhealthy, staging, lost = document["tasks"]
    unhealthy["healthCheckResults"] = [{"alive": False}]
    staging["state"] = "TASK_STAGING"
    lost["host"] = ""
