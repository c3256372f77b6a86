"""The image in the place of marathon-lb's: it serves, is reloaded, survives what it should, and ends cleanly."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from fastlb.simulator.tasks import Behaviour
from tests.container.stage import NOBODY, ONE_CAPABILITY, READ_ONLY, engine, name_of, words_of
from tests.fakes.front_door import HTTPS_PORT, STATS_PORT, until

pytestmark = pytest.mark.container

SECRET = "hunter2"  # not in any list of arguments, nor in HAProxy's environment
LOW_PORT = 880


@pytest.fixture(scope="module")
def running(shared, cluster):
    started_s = time.monotonic()
    words = [*shared.words(cluster.url), "--auth-credentials", f"me:{SECRET}"]
    shared.start(words, VAULT_TOKEN=SECRET).serving("web.test")
    sys.stdout.write(f"serves {time.monotonic() - started_s:.1f} s after the engine was asked to run it\n")
    return shared


def test_it_routes(running):
    status, answer = running.door.get("web.test")
    assert (status, answer["app"]) == (200, "/web")
    assert running.door.status("other.test") == 503
    assert running.door.status("web.test", port=HTTPS_PORT) == 200


def test_the_tree_is_tini_supervisor_controller_and_haproxy(running):
    controller = running.controller()
    master, worker = running.haproxies()
    assert name_of(running.top()) == "tini"
    assert controller.parent() == master.parent() == running.supervisor()
    assert worker.parent() == master
    assert len(running.tree()) == 5
    for one in running.tree():
        sys.stdout.write(f"{one.pid:7} below {one.ppid():7}  {' '.join(words_of(one))[:100]}\n")


def test_no_credential_is_among_the_arguments_of_what_runs_nor_told_to_haproxy(running):
    below_tini = running.tree()[1:]
    assert not [words_of(one) for one in below_tini if SECRET in " ".join(words_of(one))]
    assert not [one for one in running.haproxies() if SECRET in str(one.environ())]
    assert running.supervisor().environ()["FASTLB_AUTH_CREDENTIALS"] == f"me:{SECRET}"


def test_the_health_check_of_the_image_is_content(running):
    assert running.execute("/opt/fastlb/bin/python", "-m", "fastlb.entry", "health").returncode == 0


def test_the_reload_script_of_old_reloads_and_leaves_no_zombie(running):
    before = running.haproxies()
    assert running.execute("/marathon-lb/reload_haproxy.sh").returncode == 0
    until(lambda: len(running.haproxies()) == 2 and running.haproxies()[1] != before[1], 60, said=running.log)
    assert running.haproxies()[0] == before[0]
    assert running.door.status("web.test") == 200
    until(lambda: running.zombies() == [], said=running.tree)


def test_the_program_of_old_still_works_beside_it(running, cluster):
    words = ["--marathon", cluster.url, "--group", "external", "--dry", "--log-level", "ERROR"]
    done = running.execute("/marathon-lb/marathon_lb.py", *words)
    assert (done.returncode, "backend web_24000" in done.stdout) == (0, True), done.stderr
    assert running.execute("python3", "/marathon-lb/marathon_lb.py", "--help").returncode == 0


@pytest.mark.parametrize("name", ["zdd.py", "bluegreen_deploy.py"])
def test_the_deployer_of_old_is_there_by_both_names(running, name):
    done = running.execute(f"/marathon-lb/{name}", "--help")
    assert done.returncode == 0, done.stderr


def test_signals_reach_whom_they_should(running):
    running.signal(signal.SIGHUP)
    running.wait_for("SIGHUP")
    before = running.haproxies()[1]
    running.signal(signal.SIGUSR1)
    until(lambda: running.haproxies()[1] != before, 60, said=running.log)


def test_a_killed_controller_takes_nobody_along(running):
    controller, haproxies = running.controller(), running.haproxies()
    assert controller_dies_first(running)
    controller.kill()
    answers = [running.door.status("web.test") for _ in range(50)]
    assert set(answers) == {200}
    assert until(running.controller).pid != controller.pid
    until(lambda: running.door.status("web.test", path="/_fastlb/ready", port=STATS_PORT) == 200, 60, said=running.log)
    assert running.haproxies()[0] == haproxies[0]
    until(lambda: running.zombies() == [], said=running.tree)


def controller_dies_first(container):
    """Whether the kernel, out of memory, would take the controller before anybody who serves."""

    def score(process):
        return int(Path(f"/proc/{process.pid}/oom_score_adj").read_text())

    others = [container.top(), container.supervisor(), *container.haproxies()]
    return score(container.controller()) > max(map(score, others))


def test_a_stop_lets_a_request_finish_and_leaves_nothing(running, cluster):
    for task in cluster.tasks("/web"):
        cluster.behave(task["id"], Behaviour.SLOW)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(running.door.status("web.test")))
    tree = running.tree()
    asking.start()
    time.sleep(0.5)  # it is on its way; two seconds are what the task takes
    started_s = time.monotonic()
    code = running.stop()
    asking.join()
    sys.stdout.write(f"stopped in {time.monotonic() - started_s:.1f} s\n")
    for task in cluster.tasks("/web"):
        cluster.behave(task["id"], Behaviour.NORMAL)
    assert (code, answers) == (0, [200]), running.log()
    assert [one for one in tree if one.is_running()] == []


def test_after_it_was_killed_it_starts_again_on_what_it_left(container, cluster):
    container.start(container.words(cluster.url)).serving("web.test")
    container.signal(signal.SIGKILL)
    until(lambda: container.state("Running") == "false", 60)
    assert engine("start", container.name).returncode == 0
    container.serving("web.test")
    assert container.stop() == 0


def test_it_runs_read_only_as_nobody_with_one_capability(container, cluster):
    words = container.words(cluster.url, http_port=LOW_PORT)
    container.start(words, *READ_ONLY, *NOBODY, *ONE_CAPABILITY).serving("web.test", port=LOW_PORT)
    assert {one.uids().real for one in container.tree()} == {12345}
    assert container.execute("/marathon-lb/reload_haproxy.sh").returncode == 0
    assert container.door.status("web.test", port=HTTPS_PORT) == 200
    assert container.execute("touch", "/marathon-lb/x").returncode != 0
    assert container.stop() == 0


def test_as_nobody_it_binds_a_low_port_where_the_engine_only_gives_leave_to(container, cluster):
    """docker gives another user than root no capability that its programs do not ask for; podman does."""
    dropped = ["--ambient-caps=-all", "--inh-caps=-all", "tini", "-g", "--", "/marathon-lb/run"]
    words = [*dropped, *container.words(cluster.url, http_port=LOW_PORT)]
    container.start(words, "--entrypoint", "setpriv", *NOBODY, *ONE_CAPABILITY).serving("web.test", port=LOW_PORT)
    assert container.stop() == 0


def test_without_a_pid_namespace_of_its_own_nothing_is_left_either(container, cluster):
    container.start(container.words(cluster.url), "--pid", "host").serving("web.test")
    tree = container.tree()
    assert container.execute("/marathon-lb/reload_haproxy.sh").returncode == 0
    until(lambda: container.haproxies()[1:] not in ([], tree[-1:]), 60, said=container.log)
    container.controller().kill()
    until(lambda: container.zombies() == [] and container.controller(), 60, said=container.log)
    tree += container.tree()
    assert container.stop() == 0
    with contextlib.suppress(psutil.Error):
        assert [one for one in tree if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
