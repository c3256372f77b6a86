"""Whether files and HAProxy are what a process without a past makes of what Marathon says now.

``fastlb render`` gives the files that should be there; what HAProxy has is read through its socket, by nothing that the
daemon uses but the transport. Every difference is a line; none means that all is well.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from fastlb.runtime_api import RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.front_door import FrontDoor

RENDER_WITHIN_S = 300.0
ASK_WITHIN_S = 30.0
MAPS = ("domain2backend.map", "app2backend.map")
OUT = 0x01 | 0x02 | 0x08 | 0x10 | 0x20
"""Maintenance and drain, own or inherited, and no address, in ``srv_admin_state``."""
SERVER = re.compile(r"^  server (\S+) ([\d.]+):(\d+)(.*)$")
NO_SERVICE = frozenset({"admin"})
"""Servers of the statistics page, which are no tasks."""


class Server(NamedTuple):
    """Where a server is, its weight, and whether it takes new connections."""

    address: str
    port: int
    weight: int
    is_in: bool


Servers = dict[tuple[str, str], Server]
"""By backend and name."""


def differences(door: FrontDoor, marathon: str, *flags: str) -> list[str]:
    """Return what is not as it should be, a line each."""
    with TemporaryDirectory(prefix="fastlb-soak-") as folder:
        wanted = Path(folder)
        _render(door, marathon, wanted, *flags)
        texts = {name: (wanted / name).read_text() for name in ("haproxy.cfg", *MAPS)}
    api = RuntimeApi(door.folder / "run" / "socket", ASK_WITHIN_S)
    return [*_files(door, texts), *_servers(api, texts["haproxy.cfg"]), *_maps(door, api, texts)]


def _render(door: FrontDoor, marathon: str, folder: Path, *flags: str) -> None:
    words = ["render", *door.flags(marathon), "--output-dir", str(folder), *flags]
    command = [sys.executable, "-m", "fastlb", *words]
    environment = door.environment()
    subprocess.run(command, cwd=door.folder, env=environment, check=True, timeout=RENDER_WITHIN_S, capture_output=True)


def _files(door: FrontDoor, texts: dict[str, str]) -> Iterator[str]:
    for name, text in texts.items():
        found = (door.config_path.parent / name).read_text().splitlines()
        wanted = text.splitlines()
        if found != wanted:
            few, many = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
            yield f"{name} is not as rendered: missing {few[:3]}, not wanted {many[:3]} ({len(few)}, {len(many)})"


def _servers(api: RuntimeApi, config: str) -> Iterator[str]:
    wanted, found = _rendered(config), _running(api.ask("show servers state"))
    for key, server in wanted.items():
        if found.get(key) != server:
            yield f"server {'/'.join(key)} should be {server} and is {found.get(key)}"
    for key, there in found.items():
        if key not in wanted and there.is_in:
            yield f"server {'/'.join(key)} should not be there and is {there}"


def _rendered(config: str) -> Servers:
    servers, backend = {}, ""
    for line in config.splitlines():
        if line[:1].strip():
            backend = line.split()[-1]
        elif match := SERVER.match(line):
            name, address, port, options = match.groups()
            weight = re.search(r" weight (\d+)", options)
            is_in = " disabled" not in options
            servers[backend, name] = Server(address, int(port), int(weight[1]) if weight else 1, is_in)
    return servers


def _running(state: str) -> Servers:
    rows = [line.split() for line in state.splitlines()[2:] if line]
    return {
        (row[1], row[3]): Server(row[4], int(row[18]), int(row[7]), not int(row[6]) & OUT)
        for row in rows
        if row[3] not in NO_SERVICE
    }


def _maps(door: FrontDoor, api: RuntimeApi, texts: dict[str, str]) -> Iterator[str]:
    for name in MAPS:
        lines = api.ask(f"show map {door.config_path.parent / name}").splitlines()
        found = {line.partition(" ")[2] for line in lines if line}
        wanted = {line for line in texts[name].splitlines() if line}
        if found != wanted:
            few, many = sorted(wanted - found), sorted(found - wanted)
            yield f"HAProxy's {name} lacks {few[:3]} and has {many[:3]} ({len(few)}, {len(many)})"
