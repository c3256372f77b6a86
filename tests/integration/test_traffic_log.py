"""With ``--haproxy-log stdout`` the traffic is on standard output, and what HAProxy says at reloads is not."""

from __future__ import annotations

import pytest

from tests.fakes.front_door import app, until

pytestmark = pytest.mark.haproxy

STDOUT = ("--haproxy-log", "stdout", "--syslog-socket", "/nowhere")
"""Without a syslog socket fastlb would make one, at which all HAProxies of the machine are heard."""


def test_requests_are_there_and_nothing_about_proxies_and_servers(door, own_cluster):
    own_cluster.load([app(f"web{number}", 24000 + number, checks=True) for number in range(20)])
    door.start(own_cluster.url, *STDOUT, "--log-level", "INFO")
    until(lambda: door.status("web0.test") == 200, 60, said=door.log)
    own_cluster.create_app(app("late", 24100))
    until(lambda: door.status("late.test") == 200, 60, said=door.log)
    own_cluster.scale("/web0", 1)
    until(lambda: door.lines("live: "), 60, said=door.log)
    until(lambda: door.lines("Connect from 127.0.0.1:"), said=door.log)
    assert door.lines("fastlb.rollout: reload: ")
    assert not [line for line in door.lines("Proxy ") if "stopped" in line]
    assert not door.lines("Server ")


def test_haproxy_serves_on_when_nobody_takes_its_log(door, own_cluster):
    own_cluster.load([app("web", 24000)])
    door.start(own_cluster.url, *STDOUT)
    until(lambda: door.status("web.test") == 200, 60, said=door.log)
    door.tree()
    door.process.kill()
    door.process.wait()
    assert {door.status("web.test") for _ in range(50)} == {200}
    door.process, asked = None, len(door.lines("Connect from"))
    door.start(own_cluster.url, *STDOUT)
    until(lambda: door.status("web.test") == 200 and len(door.lines("Connect from")) > asked, 60, said=door.log)
