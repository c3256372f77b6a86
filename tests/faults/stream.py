"""What may happen to the event stream: it stalls, it loses events, it floods."""

from __future__ import annotations

import time
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import orjson
import psutil

from fastlb.simulator.faults import Fault
from tests.faults.catalogue import fault

if TYPE_CHECKING:
    from tests.faults.scene import Scene

FLOOD_PER_S = 10_000
STEP_S = 0.05
MOST_GROWTH_BYTES = 100_000_000


@fault("The event stream stalls without closing")
def stalled(scene: Scene) -> None:
    """It is given up when not even a heartbeat comes; what it did not tell is read."""
    scene.up("--heartbeat-timeout", "5")
    with scene.fault():
        scene.cluster.arm(Fault.STALLED_STREAM)
        scene.change()
        scene.until_said("not even a heartbeat")
        scene.hold(0, 60)
        scene.cluster.clear()
    scene.expect(
        "event stream lost: .*not even a heartbeat for", "event stream of .* is open; everything is read again"
    )


@fault("Events are lost silently")
def lost(scene: Scene) -> None:
    """The periodic reading finds what no event told of, and says so."""
    scene.up("--resync-interval", "4")
    with scene.fault():
        scene.cluster.arm(Fault.LOST_EVENTS)
        scene.change()
        scene.wait_until_steady()
        scene.hold(0, 60)
    scene.cluster.clear()
    scene.expect("the periodic reading found .* that no event told of")


@fault("10,000 events a second")
def flood(scene: Scene) -> None:
    """The stream is followed without falling behind, without more memory, and changes are served meanwhile."""
    scene.up()
    controller = scene.door.controller()
    before = scene.cluster.stream_count(), controller.memory_info().rss, scene.door.now()
    with scene.fault():
        pour(scene, 4)
        with_flood_s = served_during_a_flood(scene)
        scene.hold(0, 30)
    scene.row.said.append(f"(a change during the flood was served after {with_flood_s:.1f} s)")
    assert psutil.Process(controller.pid) == controller
    assert scene.cluster.stream_count() == before[0]
    assert controller.memory_info().rss - before[1] < MOST_GROWTH_BYTES
    scene.expect()


def served_during_a_flood(scene: Scene) -> float:
    """Return how long a change takes while events go on pouring in."""
    start, began_s = scene.door.now(), time.monotonic()
    scene.change(guest=False)
    while not scene.door.journal("live", start):
        pour(scene, STEP_S)
    return time.monotonic() - began_s


def pour(scene: Scene, seconds: float) -> None:
    """Send as many events of apps that are there, of apps that are not, and of no app, as fit into the time."""
    names = [f"/other{number}" for number in range(20)] + [f"/nobody{number}" for number in range(20)]
    kinds: list[dict[str, Any]] = [
        {"eventType": "status_update_event", "appId": name, "taskStatus": "TASK_RUNNING", "taskId": f"t.{name[1:]}"}
        for name in names
    ]
    kinds += [{"eventType": "deployment_step_success"}, {"eventType": "unknown_event", "plan": {"steps": []}}]
    frames = [b"event: %s\r\ndata: %s\r\n\r\n" % (kind["eventType"].encode(), orjson.dumps(kind)) for kind in kinds]
    piece = b"".join(islice(cycle(frames), int(FLOOD_PER_S * STEP_S)))
    next_s = time.monotonic()
    for _ in range(max(1, round(seconds / STEP_S))):
        scene.cluster.call(lambda service: service.streams.send(piece))
        next_s += STEP_S
        time.sleep(max(0.0, next_s - time.monotonic()))
