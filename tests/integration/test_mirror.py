"""The daemon in front of a Marathon that answers what it likes, when it likes: what is asked, and what comes of it.

Nothing happens in this Marathon by itself, and its tasks do not exist: a test says what changes, what is told of it,
and how each request is answered. What fastlb made of it is read from the files that HAProxy has.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.apps import app, task
from tests.fakes.front_door import front_door, until
from tests.fakes.marathon_http import FakeCluster, answer, json_answer, silence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.front_door import FrontDoor

pytestmark = pytest.mark.haproxy

Json = dict[str, Any]
ports = count(27000)
task_ports = count(31000)

FOREIGN = {"HAPROXY_GROUP": "internal"}
HUGE = 2000
LONG_ID = "/group-1/sub.group/0a-b.c-9"
"""Every kind of character that an id may have (MARATHON.md 1.3, 4)."""


class Scene:
    """A Marathon and the daemon in front of it."""

    def __init__(self, marathon: FakeCluster, door: FrontDoor) -> None:
        self.marathon = marathon
        self.door = door
        self.before = self.start = 0

    def define(self, app_id: str, **members: Any) -> Json:
        """Have Marathon know an app with one task."""
        document = app(app_id, [next(ports)], tasks=[self.task(app_id)], **members)
        self.marathon.apps[app_id] = document
        return document

    def task(self, app_id: str) -> Json:
        return task(0, ports=[next(task_ports)]) | {"id": f"{app_id[1:].replace('/', '_')}.{next(task_ports)}"}

    def move(self, app_id: str) -> None:
        """Have another task in the place of the app's own; nobody is told."""
        before = self.marathon.apps[app_id]
        self.marathon.apps[app_id] = {**before, "tasks": [self.task(app_id)]}

    def up(self, *flags: str) -> Scene:
        """Start the daemon."""
        self.door.up(self.marathon.url, *flags)
        return self.begin()

    def begin(self) -> Scene:
        """Count requests and journal entries from here on."""
        self.before, self.start = len(self.marathon.seen), self.door.now()
        return self

    def asked(self) -> list[str]:
        """The apps asked for since the test began, or "everything"."""
        return self.marathon.asked(self.before)

    def change(self, *app_ids: str) -> None:
        """Have each app get another task, and tell of it."""
        for app_id in app_ids:
            self.move(app_id)
        self.marathon.tell(*map(status, app_ids))

    def follows(self, app_id: str) -> bool:
        """Whether HAProxy's files have exactly the tasks that Marathon has for this app."""
        backend = f"backend {app_id[1:].replace('/', '_')}_{self.marathon.apps[app_id]['portDefinitions'][0]['port']}\n"
        block = self.door.config().rpartition(backend)[2].partition("\n\n")[0]
        servers = {line.split()[2] for line in block.splitlines() if line.startswith("  server ")}
        return servers == {f"{each['host']}:{each['ports'][0]}" for each in self.marathon.apps[app_id]["tasks"]}

    def wait_until_it_follows(self, *app_ids: str) -> None:
        until(lambda: all(map(self.follows, app_ids)), said=lambda: f"{self.marathon.asked()}\n{self.door.log()}")

    def settle(self) -> list[str]:
        """Have an app that is there for that change; return what else was asked for until the change had arrived."""
        before = self.asked().count("/settle")
        self.change("/settle")
        self.wait_until_it_follows("/settle")
        assert self.asked().count("/settle") == before + 1
        return [path for path in self.asked() if path != "/settle"]


def status(app_id: str) -> Json:
    return {"eventType": "status_update_event", "appId": app_id, "taskStatus": "TASK_RUNNING"}


def posted(app_id: str) -> Json:
    return {"eventType": "api_post_event", "appDefinition": {"id": app_id}}


def deployment(kind: str, app_id: str, version: str) -> Json:
    actions = [{"action": "StartApplication", "app": app_id}]
    return {"eventType": kind, "plan": {"version": version, "steps": [{"actions": actions}]}}


def group_change(version: str) -> Json:
    return {"eventType": "group_change_success", "groupId": "/", "version": version}


@contextlib.contextmanager
def scene_at(door: FrontDoor) -> Iterator[Scene]:
    with FakeCluster([]) as marathon:
        scene = Scene(marathon, door)
        for app_id in ("/a", "/b", "/settle"):
            scene.define(app_id)
        scene.define("/foreign", labels=FOREIGN)
        yield scene
        assert door.process is None or door.stop() == 0
        assert "Traceback" not in door.log()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with front_door(tmp_path_factory.mktemp("door")) as door, scene_at(door) as scene:
        yield scene.up("--marathon-read-timeout", "1")


