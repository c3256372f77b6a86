"""What cannot begin changes nothing; what is only said changes nothing either."""

from __future__ import annotations

import base64
import socket

import orjson
import pytest

from fastlb.cli import build_parser, main
from fastlb.errors import UsageError
from fastlb.simulator.faults import Fault
from fastlb.zdd.command import zdd_command
from fastlb.zdd.outcomes import Code
from tests.fakes.front_door import until
from tests.integration.zdd.stage import APP, BLUE, LABELS, staged


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda stage: stage.file.unlink(), Code.UNEXPECTED, "cannot be read"),
        (lambda stage: stage.write("{"), Code.UNEXPECTED, "no JSON"),
        (lambda stage: stage.write(APP | {"labels": {}}), Code.DEFINITION, "HAPROXY_DEPLOYMENT_GROUP"),
        (lambda stage: stage.write(APP | {"portDefinitions": []}), Code.DEFINITION, "service port"),
        (lambda stage: stage.write(APP | {"id": "/Shop"}), Code.CREATE, "422"),
        (lambda stage: stage.write(APP | {"env": 7, "labels": LABELS | {"X": 7}}), Code.CREATE, "/labels/X"),
        (lambda stage: stage.marathon.load([BLUE | {"id": "/b"}, BLUE | {"id": "/c"}]), Code.GROUP, "3 apps"),
        (lambda stage: stage.marathon.load([BLUE | {"id": "/b"}]), Code.UNEXPECTED, "in progress"),
        (lambda stage: stage.marathon.arm(Fault.ERROR, value=503), Code.READ, "503"),
        (lambda stage: stage.marathon.arm(Fault.UNAUTHORIZED), Code.READ, "401"),
        (lambda stage: stage.marathon.arm(Fault.HTML), Code.READ, "no JSON"),
    ],
)
def test_what_cannot_begin_changes_nothing_and_says_why(stage, capsys, change, code, words):
    change(stage)
    before = stage.sizes()
    assert stage.run() == code
    assert words in capsys.readouterr().err
    assert stage.sizes() == before


@pytest.mark.parametrize("flag", ["--complete-cur", "--complete-prev"])
def test_nothing_to_complete(stage, flag):
    assert stage.run(flag) == Code.NO_SPLIT


def test_a_dry_run_shows_the_definition_and_changes_nothing(stage, capsys):
    assert stage.run("--dry-run") == Code.DONE
    shown = capsys.readouterr()
    assert orjson.loads(shown.out)["id"] == "/shop/api-green"
    assert "1+4, 2+3, 4+2, 4+0" in shown.err
    assert stage.sizes() == {"/shop/api-blue": 4}


def test_json_lines_tell_the_whole_story(stage, capsys):
    assert stage.run("--output", "json") == Code.DONE
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    happened = [line["event"] for line in lines]
    assert happened[:3] == ["definition", "plan", "created"]
    assert happened[-2:] == ["deleted", "done"]
    assert {"killed", "scaled", "status"} <= set(happened)
    assert lines[1]["steps"] == [[1, 4], [2, 3], [4, 2], [4, 0]]


def test_an_app_without_a_label_of_its_target_is_replaced_as_a_whole(tmp_path):
    labels = {name: value for name, value in BLUE["labels"].items() if "DEPLOYMENT_TARGET" not in name}
    with staged(tmp_path, BLUE | {"labels": labels}) as stage:
        assert stage.run() == Code.DONE
        assert stage.sizes() == {"/shop/api-green": 4}


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "http://m", "-l", "http://lb:9090"],
        ["-m", "http://m", "-j", "x"],
        ["-l", "http://lb:9090", "-j", "x"],
        ["-m", "http://m", "-l", "http://lb", "-j", "x"],
        ["-m", "http://m", "-l", "http://lb:9090", "-j", "x", "-c", "-p"],
    ],
)
def test_flags_that_are_missing_or_contradict_each_other(words):
    with pytest.raises(UsageError):
        zdd_command(build_parser().parse_args(["zdd", *words]), {})


def test_longhelp_is_as_long_as_it_was(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["zdd", "--longhelp"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "None\n"


def test_nothing_is_said_in_a_pipe_that_needs_no_saying(stage, capsys):
    assert stage.run() == Code.DONE
    shown = capsys.readouterr()
    assert orjson.loads(shown.out)["id"] == "/shop/api-green"
    assert shown.err == ""


def test_a_marathon_that_asks_for_a_password_behind_one_that_is_dead(tmp_path):
    login = "Basic " + base64.b64encode(b"me:secret").decode()
    with staged(tmp_path, BLUE, authorization=login) as stage, socket.create_server(("127.0.0.1", 0)) as taken:
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        taken.close()
        words = stage.words("--auth-credentials", "me:secret")
        words.insert(words.index("-m") + 1, dead)
        assert zdd_command(build_parser().parse_args(words), {}) == Code.DONE
        assert stage.sizes() == {"/shop/api-green": 4}


def test_sigterm_lets_go_of_the_lock(stage):
    stage.balancers[0].held = {task["id"]: 1 for task in stage.marathon.tasks("/shop/api-blue")}
    with stage.start() as run:
        until(lambda: "/shop/api-green" in stage.sizes())
        run.terminate()
        run.communicate()
    assert run.returncode == 143
    assert "/shop/api-zdd" not in stage.sizes()
