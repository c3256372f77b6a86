"""The page in a real browser: through HAProxy's stats port, in front of a running fastlb and a simulated Marathon."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from fastlb.simulator.faults import Fault
from tests.fakes.browser import CHROMIUM, browser
from tests.fakes.front_door import STATS_PORT, app, distort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor

pytestmark = [
    pytest.mark.haproxy,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the page is not looked at"),
]

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202e"
HOSTILE_ID = f"/hostile{HOSTILE}"
WITHIN_MS = 20_000
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def shared(cluster: SimulatedMarathon, closed_door: FrontDoor) -> FrontDoor:
    """A front door with three apps, one of them left out, and one whose id and labels want to do harm."""
    cluster.load(
        [
            app("web", 24000),
            app("checked", 24001, checks=True),
            app("bad", 24002, labels={"HAPROXY_0_PORT": "x"}),
            app("hostile", 24003, labels={"HAPROXY_0_PATH": HOSTILE, f"HAPROXY_{HOSTILE}": HOSTILE}),
        ]
    )
    distort(cluster, "/hostile", lambda document: document.update(id=HOSTILE_ID))
    return closed_door.up(cluster.url, "--haproxy-map")


class Looker:
    """One browser window, and everything that it complained about."""

    def __init__(self, context: BrowserContext, door: FrontDoor) -> None:
        self.page: Page = context.new_page()
        self.origin = f"http://{door.address}:{STATS_PORT}"
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.add(request.url))

    def open(self, where: str = "") -> Page:
        self.page.goto(f"{self.origin}/_fastlb/{where}")
        return self.page


@pytest.fixture
def look(chromium: Browser, shared: FrontDoor) -> Iterator[Callable[..., Looker]]:
    """Open windows, of which none may have complained or asked anybody else in the end."""
    lookers: list[Looker] = []
    with contextlib.ExitStack() as stack:

        def opened(**wishes: object) -> Looker:
            context = stack.enter_context(chromium.new_context(**wishes))
            context.set_default_timeout(WITHIN_MS)
            lookers.append(Looker(context, shared))
            return lookers[-1]

        yield opened
    for looker in lookers:
        assert looker.complaints == []
        assert {url for url in looker.asked if not url.startswith(f"{looker.origin}/")} == set()


def test_one_screen_says_whether_all_is_well(look):
    page = look().open()
    expect(page.locator("h1")).to_have_text(re.compile(r"^All is well, but for \d apps?$"))
    expect(page.locator("#cards")).to_contain_text("connected")
    expect(page.locator("#cards")).to_contain_text(re.compile(r"State\s*up for"))
    expect(page.locator("#reloads-table")).to_contain_text("HAProxy is given its first configuration")
    expect(page.locator("#left-out-table")).to_contain_text("label HAPROXY_0_PORT is 'x', an integer is needed")
    expect(page.locator("svg")).to_have_count(2)
    assert page.title().startswith("All is well, but for")


def test_the_state_says_which_marathon_leads(look, cluster):
    looker = look()
    said = looker.page.request.get(f"{looker.origin}/_fastlb/state").json()["marathon"]
    assert (said["asked_at"], said["leader"], said["readable"]) == (cluster.url, cluster.url, True)


def test_a_change_is_seen_while_the_page_is_open(look, cluster):
    page = look().open("?search=web")
    up = page.locator("#app-list tbody tr").first.locator("td").nth(2)
    expect(up).to_have_text("2")
    cluster.scale("/web", 4)
    expect(up).to_have_text("4", timeout=WITHIN_MS)
    expect(page.locator("#changes-table tbody tr").first).to_contain_text("/web", timeout=WITHIN_MS)
    expect(page.locator("#plots circle.live").first).to_be_attached(timeout=WITHIN_MS)


def test_who_types_sees_what_is_like_that_and_keeps_the_place(look):
    page = look().open()
    page.get_by_label("Search").press_sequentially("CHECK")
    expect(page.locator("#app-list [role=status]")).to_have_text("1 app", timeout=WITHIN_MS)
    assert page.url.endswith("?search=CHECK")
    expect(page.get_by_label("Search")).to_be_focused()
    page.get_by_label("Search").fill("")
    page.get_by_label("Show").select_option("left-out")
    expect(page.locator("#app-list")).to_contain_text("/bad", timeout=WITHIN_MS)
    expect(page.locator("#app-list")).not_to_contain_text("/web")


def test_without_javascript_all_of_it_can_be_used(look):
    page = look(java_script_enabled=False).open()
    page.get_by_label("Search").fill("24001")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#app-list [role=status]")).to_have_text("1 app")
    page.get_by_role("link", name="/checked").first.click()
    expect(page.locator("h1")).to_have_text("/checked is exposed")


def test_a_click_on_an_app_says_why_it_is_so(look):
    page = look().open()
    page.locator("#left-out-table").get_by_role("link", name="/bad").click()
    expect(page.locator("h1")).to_have_text("/bad is not exposed")
    expect(page.get_by_role("region", name="Services")).to_contain_text("an integer is needed")
    expect(page.get_by_role("region", name="Labels")).to_contain_text("HAPROXY_0_PORT")
    page.get_by_role("link", name="overview").click()
    expect(page.locator("#verdict")).to_be_visible()


def test_what_is_written_for_an_app_and_what_haproxy_says_is_there(look):
    page = look().open("app?id=/web")
    expect(
        page.get_by_role("region", name="Servers as HAProxy sees them now").locator("tbody tr").first
    ).to_be_visible()
    page.get_by_text("port 24000, backend").click()
    expect(page.locator("pre:visible")).to_contain_text("backend web_24000")


def test_an_id_and_labels_that_want_to_do_harm_are_text(look):
    looker = look()
    page = looker.open("?search=hostile")
    link = page.locator("#app-list").get_by_role("link", name="/hostile")
    expect(link).to_have_text(HOSTILE_ID.replace("\x1b", r"\x1b").replace("\u202e", r"\u202e"))
    link.click()
    expect(page.locator("h1")).to_contain_text("<script>alert(1)</script>")
    expect(page.locator("h1")).to_contain_text("exposed")
    assert page.locator("main script, main img").count() == 0


def test_by_night_it_is_dark(look):
    def paper(scheme: str) -> int:
        page = look(color_scheme=scheme).open()
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert paper("light") > 600
    assert paper("dark") < 150


@pytest.mark.parametrize("where", ["", "app?id=/web"])
def test_on_a_phone_nothing_is_wider_than_the_screen(look, where):
    page = look(viewport=PHONE).open(where)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_keyboard_is_enough(look):
    page = look().open()
    page.get_by_label("Search").focus()
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Search")).to_be_focused()


def test_a_marathon_that_cannot_be_read_is_the_verdict_and_so_is_its_return(look, cluster):
    looker = look()
    page = looker.open()
    expect(page.locator("#icon")).to_have_attribute("href", "/_fastlb/icon-warn.svg")
    cluster.arm(Fault.ERROR, value=503, path="/v2/apps")
    page.request.get(f"{looker.origin}/_mlb_signal/hup")
    expect(page.locator("h1")).to_have_text("Marathon cannot be read", timeout=WITHIN_MS)
    expect(page.locator("#findings")).to_contain_text("503")
    expect(page.locator("#icon")).to_have_attribute("href", "/_fastlb/icon-bad.svg")
    cluster.clear()
    page.request.get(f"{looker.origin}/_mlb_signal/hup")
    expect(page.locator("h1")).to_contain_text("All is well", timeout=WITHIN_MS)
    expect(page.locator("#incidents-table")).to_contain_text("Marathon could not be read")


def test_a_fastlb_that_does_not_answer_is_said_and_its_return_seen(look):
    looker = look()
    page = looker.open()
    page.route("**/_fastlb/", lambda route: route.fulfill(status=503, body="fastlb does not answer at the moment"))
    expect(page.get_by_role("alert")).to_contain_text("Not live: fastlb answers 503", timeout=WITHIN_MS)
    expect(page.locator("body")).to_have_class("old")
    page.unroute("**/_fastlb/")
    expect(page.get_by_role("alert")).to_be_hidden(timeout=WITHIN_MS)
    expect(page.locator("body")).not_to_have_class("old")
    assert all("503" in said for said in looker.complaints)
    looker.complaints.clear()
