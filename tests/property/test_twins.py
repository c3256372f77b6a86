"""The compiled hot path does what its readable twin does: same results, same errors, whatever it is given."""

from __future__ import annotations

import copy
import hashlib
import random
from typing import Any

import pytest
from hypothesis import HealthCheck as Health
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlb import _native, kernel
from fastlb.model import HealthCheck, Server, Service, ServiceOptions, Task
from fastlb.templates import compile_placeholders

texts = st.text(st.characters(), max_size=12)  # surrogates included
ints = st.integers() | st.sampled_from([0, -1, 2**31, 2**63, -(2**64), 10**4000])
atoms = st.none() | st.booleans() | ints | st.floats() | texts | st.binary(max_size=4)
hashables = st.none() | st.booleans() | st.integers() | texts
junk = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(hashables, inner, max_size=4),
        st.sets(hashables, max_size=4),
    ),
    max_leaves=8,
)


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw what the function is made for twice as often as anything else."""
    return st.one_of(good, good, junk)


OFFERED = ["host", "host_ipv4", "port", "serverName", "serverId", "cookieOptions", "healthCheckOptions", "otherOptions"]
names = st.sampled_from([*OFFERED, "backend", "healthCheck", "unknown"])
specs = st.sampled_from(["", ">8", "05d", "x", ",", "s", "!"]) | st.text(max_size=2)
keys = st.lists(st.sampled_from([0, 1, "path", "port"]) | hashables, max_size=2).map(tuple)
parts = st.one_of(
    texts,
    st.tuples(names),
    st.tuples(names, keys, st.sampled_from([None, "r", "a", "s"]), specs),
    st.lists(junk, max_size=5).map(tuple),
)
programs = st.lists(mostly(parts), max_size=5).map(tuple)
values = st.dictionaries(names, mostly(texts | ints), max_size=7)
addresses = st.from_regex(r"127\.0\.[0-3]\.[0-9]", fullmatch=True)
hosts = st.one_of(addresses, st.from_regex(r"[a-z0-9.-]{1,90}\.example", fullmatch=True), texts)
octets = st.sampled_from(["0", "1", "9", "10", "99", "249", "250", "255", "256", "00", "01", "1000", "", "x"])
ipv4 = st.lists(octets, min_size=3, max_size=5).map(".".join) | st.ip_addresses(v=4).map(str) | texts
tasks = st.lists(mostly(ipv4.map(lambda host: Task("task.1", host, None, (), None, None))), max_size=5)
plain_servers = st.tuples(hosts, addresses, st.integers(0, 65535) | ints, st.booleans())
servers = st.lists(mostly(plain_servers), max_size=5)
health = st.lists(mostly(texts), min_size=1, max_size=5)
counts = st.integers(0, 3)
pairs = st.lists(mostly(st.tuples(texts, texts)), max_size=5)
# What `fastlb.fragments` gives in truth: little of it would be left if all parts could be junk.
plain_programs = st.lists(st.sampled_from(OFFERED).map(lambda name: (name,)) | st.text("ab {é"), max_size=9).map(tuple)
plain_health = st.just([""]) | st.lists(st.text("ab é"), min_size=5, max_size=5)
# What `fastlb.fragments` gives: programs over values by place, and services.
places = st.integers(0, 6) | st.sampled_from([-1, 7, 2**70])
parts_by_place = st.one_of(texts, st.tuples(places), st.tuples(places), st.tuples(places, keys, st.none(), specs))
programs_by_place = st.lists(mostly(st.lists(mostly(parts_by_place), max_size=5).map(tuple)), max_size=4)
values_by_place = st.lists(mostly(texts | ints), min_size=7, max_size=7).map(tuple)
labels = (
    st.none() | st.sampled_from(["", "/p", "A.x,b.example", "a.example", "10.0.0.0/8  127.0.0.1", " ", "é"]) | texts
)
option_values = {field: mostly(labels) for field in ServiceOptions._fields if field != "templates"}
options = st.fixed_dictionaries({"templates": st.dictionaries(texts, texts, max_size=1)}, optional=option_values)
members = st.fixed_dictionaries(
    {name: mostly(st.integers(0, 400)) for name in _native.CHECK_NUMBERS[1:]},
    optional={"path": mostly(labels), _native.CHECK_NUMBERS[0]: mostly(st.integers(0, 400))},
)
checks = st.builds(HealthCheck, mostly(members), mostly(labels), mostly(st.none() | ints), mostly(ints))
services = st.builds(
    Service,
    app_id=mostly(st.sampled_from(["/a", "/dir/App.x-y"]) | texts),
    port_index=st.just(0),
    port=mostly(ints),
    backend=mostly(texts),
    mode=mostly(st.sampled_from(["http", "tcp"])),
    groups=st.just(()),
    options=options.map(lambda values: ServiceOptions(**values)),
    health_check=mostly(st.none() | checks),
    servers=mostly(st.lists(plain_servers.map(lambda server: Server(*server)), max_size=2)),
    indexed_ports=mostly(st.none() | st.lists(ints, max_size=2)),
)

cuttable = st.lists(st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b'"a"', b":", b"\n", b"\xff", b"{" * 300]))
cuttable_bytes = cuttable.map(lambda pieces: b"{" + b"".join(pieces))

ARGUMENTS = {
    "object_end": (mostly(cuttable_bytes | cuttable_bytes.map(bytearray)), mostly(st.integers(-1, 5))),
    "clean": (mostly(texts),),
    "fill": (mostly(programs), mostly(values)),
    "server_name": (mostly(addresses), mostly(addresses), mostly(ints)),
    "cookie": (mostly(texts),),
    "server_id": (mostly(texts), mostly(st.sets(st.integers(0, 32767), max_size=4))),
    "server_values": (mostly(servers), st.booleans() | junk, mostly(health)),
    "server_lines": (mostly(programs), mostly(servers), st.booleans() | junk, mostly(health)),
    "map_text": (mostly(pairs),),
    "entry_hash": (mostly(texts), mostly(texts)),
    "table_hash": (mostly(pairs),),
    "enter": (mostly(pairs), st.dictionaries(st.tuples(texts, texts), counts), st.dictionaries(texts, counts)),
    "is_ipv4": (mostly(ipv4),),
    "host_names": (mostly(tasks),),
    "fill_each": (mostly(programs_by_place), mostly(values_by_place)),
    "outline": (services,),
    "service_values": (services,),
    "check_values": (services,),
}
OF_ANOTHER_ROOM = {"read_app", "services_of", "plain_services", "plain_part"}
"""What has its general way in the room that asks for it: `test_cold_model` and `test_shortcuts` feed these."""


def outcome(function: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Call with copies of the arguments; return the result with the arguments as they are then, or the error's type."""
    copies = copy.deepcopy(arguments)
    try:
        result = function(*copies)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other twin has to raise the same
        return (type(error),)
    return type(result), repr(result), repr(copies)  # as texts, since NaN equals nothing