@pytest.fixture
def scene(shared: Scene) -> Iterator[Scene]:
    """A daemon that runs; what a test has changed is put right for the next one."""
    yield shared.begin()
    shared.marathon.obey()
    start = shared.door.now()
    shared.door.process.send_signal(signal.SIGHUP)
    shared.door.wait_for("fetched", start, asked="everything")
    shared.settle()
    shared.wait_until_it_follows("/a", "/b")


@pytest.fixture
def own(door: FrontDoor) -> Iterator[Scene]:
    """A daemon of this test's own, not started yet."""
    with scene_at(door) as scene:
        yield scene


def path_of(app_id: str) -> str:
    return f"/v2/apps{app_id}"


# What is asked


def test_a_task_event_costs_one_request_of_that_app_only(scene):
    scene.change("/a")
    scene.wait_until_it_follows("/a")
    assert scene.asked() == ["/a"]


CANNOT_MATTER = [
    {"eventType": kind, "appId": "/a", "runSpecId": "/a", "plan": {"version": "v", "steps": []}, "reason": "none"}
    for kind in (
        "add_health_check_event",
        "remove_health_check_event",
        "failed_health_check_event",
        "group_change_failed",
        "pod_created_event",
        "pod_updated_event",
        "pod_deleted_event",
        "framework_message_event",
        "scheduler_registered_event",
        "scheduler_reregistered_event",
        "scheduler_disconnected_event",
        "event_stream_attached",
        "event_stream_detached",
        "subscribe_event",
        "unsubscribe_event",
        "an_event_of_tomorrow",
    )
]


def test_events_of_kinds_that_cannot_matter_cost_no_request(scene):
    scene.marathon.tell(*CANNOT_MATTER)
    assert scene.settle() == []


def test_a_task_event_of_an_app_of_another_group_costs_no_request(scene):
    scene.marathon.tell(status("/foreign"), status("/foreign"))
    assert scene.settle() == []


def test_a_pod_costs_one_request_and_then_none(scene):
    for _ in range(3):
        scene.marathon.tell({"eventType": "instance_changed_event", "runSpecId": "/pod"})
        scene.settle()
    assert scene.settle() == ["/pod"]


def test_an_app_never_seen_that_only_its_tasks_tell_of_is_served(scene):
    scene.define("/unseen")
    scene.marathon.tell(status("/unseen"))
    scene.wait_until_it_follows("/unseen")
    assert scene.asked() == ["/unseen"]


def test_a_thousand_events_in_a_second_are_one_request_for_each_app_and_quiet_period(own):
    settle_max_s, app_ids = 0.5, [f"/busy-{number}" for number in range(300)]
    for app_id in app_ids:
        own.define(app_id)
    own.up("--settle", "0.1", "--settle-max", str(settle_max_s), "--bulk-threshold", "1000")
    controller, began_s = own.door.controller(), time.monotonic()
    before = controller.cpu_times()
    for number in range(1000):
        own.change(app_ids[number * 7 % len(app_ids)])
        time.sleep(max(0.0, began_s + number / 1000 - time.monotonic()))
    told_s = time.monotonic() - began_s
    own.wait_until_it_follows(*app_ids)
    after, wall_s = controller.cpu_times(), time.monotonic() - began_s
    asked = Counter(own.asked())
    assert asked.keys() == set(app_ids)
    assert max(asked.values()) <= told_s / settle_max_s + 2
    assert asked.total() < 1000
    assert after.user + after.system - before.user - before.system < wall_s, "it needs more than one core"


def test_many_changed_apps_are_read_together(own):
    app_ids = [f"/busy-{number}" for number in range(60)]
    for app_id in app_ids:
        own.define(app_id)
    own.up().change(*app_ids)
    own.wait_until_it_follows(*app_ids)
    assert own.asked().count("everything") == 1
    assert len(own.asked()) <= 51


