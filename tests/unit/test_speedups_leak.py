"""The compiled hot path gives back every object it takes, also when it fails half-way."""

from __future__ import annotations

import contextlib
import gc
import sys
import tracemalloc
from itertools import pairwise

import pytest

from fastlb.labels import LABELS
from fastlb.model import Rules
from fastlb.reading import read_app
from fastlb.render import KINDS
from fastlb.services import SKIPPED_STATES, Surroundings
from fastlb.templates import compile_placeholders
from tests.fakes.apps import CHECK, app, desired, renderer_of, task

CALLS = 300
ROUNDS = 5
SERVERS = [(f"host-{n}.example", f"10.0.0.{n}", 31000 + n, n == 3) for n in range(8)]
LINE = compile_placeholders("  server {serverName} {host_ipv4}:{port:05d} id {serverId!r}{cookieOptions}\n")

LABELLED = {f"HAPROXY_0_{name}": "1" for name in LABELS if name != "AUTH"}
DOCUMENT = app(
    labels=LABELLED,
    healthChecks=[{"protocol": "HTTP", "portIndex": 0, "command": {"value": None}, "list": [1]}],
    tasks=[task(number, f"127.0.0.{number % 3}", healthCheckResults=[{"alive": True}]) for number in range(6)],
)
ODD_DOCUMENT = {**DOCUMENT, "tasks": [*DOCUMENT["tasks"], {"id": "a b"}]}
APP = read_app(DOCUMENT)
SURROUNDINGS = (Rules(("external",)), APP.service_ports, Surroundings(), LABELS, SKIPPED_STATES)
CHECKED = app(labels={"HAPROXY_0_VHOST": "a.example"}, healthChecks=[CHECK])
(SERVICE,) = desired([CHECKED]).services
RENDERER = renderer_of("--haproxy-map")
RENDERER.part((SERVICE,))
RENDERER.part((SERVICE._replace(mode="tcp"), SERVICE))
PLAIN = RENDERER._writer.plain


def fail(*_: object) -> None:
    raise ValueError


