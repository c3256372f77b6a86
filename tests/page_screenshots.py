"""Makes the pictures of the page in ``docs/images``: a simulated cluster with a history, real HAProxy and browser.

    python -m tests.page_screenshots [FOLDER]

No test: it takes about half a minute, and leaves pictures. Made again after a change of the page, and looked at.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastlb.admin.client import ask_fastlb
from fastlb.simulator.faults import Fault
from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from fastlb.simulator.world import Delays
from tests.fakes.browser import browser
from tests.fakes.front_door import HTTP_PORT, STATS_PORT, app, front_door, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.fakes.front_door import FrontDoor

FOLDER = Path(__file__).parents[1] / "docs" / "images"
DELAYS = Delays(staging_s=0.05, starting_s=0.05, running_s=0.05, healthy_s=0.1, killing_s=0.2, relaunch_s=0.5)
NAMES = "shop cart checkout search login mail billing stock prices images reviews wishlist account help status".split()
CHECKED = ("cart", "stock")
TEAMS = ("eu", "us", "asia")
WIDE, PHONE = {"width": 1240, "height": 1000}, {"width": 390, "height": 844}
SETTLED_S = 2.5
BAD_LABEL = {"HAPROXY_0_BACKEND_WEIGHT": "heavy"}
NO_BALANCE = {"HAPROXY_0_BACKEND_HEAD": "backend {backend}\n  balance fastest\n  mode http\n"}


@contextmanager
def cluster_with_a_history() -> Iterator[tuple[SimulatedMarathon, FrontDoor]]:
    """A front door in front of some dozen apps that have been changed for a while."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastlb-page-")))
        marathon = stack.enter_context(SimulatedMarathon(SimulatorSettings(delays=DELAYS)))
        marathon.load(
            app(
                f"{team}/{name}",
                24000 + number,
                instances=2 + number % 3,
                checks=name in CHECKED,
                labels={"HAPROXY_0_VHOST": vhost(team, name)},
            )
            for number, (team, name) in enumerate((team, name) for team in TEAMS for name in NAMES)
        )
        door = stack.enter_context(front_door(folder)).up(marathon.url, "--haproxy-map", "--threads", "2")
        held = stack.enter_context(socket.create_connection((door.address, HTTP_PORT)))
        held.sendall(b"GET /slow?s=60 HTTP/1.1\r\nHost: shop.eu.example.com\r\n")
        change(marathon, door)
        yield marathon, door


def vhost(team: str, name: str) -> str:
    """Return the name that an app is reached by."""
    return f"{name}.{team}.example.com"


def change(marathon: SimulatedMarathon, door: FrontDoor) -> None:
    """Have things happen: tasks come and go, apps come."""
    for number in range(24):
        marathon.scale(f"/{TEAMS[number % 3]}/{NAMES[number % 7]}", 2 + number % 4)
        time.sleep(0.12)
        if number % 8 == 3:
            since = door.now()
            marathon.create_app(app(f"eu/canary-{number}", 24200 + number))
            door.wait_for("reload", since, ok=True)
    marathon.wait_idle()
    time.sleep(SETTLED_S)


def spoil(marathon: SimulatedMarathon, door: FrontDoor) -> None:
    """Have two apps come that cannot be used, and the tasks of two others die without a word."""
    marathon.create_app(app("us/legacy", 24300, labels=BAD_LABEL))
    marathon.create_app(app("asia/experiment", 24301, labels=NO_BALANCE))
    door.wait_for("refused")
    for task in (*marathon.tasks("/asia/stock"), marathon.tasks("/eu/cart")[0]):
        marathon.crash_server(task["id"])
    until(lambda: " without a server" in text_of(door, "state"))
    until(lambda: '"found": 2' in text_of(door, "apps", show="down"))
    time.sleep(SETTLED_S)


def text_of(door: FrontDoor, path: str, **query: str) -> str:
    """Return what the running fastlb answers."""
    return ask_fastlb(door.folder / "run" / "local.sock", f"/_fastlb/{path}", **query)[1]


def shoot(
    chromium: Browser, door: FrontDoor, path: Path, *, where: str = "", dark: bool = False, phone: bool = False
) -> None:
    """Take one picture."""
    context = chromium.new_context(
        viewport=PHONE if phone else WIDE, color_scheme="dark" if dark else "light", device_scale_factor=1
    )
    page = context.new_page()
    page.goto(f"http://{door.address}:{STATS_PORT}/_fastlb/{where}")
    page.screenshot(path=path)
    context.close()


def main(folder: Path) -> None:
    """Take all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with cluster_with_a_history() as (marathon, door), browser() as chromium:
        shoot(chromium, door, folder / "page-light.png")
        spoil(marathon, door)
        shoot(chromium, door, folder / "page-dark.png", dark=True)
        shoot(chromium, door, folder / "page-phone.png", phone=True)
        shoot(chromium, door, folder / "page-app.png", where="app?id=/us/legacy")
        marathon.arm(Fault.ERROR, value=503, path="/v2/apps")
        marathon.cut_streams()
        door.wait_for("fetch_failed")
        time.sleep(SETTLED_S)
        shoot(chromium, door, folder / "page-wrong.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
