"""``fastlb zdd`` against a simulated Marathon: each way a run can end, with its exit code, and what stands then.

Load balancers are statistics made by the rule of deployment groups; tests/zdd has real ones, under load.
"""

from __future__ import annotations

import base64
import contextlib
import io
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from fastlb.cli import build_parser, main
from fastlb.errors import UsageError
from fastlb.simulator.faults import Fault
from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from fastlb.simulator.world import Delays
from fastlb.zdd.command import zdd_command
from fastlb.zdd.definitions import first_colour
from fastlb.zdd.outcomes import Code
from tests.fakes.front_door import until
from tests.fakes.statistics_page import statistics_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.statistics_page import StatisticsPage

Json = dict[str, Any]

LABELS = {"HAPROXY_GROUP": "external", "HAPROXY_DEPLOYMENT_GROUP": "shop", "HAPROXY_DEPLOYMENT_ALT_PORT": "10001"}
CHECK = {"protocol": "HTTP", "path": "/health", "portIndex": 0}
APP: Json = {
    "id": "/shop/api",
    "instances": 4,
    "cmd": "x",
    "labels": LABELS,
    "portDefinitions": [{"port": 10000}],
    "healthChecks": [CHECK],
}
BLUE = first_colour(APP, "2026-01-01T00:00:00.000000")
FAST = ("--force", "--step-delay", "0.05", "--retry-for", "1", "--max-wait", "20", "--health-timeout", "20")


class Stage:
    """A Marathon, load balancers, and the file of an app."""

    def __init__(self, marathon: SimulatedMarathon, folder: Path) -> None:
        self.marathon = marathon
        self.file = folder / "app.json"
        self.folder = folder
        self.balancers: list[StatisticsPage] = []
        self.write(APP)

    def write(self, definition: Json | str) -> None:
        text = definition if isinstance(definition, str) else orjson.dumps(definition).decode()
        self.file.write_text(text)

    def words(self, *more: str, force: bool = True) -> list[str]:
        urls = [page.url for page in self.balancers]
        fast = FAST if force else FAST[1:]
        return ["zdd", "-m", self.marathon.url, "-l", *urls, "-j", str(self.file), *fast, *more]

    def run(self, *more: str, force: bool = True) -> int:
        return zdd_command(build_parser().parse_args(self.words(*more, force=force)), {})

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "fastlb", *self.words("--output", "json", *more)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def sizes(self) -> dict[str, int]:
        apps = self.marathon.call(lambda service: list(service.cluster.apps.values()))
        return {app.definition.id: app.definition.instances for app in apps}

    def healthy(self) -> int:
        apps = self.marathon.call(lambda service: list(service.cluster.apps.values()))
        return sum(task.ready for app in apps for task in list(app.tasks.values()))

    def hook(self, text: str) -> str:
        path = self.folder / "hook"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)


@contextlib.contextmanager
def staged(folder: Path, *apps: Json, balancers: int = 1, **settings: Any) -> Iterator[Stage]:
    with contextlib.ExitStack() as stack:
        marathon = stack.enter_context(SimulatedMarathon(SimulatorSettings(**settings)))
        marathon.load(apps)
        stage = Stage(marathon, folder)
        stage.balancers = [stack.enter_context(statistics_page(marathon)) for _ in range(balancers)]
        yield stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, BLUE) as made:
        yield made


@pytest.fixture
def sick(tmp_path: Path) -> Iterator[Stage]:
    """Whatever is started from now on never gets healthy."""
    with staged(tmp_path, BLUE, delays=Delays(healthy_s=1e6)) as made:
        yield made


def bridge(port: int, **more: Any) -> Json:
    return {"containerPort": 80, "hostPort": 0, "servicePort": port} | more


NETWORKS: dict[str, Json] = {
    "host": {},
    "bridge": {
        "networks": [{"mode": "container/bridge"}],
        "container": {"type": "DOCKER", "docker": {"image": "x"}, "portMappings": [bridge(10000), bridge(10500)]},
    },
    "container": {
        "networks": [{"mode": "container", "name": "dcos"}],
        "container": {"portMappings": [{"containerPort": 80, "servicePort": 10000}]},
    },
}
LEGACY: dict[str, Json] = {
    "host": {"ports": [10000]},
    "bridge": {"container": {"docker": {"image": "x", "network": "BRIDGE", "portMappings": [bridge(10000)]}}},
    "container": {"container": {"docker": {"image": "x", "network": "USER", "portMappings": [bridge(10000)]}}},
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("version", ["1.4", "1.5", "1.8"])
def test_three_deployments_in_a_row_in_every_network_of_old_and_new_marathons(tmp_path, version, network):
    definition = APP | {"instances": 2} | (LEGACY if version == "1.4" else NETWORKS)[network]
    if "container" in definition or "ports" in definition:
        definition = {name: value for name, value in definition.items() if name != "portDefinitions"}
    with staged(tmp_path, version_shape=version) as stage:
        stage.write(definition)
        for colour in ("blue", "green", "blue"):
            assert stage.run() == Code.DONE
            stage.marathon.wait_idle()
            assert stage.sizes() == {f"/shop/api-{colour}": 2}


def test_a_split_stays_one_until_it_is_completed_either_way(stage):
    assert stage.run("--new-instances", "1") == Code.DONE
    assert stage.sizes() == {"/shop/api-blue": 3, "/shop/api-green": 1}
    assert stage.run("--resume") == Code.DONE
    assert stage.sizes() == {"/shop/api-blue": 3, "/shop/api-green": 1}
    assert stage.run("--complete-cur") == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}
    assert stage.run("--new-instances", "3") == Code.DONE
    assert stage.run("--complete-prev") == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}