@pytest.mark.parametrize("name", ARGUMENTS)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_both_twins_do_the_same(compiled, name, data):
    arguments = data.draw(st.tuples(*ARGUMENTS[name]))
    assert outcome(getattr(compiled, name), arguments) == outcome(getattr(_native, name), arguments)


@settings(max_examples=300, deadline=None)
@given(plain_programs, st.lists(plain_servers, max_size=5), st.booleans(), plain_health)
def test_both_twins_write_the_same_servers(compiled, program, many, sticky, options):
    arguments = (program, many, sticky, options)
    assert outcome(compiled.server_lines, arguments) == outcome(_native.server_lines, arguments)


def test_both_twins_have_one_surface_and_the_kernel_offers_all_of_it(compiled):
    public = {name for name, each in vars(_native).items() if getattr(each, "__module__", "") == _native.__name__}
    public = {name for name in public if not name.startswith("_")}
    assert public == {*ARGUMENTS, *OF_ANOTHER_ROOM, "EventCutter"}
    assert public == {name for name in vars(compiled) if not name.startswith("_")}
    assert public <= set(vars(kernel))


stream_bytes = st.lists(st.sampled_from([b"data", b"event", b":", b" ", b"\xc3", b"x" * 20, b"\n", b"\r", b"\r\n"]))
pieces = st.lists(mostly(stream_bytes.map(b"".join)), max_size=8)


def cut(twin, bound, pieces):
    cutter = twin.EventCutter(bound)
    return [outcome(cutter.cut, (piece,)) for piece in pieces], cutter.oversized, cutter._line


@settings(max_examples=600, deadline=None)
@given(bound=st.sampled_from([-1, 0, 10, 25, 10_000, 10**30]), pieces=pieces)
def test_both_twins_cut_the_same_events(compiled, bound, pieces):
    assert cut(compiled, bound, pieces) == cut(_native, bound, pieces)


