"""``fastlb poll``, ``--once``, ``--dry`` and ``--command``: exit codes, what is written, what is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from fastlb.haproxy import find_haproxy
from tests.fakes.front_door import FrontDoor, app, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.haproxy

GROUP_REQUIRED = "argument --group is required: pleasespecify at least one group name"
ARCHIVE = Path("/tmp")
ports = count(23000)


@pytest.fixture(scope="module", autouse=True)
def web(cluster) -> None:
    """One app that every test of this module may count on."""
    cluster.load([app("web", next(ports))])


@pytest.fixture
def nowhere(door) -> str:
    """A Marathon at which nobody listens."""
    return f"http://{door.address}:1"


def once(door: FrontDoor, marathon: str, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return door.run(marathon, "--once", *flags, mode="poll", **environment)


def everything_in(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_one_pass_writes_the_configuration_and_ends_with_0(cluster, door):
    done = once(door, cluster.url)
    assert done.returncode == 0, done.stderr
    (backend,) = door.routed()
    assert door.config().count(f"backend {backend}\n") == 2


def test_one_pass_with_nothing_to_change_ends_with_0_and_rewrites_nothing(cluster, door):
    once(door, cluster.url)
    before = door.config_path.stat()
    assert once(door, cluster.url).returncode == 0
    after = door.config_path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_one_pass_with_an_invalid_configuration_ends_with_0_and_keeps_what_was_refused(own_cluster, door):
    own_cluster.load([app("bad", next(ports), labels={"HAPROXY_0_BALANCE": "nonsense"})])
    done = once(door, own_cluster.url, "--skip-config-cleanup")
    assert (done.returncode, door.config_path.exists()) == (0, False)
    assert "nonsense" in door.config_path.with_name("haproxy_tmp_conf_fail").read_text()
    assert "HAProxy refuses the configuration" in done.stderr


def test_one_pass_without_marathon_ends_with_1_and_says_where_it_looked(door, nowhere):
    done = once(door, nowhere)
    assert (done.returncode, door.config_path.exists()) == (1, False)
    assert nowhere in done.stderr


def test_an_endpoint_that_does_not_answer_is_passed_over(cluster, door, nowhere):
    assert once(door, nowhere, "--marathon", nowhere, cluster.url).returncode == 0
    assert door.routed()


@pytest.mark.parametrize("mode", ["sse", "poll"])
def test_without_a_group_it_ends_with_2_and_marathon_lbs_words(cluster, door, mode):
    command = door.command(mode, cluster.url)
    begin = command.index("--group")
    done = subprocess.run(
        command[:begin] + command[begin + 2 :],
        cwd=door.folder,
        env=door.environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"fastlb {mode}: error: {GROUP_REQUIRED}")


@pytest.mark.parametrize(("low", "high"), [("0", "10100"), ("10050", "0"), ("2000", "1000")])
def test_a_port_range_that_is_none_ends_with_2(cluster, door, low, high):
    flags = ("--min-serv-port-ip-per-task", low, "--max-serv-port-ip-per-task", high)
    done = once(door, cluster.url, *flags)
    assert (done.returncode, everything_in(door.folder / "etc")) == (2, {})


def test_credentials_that_are_no_pair_end_with_1_and_marathon_lbs_words_on_standard_output(cluster, door):
    done = once(door, cluster.url, "--auth-credentials", "user")
    assert (done.returncode, done.stdout) == (1, "Please provide marathon credentials in user:pass format\n")


def test_a_log_level_that_does_not_exist_ends_with_1(cluster, door):
    done = once(door, cluster.url, "--log-level", "LOUD")
    assert done.returncode == 1
    assert "'LOUD'" in done.stderr


@pytest.mark.parametrize("mode", ["sse", "poll"])
@pytest.mark.parametrize("flags", [(), ("--haproxy-map",)])
def test_dry_prints_the_configuration_and_one_newline_and_touches_nothing(cluster, door, mode, flags):
    once(door, cluster.url, *flags)
    for path in (door.folder / "etc").glob("*.map"):
        path.write_text("left alone\n")
    before = everything_in(door.folder / "etc")
    done = door.run(cluster.url, "--dry", *flags, mode=mode)
    assert done.returncode == 0, done.stderr
    assert done.stdout == door.config() + "\n"
    assert everything_in(door.folder / "etc") == before


def test_dry_needs_neither_the_folders_nor_a_haproxy(cluster, door):
    done = door.run(cluster.url, "--dry", "--haproxy", "/nowhere/haproxy", "--haproxy-config", "/nowhere/haproxy.cfg")
    assert (done.returncode, "backend web_" in done.stdout) == (0, True)
    assert not (door.folder / "run").exists()


def test_the_daemon_reads_every_poll_interval_without_an_event_stream(own_cluster, door):
    own_cluster.load([app("web", next(ports))])
    door.up(own_cluster.url, mode="poll", POLL_INTERVAL="1")
    assert own_cluster.stream_count() == 0
    own_cluster.scale("/web", 4)
    own_cluster.wait_idle()
    door.wait_for_tasks(own_cluster, "web")
    door.wait_for("agreed", door.now())  # traffic may be ahead of the journal
    start = door.now()
    until(lambda: len(door.journal("agreed", start)) > 1)
    assert door.journal("reload", start) == []
    assert door.stop() == 0


@pytest.mark.parametrize(("number", "done"), [(signal.SIGHUP, "live"), (signal.SIGUSR1, "reload")])
def test_signals_do_not_kill_the_polling_daemon(own_cluster, door, number, done):
    own_cluster.load([app("web", next(ports))])
    start = door.up(own_cluster.url, mode="poll", POLL_INTERVAL="600").now()
    own_cluster.scale("/web", 4)
    own_cluster.wait_idle()
    door.process.send_signal(number)
    assert door.wait_for(done, start)
    assert (len(door.answering("web.test")) == 4) is (number == signal.SIGHUP)
    assert door.stop() == 0


def test_one_pass_reloads_a_haproxy_that_runs_in_its_run_folder(own_cluster, door):
    own_cluster.load([app("web", next(ports))])
    door.up(own_cluster.url, "--audit-interval", "0", mode="poll", POLL_INTERVAL="600")
    own_cluster.scale("/web", 4)
    own_cluster.wait_idle()
    assert once(door, own_cluster.url).returncode == 0
    door.wait_for_tasks(own_cluster, "web")


def test_maps_of_a_former_run_are_emptied_where_maps_are_off(cluster, door):
    for name in ("domain2backend.map", "app2backend.map"):
        (door.folder / "etc" / name).write_text("old.test old_1\n")
    once(door, cluster.url)
    assert [path.read_text() for path in sorted((door.folder / "etc").glob("*.map"))] == ["", ""]


def test_a_bare_file_name_puts_configuration_and_maps_in_the_working_folder(cluster, door):
    done = once(door, cluster.url, "--haproxy-config", "haproxy.cfg", "--haproxy-map")
    assert done.returncode == 0, done.stderr
    assert "map(./domain2backend.map" in (door.folder / "haproxy.cfg").read_text()
    assert "web.test" in (door.folder / "domain2backend.map").read_text()


def test_the_newest_configuration_is_archived_under_the_name_that_operators_know(own_cluster, door):
    """The folder is shared with every other load balancer of this machine, which may rotate our file away at once."""
    newest = ARCHIVE / "hap_cfg.1"
    if newest.exists() and newest.stat().st_uid != os.geteuid() != 0:
        pytest.skip(f"{newest} belongs to another user")
    for number in range(5):
        own_cluster.load([app(f"archived{number}", next(ports))])
        assert once(door, own_cluster.url).returncode == 0
        if newest.read_text() == door.config():
            return
        assert newest.stat().st_mtime_ns > door.config_path.stat().st_mtime_ns, "it was not archived"
    pytest.skip(f"somebody else writes to {newest} all the time")


@pytest.fixture
def foreign(door) -> Iterator[list[str]]:
    """A HAProxy that somebody else runs, on the configuration of ``door``; its reload command is the value."""
    haproxy, pid_file = find_haproxy(None, os.environ).path, door.folder / "foreign.pid"
    door.config_path.write_text(f"defaults\n timeout client 5s\nlisten first\n mode http\n bind {door.address}:23999\n")
    command = [haproxy, "-W", "-f", door.config_path, "-p", pid_file]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    script = door.folder / "reload.sh"
    script.write_text(f"#!/bin/sh\necho called >> {door.folder}/calls\nkill -USR2 $(cat {pid_file})\n")
    script.chmod(0o755)
    try:
        until(lambda: pid_file.exists() and pid_file.read_text().strip())
        yield [str(script)]
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait(10)
        psutil.wait_procs(family, 10)


def test_a_haproxy_that_somebody_else_runs_is_reloaded_by_the_command(own_cluster, door, foreign):
    own_cluster.load([app("web", next(ports))])
    door.up(own_cluster.url, "--command", *foreign)
    door.wait_for_tasks(own_cluster, "web")
    assert door.haproxies() == []
    start = door.now()
    own_cluster.scale("/web", 3)
    own_cluster.wait_idle()
    door.wait_for_tasks(own_cluster, "web")
    assert door.journal("reload", start) == [], "its Runtime API can be reached"
    own_cluster.create_app(app("new", next(ports)))
    own_cluster.wait_idle()
    door.wait_for("reload", start, ok=True)
    door.wait_for_tasks(own_cluster, "new")
    calls = (door.folder / "calls").read_text().count("called")
    assert calls == len(door.journal("reload"))
    assert door.stop(keeps_haproxy=True) == 0
    assert door.status("web.test") == 200


def test_a_reload_command_that_fails_is_said_and_the_new_file_stays(own_cluster, door):
    own_cluster.load([app("web", next(ports))])
    done = once(door, own_cluster.url, "--command", "false")
    assert (done.returncode, len(door.routed())) == (0, 1)
    assert "'false': it ended with status 1" in done.stderr
