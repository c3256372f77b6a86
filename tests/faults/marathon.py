"""What Marathon may do: change its leader, be gone, be slow, answer nonsense. What HAProxy serves stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastlb.simulator.faults import WRONG_JSONS, Fault
from fastlb.simulator.settings import SimulatorSettings
from fastlb.simulator.world import Delays
from tests.faults.catalogue import fault
from tests.faults.sizes import SIZES

if TYPE_CHECKING:
    from tests.faults.scene import Scene

FORGETS_FOR_S = 3.0


@fault("Marathon changes its leader", settings=SimulatorSettings(delays=Delays(healthy_s=FORGETS_FOR_S)))
def leader_change(scene: Scene) -> None:
    """Streams are cut and health results forgotten: no server drops out, new tasks wait for their first result."""
    scene.up("--health-check", health=True)
    start = scene.door.now()
    with scene.fault():
        scene.cluster.change_leader()
        assert not any(task.get("healthCheckResults") for task in scene.cluster.tasks("/web"))
        scene.door.wait_for("fetched", start, asked="everything")
        scene.hold(FORGETS_FOR_S)
        assert scene.door.journal("live", start) == scene.door.journal("reload", start) == []
    scene.expect("event stream lost: ", "event stream of .* is open; everything is read again")


@fault("Marathon is down")
def down(scene: Scene) -> None:
    """Everything is served on, and what changed meanwhile is served soon after it is back."""
    scene.up("--max-backoff", "2", "--resync-interval", "3")
    with scene.fault():
        scene.cluster.go_down()
        scene.change()
        scene.until_said("Marathon cannot be read")
        scene.hold(6, 180)
        assert len(scene.door.lines("Marathon cannot be read")) == 1
        scene.cluster.come_up()
    scene.expect("event stream lost: .*refused", "Marathon cannot be read: ", "Marathon can be read again")


@fault("Marathon takes 12 s for each answer")
def slow(scene: Scene) -> None:
    """Slow answers are waited for and taken, and that they are slow is said once."""
    scene.up()
    with scene.fault():
        scene.cluster.arm(Fault.SLOW, value=12, path="/v2/apps")
        start = scene.door.now()
        scene.change()
        scene.door.wait_for("live", start)
        scene.hold(0, 60)
        scene.cluster.clear()
    scene.expect(r"Marathon took 1\d\.\d s to answer", "Marathon answers within .* again")


@fault("Marathon answers garbage")
def garbage(scene: Scene) -> None:
    """HTML, half answers, wrong statuses, JSON of another shape: nothing of it is taken for a cluster."""
    scene.up("--resync-interval", "1")
    bad = [(Fault.HTML, None), (Fault.TRUNCATED, None), (Fault.ERROR, 500), (Fault.ERROR, 502)]
    bad += [(Fault.UNAUTHORIZED, None), *((Fault.WRONG_JSON, number) for number in range(len(WRONG_JSONS)))]
    with scene.fault():
        for kind, value in bad:
            start = scene.door.now()
            scene.cluster.arm(kind, value=value, path="/v2/apps")
            scene.change()
            scene.cluster.cut_streams()
            scene.until(lambda start=start: said_no(scene, start))
            scene.hold(0, 10)
            scene.cluster.clear()
    scene.expect(
        "cannot be read: .*answered HTML", "cannot be read: .*JSON that is no object", "Marathon can be read again"
    )


@fault("Marathon answers that there are no apps")
def empty(scene: Scene) -> None:
    """It is not believed for a while, and soon forgotten when the apps are back."""
    scene.up()
    with scene.fault():
        scene.cluster.arm(Fault.NO_APPS)
        scene.cluster.cut_streams()
        scene.until_said("no apps at all|too much is missing")
        scene.hold(3, 60)
        scene.cluster.clear()
        scene.cluster.cut_streams()
    scene.expect("no apps at all|too much is missing")


@fault("Half of all apps vanish at once")
def half_vanish(scene: Scene) -> None:
    """They are kept and warned of; SIGHUP says that they are gone indeed."""
    scene.up()
    gone = [f"/other{number}" for number in range(SIZES.others * 2 // 3)]
    with scene.fault():
        scene.cluster.arm(Fault.LOST_EVENTS)
        for app_id in gone:
            scene.cluster.delete_app(app_id)
        scene.cluster.wait_idle()
        scene.cluster.clear()
        scene.cluster.cut_streams()
        scene.until_said("too much is missing at once")
        scene.hold(3, 60)
        assert len(scene.door.routed()) >= SIZES.others + 2
        scene.reread()
        scene.until(lambda: len(scene.door.routed()) <= SIZES.others + 2 - len(gone))
    scene.expect("too much is missing at once in what Marathon answers: .* app.s., .* are kept for .* or until SIGHUP")


def said_no(scene: Scene, since: int) -> bool:
    return any("fetch_failed" in entry["kind"] for entry in scene.door.journal(since=since))
