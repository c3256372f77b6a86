"""The short soak; and that what is broken on purpose is found, without which its silence would mean nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fastlb.runtime_api import RuntimeApi
from tests.soak.samples import Holding, Sample, trends
from tests.soak.sizes import SHORT
from tests.soak.soak import soaked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.soak.soak import Scene

BACKEND = "web_28000"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """What still runs after a short soak. Nothing repairs what is broken then: the audit is off."""
    with soaked(SHORT, tmp_path_factory.mktemp("s"), "--audit-interval", "0") as scene:
        yield scene


@pytest.mark.haproxy
def test_all_is_as_it_should_be_after_a_short_soak(scene: Scene):
    outcome = scene.outcome
    assert outcome.faults() == [], scene.door.log()[-5000:]
    assert min(each.requests for each in outcome.requests) > SHORT.requests_per_s
    assert outcome.held.ends["answered"] >= SHORT.held
    assert {"controller killed", "event stream cut"} <= outcome.mishaps.made.keys()
    assert min(outcome.journal["live"], outcome.journal["reload"]) > 1


def server_of(scene: Scene) -> str:
    return next(line.split()[1] for line in backend_of(scene).splitlines() if line.startswith("  server "))


def backend_of(scene: Scene) -> str:
    return scene.door.config().partition(f"\nbackend {BACKEND}\n")[2].partition("\n\n")[0]


def tell(scene: Scene, command: str) -> None:
    RuntimeApi(scene.door.folder / "run" / "socket", 5).ask(command)


def out_of_service(scene: Scene, undo: bool) -> None:
    tell(scene, f"set server {BACKEND}/{server_of(scene)} state {'ready' if undo else 'maint'}")


def other_weight(scene: Scene, undo: bool) -> None:
    tell(scene, f"set server {BACKEND}/{server_of(scene)} weight {100 if undo else 50}%")


def entry_lost(scene: Scene, undo: bool) -> None:
    path = scene.door.config_path.with_name("domain2backend.map")
    tell(scene, f"add map {path} web.test {BACKEND}" if undo else f"del map {path} web.test")


def file_edited(scene: Scene, undo: bool) -> None:
    path = scene.door.config_path
    text = path.read_text()
    path.write_text(text.removesuffix("# by hand\n") if undo else f"{text}# by hand\n")


def map_edited(scene: Scene, undo: bool) -> None:
    path = scene.door.config_path.with_name("app2backend.map")
    text = path.read_text()
    path.write_text(text.removesuffix("/by-hand nowhere\n") if undo else f"{text}/by-hand nowhere\n")


@pytest.mark.haproxy
@pytest.mark.parametrize("way", [out_of_service, other_weight, entry_lost, file_edited, map_edited])
def test_what_was_broken_by_hand_is_found(scene: Scene, way: Callable[[Scene, bool], None]):
    way(scene, False)
    found = scene.differences()
    way(scene, True)
    assert len(found) == 1
    assert scene.differences() == []


def curve(growth: float, descriptors: int = 0) -> list[Sample]:
    """Samples of a controller that grows by so much, and whose descriptors do."""
    shares = [number / 90 for number in range(91)]
    return [
        Sample(100 * at, dict.fromkeys(PARTS, Holding(100 * (1 + growth * at), 40 + int(descriptors * at))), 0, 0, 0, 0)
        for at in shares
    ]


PARTS = ("supervisor", "controller", "master", "worker")


def test_memory_that_grows_is_not_flat():
    assert all(each.is_flat for each in trends(curve(0.1)))
    grown = [each.name for each in trends(curve(1.0)) if not each.is_flat]
    assert grown == [f"{part}, MiB" for part in PARTS]


def test_descriptors_that_grow_are_not_flat():
    grown = [each.name for each in trends(curve(0, 90)) if not each.is_flat]
    assert grown == [f"{part}, descriptors" for part in PARTS]


def test_too_few_samples_are_no_verdict():
    with pytest.raises(ValueError, match="too few"):
        trends(curve(0)[:9])