ARGUMENTS = {
    "clean": ("host.name_é",),
    "cookie": ("a_b_1",),
    "fill": (LINE, {"serverName": "x", "host_ipv4": "y", "port": 70000, "serverId": 40000, "cookieOptions": "z"}),
    "map_text": ([("a.example", "a_10000"), ("b.example", "b_10001")],),
    "server_lines": (LINE, SERVERS, True, [" check"]),
    "server_name": ("host", "10.0.0.1", 31000),
    "server_values": (SERVERS, True, [" check"]),
    "entry_hash": ("a.example", "a_10000"),
    "table_hash": ([("a.example", "a_10000"), ("é.example", "b_10001")],),
    "enter": (
        [("a.example", "a_10000"), ("b.example", "b_10001")] * 2,
        {("a.example", "a_10000"): 1},
        {"a.example": 1},
    ),
    "is_ipv4": ("127.0.0.1",),
    "host_names": ((*APP.tasks, APP.tasks[0]._replace(host="agent")),),
    "object_end": (b'{"a":[{"b":"\\\\"}]}', 0),
    "read_app": (DOCUMENT, fail),
    "services_of": (APP, *SURROUNDINGS, fail),
    "plain_services": (APP, Rules(("external",)), Surroundings(), LABELS, SKIPPED_STATES),
    "plain_part": ((SERVICE, SERVICE._replace(mode="http")), PLAIN, KINDS),
    "fill_each": ((("a", (0,)), ((1,), (2,))), ("x" * 600, 70000, "y")),
    "outline": (SERVICE,),
    "service_values": (SERVICE,),
    "check_values": (SERVICE,),
}
PLAIN_RULES = (Rules(("external",)), Surroundings(), LABELS, SKIPPED_STATES)
PLAIN_LINE = compile_placeholders("  server {serverName} id {serverId}{cookieOptions}\n")
MORE = [
    ("server_lines", (PLAIN_LINE, SERVERS, True, [" check"])),
    ("server_lines", (PLAIN_LINE, [*SERVERS[:3], ("a", "b", 1)], True, [" check"])),
    ("server_lines", (PLAIN_LINE, SERVERS[:3], True, ["a", "b", "é"])),
    ("services_of", (APP._replace(tasks=(*APP.tasks, APP.tasks[0]._replace(host="é"))), *SURROUNDINGS, fail)),
    ("services_of", (APP._replace(labels={**LABELLED, "HAPROXY_0_PORT": "x"}), *SURROUNDINGS, fail)),
    ("plain_services", (APP._replace(labels={"HAPROXY_DEPLOYMENT_GROUP": "x"}), *PLAIN_RULES)),
    ("plain_services", (APP._replace(tasks=(*APP.tasks, None)), *PLAIN_RULES)),
    ("plain_part", ((SERVICE, SERVICE._replace(mode="x")), PLAIN, KINDS)),
    ("plain_part", ((SERVICE, SERVICE._replace(servers=())), PLAIN, KINDS)),
    ("fill", (PLAIN_LINE, {"serverName": "x", "serverId": 1, "cookieOptions": None})),
    ("fill_each", ((("a", (0,)), ((1,), "b")), ("x", None))),
    ("outline", (SERVICE._replace(options=SERVICE.options._replace(vhost="é")),)),
    ("service_values", (SERVICE._replace(options=SERVICE.options._replace(vhost="a,b", networks_allowed="1 2")),)),
    ("service_values", (SERVICE._replace(app_id="/é"),)),
]
WRONG = {
    "clean": (b"x",),
    "cookie": ("\ud800",),
    "fill": ((("port", (), None, "%%%"),), {"port": 1}),
    "map_text": ([("a", "b"), ("c",)],),
    "server_lines": ((("nothing",),), SERVERS, True, [" check"]),
    "server_values": (SERVERS, True, ["a", "b", "c"]),
    "table_hash": ([("a", "b"), ("c", "\ud800")],),
    "host_names": ([*APP.tasks, None],),
    "fill_each": ((("a", (0,)), ((1,), "b")), ("x",)),
    "check_values": (SERVICE._replace(servers=()),),
    "object_end": ("{}", 0),
    "read_app": (ODD_DOCUMENT, fail),
    "services_of": (APP, Rules(("external",)), None, Surroundings(), LABELS, SKIPPED_STATES, fail),
}


@pytest.mark.parametrize(("name", "arguments"), [*ARGUMENTS.items(), *MORE, *WRONG.items()])
def test_no_memory_block_is_kept(compiled, name, arguments):
    function = getattr(compiled, name)
    counts = []
    for _ in range(ROUNDS):
        for _ in range(CALLS):
            with contextlib.suppress(TypeError, ValueError, KeyError, IndexError, AttributeError):
                function(*arguments)
        gc.collect()
        counts.append(sys.getallocatedblocks())
    growth = [after - before for before, after in pairwise(counts)]
    assert min(growth) < CALLS // 2


def test_claimed_ids_are_given_back_with_their_set(compiled):
    def claim():
        taken = set()
        for number in range(CALLS):
            compiled.server_id(f"name {number}", taken)

    claim()
    gc.collect()
    before = sys.getallocatedblocks()
    claim()
    gc.collect()
    assert sys.getallocatedblocks() - before < CALLS // 2


def test_events_are_given_back_with_their_cutter(compiled):
    def cut():
        cutter = compiled.EventCutter(50)
        for piece in (b"event: a\ndata: 1\n", b"data: 2\n\ndata", b": " + b"x" * 99, b"\n\nevent: b\ndata: 3\r\r"):
            cutter.cut(piece)
        with pytest.raises(TypeError):
            cutter.cut(None)

    cut()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(CALLS):
        cut()
    gc.collect()
    assert sys.getallocatedblocks() - before < CALLS // 2


@pytest.mark.parametrize("last", [("a", "b", 1, False), ("é", "b", 1, False), ("a", "b")])
def test_large_buffers_are_given_back(compiled, last):
    """They are no blocks of Python's, and are counted in bytes."""

    def write():
        with contextlib.suppress(ValueError):
            compiled.server_lines(PLAIN_LINE, [*SERVERS * 50, last], True, [" check"])

    write()
    tracemalloc.start()
    try:
        write()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            write()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < len(SERVERS) * 50 * 20
    finally:
        tracemalloc.stop()
