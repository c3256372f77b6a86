"""The page by itself: bounded however many apps there are, harmless whatever they are called, always there."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import threading
from html.parser import HTMLParser
from queue import Empty, SimpleQueue
from types import SimpleNamespace

import pytest

from fastlb.access import read_access
from fastlb.admin import loop as loop_module
from fastlb.admin.app_list import PER_PAGE, AppList
from fastlb.admin.client import _UnixConnection
from fastlb.admin.explaining import Explaining
from fastlb.admin.loop import Loop
from fastlb.admin.page import Page
from fastlb.admin.server import AdminServer
from fastlb.admin.state import State, Watched
from fastlb.admin.views import Views
from fastlb.board import Board
from fastlb.census import take_census
from fastlb.history import History
from fastlb.metrics.state import Sources
from fastlb.old_workers import Totals
from fastlb.questions import Asked, Known
from fastlb.recent import Recent
from fastlb.running import Running
from fastlb.runtime_api import RuntimeApi
from fastlb.settings import Paths
from tests.fakes.apps import app
from tests.fakes.front_door import until
from tests.unit.test_explain import deciding

HOSTILE = "/x\"'><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202e\x00"


MARATHON = SimpleNamespace(urls=("http://m:8080",), url="http://m:8080", leader="http://n:8080")


class Workers:
    """Old workers as the page sees them."""

    most, totals = 10, Totals()


class Stage:
    """The page of some apps, without HAProxy, and a thread that answers as the loop does unless it is ``deaf``."""

    def __init__(self, folder, *documents):
        self.paths = Paths(folder / "haproxy.cfg", folder)
        self.inbox, self.deaf, self.history, self.recent = SimpleQueue(), threading.Event(), History(), Recent()
        decider = deciding(*documents)
        running = Running(1.0)
        running.loaded(decider.document)
        self.known = Known(decider, running, self.history)
        self.board = Board(census=take_census(decider))
        haproxy = RuntimeApi(self.paths.runtime_socket, 1.0)
        sources = Sources(self.board, None, None, Workers(), haproxy, follows_events=True)
        watched = Watched(sources, self.recent, self.history, MARATHON, True, 10, 60)
        loop = Loop(self.inbox)
        apps = AppList(loop, haproxy)
        state = State(watched, apps)
        page = Page(state, apps, Explaining(self.paths, loop))
        routes = [*Views(state, apps).routes(), *page.routes()]
        self.server = AdminServer(self.paths.admin_socket, self.paths.local_socket, read_access((), ""), routes)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._answer)

    def _answer(self):
        while not self._ended.is_set():
            with contextlib.suppress(Empty):
                message = self.inbox.get(timeout=0.01)
                if isinstance(message, Asked) and not self.deaf.is_set():
                    message.respond(self.known)

    def __enter__(self):
        self._thread.start()
        self.server.start()
        return self

    def __exit__(self, *_error):
        self.server.stop()
        self._ended.set()
        self._thread.join()

    def ask(self, target, **headers):
        with contextlib.closing(_UnixConnection(self.paths.admin_socket)) as connection:
            connection.request("GET", target, headers={"X-Fastlb-Client": "127.0.0.1", **headers})
            answer = connection.getresponse()
            return answer, answer.read()

    def get(self, target):
        answer, body = self.ask(target)
        return answer.status, body.decode()


def many(count):
    return [app(f"/team/app-{number:05}", ports=[10000 + number], labels=VHOST) for number in range(count)]


VHOST = {"HAPROXY_0_VHOST": "some.example.com"}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    with Stage(tmp_path_factory.mktemp("crowd"), *many(5000)) as running:
        yield running


@pytest.fixture
def stage(tmp_path):
    with Stage(
        tmp_path, app("/web", labels=VHOST), app("/bad", ports=[10001], labels={"HAPROXY_0_PORT": "x"})
    ) as running:
        yield running


def test_five_thousand_apps_cost_one_page_of_bytes(crowd, tmp_path):
    with Stage(tmp_path, *many(PER_PAGE)) as few:
        small = few.get("/_fastlb/")[1]
    large = crowd.get("/_fastlb/")[1]
    assert large.count('<th scope="row"') == small.count('<th scope="row"') == PER_PAGE
    assert len(large) < len(small) + 2000
    assert len(large) < 60_000


def test_a_browser_that_takes_gzip_gets_a_tenth(crowd):
    answer, body = crowd.ask("/_fastlb/", **{"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] in {"gzip", "deflate"}
    assert len(body) * 4 < len(gzip.decompress(body))


@pytest.mark.parametrize(
    ("query", "found", "page", "first"),
    [
        ("", 5000, 1, "/team/app-00000"),
        ("?page=2", 5000, 2, "/team/app-00050"),
        ("?page=100", 5000, 100, "/team/app-04950"),
        ("?page=101", 5000, 100, "/team/app-04950"),
        ("?page=0", 5000, 1, "/team/app-00000"),
        ("?page=-1&page=x", 5000, 1, "/team/app-00000"),
        ("?page=99999999999999999999", 5000, 1, "/team/app-00000"),
        ("?page=%C2%B2", 5000, 1, "/team/app-00000"),
        ("?search=APP-04999", 1, 1, "/team/app-04999"),
        ("?search=some.example+14242", 1, 1, "/team/app-04242"),
        ("?search=19999", 0, 1, None),
        ("?show=down", 0, 1, None),
        ("?show=nonsense", 5000, 1, "/team/app-00000"),
        (f"?search={'x' * 5000}", 0, 1, None),
    ],
)
def test_the_table_is_searched_and_paged(crowd, query, found, page, first):
    status, text = crowd.get(f"/_fastlb/apps{query}")
    said = json.loads(text)
    assert (status, said["found"], said["page"]) == (200, found, page)
    assert (said["apps"][0]["id"] if said["apps"] else None) == first
    assert len(said["apps"]) <= PER_PAGE


def test_the_pages_lead_to_each_other_and_keep_the_search(crowd):
    text = crowd.get("/_fastlb/?search=app&page=2")[1]
    assert 'rel="prev" href="?search=app&amp;show=all&amp;page=1#apps"' in text
    assert 'rel="next" href="?search=app&amp;show=all&amp;page=3#apps"' in text
    assert '<input type="search" name="search" value="app"' in text


def test_what_is_left_out_is_there_with_its_reason(stage):
    text = stage.get("/_fastlb/?show=left-out")[1]
    assert text.count("label HAPROXY_0_PORT is &#39;x&#39;, an integer is needed") == 2
    assert "1 app" in text


class Elements(HTMLParser):
    """All tags of a page, and all text of it."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.attributes = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def test_whatever_an_app_is_called_it_does_no_harm(tmp_path):
    labels = {"HAPROXY_0_VHOST": "v<b>.test", "HAPROXY_0_PATH": HOSTILE, "HAPROXY_X<script>": HOSTILE}
    with Stage(tmp_path, app(HOSTILE, labels=labels), app("/y", labels={"HAPROXY_0_MODE": HOSTILE})) as stage:
        stage.history.note("live", {HOSTILE: [HOSTILE]}, 1.0)
        stage.recent.hear("reload", {"ok": True, "seconds": 1.0, "reasons": [HOSTILE]})
        stage.recent.hear("doubt", {"said": HOSTILE})
        stage.board.fetch_failure = HOSTILE
        overview = stage.get(f"/_fastlb/?search={'%22%3E%3Cscript%3E'}")[1]
        link = re.search(r'href="(/_fastlb/app\?id=[^"]*script[^"]*)"', stage.get("/_fastlb/")[1])[1]
        pages = [overview, stage.get("/_fastlb/")[1], stage.get(link)[1], stage.get(f"{link}x")[1]]
    for page in pages:
        found = Elements(page)
        assert found.tags.count("script") <= 1
        assert {"img", "b"} & set(found.tags) <= {"b"}
        assert not [name for name, _ in found.attributes if name.startswith("on") or name == "style"]
        assert not set(page) & {"\x1b", "\x00", "\u202e"}
    assert "<script>alert(1)</script>" in Elements(pages[1]).text
    assert r"\x1b[31m\u202e\x00" in Elements(pages[2]).text


