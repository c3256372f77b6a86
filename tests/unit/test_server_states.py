"""HAProxy's table of servers, read; what is no table is none."""

from __future__ import annotations

import pytest

from fastlb.admin.server_states import read_servers

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