@pytest.mark.parametrize("answers", ["n\n", "y\nn\n", "\n\n\nno\n"])
def test_no_to_any_question_ends_the_run_and_it_can_be_resumed(stage, monkeypatch, answers):
    monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
    assert stage.run(force=False) == Code.DECLINED
    assert stage.healthy() >= 4
    assert stage.run("--resume") == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}


def test_nobody_there_to_answer(stage, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert stage.run(force=False) == Code.UNEXPECTED
    assert stage.sizes() == {"/shop/api-blue": 4}


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


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: "<html>", "no CSV"),
        (lambda text: text.replace("scur", "curs"), "no column scur"),
        (lambda text: "", "no CSV"),
    ],
)
def test_a_load_balancer_with_a_page_of_its_own_making(stage, capsys, spoil, words):
    stage.balancers[0].spoil = spoil
    assert stage.run() == Code.BALANCER
    assert words in capsys.readouterr().err
    assert stage.sizes() == {"/shop/api-blue": 4}


def test_a_load_balancer_that_goes_down_in_the_middle_is_waited_for(stage, capsys):
    page = stage.balancers[0]
    page.spoil = lambda text: text if page.asked < 8 else "gone"
    assert stage.run() == Code.BALANCER
    assert "--resume" in capsys.readouterr().err
    assert stage.healthy() >= 4
    page.spoil = lambda text: text
    assert stage.run("--resume") == Code.DONE


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"path": "/v2/apps/shop/api-blue", "value": 500}, Code.DELETE),
        ({"path": "/v2/tasks/delete", "value": 500}, Code.CHANGE),
        ({"path": "/v2/tasks/delete", "value": 409}, Code.CHANGE),
        ({"path": "/v2/apps/shop/api-green", "value": 503}, Code.CHANGE),
        ({"path": "/v2/tasks/delete", "value": 403}, Code.CHANGE),
    ],
)
def test_a_change_that_marathon_refuses_ends_the_run_after_some_time_and_it_can_be_resumed(stage, fault, code):
    stage.marathon.arm(Fault.ERROR, **fault)
    assert stage.run() == code
    assert stage.healthy() >= 4
    stage.marathon.clear()
    assert stage.run("--resume") == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}


def test_a_lock_of_somebody_else_is_waited_for_and_named(tmp_path, capsys):
    with staged(tmp_path, BLUE, delays=Delays(killing_s=1e6)) as stage:
        # A task that takes very long to end holds its app.
        stage.marathon.scale("/shop/api-blue", 3)
        assert stage.run("--max-wait", "1") == Code.CHANGE
        [deployment] = stage.marathon.call(lambda service: list(service.cluster.deployments.running))
        assert deployment in capsys.readouterr().err


def test_a_failover_in_the_middle_is_ridden_out(stage):
    over = threading.Event()

    def fail_over() -> None:
        until(lambda: "/shop/api-green" in stage.sizes())
        stage.marathon.arm(Fault.ERROR, value=503, times=4)
        stage.marathon.change_leader()
        over.set()

    thread = threading.Thread(target=fail_over)
    thread.start()
    assert stage.run("--retry-for", "20") == Code.DONE
    thread.join()
    assert over.is_set()
    assert stage.sizes() == {"/shop/api-green": 4}


def test_tasks_that_no_load_balancer_takes_out_are_not_killed(stage, capsys):
    stage.balancers[0].never_out = True
    assert stage.run("--max-wait", "0.3") == Code.NOT_DRAINED
    assert " has 0" in capsys.readouterr().err
    assert stage.sizes() == {"/shop/api-blue": 4, "/shop/api-green": 1}


def test_two_load_balancers_have_to_agree(tmp_path):
    with staged(tmp_path, BLUE, balancers=2) as stage:
        stage.balancers[1].never_out = True
        assert stage.run("--max-wait", "0.3") == Code.NOT_DRAINED
        assert stage.sizes()["/shop/api-blue"] == 4
        stage.balancers[1].never_out = False
        assert stage.run("--resume") == Code.DONE


def test_connections_that_do_not_end_are_cut_after_the_longest_wait(stage):
    tasks = [task["id"] for task in stage.marathon.tasks("/shop/api-blue")]
    stage.balancers[0].held = dict.fromkeys(tasks, 1)
    assert stage.run("--max-wait", "0.3") == Code.DONE