# An app about which there is no usable answer


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (json_answer({"message": "x"}, 500), "HTTP 500"),
        (json_answer({"message": "x"}, 503), "HTTP 503"),
        (silence, "no byte for 1 s"),
        (answer(b'{"app":{"id":"'), "half a JSON"),
        (answer(b"<html>", 200, "text/html"), "answered HTML"),
        (answer(b'{"app": {"id', promised_bytes=100), "end of response with 88 bytes missing"),
    ],
)
def test_an_app_about_which_there_is_no_answer_is_named_once_and_stays_as_it_was(scene, bad, said):
    config, before = scene.door.config(), len(scene.door.lines("apps cannot be read"))
    scene.marathon.answers[path_of("/a")] = bad
    for failures in (1, 2):
        scene.change("/a")
        until(lambda failures=failures: len(scene.door.journal("fetch_failed", scene.start)) >= failures)
    (line,) = scene.door.lines("apps cannot be read")[before:]
    assert f"some apps cannot be read: /a: no Marathon gave a usable answer: {scene.marathon.url}: {said}" in line
    assert "what HAProxy serves of them stays as it is" in line
    assert scene.door.config() == config
    scene.change("/b")
    scene.wait_until_it_follows("/b")
    scene.marathon.obey()
    scene.change("/a")
    scene.wait_until_it_follows("/a")
    assert "everything" not in scene.asked()


def test_an_app_about_which_there_was_no_answer_is_asked_for_again_without_another_event(scene):
    before = len(scene.door.lines("app /a can be read again"))
    scene.marathon.answers[path_of("/a")] = json_answer({"message": "x"}, 500)
    scene.change("/a")
    scene.door.wait_for("fetch_failed", scene.start)
    scene.marathon.obey()
    scene.wait_until_it_follows("/a")
    assert scene.asked() == ["/a", "/a"]
    assert len(scene.door.lines("app /a can be read again")) == before + 1


def test_a_404_removes_that_app_alone_and_the_next_answer_brings_it_back(scene):
    document = scene.marathon.apps.pop("/a")
    scene.marathon.tell(status("/a"))
    until(lambda: "backend a_" not in scene.door.config(), said=scene.door.log)
    assert all(map(scene.follows, ("/b", "/settle")))
    scene.marathon.apps["/a"] = document
    scene.marathon.tell(posted("/a"))
    scene.wait_until_it_follows("/a", "/b", "/settle")


def test_an_answer_with_another_apps_id_changes_neither_of_them(scene):
    config = scene.door.config()
    scene.marathon.answers[path_of("/a")] = json_answer({"app": scene.marathon.apps["/b"] | {"tasks": []}})
    scene.marathon.tell(status("/a"))
    line = scene.door.wait_for_line("app /a: Marathon was asked for it and answered with app /b")
    assert "its last good form stays" in line
    assert scene.door.config() == config
    scene.marathon.obey()
    scene.change("/a", "/b")
    scene.wait_until_it_follows("/a", "/b")
    assert "everything" not in scene.asked()


def test_while_one_app_has_no_answer_others_are_read_and_so_are_those_of_its_own_reading(scene):
    with scene.marathon.held(path_of("/a")) as release:
        scene.marathon.tell(status("/a"))
        until(lambda: "/a" in scene.asked())
        scene.change("/b")
        scene.wait_until_it_follows("/b")
        scene.define("/later")
        scene.marathon.tell(posted("/later"))
        scene.wait_until_it_follows("/later")
        assert scene.asked().count("/a") == 1
        assert "/a" not in read_alone(scene)
        release.set()
        until(lambda: "/a" in read_alone(scene))


def read_alone(scene: Scene) -> list[str]:
    entries = scene.door.journal("fetched", scene.start)
    return [app_id for one in entries if one["asked"] != "everything" for app_id in one["asked"]]


# Answers that overlap


def test_an_app_that_changes_while_it_is_read_is_read_again(scene):
    with scene.marathon.held(path_of("/a")) as release:
        scene.marathon.tell(status("/a"))
        until(lambda: "/a" in scene.asked())
        scene.change("/a")
        assert scene.settle() == ["/a"]
        release.set()
        scene.wait_until_it_follows("/a")
    assert scene.asked().count("/a") == 2


def test_an_answer_that_is_older_than_a_full_read_does_not_overwrite_it(scene):
    with scene.marathon.held(path_of("/a")) as release:
        scene.marathon.tell(status("/a"))
        until(lambda: "/a" in scene.asked())
        scene.move("/a")
        scene.door.process.send_signal(signal.SIGHUP)
        scene.wait_until_it_follows("/a")
        release.set()
        assert scene.settle() == ["/a", "everything"]
    assert scene.follows("/a")


def test_an_app_that_changes_during_a_full_read_is_followed_at_once_and_stays_so(scene):
    with scene.marathon.held("/v2/apps") as release:
        scene.door.process.send_signal(signal.SIGHUP)
        until(lambda: "everything" in scene.asked())
        scene.change("/a")
        scene.wait_until_it_follows("/a")
        release.set()
        scene.door.wait_for("fetched", scene.start, asked="everything")
        scene.settle()
    assert scene.follows("/a")


