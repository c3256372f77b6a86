"""An app about which there is no usable answer."""

from __future__ import annotations

import pytest

from tests.fakes.front_door import until
from tests.fakes.marathon_http import answer, json_answer, silence
from tests.integration.mirror.scene import (
    path_of,
    posted,
    read_alone,
    status,
)

pytestmark = pytest.mark.haproxy


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
