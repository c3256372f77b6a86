"""From one version of fastlb to the next and back: no request fails, whatever the other one left on disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fastlb
from tests.fakes.front_door import HTTP_PORT, HTTPS_PORT, app, until
from tests.fakes.load import paced_load
from tests.integration.test_restart_traffic import end_supervisor, is_gone

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor

pytestmark = pytest.mark.haproxy

RATE = 100
OTHER_VERSION = "0.0.9"


@pytest.fixture
def other_install(tmp_path: Path) -> str:
    """The folder of an install of another version."""
    package = tmp_path / "fastlb"
    shutil.copytree(Path(fastlb.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "*.c", "*.pyx"))
    start = package / "__init__.py"
    start.write_text(start.read_text().replace(fastlb.__version__, OTHER_VERSION))
    return str(tmp_path)


def versions(door: FrontDoor) -> list[str]:
    """The versions that started, in their order."""
    return [line.partition("fastlb ")[2].partition(",")[0] for line in door.lines("hot path:")]


def test_no_request_fails_during_an_upgrade_and_the_way_back(
    own_cluster: SimulatedMarathon, door: FrontDoor, other_install: str
):
    own_cluster.load([app("web", 27210)])
    door.up(own_cluster.url, PYTHONPATH=other_install)
    with paced_load(door.address, HTTP_PORT, "web.test", rate=RATE) as load:
        for environment in ({}, {"PYTHONPATH": other_install}):
            former = door.master()
            end_supervisor(door)
            door.up(own_cluster.url, **environment)
            until(lambda former=former: is_gone(former), said=door.log)
    assert versions(door) == [OTHER_VERSION, fastlb.__version__, OTHER_VERSION]
    assert load.told.failures == [], door.log()


# What another version, a full disk or an operator may have left in the place of each file.


def missing(path: Path) -> None:
    path.unlink()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00\xff{[\n\xfe" * 100)


def from_the_future(path: Path) -> None:
    text = path.read_text()
    path.write_text(f"9{text}" if path.name == "servers.state" else json.dumps({"format": 9, "is": text, "more": [1]}))


def of_fastlb(folder: Path) -> list[Path]:
    return [folder / "run" / name for name in ("haproxy.pids", "loaded", "servers.state", "self-signed.pem", "lock")]


def of_haproxy(folder: Path) -> list[Path]:
    return [folder / "etc" / name for name in ("haproxy.cfg", "domain2backend.map")]


def copies(folder: Path) -> list[Path]:
    return list((folder / "run" / "last-good").iterdir())


ALL_DAMAGES = (missing, truncated, garbage, from_the_future)
CASES = [*((files, damage) for files in (of_fastlb, of_haproxy) for damage in ALL_DAMAGES), (copies, garbage)]


@pytest.mark.parametrize(("files", "damage"), CASES)
def test_whatever_is_left_of_its_files_the_next_start_serves_and_no_request_fails(
    own_cluster: SimulatedMarathon,
    door: FrontDoor,
    files: Callable[[Path], list[Path]],
    damage: Callable[[Path], None],
):
    own_cluster.load([app("web", 27220)])
    door.up(own_cluster.url, "--haproxy-map")
    former = door.master()
    with paced_load(door.address, HTTP_PORT, "web.test", rate=RATE) as load:
        end_supervisor(door)
        for path in files(door.folder):
            damage(path)
        door.up(own_cluster.url, "--haproxy-map")
        until(lambda: is_gone(former), said=door.log)
        assert door.status("web.test", port=HTTPS_PORT) == 200, door.log()
    assert load.told.failures == [], door.log()
