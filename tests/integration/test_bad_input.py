"""Everything that can be wrong around a running daemon: one clear message each, and nothing that worked is lost.

Marathon's bad answers, Marathon away, templates, certificates, folders, disk, HAProxy itself, and the ports of others.
What single apps may get wrong is in `test_bad_apps`.
"""

from __future__ import annotations

import resource
import signal
import socket
from itertools import count
from typing import TYPE_CHECKING

import pytest

from fastlb.simulator.faults import Fault
from tests.fakes.front_door import HTTPS_PORT, STATS_PORT, FrontDoor, app, front_door, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastlb.simulator.server import SimulatedMarathon

pytestmark = pytest.mark.haproxy

LIMIT_BYTES = 32 * 1024
ports = count(24000)


@pytest.fixture
def web(own_cluster: SimulatedMarathon) -> SimulatedMarathon:
    """A cluster with a few apps; the one that tests look at is ``web``."""
    own_cluster.load([app("web", next(ports)), app("other", next(ports)), app("third", next(ports))])
    return own_cluster


# Marathon


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, cluster: SimulatedMarathon) -> Iterator[FrontDoor]:
    cluster.load([app("web", next(ports)), app("other", next(ports))])
    with front_door(tmp_path_factory.mktemp("door")) as door:
        yield door.up(cluster.url)


@pytest.mark.parametrize(
    ("fault", "value", "said"),
    [
        (Fault.HTML, None, "answered HTML"),
        (Fault.UNAUTHORIZED, None, "HTTP 401"),
        (Fault.ERROR, None, "HTTP 500"),
        (Fault.ERROR, 200, "answered JSON without a list of apps"),
        (Fault.TRUNCATED, None, "end of response with "),
    ],
)
def test_an_answer_that_is_none_is_said_once_and_changes_nothing(cluster, shared, fault, value, said):
    config, start, lines = shared.config(), shared.now(), len(shared.lines("Marathon cannot be read"))
    cluster.arm(fault, value=value, path="/v2/apps")
    try:
        shared.process.send_signal(signal.SIGHUP)
        until(lambda: len(shared.journal("fetch_failed", start)) > 1, said=shared.log)
        (line,) = shared.lines("Marathon cannot be read")[lines:]
        assert f"{cluster.url}: {said}" in line
        assert "what HAProxy serves stays as it is" in line
        assert (shared.config(), shared.status("web.test")) == (config, 200)
    finally:
        cluster.clear()
    shared.wait_for("fetched", start, asked="everything")
    cluster.scale("/web", len(cluster.tasks("/web")) + 1)
    cluster.wait_idle()
    shared.wait_for_tasks(cluster, "web")
    until(lambda: all(f" {task['host']}:{task['ports'][0]} " in shared.config() for task in cluster.tasks("/web")))


def test_without_marathon_haproxy_starts_on_the_last_good_files_and_serves(web, door):
    config = door.up(web.url).config()
    door.stop()
    assert door.status("web.test") == 0
    nowhere, start = f"http://{door.address}:1", door.now()
    door.start(nowhere).wait_for_tasks(web, "web")
    until(lambda: len(door.journal("fetch_failed", start)) > 1)
    (line,) = door.lines("Marathon cannot be read")
    assert nowhere in line
    assert door.config() == config


def test_a_sudden_lack_of_all_apps_is_held_back_for_the_grace_period_and_then_believed(web, door):
    config = door.up(web.url, "--empty-grace", "3").config()
    web.arm(Fault.NO_APPS)
    door.process.send_signal(signal.SIGHUP)
    line = door.wait_for_line("there are no apps at all")
    assert "HAProxy keeps its routes" in line
    assert (door.config(), door.status("web.test")) == (config, 200)
    door.wait_for_status("web.test", 503)
    assert door.routed() == set()


def test_apps_that_come_back_within_the_grace_period_were_never_gone(web, door):
    door.up(web.url, "--empty-grace", "600")
    start = door.now()
    web.arm(Fault.NO_APPS)
    door.process.send_signal(signal.SIGHUP)
    door.wait_for_line("there are no apps at all")
    web.clear()
    door.process.send_signal(signal.SIGHUP)
    door.wait_for("agreed", start)
    assert door.journal("reload", start) == []