def test_a_version_that_never_gets_healthy_stops_the_run_and_the_way_back_is_named(sick, capsys):
    assert sick.run("--health-timeout", "0.4") == Code.NOT_HEALTHY
    assert "--complete-prev" in capsys.readouterr().err
    assert sick.healthy() == 4
    assert sick.run("--complete-prev") == Code.DONE
    assert sick.sizes() == {"/shop/api-blue": 4}


def test_with_rollback_it_goes_back_by_itself(sick, capsys):
    assert sick.run("--health-timeout", "0.4", "--rollback") == Code.ROLLED_BACK
    assert "/shop/api-blue has taken over again" in capsys.readouterr().err
    assert sick.sizes() == {"/shop/api-blue": 4}
    assert sick.healthy() == 4


def test_the_hooks_are_told_what_happens(stage):
    told = stage.folder / "told"
    hook = stage.hook(f'for each; do echo "$each" >> {told}; done; echo loud; echo -- >> {told}')
    assert stage.run("--pre-kill-hook", hook, "--before-start-hook", hook, "--after-finish-hook", hook) == Code.DONE
    calls = [list(map(orjson.loads, call.split("\n")[:-1])) for call in told.read_text().split("--\n")[:-1]]
    assert [app and app["id"] for app in calls[0]] == ["/shop/api-blue", "/shop/api-green"]
    for old, tasks, new in calls[1:-1]:
        assert set(tasks) <= {task["id"] for task in old["tasks"]}
        assert (old["id"], new["id"]) == ("/shop/api-blue", "/shop/api-green")
    assert calls[-1][1]["instances"] == 4
    assert len(calls) > 2


@pytest.mark.parametrize("text", ["exit 3", "sleep 60 & sleep 60", "kill -9 $$"])
@pytest.mark.parametrize("flag", ["--before-start-hook", "--pre-kill-hook"])
def test_a_hook_that_fails_or_hangs_stops_the_run_and_it_can_be_resumed(stage, flag, text):
    assert stage.run(flag, stage.hook(text), "--hook-timeout", "0.3") == Code.UNEXPECTED
    assert stage.healthy() >= 4
    assert stage.run("--resume") == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}


def test_a_hook_that_fails_after_all_is_done_fails_the_run_and_undoes_nothing(stage, capsys):
    assert stage.run("--after-finish-hook", stage.hook("exit 3")) == Code.UNEXPECTED
    assert "has taken over from /shop/api-blue, but hook" in capsys.readouterr().err
    assert stage.sizes() == {"/shop/api-green": 4}


def test_a_target_of_no_instances_is_deployed_without_waiting(tmp_path):
    with staged(tmp_path, BLUE | {"instances": 0}) as stage:
        assert stage.run() == Code.DONE
        assert stage.sizes() == {"/shop/api-green": 0}


@pytest.mark.parametrize(
    ("deleted", "code", "left"),
    [
        ("/shop/api-blue", Code.DONE, {"/shop/api-green": 4}),
        ("/shop/api-green", Code.UNEXPECTED, {"/shop/api-blue": 4}),
    ],
)
def test_an_app_that_somebody_deletes_in_the_middle(stage, deleted, code, left):
    stage.balancers[0].held = {task["id"]: 1 for task in stage.marathon.tasks("/shop/api-blue")}
    with stage.start() as run:
        until(lambda: "/shop/api-green" in stage.sizes())
        stage.marathon.delete_app(deleted)
        run.communicate()
    assert run.returncode == code
    assert stage.sizes() == left


def test_a_second_run_on_the_group_refuses_and_the_first_goes_on(stage, capsys):
    page = stage.balancers[0]
    page.held = {task["id"]: 1 for task in stage.marathon.tasks("/shop/api-blue")}
    with stage.start() as first:
        until(lambda: "/shop/api-green" in stage.sizes())
        assert stage.run("--resume") == Code.TAKEN
        assert f"process {first.pid} " in capsys.readouterr().err
        page.held = {}
        first.communicate()
    assert first.returncode == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}


def test_a_lock_that_somebody_elsewhere_keeps_up_is_respected(stage):
    """A holder whose process cannot be seen from here is alive if his label moves."""
    labels = {"FASTLB_ZDD_OWNER": "elsewhere/x/1/1/y", "FASTLB_ZDD_BEAT": "0"}
    stage.marathon.load([{"id": "/shop/api-zdd", "instances": 0, "portDefinitions": [], "labels": labels}])
    asked = threading.Timer(
        1.5, lambda: stage.marathon.update_app("/shop/api-zdd", {"labels": labels | {"FASTLB_ZDD_BEAT": "1"}})
    )
    asked.start()
    assert stage.run() == Code.TAKEN
    asked.join()
    assert stage.sizes()["/shop/api-blue"] == 4


@pytest.mark.parametrize("lines", [3, 5, 7, 9])
def test_a_run_that_was_killed_is_finished_by_the_next(stage, lines):
    with stage.start() as killed:
        for _ in range(lines):
            killed.stdout.readline()
        killed.kill()
        killed.communicate()
    assert stage.healthy() >= 4
    assert stage.run("--resume") == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}
    assert stage.healthy() == 4


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
