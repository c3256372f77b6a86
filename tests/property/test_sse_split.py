"""However the network cuts the stream, the events are the same."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from fastlb.sse import EventDecoder

LINES = st.sampled_from(
    [b"", b"", b"event: a", b"data: 1", b"data: caf\xc3\xa9", b"data:", b": comment", b"data", b"id: 4", b"x" * 30]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\r"])
STREAMS = st.lists(st.tuples(LINES, ENDS)).map(lambda lines: b"".join(line + end for line, end in lines))


def decoded(pieces, max_event_bytes):
    decoder = EventDecoder(max_event_bytes)
    return [event for piece in pieces for event in decoder.feed(piece)], decoder.oversized


def cut_at(stream, places):
    borders = [0, *sorted(places), len(stream)]
    return [stream[begin:end] for begin, end in itertools.pairwise(borders)]


@given(stream=STREAMS | st.binary(max_size=60), bound=st.sampled_from([10, 25, 10_000]), draw=st.data())
def test_any_cuts_give_the_same_events_as_one_piece(stream, bound, draw):
    places = draw.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    assert decoded(cut_at(stream, places), bound) == decoded([stream], bound)


@given(stream=STREAMS | st.binary(max_size=60), bound=st.sampled_from([10, 25, 10_000]))
def test_byte_by_byte_gives_the_same_events_as_one_piece(stream, bound):
    single = [stream[at : at + 1] for at in range(len(stream))]
    assert decoded(single, bound) == decoded([stream], bound)


@given(lines=st.lists(LINES))
def test_the_kind_of_line_end_makes_no_difference(lines):
    unix, dos, mac = (b"".join(line + end for line in lines) for end in (b"\n", b"\r\n", b"\r"))
    assert decoded([unix], 10_000) == decoded([dos], 10_000) == decoded([mac], 10_000)