def test_a_first_answer_without_apps_does_not_empty_the_files_of_a_former_run(web, door):
    config = door.up(web.url).config()
    door.stop()
    web.arm(Fault.NO_APPS)
    door.start(web.url, "--empty-grace", "600").wait_for_line("there are no apps at all")
    door.wait_for_tasks(web, "web")
    assert door.config() == config


def test_a_cluster_that_never_had_apps_is_believed_at_once(own_cluster, door):
    door.up(own_cluster.url, "--empty-grace", "600")
    assert door.status("any.test") == 503


# Templates


def template(door: FrontDoor, name: str) -> Path:
    (door.folder / "templates").mkdir(exist_ok=True)
    return door.folder / "templates" / f"HAPROXY_{name}"


def assert_untouched(door: FrontDoor) -> None:
    assert list((door.folder / "etc").iterdir()) == []
    assert not (door.folder / "run").exists()


def test_a_global_template_with_an_unknown_placeholder_keeps_fastlb_from_starting(web, door):
    template(door, "BACKEND_HEAD").write_text("\nbackend {nonsense}\n")
    done = door.run(web.url)
    assert done.returncode == 2
    assert "templates/HAPROXY_BACKEND_HEAD" in done.stderr
    assert "{nonsense}" in done.stderr
    assert_untouched(door)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("global\n  daemon\n  stats socket x expose-fd listeners\n", 'remove "daemon"'),
        ("global\n", "expose-fd listeners"),
    ],
)
def test_a_head_that_would_break_reloads_keeps_fastlb_from_starting(web, door, head, said):
    done = door.run(web.url, HAPROXY_HEAD=head)
    assert (done.returncode, "Error in custom HAPROXY_HEAD template: " in done.stderr) == (2, True)
    assert said in done.stderr
    assert_untouched(door)


def test_a_template_file_that_cannot_be_read_is_said_and_the_default_takes_its_place(web, door):
    """A folder in its place cannot be read by anybody, root included."""
    template(door, "BACKEND_HEAD").mkdir()
    door.up(web.url)
    line = door.wait_for_line("templates/HAPROXY_BACKEND_HEAD")
    assert "the default text is used instead" in line
    door.wait_for_tasks(web, "web")


# Certificates


def test_a_missing_certificate_costs_neither_the_other_ports_nor_https(web, door):
    door.up(web.url, "--ssl-certs", "/nowhere/cert.pem")
    assert len(door.lines("/nowhere/cert.pem cannot be read (No such file or directory); it is left out")) == 1
    assert "self-signed" in door.wait_for_line("no certificate of --ssl-certs can be used")
    door.wait_for_status("web.test", 200)
    door.wait_for_status("web.test", 200, port=HTTPS_PORT)
    assert (door.folder / "run" / "self-signed.pem").stat().st_mode & 0o777 == 0o600


def test_of_several_certificates_those_that_are_there_are_used(web, door):
    door.up(web.url, "--ssl-certs", "/nowhere/cert.pem")
    door.stop()
    made = (door.folder / "run" / "self-signed.pem").rename(door.folder / "etc" / "good.pem")
    door.up(web.url, "--ssl-certs", f"/nowhere/cert.pem,{made}")
    assert f"ssl crt {made}\n" in door.config()
    assert not (door.folder / "run" / "self-signed.pem").exists()


# Folders and disk


def test_a_folder_that_cannot_be_written_is_said_and_tried_again_until_it_can(web, door):
    """A file in its place keeps everybody from writing there, root included."""
    door.up(web.url)
    folder, away = door.folder / "etc", door.folder / "away"
    folder.rename(away)
    folder.write_text("in the way")
    web.scale("/web", 4)
    web.wait_idle()
    line = door.wait_for_line("tried again in")
    assert str(door.config_path.parent) in line
    assert door.answering("web.test") <= {task["id"] for task in web.tasks("/web")}
    folder.unlink()
    away.rename(folder)
    door.wait_for_tasks(web, "web")