def test_a_full_read_that_fails_does_not_hold_up_single_apps(scene):
    before = len(scene.door.lines("Marathon can be read again"))
    scene.marathon.answers["/v2/apps"] = json_answer({}, 503)
    scene.door.process.send_signal(signal.SIGHUP)
    scene.door.wait_for("fetch_failed", scene.start)
    scene.change("/a")
    scene.wait_until_it_follows("/a")
    assert len(scene.door.lines("Marathon can be read again")) == before
    scene.marathon.obey()
    until(lambda: len(scene.door.lines("Marathon can be read again")) == before + 1)


# Events out of order


def test_a_deployment_that_is_announced_before_its_app_is_there_leads_to_it_in_any_order_of_events(scene):
    scene.marathon.tell(deployment("deployment_info", "/early", "v1"))
    until(lambda: "/early" in scene.asked())
    scene.define("/early")
    scene.marathon.tell(group_change("v1"))
    scene.wait_until_it_follows("/early")
    scene.marathon.tell(status("/late"), deployment("deployment_success", "/late", "v2"))
    until(lambda: "/late" in scene.asked())
    scene.define("/late")
    scene.marathon.tell(group_change("v2"), deployment("deployment_info", "/late", "v2"), posted("/late"))
    scene.wait_until_it_follows("/early", "/late")
    assert "everything" not in scene.asked()


def test_a_change_that_nobody_names_has_everything_read(scene):
    scene.move("/a")
    scene.marathon.tell(group_change("nobody knows"))
    scene.wait_until_it_follows("/a")
    assert scene.asked() == ["everything"]


def test_events_about_a_deleted_app_that_come_late_do_not_bring_it_back(scene):
    scene.define("/short")
    scene.marathon.tell(posted("/short"))
    scene.wait_until_it_follows("/short")
    del scene.marathon.apps["/short"]
    scene.marathon.tell({"eventType": "app_terminated_event", "appId": "/short"}, status("/short"), posted("/short"))
    until(lambda: "backend short_" not in scene.door.config(), said=scene.door.log)
    scene.marathon.tell(status("/short"))
    scene.settle()
    assert "backend short_" not in scene.door.config()
    assert all(map(scene.follows, ("/a", "/b", "/settle")))


# Sizes and names


def test_an_app_with_two_thousand_tasks_is_followed_and_costs_the_others_nothing(scene):
    document = scene.define("/huge")
    document["tasks"] = [scene.task("/huge") for _ in range(HUGE)]
    scene.marathon.tell(posted("/huge"))
    scene.wait_until_it_follows("/huge", "/a")
    scene.marathon.apps["/huge"] = {**document, "tasks": [*document["tasks"][1:], scene.task("/huge")]}
    scene.marathon.tell(status("/huge"))
    scene.change("/b")
    scene.wait_until_it_follows("/huge", "/a", "/b")
    assert "everything" not in scene.asked()
    del scene.marathon.apps["/huge"]


def test_an_id_of_every_allowed_character_is_read_alone_under_its_own_path(scene):
    scene.define(LONG_ID)
    scene.marathon.tell(posted(LONG_ID))
    scene.wait_until_it_follows(LONG_ID)
    scene.change(LONG_ID)
    scene.wait_until_it_follows(LONG_ID)
    assert set(scene.asked()) == {LONG_ID}


# Flags


def test_with_selecting_by_group_everything_is_asked_for_by_label_and_what_leaves_the_group_is_gone(own):
    own.up("--select-by-group")
    assert any("label=HAPROXY_GROUP%20in%20%28external%29" in path for path in own.marathon.paths())
    assert len(own.door.lines("--select-by-group: only apps with the label HAPROXY_GROUP in (external)")) == 1
    moved = own.marathon.apps["/a"]
    own.marathon.apps["/a"] = {**moved, "labels": FOREIGN}
    own.marathon.tell(posted("/a"))
    until(lambda: "backend a_" not in own.door.config(), said=own.door.log)
    own.marathon.apps["/a"] = moved
    own.marathon.tell(posted("/a"))
    own.wait_until_it_follows("/a", "/b")
    assert own.asked() == ["/a", "/a"]


def test_a_warning_about_the_settings_is_said_once_although_two_processes_read_them(own):
    (own.door.folder / "templates" / "HAPROXY_BACKEND_HEAD").mkdir(parents=True)
    own.up("--insecure")
    assert len(own.door.lines("--insecure: ")) == 1
    assert len(own.door.lines("templates/HAPROXY_BACKEND_HEAD cannot be read")) == 1
