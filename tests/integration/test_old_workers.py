"""Old workers of a real HAProxy: counted, weighed, and kept within their limits by ending the right one."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from fastlb.errors import RuntimeApiError
from fastlb.generations import MIB
from fastlb.journal import Journal
from fastlb.old_workers import OldWorkers
from fastlb.settings import Paths
from tests.fakes.held_haproxy import LIMITS, held_haproxy, is_cut, talk, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastlb.generations import OldWorker
    from tests.fakes.held_haproxy import HeldHAProxy

pytestmark = pytest.mark.haproxy


@pytest.fixture
def stage(tmp_path) -> Iterator[HeldHAProxy]:
    with held_haproxy(tmp_path) as here:
        yield here


def test_an_old_worker_is_seen_with_what_it_holds(stage):
    watch = stage.watch()
    held = [stage.hold(stage.plain), stage.hold(stage.plain)]
    assert watch.see() == []
    pid = stage.reload()
    [seen] = watch.see()
    assert (seen.pid, seen.connections) == (pid, 2)
    assert seen.resident_bytes == pytest.approx(psutil.Process(pid).memory_info().rss, rel=0.2)
    for connection in held:
        connection.close()
    until(lambda: watch.see() == [])


def test_our_own_questions_do_not_make_a_silent_worker_look_busy(stage):
    watch = stage.watch()
    quiet, busy = stage.hold(stage.plain), None
    first = stage.reload()
    busy = stage.hold(stage.plain)
    second = stage.reload()
    watch.make_room(0, kept={"plain_10000"})

    def silent_for() -> tuple[float, float]:
        talk(busy)
        seen: dict[int, OldWorker] = {worker.pid: worker for worker in watch.see()}
        return seen[first].idle_s, seen[second].idle_s

    until(lambda: silent_for()[0] > 0.5)
    assert silent_for()[1] < 0.3 < silent_for()[0]
    talk(quiet)
    assert silent_for()[0] < 0.3


def test_the_number_stays_within_the_limit_during_a_series_of_reloads_that_each_leave_a_connection(stage):
    watch, over, seen = stage.watch(), threading.Event(), []

    def sample() -> None:
        while not over.wait(0.01):
            try:
                seen.append(len(stage.old_pids()))
            except RuntimeApiError:  # 2.6's master replaces itself
                continue

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        for _ in range(15):
            stage.hold(stage.plain)
            assert watch.make_room(0) == 0
            stage.reload()
            watch.look_after()
    finally:
        over.set()
        sampler.join()
    assert (max(seen), len(stage.old_pids())) == (3, 3)
    assert len(stage.journal("old_worker_ended")) == 12
    talk(stage.hold(stage.plain))


def test_without_the_watch_each_reload_leaves_one_more(stage):
    for _ in range(5):
        stage.hold(stage.plain)
        stage.reload()
    assert len(stage.old_pids()) == 5


def test_the_one_with_the_fewest_connections_goes_first(stage):
    watch = stage.watch()
    holds = {}
    for count in (3, 1, 2):
        held = [stage.hold(stage.plain) for _ in range(count)]
        holds[stage.reload()] = held
    assert watch.make_room(0) == 0
    [ended] = stage.journal("old_worker_ended")
    [gone] = set(holds) - stage.old_pids()
    assert (ended["pid"], ended["connections"], ended["ok"]) == (gone, 1, True)
    assert all(is_cut(connection) for connection in holds[gone])
    for pid in stage.old_pids():
        talk(holds[pid][0])


def test_connections_to_be_kept_outweigh_their_number(stage):
    watch = stage.watch()
    dear = stage.hold(stage.dear)
    first = stage.reload()
    for _ in range(2):
        for _each in range(2):
            stage.hold(stage.plain)
        stage.reload()
    assert watch.make_room(0, kept={"dear_10001"}) == 0
    assert first in stage.old_pids()
    talk(dear)
    assert stage.journal("old_worker_ended")[0]["kept"] == 0


def test_a_reload_waits_first_and_goes_ahead_when_one_leaves(stage, caplog):
    watch = stage.watch(patience_s=60)
    held = []
    for _ in range(3):
        held.append(stage.hold(stage.plain))
        stage.reload()
    assert 0 < watch.make_room(0) <= 0.5
    assert 0 < watch.make_room(1) <= 0.5
    assert caplog.text.count("the reload waits for one to leave, 60 s at most") == 1
    held[1].close()
    until(lambda: watch.make_room(2) == 0)
    assert stage.journal("old_worker_ended") == []


def test_memory_is_a_limit_too(stage):
    stage.hold(stage.plain)
    resident = psutil.Process(stage.reload()).memory_info().rss
    watch = stage.watch(resident_bytes=int(2.5 * resident))
    for _ in range(4):
        stage.hold(stage.plain)
        assert watch.make_room(0) == 0
        stage.reload()
    total = sum(psutil.Process(pid).memory_info().rss for pid in stage.old_pids())
    assert total <= 2.5 * resident
    assert "--max-old-workers-memory" in stage.journal("old_worker_ended")[0]["why"]


def test_who_is_too_old_is_ended_at_rest_unless_its_connections_are_to_be_kept(stage):
    dear, plain = stage.hold(stage.dear), None
    first = stage.reload()
    plain = stage.hold(stage.plain)
    second = stage.reload()
    watch = stage.watch(age_s=0.2)
    until(lambda: watch.look_after({"dear_10001"}) is not None and second not in stage.old_pids())
    assert is_cut(plain)
    assert stage.old_pids() == {first}
    talk(dear)
    until(lambda: watch.look_after() is None)
    assert is_cut(dear)


def test_a_worker_that_does_not_obey_is_killed_and_the_master_survives(stage, caplog):
    watch = stage.watch(most=1)
    stage.hold(stage.plain)
    stuck = stage.reload()
    os.kill(stuck, signal.SIGSTOP)
    assert watch.make_room(0) == 0
    assert stage.old_pids() == set()
    assert "does not end on SIGTERM; it is killed" in caplog.text
    talk(stage.hold(stage.plain))


def test_out_of_memory_an_old_worker_goes_before_the_one_that_serves(stage):
    stage.hold(stage.plain)
    old = stage.reload()
    stage.watch().see()
    scores = {pid: int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (old, stage.worker())}
    assert scores[old] > scores[stage.worker()]


def test_while_the_master_does_not_answer_it_is_looked_at_again(stage):
    stage.hold(stage.plain)
    stage.reload()
    master = stage.paths.master_socket
    master.rename(stage.folder / "away")
    watch = stage.watch(age_s=0.01)
    assert watch.look_after() is not None
    assert watch.make_room(0) == 0
    (stage.folder / "away").rename(master)
    until(lambda: watch.look_after() is None)
    assert len(stage.journal("old_worker_ended")) == 1


def test_a_process_that_is_no_worker_of_our_master_is_never_ended(stage, caplog):
    watch = stage.watch(most=1)
    stage.hold(stage.plain)
    stage.reload()
    [seen] = watch.see()
    watch._known[seen.pid].process = psutil.Process()
    assert not watch._terminate(psutil.Process())
    assert "is no worker of HAProxy's master" in caplog.text


def test_a_haproxy_of_somebody_else_is_counted_and_left_alone(stage, caplog):
    watch = stage.watch(ours=False, most=1)
    for _ in range(2):
        stage.hold(stage.plain)
        stage.reload()
    for _ in range(3):
        assert watch.look_after() is not None
    assert len(stage.old_pids()) == 2
    assert caplog.text.count("they belong to a HAProxy that somebody else runs, so none is ended") == 1


def test_without_a_masters_socket_they_are_the_processes_beside_the_one_that_serves(stage):
    stage.hold(stage.plain)
    old = stage.reload()
    elsewhere = stage.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "socket").symlink_to(stage.paths.runtime_socket)
    watch = OldWorkers(Paths(stage.paths.config, elsewhere), LIMITS, Journal(None), ours=False)
    [seen] = watch.see()
    assert (seen.pid, seen.connections, seen.resident_bytes > MIB) == (old, None, True)


def test_where_no_socket_answers_it_is_said_once_and_nothing_stands_in_the_way(tmp_path, caplog):
    paths = Paths(tmp_path / "haproxy.cfg", tmp_path)
    watch = OldWorkers(paths, LIMITS, Journal(None), ours=False)
    assert [watch.look_after(), watch.look_after(), watch.look_after()] == [None, None, None]
    assert watch.make_room(0) == 0
    assert caplog.text.count("old workers cannot be counted, since no socket of HAProxy answers") == 1
    assert OldWorkers(paths, LIMITS, Journal(None), ours=True).make_room(0) == 0