def test_nothing_inline_may_run_and_nothing_comes_from_elsewhere(stage):
    for target in ("/_fastlb/", "/_fastlb/app?id=/web", "/_fastlb/app?id=/none"):
        answer, body = stage.ask(target)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(rb'(?:src|href)="(?!/_fastlb|/haproxy|#|\?)', body)


def test_the_files_of_the_page_are_small_and_of_their_kind(stage):
    kinds = {"page.css": "text/css", "page.js": "text/javascript", "icon-bad.svg": "image/svg+xml"}
    for name, kind in kinds.items():
        answer, body = stage.ask(f"/_fastlb/{name}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
        assert len(body) < 10_000


def test_without_its_slash_the_page_is_found_too(stage):
    answer, _ = stage.ask("/_fastlb")
    assert (answer.status, answer.headers["Location"]) == (301, "/_fastlb/")


def test_the_page_of_an_app_says_what_explain_says(stage):
    status, text = stage.get("/_fastlb/app?id=/bad")
    assert (status, 'class="verdict bad"' in text) == (200, True)
    assert "label HAPROXY_0_PORT is &#39;x&#39;, an integer is needed" in text
    status, text = stage.get("/_fastlb/app?id=/wbe")
    assert (status, '<a class="id" href="/_fastlb/app?id=/web">/web</a>' in text) == (404, True)
    assert stage.get("/_fastlb/app")[0] == 404
    assert stage.get(f"/_fastlb/app?id=/{'x' * 5000}")[0] == 404


def test_while_the_loop_is_busy_the_page_shows_what_was_known_and_says_so(stage, monkeypatch):
    monkeypatch.setattr(loop_module, "ANSWER_WITHIN_S", 0.05)
    assert json.loads(stage.get("/_fastlb/apps")[1])["found"] == 2
    stage.deaf.set()
    said = until(lambda: (found := json.loads(stage.get("/_fastlb/apps")[1]))["late"].startswith("the loop") and found)
    assert (said["found"], "the loop is busy" in said["late"]) == (2, True)
    status, text = stage.get("/_fastlb/")
    assert (status, "/web" in text) == (200, True)


def test_a_leader_that_is_not_the_one_asked_is_named(stage):
    assert '<dt>Leader</dt><dd class="id">http://n:8080</dd>' in stage.get("/_fastlb/")[1]


def test_without_haproxy_that_is_the_verdict(stage):
    stage.board.agreed_s = 0.0
    said = json.loads(stage.get("/_fastlb/state")[1])
    assert (said["verdict"]["level"], said["verdict"]["title"]) == ("bad", "HAProxy does not answer")
    assert (said["haproxy"]["up"], said["counts"]["servers"], said["counts"]["up"]) == (False, 1, None)
    assert "HAProxy does not answer" in stage.get("/_fastlb/")[1]


def test_the_state_has_what_its_description_says(stage):
    from fastlb.admin import state

    described = re.findall(r"^    (\w+)   ", state.__doc__, re.MULTILINE)
    assert set(json.loads(stage.get("/_fastlb/state")[1])) == set(described) | {"old_workers"}


def test_who_may_not_look_sees_nothing(tmp_path):
    with Stage(tmp_path, app("/web")) as stage:
        stage.server._access = read_access(["/_fastlb/=private"], "")
        with contextlib.closing(_UnixConnection(stage.paths.admin_socket)) as connection:
            connection.request("GET", "/_fastlb/", headers={"X-Fastlb-Client": "8.8.8.8"})
            assert connection.getresponse().status == 403
