"""What HAProxy and other load balancers answer: read, or refused with the one error that says so."""

from __future__ import annotations

import orjson

from fastlb.admin import server_states
from fastlb.capabilities import Capabilities
from fastlb.errors import RuntimeApiError
from fastlb.master import read_processes
from fastlb.seen import COLUMNS, drift, for_next_worker, read_map, read_servers
from fastlb.servers import read_backend
from fastlb.zdd.statistics import StatisticsError, read_draining, read_statistics
from tests.fuzz.choices import Choices

WANTED = read_backend("app_10000", "backend app_10000\n  mode http\n", "  server a 127.0.0.1:31000 id 3 check\n")
VERSIONS = [(2, 6, 12), (2, 8, 9), (3, 4, 0)]


def _servers_state(text: str) -> None:
    seen = read_servers(text)
    for servers in seen.values():
        assert all(name == server.name for name, server in servers.items())
    for version in VERSIONS:
        drift(WANTED, seen.get(WANTED.name), Capabilities(version))
    for_next_worker(text, {WANTED.name: WANTED})


def _map(text: str) -> None:
    assert all(key and " " not in key for key, _ in read_map(text))


def _processes(text: str) -> None:
    processes = read_processes(text)
    known = (*processes.workers, *processes.old_workers)
    assert len(processes.not_serving) == len(known) - (processes.serving is not None)


def _statistics(text: str) -> None:
    assert all(0 <= server.port <= 99999 for server in read_statistics(text))


READERS = [
    _servers_state,
    _map,
    _processes,
    _statistics,
    lambda text: read_draining(text.encode()),
    lambda text: list(server_states.read_servers(text)),
    server_states.count_servers,
    lambda text: for_next_worker(text, {WANTED.name: WANTED}),
]
REFUSALS = (RuntimeApiError, StatisticsError)

_HEAD = " ".join(COLUMNS)
_STATE = f"1\n# {_HEAD} x\n3 app_10000 3 a 127.0.0.1 2 0 1 1 5 6 3 4 6 0 0 0 - 31000 - 0 0 - -\n"
_CSV = "# pxname,svname,qcur,qmax,scur,smax,status,type,addr,-\napp,127_0_0_1_31000,0,0,1,2,UP,2,127.0.0.1:31000,\n"
_PROC = """#<PID>          <type>          <reloads>       <uptime>        <version>
77              master          1 [failed: 0]   0d00h01m02s     2.6.12
# workers
79              worker          0               0d00h01m00s     2.6.12
# old workers
78              worker          1               1d00h01m00s     2.6.12
"""
_SERVER = {"backend": "b", "name": "a_80", "address": "a:80", "status": "UP", "sessions": 0, "queued": 0}
_WORKER = {"idle_clients": 1, "servers": [_SERVER]}
_DRAINING = orjson.dumps({"servers": [_SERVER], "old_workers": [_WORKER], "unseen_workers": 0}).decode()
_TEXTS = [_STATE, "0x55 a.example app_10000\n0x56 b x\n", _PROC, _CSV, _DRAINING, _CSV, _STATE, _STATE]
SEEDS = [bytes([number]) + text.encode() for number, text in enumerate(_TEXTS)]


def check(data: bytes) -> None:
    """The first byte says who reads the rest."""
    read = READERS[Choices(data).below(len(READERS))]
    try:
        read(data[1:].decode(errors="replace"))
    except REFUSALS:
        return