def test_a_configuration_folder_that_does_not_exist_is_said(web, door):
    done = door.run(web.url, "--once", "--haproxy-config", "/proc/fastlb/haproxy.cfg", mode="poll")
    assert "/proc/fastlb/haproxy.cfg could not be written" in done.stderr


def test_a_full_disk_is_said_and_tried_again_when_there_is_room(web, door):
    """A limit on the size of files fails in the middle of a write, as a full disk does, without a disk to fill."""
    door.up(web.url)
    config, start = door.config(), door.now()
    door.controller().rlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))
    lines = "".join(f"  # {number:076}\n" for number in range(LIMIT_BYTES // 80))
    head = f"\nbackend {{backend}}\n  balance {{balance}}\n  mode {{mode}}\n{lines}"
    labels = {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "web.test", "HAPROXY_0_BACKEND_HEAD": head}
    web.update_app("/web", {"labels": labels})
    line = door.wait_for_line("tried again in")
    assert "File too large" in line
    assert door.config() == config
    assert (door.status("other.test"), door.status("third.test")) == (200, 200)
    door.controller().rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    web.wait_idle()
    until(lambda: len(door.config()) > LIMIT_BYTES, said=door.log)
    door.wait_for_tasks(web, "web")
    assert door.journal("haproxy_exited", start) == []


# HAProxy


@pytest.mark.parametrize("mode", ["sse", "poll"])
def test_without_a_haproxy_fastlb_does_not_start(web, door, mode):
    done = door.run(web.url, "--haproxy", "/nowhere/haproxy", mode=mode)
    assert done.returncode == 1
    assert "/nowhere/haproxy was asked for as HAProxy, but is no program that can be run" in done.stderr
    assert "pip install fastlb[haproxy]" in done.stderr
    assert_untouched(door)


def test_a_haproxy_that_is_too_old_is_named_with_its_version(web, door):
    old = door.folder / "haproxy"
    old.write_text("#!/bin/sh\necho 'HA-Proxy version 1.8.19-1 2020/08/01'\n")
    old.chmod(0o755)
    done = door.run(web.url, HAPROXY=str(old))
    assert done.returncode == 1
    assert f"{old} is HAProxy 1.8.19-1; fastlb needs 2.6 or newer" in done.stderr
    assert_untouched(door)


def test_a_validation_that_does_not_end_in_time_changes_nothing_and_does_not_end_the_controller(web, door):
    door.up(web.url)
    config = door.config()
    door.stop()
    start = door.now()
    door.start(web.url, "--validation-timeout", "0")
    web.scale("/web", 3)
    assert "did not finish" in door.wait_for_line("tried again in")
    until(lambda: len(door.lines("tried again in")) > 1)
    assert (door.config(), door.status("other.test")) == (config, 200)
    assert len(door.lines("the controller started")) == 2, "one for each start of fastlb"
    assert door.journal("reload", start) == []


# Ports of others


def test_a_service_port_that_a_stranger_holds_costs_that_app_alone_and_comes_when_it_is_free(web, door):
    port = next(ports)
    door.up(web.url)
    with socket.create_server((door.address, port)):
        web.create_app(app("blocked", port))
        web.wait_idle()
        assert "it is left out" in door.wait_for_line(f"{door.address}:{port} cannot be listened on")
        web.scale("/web", 3)
        web.wait_idle()
        door.wait_for_tasks(web, "web")
        assert door.status("blocked.test") == 503
    door.process.send_signal(signal.SIGHUP)
    door.wait_for_tasks(web, "blocked")


def test_a_port_of_haproxy_itself_that_a_stranger_holds_is_named_and_taken_when_it_is_free(web, door):
    with socket.create_server((door.address, STATS_PORT)):
        door.start(web.url)
        assert "HAProxy needs it itself" in door.wait_for_line(f"{door.address}:{STATS_PORT} cannot be listened on")
    door.wait_for_tasks(web, "web")
