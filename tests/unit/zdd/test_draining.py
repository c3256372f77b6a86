"""What several load balancers see of tasks, judged."""

from __future__ import annotations

import pytest

from fastlb.zdd.draining import draining, host_names, places_of_tasks
from fastlb.zdd.seen import BalancerSeen, ServerSeen

OLD, NEW = {"old": [("10.0.0.1", 1)]}, {"new": [("10.0.0.2", 2)]}


def server(host: str, port: int, status: str, sessions: int = 0, queued: int = 0) -> ServerSeen:
    return ServerSeen("web_1", host, port, status, sessions, queued)


def balancers(*servers: list[ServerSeen], unseen: int = 0) -> list[BalancerSeen]:
    return [BalancerSeen(f"lb{number}", tuple(each), unseen) for number, each in enumerate(servers, start=1)]


def test_a_task_is_drained_when_every_balancer_has_it_out_and_none_holds_anything():
    out = server("10.0.0.1", 1, "MAINT")
    assert draining(balancers([out], [out]), OLD).drained(OLD) == ("old",)


@pytest.mark.parametrize(
    "other",
    [
        [server("10.0.0.1", 1, "UP")],
        [server("10.0.0.1", 1, "DRAIN")],
        [server("10.0.0.1", 1, "DOWN")],
        [server("10.0.0.1", 1, "MAINT", sessions=1)],
        [server("10.0.0.1", 1, "MAINT", queued=1)],
        [server("10.0.0.1", 1, "MAINT"), server("10.0.0.1", 1, "UP")],
        [],
    ],
)
def test_one_balancer_that_does_not_agree_keeps_a_task(other):
    assert draining(balancers([server("10.0.0.1", 1, "MAINT")], other), OLD).drained(OLD) == ()


def test_workers_that_nobody_can_look_into_keep_every_task():
    verdict = draining(balancers([server("10.0.0.1", 1, "MAINT")], unseen=1), OLD)
    assert (verdict.drained(OLD), verdict.unseen) == ((), ("lb1",))


def test_what_is_held_is_added_up_over_balancers_and_workers():
    out = [server("10.0.0.1", 1, "MAINT", 2, 1), server("10.0.0.1", 1, "MAINT", 4)]
    verdict = draining(balancers(out, out[:1]), OLD)
    assert (verdict.tasks["old"].sessions, verdict.tasks["old"].queued, verdict.held(OLD)) == (8, 2, 10)


def test_a_task_is_ready_when_every_balancer_gives_it_requests():
    up, down = server("10.0.0.2", 2, "UP 1/3"), server("10.0.0.2", 2, "DOWN")
    assert draining(balancers([up], [up]), NEW).ready(NEW) == ("new",)
    assert draining(balancers([up], [down]), NEW).ready(NEW) == ()
    assert draining(balancers([up], []), NEW).ready(NEW) == ()
    assert draining(balancers([server("10.0.0.2", 2, "no check")]), NEW).ready(NEW) == ("new",)


def test_agreement_is_one_state_of_each_task_everywhere():
    up, out = server("10.0.0.1", 1, "UP"), server("10.0.0.1", 1, "MAINT")
    assert draining(balancers([up], [up]), OLD).agreed
    assert not draining(balancers([up], [out]), OLD).agreed
    assert not draining(balancers([up], []), OLD).agreed


def test_a_task_with_several_service_ports_is_out_when_all_of_its_servers_are():
    task = {"old": [("10.0.0.1", 1), ("10.0.0.1", 2)]}
    first, second = server("10.0.0.1", 1, "MAINT"), server("10.0.0.1", 2, "UP")
    assert draining(balancers([first, second]), task).drained(task) == ()
    assert draining(balancers([first, second._replace(status="MAINT")]), task).drained(task) == ("old",)


def definition(**more: object) -> dict[str, object]:
    task = {"id": "t", "host": "agent.test", "state": "TASK_RUNNING", "ports": [31000, 31001]}
    address = {"ipAddresses": [{"ipAddress": "10.9.0.1", "protocol": "IPv4"}]}
    return {"id": "/web-blue", "labels": {}, "tasks": [task | address], **more}


@pytest.mark.parametrize("seen", ["10.0.0.7", "10_0_0_7", "agent_test_10_0_0_7"])
def test_a_task_on_a_host_with_a_name_is_found_by_address_and_by_the_name_of_its_server(seen):
    app = definition(portDefinitions=[{"port": 1}, {"port": 2}])
    assert host_names([app]) == {"agent.test"}
    places = places_of_tasks(app, {"agent.test": "10.0.0.7"})
    assert draining(balancers([server(seen, 31001, "MAINT")]), places).drained(places) == ("t",)


@pytest.mark.parametrize("seen", ["10.9.0.1", "agent_test_10_9_0_1"])
def test_a_task_with_an_address_of_its_own_is_found_at_its_container_port(seen):
    container = {"portMappings": [{"containerPort": 8080, "servicePort": 10001}]}
    app = definition(networks=[{"mode": "container", "name": "net"}], container=container)
    places = places_of_tasks(app, {})
    assert draining(balancers([server(seen, 8080, "MAINT")]), places).drained(places) == ("t",)
    assert draining(balancers([server(seen, 31000, "MAINT")]), places).drained(places) == ()
