"""What may happen to the machine: clocks, names, disks, descriptors, memory.

Disks and names are those of a mount namespace that the daemon of one scene has for itself.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.fakes.front_door import FrontDoor, distort
from tests.faults.catalogue import fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.scene import Scene

SILENCE_S = 5
"""A name is waited for so long, once in a while."""
YEAR_S = 365 * 86_400
NO_LIMIT = resource.RLIM_INFINITY
DISK_BYTES = 2_000_000


def no_compiler() -> str:
    return "" if shutil.which("cc") else "there is no C compiler, which makes a clock that goes wrong"


def no_namespace() -> str:
    """Say why there is no mount namespace, if so."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nsenter"):
        return "mount namespaces need root, unshare and nsenter"
    done = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return done.stderr.decode().strip()


# Clocks


@fault("The wall clock jumps by a year, there and back", why_not=no_compiler)
def clock_jumps(scene: Scene) -> None:
    """Nothing waits for the wall clock, so nothing happens."""
    wrong_by, library = scene.door.folder / "wrong_by", scene.door.folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("clock.c"), "-ldl"], check=True)
    wrong_by.write_bytes(bytes(8))
    scene.up(LD_PRELOAD=str(library), WRONG_BY=str(wrong_by))
    controller = scene.door.controller()
    with scene.fault():
        for offset_s in (YEAR_S, -YEAR_S, 0, 3600, -3600):
            with wrong_by.open("r+b") as file:
                file.write(offset_s.to_bytes(8, sys.byteorder, signed=True))
            start = scene.door.now()
            scene.change(guest=False)
            entry = scene.door.wait_for("fetched", start)
            assert abs(entry["at"] - time.time() - offset_s) < 600
            scene.wait_until_steady()
            scene.hold(0.5, 10)
    assert (scene.door.controller(), scene.door.journal("haproxy_exited")) == (controller, [])
    scene.expect()


# Names


def in_namespace(scene: Scene, script: str, *words: str) -> None:
    """Have the daemon run in mounts of its own, after a script that makes them."""
    run = f'set -e; {script}; shift {len(words)}; exec "$@"'
    scene.door.prefix = ("unshare", "-m", "sh", "-c", run, "sh", *words)


def name_of(host: str) -> str:
    return f"agent-{host.replace('.', '-')}.test"


class Names:
    """Files of names that the daemon has for itself; in Marathon's answers the agents of some apps go by name."""

    def __init__(self, scene: Scene, server: str) -> None:
        self._scene = scene
        self._hosts = scene.door.folder / "hosts"
        servers = scene.door.folder / "servers"
        servers.write_text(f"nameserver {server}\n")
        self._hosts.touch()
        mounts = 'mount --bind "$1" /etc/hosts; mount --bind "$2" /etc/resolv.conf'
        in_namespace(scene, mounts, str(self._hosts), str(servers))
        scene.marathon = scene.cluster.url.replace("127.0.0.1", "marathon.test")
        self.come()

    def come(self) -> None:
        """Have all names known."""
        network = self._scene.cluster.call(lambda service: service.cluster.world.addresses.network)
        agents = [f"127.{network}.0.{number}" for number in range(1, 33)]
        lines = [f"{host} {name_of(host)}" for host in agents]
        self._hosts.write_text("\n".join(["127.0.0.1 localhost marathon.test", *lines, ""]))

    def go(self) -> None:
        """Have no name known."""
        self._hosts.write_text("127.0.0.1 localhost\n")

    def use(self, app_id: str) -> None:
        """Have the agents of this app go by name, until it is changed."""
        self._scene.cluster.wait_idle()
        distort(self._scene.cluster, app_id, _name_agents)


def _name_agents(app: dict[str, Any]) -> None:
    for task in app["tasks"]:
        task["host"] = name_of(task["host"])


@fault("No name resolves", why_not=no_namespace)
def names_fail(scene: Scene) -> None:
    """Addresses that are known stay known, to a new controller too; only tasks on agents of new names wait."""
    names = Names(scene, "127.0.0.1")
    scene.marathon = scene.cluster.url
    scene.up()
    names.use("/web")
    scene.reread()
    with scene.fault():
        names.go()
        scene.cluster.cut_streams()
        scene.change()
        names.use("/guest0")
        scene.hold(2, 60)
        start = scene.door.now()
        scene.door.controller().kill()
        scene.door.wait_for("reload", start, ok=True)
        assert scene.door.answering("web.test") == {task["id"] for task in scene.cluster.tasks("/web")}
        names.come()
    scene.expect("host name agent-.* does not resolve to an IPv4 address; that of before, .* stays")


@fault("The name server does not answer", why_not=no_namespace)
def names_are_silent(scene: Scene) -> None:
    """Whoever has nothing to do with the names that are waited for does not wait for them."""
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind((scene.door.address, 53))
        names = Names(scene, scene.door.address)
        scene.marathon = scene.cluster.url
        scene.up()
        with scene.fault():
            names.go()
            scene.change()
            names.use("/guest0")
            scene.reread()
            scene.until_said("host name agent-.* does not resolve")
            took_s = [seconds_for_a_change(scene) for _ in range(3)]
            names.come()
            scene.cluster.restart_app("/guest0")
    assert min(took_s) < SILENCE_S
    scene.row.said.append(f"(changes meanwhile took {', '.join(f'{each:.1f} s' for each in took_s)})")
    scene.expect("host name agent-.* does not resolve")


