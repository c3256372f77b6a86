from __future__ import annotations

import pytest

from fastlb.sse import EventDecoder, RawEvent


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_is_understood(end):
    text = end.join([b"event: a", b"data: 1", b"", b"event: b", b"data: 2", b"", b""])
    assert EventDecoder().feed(text) == [RawEvent("a", b"1"), RawEvent("b", b"2")]


def test_a_cr_and_its_lf_in_two_pieces_are_one_line_end():
    decoder = EventDecoder()
    assert decoder.feed(b"data: 1\r") == []
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"data: 2\r") == []
    assert decoder.feed(b"\n\r") == [RawEvent("", b"1\n2")]
    assert decoder.feed(b"\n") == []


def test_an_event_is_handed_out_without_waiting_for_the_lf_after_its_last_cr():
    assert EventDecoder().feed(b"data: 1\r\n\r") == [RawEvent("", b"1")]


def test_an_empty_piece_between_cr_and_lf_changes_nothing():
    decoder = EventDecoder()
    assert [event for piece in (b"data: 1\r", b"", b"\ndata: 2\n\n") for event in decoder.feed(piece)] == [
        RawEvent("", b"1\n2")
    ]


def test_a_heartbeat_dispatches_nothing():
    decoder = EventDecoder()
    assert [decoder.feed(piece) for piece in (b"\r\n", b"\r", b"\n", b"\n\n")] == [[], [], [], []]


def test_an_event_without_data_is_forgotten_with_its_name():
    assert EventDecoder().feed(b"event: a\n\ndata: 1\n\n") == [RawEvent("", b"1")]


def test_a_character_cut_in_two_stays_whole():
    decoder = EventDecoder()
    assert decoder.feed(b"event: caf\xc3") + decoder.feed(b"\xa9\ndata: \xe2\x82") == []
    assert decoder.feed(b"\xac\n\n") == [RawEvent("caf\u00e9", "\u20ac".encode())]


def test_data_lines_are_joined_with_lf():
    assert EventDecoder().feed(b"data: {\ndata:\ndata:  }\n\n") == [RawEvent("", b"{\n\n }")]


def test_comments_and_unknown_fields_are_skipped():
    text = b": hello\nid: 7\nretry: 5\nnonsense\ndata: 1\n:\n\n"
    assert EventDecoder().feed(text) == [RawEvent("", b"1")]


def test_only_one_blank_after_the_colon_is_dropped():
    assert EventDecoder().feed(b"data:1\n\ndata:  2\n\n") == [RawEvent("", b"1"), RawEvent("", b" 2")]


def test_a_name_that_is_no_utf8_does_not_end_the_stream():
    assert EventDecoder().feed(b"event: \xff\ndata: 1\n\n") == [RawEvent("\ufffd", b"1")]


@pytest.mark.parametrize(
    "big",
    [
        b"data: 0123456789\n\n",
        b"data: 01\ndata: 23\ndata: 45\n\n",
        b"data:\n" * 20 + b"\n",
        b"event: 0123456789\ndata: 1\n\n",
        b"data: 1\n: a comment of some length\n\n",
    ],
)
@pytest.mark.parametrize("piece_bytes", [1, 1000])
def test_an_event_over_the_bound_is_dropped_and_counted_and_the_next_one_is_read(big, piece_bytes):
    decoder = EventDecoder(max_event_bytes=12)
    stream = b"data: 1\n\n" + big + b"data: 2\n\n"
    pieces = [stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes)]
    events = [event for piece in pieces for event in decoder.feed(piece)]
    assert [event.data for event in events] == [b"1", b"2"]
    assert decoder.oversized == 1


def test_comments_alone_never_add_up_to_an_oversized_event():
    decoder = EventDecoder(max_event_bytes=12)
    assert decoder.feed(b": ping\n" * 50 + b"data: 1\n\n") == [RawEvent("", b"1")]
    assert decoder.oversized == 0


def test_what_is_kept_of_a_line_without_end_is_bounded():
    decoder = EventDecoder(max_event_bytes=100)
    for _ in range(100):
        decoder.feed(b"x" * 1000)
    assert len(decoder._line) <= 100
