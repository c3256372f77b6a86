"""HAProxy's table of servers, read; what is no table is none."""

from __future__ import annotations

import pytest

from fastlb.admin.server_states import count_servers, read_servers

TABLE = """\
# pxname,svname,qcur,scur,status,lastchg,check_status,-,addr,
web_1,127_0_0_2_31000,1,7,UP,60,L7OK,,127.0.0.2:31000,
web_1,127_0_0_3_31000,,,MAINT,,,,,
"""


def test_servers_are_read_by_the_names_of_the_columns():
    first, second = read_servers(TABLE)
    assert (first.backend, first.name, first.status, first.check) == ("web_1", "127_0_0_2_31000", "UP", "L7OK")
    assert (first.address, first.sessions, first.queued, first.for_s) == ("127.0.0.2:31000", 7, 1, 60)
    assert (second.status, second.sessions, second.address) == ("MAINT", 0, "")


@pytest.mark.parametrize("reply", ["", "\n", "Can't find backend.\n\n", "# pxname,svname\n\n", "a,b\nc\n"])
def test_what_is_no_table_has_no_servers(reply):
    assert list(read_servers(reply)) == []


STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight
3 web 1 up 127.0.0.1 2 0 1 1 7
3 web 2 ill 127.0.0.1 0 0 1 1 7
3 web 3 forced 127.0.0.1 0 1 1 1 7
3 web 4 draining 127.0.0.1 2 8 1 1 7
3 web 5 disabled-in-the-file-once 127.0.0.1 2 4 1 1 7
4 pay 1 up 127.0.0.1 2 0 1 1 7
"""


def test_all_servers_are_counted_by_what_becomes_of_requests():
    assert count_servers(STATE) == {"web": (2, 2, 1), "pay": (1, 0, 0)}


@pytest.mark.parametrize("said", ["", "1\n", "Unknown command.\n", "3 web 1 up\n", "a b c d e f g h i\n"])
def test_what_is_no_state_of_servers_counts_nobody(said):
    assert count_servers(said) == {}