def test_digests_are_right_whatever_the_length_of_the_name(kernel_twin):
    for length in range(200):
        check_digests(kernel_twin, "x" * length)


def check_digests(twin, name):
    assert twin.cookie(name) == hashlib.sha1(name.encode()).hexdigest()[:10]
    assert twin.server_id(name, set()) == int(hashlib.sha256(name.encode()).hexdigest(), 16) % 32767
    wanted = hashlib.sha256(len(name).to_bytes(8, "big") + name.encode() + b"value").hexdigest()[:32]
    assert twin.entry_hash(name, "value") == int(wanted, 16)


@pytest.fixture(params=[False, True], ids=["plain C", "by the processor"])
def digests(request, compiled):
    """Have digests computed in one of the ways; skips where the processor has no instructions for them."""
    used = compiled._use_processor(request.param)
    try:
        if used is not request.param:
            pytest.skip("this processor has no instructions for SHA-1 and SHA-256")
        yield compiled
    finally:
        compiled._use_processor(True)


@settings(max_examples=300, deadline=None, suppress_health_check=[Health.function_scoped_fixture])
@given(st.text(max_size=200), st.text(max_size=200))
def test_digests_are_those_of_hashlib_in_each_way(digests, name, value):
    assert digests.cookie(name) == _native.cookie(name)
    assert digests.server_id(name, {7}) == _native.server_id(name, {7})
    assert digests.entry_hash(name, value) == _native.entry_hash(name, value)


def test_digests_of_every_length_are_those_of_hashlib_in_each_way(digests):
    for length in range(300):
        check_digests(digests, random.Random(length).randbytes(length).hex()[:length])


def test_a_table_has_one_hash_in_any_order_and_it_follows_changes(kernel_twin):
    table = [(f"svc-{number}.example", f"svc_{number}") for number in range(100)]
    whole = kernel_twin.table_hash(table)
    assert kernel_twin.table_hash(random.Random(1).sample(table, len(table))) == whole
    followed = whole - kernel_twin.entry_hash(*table[7]) + kernel_twin.entry_hash("new.example", "svc_7")
    assert kernel_twin.table_hash([*table[:7], ("new.example", "svc_7"), *table[8:]]) == followed % 2**128 != whole


def test_key_and_value_cannot_be_shifted_into_each_other(kernel_twin):
    assert kernel_twin.entry_hash("ab", "c") != kernel_twin.entry_hash("a", "bc")


def test_ids_that_clash_are_resolved_alike(compiled):
    program = compile_placeholders("{serverName} {serverId}{cookieOptions}{healthCheckOptions}{otherOptions}\n")
    many = [("127.0.0.5", "127.0.0.5", port % 300, port % 7 == 0) for port in range(600)]
    options = [f" check port {position}" for position in range(len(many))]
    lines = _native.server_lines(program, many, True, options)
    assert compiled.server_lines(program, many, True, options) == lines
    assert len({line.split()[1] for line in lines.splitlines()}) == len(many)


@pytest.mark.parametrize(("servers", "health"), [([("a", "b", 1, False)] * 3, ["x", "y"]), ([()], ["x"])])
def test_lists_that_are_too_short_raise_instead_of_being_read_beyond_their_end(kernel_twin, servers, health):
    with pytest.raises((IndexError, ValueError)):
        kernel_twin.server_values(servers, False, health)


def test_the_last_id_can_be_had_and_one_more_raises_instead_of_looking_for_ever(kernel_twin):
    taken = set(range(1, 32766))
    assert kernel_twin.server_id("a", taken) == 32766
    with pytest.raises(ValueError, match="32766"):
        kernel_twin.server_id("b", taken)


def test_a_backend_of_all_ids_is_written_and_one_more_server_raises(compiled):
    many = [("a", "a", port, False) for port in range(32767)]
    lines = compiled.server_lines((("serverId",), "\n"), many[1:], False, [""])
    assert sorted(map(int, lines.split())) == list(range(1, 32767))
    with pytest.raises(ValueError, match="32766"):
        compiled.server_lines((("serverId",), "\n"), many, False, [""])


def test_an_empty_placeholder_raises(kernel_twin):
    with pytest.raises(IndexError):
        kernel_twin.fill(((),), {})


def test_a_port_with_too_many_digits_to_print_raises(kernel_twin):
    with pytest.raises(ValueError, match="digits"):
        kernel_twin.server_name("a", "b", 10**5000)
