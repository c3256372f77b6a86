"""A HAPROXY_HEAD that was written for marathon-lb's image, Lua files and all, starts and its paths answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fastlb.haproxy import find_haproxy
from tests.fakes.front_door import STATS_PORT, app, until
from tests.integration.test_admin import ask

pytestmark = pytest.mark.haproxy

LUA = Path(__file__).parents[2] / "lua" / "fastlb.lua"
NAMES = ("getpids", "getconfig", "getmaps", "signalmlb")
PATHS = {
    "getpids": "/_haproxy_getpids",
    "getvhostmap": "/_haproxy_getvhostmap",
    "getappmap": "/_haproxy_getappmap",
    "getconfig": "/_haproxy_getconfig",
    "signalmlbhup": "/_mlb_signal/hup",
    "signalmlbusr1": "/_mlb_signal/usr1",
}


def old_head(folder, address):
    """The head of marathon-lb 1.15 (COMPAT.md 5.5) as far as paths and ports of this machine allow."""
    loads = "".join(f"  lua-load {folder}/{name}.lua\n" for name in NAMES)
    services = "".join(f"  http-request use-service lua.{name} if {{ path {path} }}\n" for name, path in PATHS.items())
    return (
        f"global\n  maxconn 500\n  stats socket {folder}/run/socket expose-fd listeners\n{loads}"
        "defaults\n  timeout connect 3s\n  timeout client 30s\n  timeout server 30s\n"
        f"listen stats\n  bind {address}:{STATS_PORT}\n  balance\n  mode http\n  stats enable\n"
        f"  monitor-uri /_haproxy_health_check\n{services}"
    )


@pytest.fixture
def old_door(door, own_cluster):
    if not find_haproxy(None, door.environment()).has_lua:
        pytest.skip("this HAProxy was built without Lua")
    for name in NAMES:
        shutil.copy(LUA, door.folder / f"{name}.lua")
    own_cluster.load([app("web", 24000, labels={"HAPROXY_0_AUTH": "realm:me:hunter2"})])
    head = old_head(door.folder, door.address)
    socket = str(door.folder / "run" / "admin.sock")
    return door.up(own_cluster.url, "--haproxy-map", HAPROXY_HEAD=head, ADMIN_SOCKET=socket)


def test_the_lua_services_of_an_old_head_answer(old_door):
    assert ask(old_door, "/_haproxy_health_check")[0] == 200
    status, kind, text = ask(old_door, "/_haproxy_getconfig")
    assert (status, kind, text) == (200, "text/plain", old_door.config().replace("hunter2", "***"))
    assert ask(old_door, "/_haproxy_getappmap") == (200, "text/plain", "/web web_24000\n")
    assert {int(pid) for pid in ask(old_door, "/_haproxy_getpids")[2].split()} == {
        one.pid for one in old_door.haproxies()
    }
    since = old_door.now()
    assert ask(old_door, "/_mlb_signal/hup") == (200, "text/plain", "Sent SIGHUP signal to marathon-lb")
    old_door.wait_for("fetched", since, asked="everything")


def test_without_a_controller_they_say_so(old_door):
    old_door.tree()
    old_door.controller().kill()
    seen = until(lambda: next((found for found in [ask(old_door, "/_haproxy_getpids")] if found[0] == 503), None))
    assert "fastlb does not answer" in seen[2]
    until(lambda: ask(old_door, "/_haproxy_getpids")[0] == 200, said=old_door.log)
