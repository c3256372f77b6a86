"""Deployments under load: no request fails, no task is killed that holds one, and never too few are healthy."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from fastlb.zdd.outcomes import Code
from tests.fakes.front_door import app, until
from tests.zdd.sizes import IS_LONG, SIZES, TABLE, Row
from tests.zdd.stage import PORT, Watch, staged
from tests.zdd.tasks import SICK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.zdd.stage import Stage

CHANCE = random.Random(7)
MOST_BEYOND = 0.2 if IS_LONG else 0.5
"""Of the time, beyond what Marathon and requests under way need. To start a process weighs more in a short run."""

SPLIT = SIZES.instances // 4 or 1
FIRST_KILL_S = 1.0, 6.0
OTHERS_EVERY_S = 4.0


@pytest.fixture
def _one_app(stage: Stage) -> Iterator[None]:
    """Whatever a test left: there is one app, and everything is served."""
    for app_id in stage.instances():
        stage.marathon.delete_app(app_id)
    stage.marathon.wait_idle()
    assert stage.ends() == Code.DONE, stage.outputs()
    until(stage.all_ready, 60.0, stage.outputs)
    stage.tasks.broken.clear()
    yield
    stage.close()


def swap(stage: Stage) -> None:
    """Replace the app."""
    before = set(stage.instances())
    assert stage.ends() == Code.DONE, stage.outputs()
    assert stage.instances() == dict.fromkeys(stage.instances(), SIZES.instances)
    assert len(stage.instances()) == 1
    assert not before & set(stage.instances())


def split_then_all(stage: Stage) -> None:
    """Stop in between, and go on."""
    before = set(stage.instances())
    split(stage)
    assert stage.ends("--complete-cur") == Code.DONE, stage.outputs()
    assert list(stage.instances().values()) == [SIZES.instances]
    assert not before & set(stage.instances())


def split_then_back(stage: Stage) -> None:
    """Stop in between, and go back."""
    before = stage.instances()
    split(stage)
    assert stage.ends("--complete-prev") == Code.DONE, stage.outputs()
    assert stage.instances() == before


def split(stage: Stage) -> None:
    assert stage.ends("--new-instances", str(SPLIT)) == Code.DONE, stage.outputs()
    assert sorted(stage.instances().values()) == [SPLIT, SIZES.instances - SPLIT]


def rolled_back(stage: Stage) -> None:
    """Give up a version that does not get healthy."""
    before = stage.instances()
    code = stage.ends("--rollback", "--health-timeout", "3", **{SICK: "yes"})
    assert code == Code.ROLLED_BACK, stage.outputs()
    assert stage.instances() == before


def killed_and_resumed(stage: Stage) -> None:
    """Kill zdd at any moment, and have another go on."""
    before = set(stage.instances())
    run = stage.zdd()
    for _ in range(2):
        try:
            run.wait(CHANCE.uniform(*FIRST_KILL_S))
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
            run = stage.zdd("--resume")
    assert run.wait(400) == Code.DONE, stage.outputs()
    assert list(stage.instances().values()) == [SIZES.instances]
    assert not before & set(stage.instances())


def swap_among_others(stage: Stage) -> None:
    """Replace the app while others come and go, for each of which HAProxy is reloaded."""
    over = threading.Event()
    others = threading.Thread(target=come_and_go, args=(stage, over))
    others.start()
    try:
        swap(stage)
    finally:
        over.set()
        others.join()


def come_and_go(stage: Stage, over: threading.Event) -> None:
    while not over.wait(OTHERS_EVERY_S):
        stage.marathon.create_app(app("guest", PORT + 1, instances=1))
        over.wait(OTHERS_EVERY_S)
        stage.marathon.delete_app("/guest")


DEPLOYMENTS = [swap, split_then_all, split_then_back, rolled_back, killed_and_resumed]
PROMPT = DEPLOYMENTS if IS_LONG else [swap]
"""Those whose time is looked at."""


@pytest.mark.usefixtures("_one_app")
@pytest.mark.parametrize("deploy", [*DEPLOYMENTS, swap_among_others] if IS_LONG else DEPLOYMENTS)
def test_no_request_fails(stage: Stage, deploy: Callable[[Stage], None]) -> None:
    row = Row(deploy.__name__.replace("_", " "), len(stage.doors))
    TABLE.add(row)
    for _ in range(SIZES.repetitions):
        with stage.load as load, Watch(stage) as watch:
            deploy(stage)
        row.runs += 1
        row.requests += load.told.requests
        assert min(load.told.by_kind.values()) > 0, load.told.by_kind
        row.failures += load.told.failures
        row.broken = len(stage.tasks.broken)
        row.fewest_healthy.append(watch.fewest_healthy)
        row.shares.append(watch.shares)
    assert row.failures == [], stage.outputs()
    assert row.broken == 0
    assert min(row.fewest_healthy) >= SIZES.instances
    assert deploy not in PROMPT or row.beyond < MOST_BEYOND, row.cells


@pytest.mark.skipif(not IS_LONG, reason="a swap of its own, in the long form only")
def test_no_request_fails_when_there_are_only_statistics(tmp_path_factory):
    """As with marathon-lb, of which only HAProxy's statistics and the number of its processes are known."""
    closed = ("--admin-access", "/_fastlb/draining=off")
    with staged(tmp_path_factory.mktemp("old"), instances=SIZES.instances, balancers=1, flags=closed) as stage:
        assert stage.ends() == Code.DONE, stage.outputs()
        until(stage.all_ready, 60.0, stage.outputs)
        with stage.load as load:
            swap(stage)
    assert load.told.failures == [], stage.outputs()
    assert stage.tasks.broken == []
