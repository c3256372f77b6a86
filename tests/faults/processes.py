"""What may happen to the processes of fastlb and HAProxy: killed, stopped, crashing on what they are given."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fakes.front_door import app
from tests.faults.catalogue import fault

if TYPE_CHECKING:
    import psutil

    from tests.faults.scene import Scene

BAD = 22090
WENT_BACK = "HAProxy has ended 3 times within"
MOST_CRASHES = 8
"""Between its end and the time at which fastlb has gone back HAProxy is started on the same file again."""
CONTROLLER_TIMEOUT = ("--controller-timeout", "5")


@fault("kill -9 of the controller")
def controller_killed(scene: Scene) -> None:
    """HAProxy does not notice; the next controller adopts it and reads Marathon anew."""
    scene.up()
    worker, start = scene.door.worker(), scene.door.now()
    with scene.fault():
        scene.door.controller().kill()
        scene.door.wait_for("reload", start, ok=True)
        assert scene.door.worker() == worker
    scene.expect("the controller, process .* ended after .* with signal 9")


@fault("kill -9 of HAProxy's worker")
def worker_killed(scene: Scene) -> None:
    """The master ends with it; HAProxy is started again on the files of what it served."""
    scene.up()
    with scene.fault():
        scene.door.worker().kill()
    scene.expect("HAProxy, process .* ended after", "HAProxy .* serves", may_fail=True)


@fault("kill -9 of HAProxy's master")
def master_killed(scene: Scene) -> None:
    """Its workers end with it; HAProxy is started again on the files of what it served."""
    scene.up()
    with scene.fault():
        scene.door.master().kill()
    scene.expect("HAProxy, process .* ended after .* with signal 9", may_fail=True)


@fault("kill -9 of the supervisor, and a new start")
def supervisor_killed(scene: Scene) -> None:
    """HAProxy serves on; the next start takes over from it, without a moment in which nobody listens."""
    scene.up()
    old, door = scene.door.tree(), scene.door
    with scene.fault():
        assert door.process is not None
        door.process.kill()
        door.process.wait()
        scene.until(lambda: not any("controller" in " ".join(arguments(one)) for one in old))
        scene.hold(1, 30)
        door.process = None
        door.start(scene.marathon, "--haproxy-map")
    scene.expect("HAProxy .* of a former run still serves; a new one will take over", "HAProxy .* serves")
    scene.until(lambda: not any(one.is_running() for one in old))


def arguments(process: psutil.Process) -> list[str]:
    return Path(f"/proc/{process.pid}/cmdline").read_text().split("\0") if process.is_running() else []


@fault("SIGSTOP of the supervisor")
def supervisor_stopped(scene: Scene) -> None:
    """Nobody notices; when it goes on it blames nobody for a silence that was its own."""
    scene.up(*CONTROLLER_TIMEOUT)
    controller = scene.door.controller()
    assert scene.door.process is not None
    with scene.fault():
        scene.door.process.send_signal(signal.SIGSTOP)
        scene.change(guest=False)
        scene.wait_until_steady()
        scene.hold(5, 60)
        scene.door.process.send_signal(signal.SIGCONT)
    assert scene.door.controller() == controller
    scene.expect()


@fault("SIGSTOP of the controller")
def controller_stopped(scene: Scene) -> None:
    """It is replaced after `--controller-timeout`, and what changed meanwhile is served."""
    scene.up(*CONTROLLER_TIMEOUT)
    controller = scene.door.controller()
    with scene.fault():
        controller.suspend()
        scene.change()
        scene.until(lambda: not controller.is_running())
    scene.expect("the controller has been silent for more than 5 s; it is killed")


@fault("SIGSTOP of HAProxy's master")
def master_stopped(scene: Scene) -> None:
    """Requests and live changes go on; what needs a reload waits, and that is said."""
    scene.up("--reload-timeout", "3")
    with scene.fault():
        master = scene.door.master()
        master.suspend()
        scene.change(guest=False)
        scene.wait_until_steady()
        scene.change()
        scene.until_said("HAProxy could not load the new files")
        scene.hold(0, 60)
        master.resume()
    scene.expect("HAProxy could not load the new files .*master.sock")


@fault("SIGSTOP of HAProxy's worker")
def worker_stopped(scene: Scene) -> None:
    """Nobody serves then, so that it is noticed within seconds and HAProxy is started again."""
    scene.up()
    worker = scene.door.worker()
    with scene.fault():
        worker.suspend()
        scene.until(lambda: not worker.is_running())
    scene.expect("HAProxy's worker .* does not answer and has done nothing for .* it is killed", may_fail=True)


@fault("A worker that crashes at start on the new file")
def worker_crashes(scene: Scene) -> None:
    """`haproxy -c` knows nothing of it; the app that brought it is left out, all others are served."""
    scene.up()
    with scene.fault():
        head = "\nbackend {backend}\n  balance {balance}\n  mode {mode}\n"
        head += "global\n  chroot /nowhere\nbackend {backend}_more\n  mode {mode}\n"
        labels = {"HAPROXY_0_BACKEND_HEAD": head}
        scene.cluster.create_app(app("bad", BAD, instances=1, labels=labels))
        scene.until_said("HAProxy .* on new definitions")
        scene.hold(3, 30)
    scene.expect(
        "Cannot chroot", "HAProxy .* on new definitions: .*/bad", "app /bad: HAProxy .* on files with it", may_fail=True
    )
    assert scene.door.status("bad.test") == 503


@fault("A worker that crashes whenever a new app is asked for")
def worker_crashes_later(scene: Scene) -> None:
    """It serves at first, so that nothing is wrong with its file; after the third crash the new app is left out."""
    scene.up()
    with scene.fault():
        start, crashes = scene.door.now(), 0
        scene.cluster.create_app(app("bad", BAD, instances=1))
        scene.until(lambda: any(entry["ok"] for entry in scene.door.journal("reload", start)))
        while WENT_BACK not in scene.door.log():
            scene.until(lambda: scene.door.status("web.test") == 200)
            scene.door.worker().send_signal(signal.SIGSEGV)
            crashes += 1
            assert crashes <= MOST_CRASHES, scene.said()
            scene.until_said(rf"(?s)(HAProxy, process .* ended after.*){{{crashes}}}")
        scene.until(lambda: scene.door.status("bad.test") == 503)
        scene.hold(3, 30)
    scene.expect(f"{WENT_BACK} .*: /bad", "app /bad: HAProxy has ended 3 times .* left out", may_fail=True)
    assert scene.door.status("bad.test") == 503
