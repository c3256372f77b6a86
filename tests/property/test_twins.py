"""The compiled hot path does what its readable twin does: same results, same errors, whatever it is given."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlb import _native
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


names = st.sampled_from(["backend", "healthCheck", "port", "serverName", "serverId", "host_ipv4", "unknown"])
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
servers = st.lists(mostly(st.tuples(addresses, addresses, st.integers(0, 65535), st.booleans())), max_size=5)
health = st.lists(mostly(texts), min_size=1, max_size=5)

ARGUMENTS = {
    "clean": (mostly(texts),),
    "fill": (mostly(programs), mostly(values)),
    "server_name": (mostly(addresses), mostly(addresses), mostly(ints)),
    "cookie": (mostly(texts),),
    "server_id": (mostly(texts), mostly(st.sets(st.integers(0, 32767), max_size=4))),
    "server_values": (mostly(servers), st.booleans() | junk, mostly(health)),
    "server_lines": (mostly(programs), mostly(servers), st.booleans() | junk, mostly(health)),
    "map_text": (mostly(st.lists(mostly(st.tuples(texts, texts)), max_size=5)),),
}


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


def test_an_empty_placeholder_raises(kernel_twin):
    with pytest.raises(IndexError):
        kernel_twin.fill(((),), {})


def test_a_port_with_too_many_digits_to_print_raises(kernel_twin):
    with pytest.raises(ValueError, match="digits"):
        kernel_twin.server_name("a", "b", 10**5000)
