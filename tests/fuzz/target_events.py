"""Bytes of an event stream, cut anywhere: the same events in any pieces and with either twin."""

from __future__ import annotations

import orjson

from fastlb.errors import MarathonAnswerError
from fastlb.events import mark_of
from fastlb.sse import EventDecoder, RawEvent
from tests.fuzz.twins import TWINS

BOUND = 200  # bytes an event may hold here, so that inputs pass it
LONGEST = 1000  # bytes of an input: several events beyond the bound, also cut into single bytes

SEEDS = [
    b'\x05\x01event: event_stream_attached\ndata: {"eventType":"event_stream_attached"}\n\n',
    b'\x03\x00event: status_update_event\r\ndata: {"appId":"/a","taskStatus":"TASK_KILLED","taskId":"t"}\r\n\r\n',
    b'\x09\x00data: {"eventType":"deployment_info","plan":{"version":"v","steps":[{"actions":[{"app":"/a"}]}]}}\n\n',
    b'\x01\x00data: {"eventType":"group_change_success","groupId":"/","version":"v"}\r\r',
    b'\x02\x00data: {"eventType":"instance_changed_event","runSpecId":"/a","condition":"Killed","instanceId":"i"}\n\n',
    b'\x02\x00data: {"eventType":"api_post_event","appDefinition":{"id":"/a"}}\n\n:\n\n\n\n',
]


def check(data: bytes) -> None:
    """The first two bytes say how long the pieces are."""
    stream, lengths = data[2:], [length + 1 for length in data[:2]] or [1]
    whole = _cut(TWINS[0], [stream])
    pieces = []
    at = 0
    while at < len(stream):
        length = lengths[len(pieces) % len(lengths)]
        pieces.append(stream[at : at + length])
        at += length
    for twin in TWINS:
        assert _cut(twin, pieces) == whole
    events, _ = whole
    assert events == [(event.name, event.data) for event in _decoded(pieces)]
    for name, held in events:
        assert len(held) <= BOUND
        _read(name, held)


def _cut(twin, pieces):
    cutter = twin.EventCutter(BOUND)
    return [event for piece in pieces for event in cutter.cut(piece)], cutter.oversized


def _decoded(pieces: list[bytes]) -> list[RawEvent]:
    decoder = EventDecoder(BOUND)
    return [event for piece in pieces for event in decoder.feed(piece)]


def _read(name: str, held: bytes) -> None:
    try:
        mark = mark_of(orjson.loads(held), name)
    except (orjson.JSONDecodeError, MarathonAnswerError):
        return
    assert all(isinstance(each, str) and each for each in (*mark.app_ids, *mark.ending))
