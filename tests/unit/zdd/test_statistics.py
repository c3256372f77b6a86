"""Statistics of HAProxy and answers of fastlb, read; what is neither says so."""

from __future__ import annotations

import pytest

from fastlb.zdd.seen import ServerSeen
from fastlb.zdd.statistics import StatisticsError, read_draining, read_statistics

PAGE = """\
# pxname,svname,qcur,qmax,scur,smax,status,type,addr,-,tomorrow,
stats,FRONTEND,,,1,3,OPEN,0,,,x,
web_1,127_0_0_2_31000,1,2,7,9,UP,2,,,x,
web_1,agent-1_10_0_0_3_8080,,,,,MAINT (via web_1/a),2,,,x,
web_1,slot1,0,0,4,5,DRAIN,2,[::1]:31001,,x,
web_1,nowhere,0,0,4,5,UP,2,,,x,
web_1,BACKEND,0,0,7,9,UP,1,,,x,
"""


def test_servers_are_read_by_the_names_of_columns_whatever_else_there_is():
    assert read_statistics(PAGE) == (
        ServerSeen("web_1", "127_0_0_2", 31000, "UP", 7, 1),
        ServerSeen("web_1", "agent-1_10_0_0_3", 8080, "MAINT (via web_1/a)", 0, 0),
        ServerSeen("web_1", "::1", 31001, "DRAIN", 4, 0),
    )


def test_columns_that_only_newer_releases_have_are_not_needed():
    assert read_statistics("# pxname,svname,qcur,scur,status\nweb_1,h_1,0,2,UP\n")[0] == ServerSeen(
        "web_1", "h", 1, "UP", 2, 0
    )


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("", "no CSV of HAProxy"),
        ("<html>busy</html>", "no CSV of HAProxy"),
        ("# pxname,svname,qcur,status,\n", "no column scur"),
        ("# pxname,svname,\n", "no column status, scur, qcur"),
        ("# pxname,svname,qcur,scur,status,\nweb_1,h_1,0,many,UP,\n", "'many' where a number"),
    ],
)
def test_a_page_that_cannot_be_used_says_why(page, said):
    with pytest.raises(StatisticsError, match=said):
        read_statistics(page)


@pytest.mark.parametrize(
    ("idle", "old"),
    [
        (0, [("MAINT (old worker)", 1), ("MAINT (old worker)", 2)]),
        (1, [("UP", 1), ("UP", 0), ("MAINT (old worker)", 2)]),
    ],
)
def test_old_workers_count_with_what_they_hold_and_while_clients_may_ask_them_again(idle, old):
    row = b'{"backend":"web_1","name":"a","address":"10.0.0.1:80","status":"%s","sessions":%d,"queued":0}'
    rows = b",".join(row % each for each in [(b"UP", 1), (b"UP", 0), (b"DOWN", 0), (b"DOWN", 2), (b"MAINT", 0)])
    worker = b'{"pid":7,"idle_clients":%d,"servers":[%s]}' % (idle, rows)
    answer = b'{"servers":[%s],"old_workers":[%s],"unseen_workers":2}' % (row % (b"UP", 3), worker)
    servers, unseen = read_draining(answer)
    assert [(server.status, server.sessions) for server in servers] == [("UP", 3), *old]
    assert (servers[0].host, servers[0].port, unseen) == ("10.0.0.1", 80, 2)


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b'{"servers":[1],"old_workers":[],"unseen_workers":0}'])
def test_what_is_no_answer_of_fastlb_says_so(answer):
    with pytest.raises(StatisticsError, match="no answer of fastlb"):
        read_draining(answer)