def seconds_for_a_change(scene: Scene) -> float:
    start, began_s = scene.door.now(), time.monotonic()
    scene.change(guest=False)
    scene.door.wait_for("live", start)
    return time.monotonic() - began_s


# Disks


class Disk:
    """A small disk on which the daemon has its configuration, its sockets and its temporary files."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._folder = folder = scene.door.folder
        (folder / "run").mkdir()
        script = 'mount -t tmpfs -o size=$4 none "$1"; mkdir "$1/tmp" "$1/run"'
        script += '; mount --bind "$1/tmp" "$2"; mount --bind "$1/run" "$3"'
        places = [str(folder / name) for name in ("etc", "tmp", "run")]
        in_namespace(scene, script, *places, str(DISK_BYTES))

    def fill(self) -> None:
        """Leave no byte."""
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def make_room(self) -> None:
        self._filler.unlink()

    def remount(self, how: str) -> None:
        """Have it read-only (`ro`) or not (`rw`)."""
        mount = ["mount", "-o", f"remount,{how}", str(self._folder / "etc")]
        subprocess.run(["nsenter", "-t", str(self._pid), "-m", *mount], check=True)

    def config(self) -> str:
        return Path(f"/proc/{self._pid}/root{self._folder}/etc/haproxy.cfg").read_text()

    @property
    def _pid(self) -> int:
        assert self._scene.door.process is not None
        return self._scene.door.process.pid

    @property
    def _filler(self) -> Path:
        return Path(f"/proc/{self._pid}/root{self._folder}/etc/filler")


@fault("The disk is full", why_not=no_namespace)
def disk_full(scene: Scene) -> None:
    """Live changes go on; what needs new files waits, and the old ones stay whole."""
    disk = Disk(scene)
    scene.up()
    with scene.fault():
        before = disk.config()
        disk.fill()
        scene.change(guest=False)
        scene.wait_until_steady()
        scene.change()
        scene.until_said("No space left on device")
        scene.hold(2, 120)
        assert disk.config() == before
        disk.make_room()
    scene.expect("No space left on device.*tried again in")


@fault("The disk is read-only", why_not=no_namespace)
def disk_read_only(scene: Scene) -> None:
    """As with a full one."""
    disk = Disk(scene)
    scene.up()
    with scene.fault():
        disk.remount("ro")
        scene.change(guest=False)
        scene.wait_until_steady()
        scene.change()
        scene.until_said("Read-only file system")
        scene.hold(2, 120)
        disk.remount("rw")
    scene.expect("Read-only file system.*tried again in")


# Descriptors, memory


@fault("The controller has no descriptor left")
def controller_without_descriptors(scene: Scene) -> None:
    """It says so and tries again until it has some."""
    scene.up()
    controller = scene.door.controller()
    limits = controller.rlimit(resource.RLIMIT_NOFILE)
    with scene.fault():
        controller.rlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        scene.change()
        scene.until_said("Too many open files")
        scene.hold(2, 60)
        controller.rlimit(resource.RLIMIT_NOFILE, limits)
    scene.expect("Too many open files")


@fault("The supervisor has no descriptor left, and the controller is killed")
def supervisor_without_descriptors(scene: Scene) -> None:
    """It says so, HAProxy serves on, and the controller is started when that can be."""
    starve_supervisor_and_kill(scene, FrontDoor.controller)
    scene.expect("the controller could not be started: .*Too many open files")


@fault("The supervisor has no descriptor left, and HAProxy is killed")
def supervisor_without_descriptors_or_haproxy(scene: Scene) -> None:
    """It says so, and HAProxy is started when that can be."""
    starve_supervisor_and_kill(scene, FrontDoor.master)
    scene.expect("HAProxy could not be started: .*Too many open files", may_fail=True)


def starve_supervisor_and_kill(scene: Scene, victim: Callable[[FrontDoor], psutil.Process]) -> None:
    scene.up()
    assert scene.door.process is not None
    supervisor = psutil.Process(scene.door.process.pid)
    limits = supervisor.rlimit(resource.RLIMIT_NOFILE)
    with scene.fault():
        process = victim(scene.door)
        supervisor.rlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            process.kill()
            scene.until_said("could not be started: .*Too many open files")
            scene.hold(2, 60)
        finally:
            supervisor.rlimit(resource.RLIMIT_NOFILE, limits)


@fault("The controller gets no more memory")
def controller_without_memory(scene: Scene) -> None:
    """Whatever becomes of it, another one takes its place."""
    scene.up("--controller-timeout", "5")
    controller = scene.door.controller()
    with scene.fault():
        controller.rlimit(resource.RLIMIT_AS, (controller.memory_info().vms, NO_LIMIT))
        scene.change()
        scene.hold(2, 20)
        with contextlib.suppress(psutil.NoSuchProcess):
            controller.rlimit(resource.RLIMIT_AS, (NO_LIMIT, NO_LIMIT))
    scene.expect("(?i)MemoryError|cannot allocate memory|can't start new thread", "the controller, process .* ended")
