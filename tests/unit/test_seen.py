"""What HAProxy says that it has, read, and compared with what it should have."""

from __future__ import annotations

import pytest

from fastlb.capabilities import Capabilities
from fastlb.errors import RuntimeApiError
from fastlb.seen import SeenServer, drift, for_next_worker, read_map, read_servers
from fastlb.servers import ServerLine, read_backend

TITLE = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time\n"
NEW = Capabilities((3, 4))
HEAD = "backend b\n  balance roundrobin\n"


def row(
    name: str = "a", address: str = "10.0.0.1", admin: int = 0, port: int = 80, *, up: int = 2, check: int = 0
) -> str:
    return f"3 b 7 {name} {address} {up} {admin} 1 1 9 1 0 2 0 0 0 1 - {port} - 0 {check} - - 0\n"


def server(name: str = "a", **changed) -> SeenServer:
    return SeenServer(name, "10.0.0.1", 80, 7, 1, False, None, True)._replace(**changed)


WANTED = read_backend("b", HEAD, "  server a 10.0.0.1:80 id 7\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (row(), server()),
        (row(admin=1, up=0), server(is_out=True, is_up=False)),
        (row(admin=5, up=0), server(is_out=True, is_up=False)),
        (row(admin=4), server()),
        (row(admin=8), server(is_out=True)),
        (row(admin=0x20, up=0), server(is_up=False)),
        (row(address="::1", check=99), server(address="::1", check_port=99)),
    ],
)
def test_a_server_is_read(line, expected):
    assert read_servers(TITLE + line + "\n") == {"b": {"a": expected}}


@pytest.mark.parametrize("reply", ["", "\n", "Can't find backend.\n", "2\n# x\n", "1\n# be_name\n", f"{TITLE}3 b 7\n"])
def test_another_answer_is_an_error(reply):
    with pytest.raises(RuntimeApiError, match="show servers state"):
        read_servers(reply)


def test_a_row_with_a_word_for_a_number_is_an_error():
    with pytest.raises(RuntimeApiError, match="has a line"):
        read_servers(TITLE + row().replace(" 80 ", " http "))


@pytest.mark.parametrize(
    ("seen", "lines"),
    [
        ([server()], []),
        ([server(is_out=True)], ["set server b/a state ready"]),
        ([server(weight=9)], ["set server b/a weight 1"]),
        ([server(port=81)], ["set server b/a addr 10.0.0.1 port 80"]),
        ([server(is_up=False)], []),
        ([], ["add server b/a 10.0.0.1:80 id 7", "set server b/a state ready"]),
        ([server(), server("x", id=8)], ["set server b/x state maint"]),
    ],
)
def test_drift_is_what_leads_back(seen, lines):
    told = drift(WANTED, {each.name: each for each in seen}, NEW)
    assert told.reasons == ()
    assert [command.line for command in (*told.gains, *told.losses)] == lines


def test_drift_that_no_command_repairs_is_a_reload():
    assert drift(WANTED, None, NEW).reasons == ("HAProxy has no such backend",)
    assert "id 8" in drift(WANTED, {"a": server(id=8)}, NEW).reasons[0]


def test_of_a_backend_that_cannot_be_read_nothing_is_said():
    unfit = read_backend("b", HEAD, "server ?\n")
    assert unfit.unfit
    assert drift(unfit, {"x": server("x")}, NEW).is_nothing
    assert drift(unfit, None, NEW).is_nothing


def test_servers_without_ids_and_with_names_for_addresses_are_taken_as_they_are():
    wanted = read_backend("b", HEAD, "  server a agent.test:80\n")
    assert drift(wanted, {"a": server()}, NEW).is_nothing


def test_what_an_agent_decides_is_no_drift():
    wanted = read_backend("b", HEAD, "  server a 10.0.0.1:80 id 7 agent-check agent-port 9\n")
    assert drift(wanted, {"a": server(weight=50, is_out=True)}, NEW).is_nothing


def test_a_server_that_leaves_is_expected_and_kept_out():
    leaving = {"x": ServerLine("x", "10.0.0.9", 1)}
    seen = {"a": server(), "x": server("x", id=8, is_out=True)}
    assert drift(WANTED, seen, NEW, leaving).is_nothing
    awake = drift(WANTED, {**seen, "x": server("x", id=8)}, NEW, leaving)
    assert [command.line for command in awake.losses] == ["set server b/x state maint"]
    assert awake.leaves == ()
    assert drift(WANTED, {"a": server()}, NEW, leaving).is_nothing


def test_a_map_is_read():
    assert read_map("0x55d a.test one\n0x55e b.test two three\n0x55f c.test \n\n") == [
        ("a.test", "one"),
        ("b.test", "two three"),
        ("c.test", ""),
    ]
    assert read_map("\n") == []


@pytest.mark.parametrize("reply", ["Unknown map identifier. Please use #<id> or <file>.\n", "0x55d\n", "x y z\n"])
def test_another_answer_than_a_map_is_an_error(reply):
    with pytest.raises(RuntimeApiError, match="show map"):
        read_map(reply)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (row(), True),
        (row(up=0), True),
        (row(admin=4), True),
        (row(admin=1), False),
        (row(admin=5), False),
        (row(admin=8), False),
        (row(port=81), False),
        (row(check=5), False),
        (row("unknown", port=81), True),
        (row().replace(" b ", " other "), True),
        ("", True),
    ],
)
def test_the_next_worker_takes_over_health_and_nothing_that_the_file_decides(line, kept):
    assert for_next_worker(TITLE + line, {"b": WANTED}) == TITLE + (line if kept else "")
