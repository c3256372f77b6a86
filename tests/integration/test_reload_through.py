"""A command of one's own reloads the HAProxy that fastlb runs: marathon-lb's image (COMPAT.md 2.5)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from fastlb.external import ReloadCommand, reload_ours_by_command
from fastlb.master import Master
from tests.fakes.front_door import app, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.haproxy

SCRIPT = f"exec {sys.executable} -m fastlb.entry reload_haproxy.sh"
"""What `/marathon-lb/reload_haproxy.sh` runs."""


def script(folder: Path, *lines: str) -> str:
    path = folder / "mine.sh"
    path.write_text("\n".join(["#!/bin/sh", f"echo run >> {folder}/runs", *lines, ""]))
    path.chmod(0o755)
    return str(path)


def runs(folder: Path) -> int:
    path = folder / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def started(door, own_cluster):
    """A front door that serves one app, with a command whose lines a test chooses."""

    def start(*lines: str, flags: tuple[str, ...] = ()):
        own_cluster.load([app("web", 24000)])
        flags = ("--reload-through", script(door.folder, *lines), "--max-reload-retries", "2", *flags)
        door.start(own_cluster.url, *flags, "--reload-interval", "0.5")
        until(lambda: door.status("web.test") == 200, 60, said=door.log)
        return door

    return start


def test_each_reload_runs_it_and_traffic_follows(started, own_cluster):
    door = started(SCRIPT)
    before = runs(door.folder)
    for number, name in enumerate(("one", "two"), 1):
        own_cluster.create_app(app(name, 24000 + number))
        until(lambda name=name: door.status(f"{name}.test") == 200, 60, said=door.log)
        until(lambda number=number: runs(door.folder) == before + number, said=door.log)
    assert "could not load" not in door.log()


def test_a_change_that_needs_no_reload_does_not_run_it(started, own_cluster):
    door = started(SCRIPT)
    before = runs(door.folder)
    own_cluster.scale("/web", 3)
    until(lambda: door.log().count("server(s) added"), 60, said=door.log)
    assert runs(door.folder) == before


def test_one_that_reloads_nothing_is_noticed_run_again_and_said(started, own_cluster):
    door = started("exit 0")
    own_cluster.create_app(app("late", 24001))
    said = "did not reload it: no new haproxy process, run 2 times"
    until(lambda: said in door.log(), 60, said=door.log)
    assert "HAProxy could not load the new files" in door.log()
    assert runs(door.folder) >= 2
    assert door.status("web.test") == 200
    assert "late" not in door.config_path.read_text()  # what is on disk is what HAProxy runs
    script(door.folder, SCRIPT)
    until(lambda: door.status("late.test") == 200, 60, said=door.log)


def test_its_status_does_not_count_where_haproxy_was_reloaded(started, own_cluster):
    door = started(SCRIPT.removeprefix("exec "), "exit 7")
    own_cluster.create_app(app("late", 24001))
    until(lambda: door.status("late.test") == 200, 60, said=door.log)
    until(lambda: "it ended with status 7; HAProxy was reloaded all the same" in door.log(), said=door.log)


def test_without_a_haproxy_it_is_not_run(tmp_path):
    how = ReloadCommand(script(tmp_path), retries=1, interval_s=0.1, give_up_s=1)
    outcome = reload_ours_by_command(how, Master(tmp_path / "nobody", timeout_s=1))
    assert (outcome.ok, runs(tmp_path)) == (False, 0)
    assert "was not run" in outcome.log
