"""The bytes of an event stream to events, whatever pieces they arrive in.

It must not know what an event means, what JSON is, or where the bytes come from: bytes stay bytes, so a
character cut in two by the network is never seen as two halves. Data flows: pieces -> lines -> fields of
the event being read -> a `RawEvent` at each empty line. The rules are those of text/event-stream as
Marathon uses it (MARATHON.md 5.2).

A line may end with CR LF, LF or CR alone. A line that ends with CR counts as ended at once, and an LF that
arrives as the very next byte is dropped: no event waits for the piece after it.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Bytes one event may hold. Heavy deployment events of old Marathons pass 1 MB (MARATHON.md 5.1).
MAX_EVENT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One event as it came; `name` is empty when the stream gave none."""

    name: str
    data: bytes


class EventDecoder:
    """Collects pieces of a stream and hands out each event as soon as it is complete.

    `oversized` counts the events that were dropped because they held more than `max_event_bytes`; the
    events after them are read as ever. A half event at the end of the stream is forgotten along with the
    decoder.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.oversized = 0
        self._max_event_bytes = max_event_bytes
        self._line = bytearray()
        self._after_cr = False
        self._begin_event()

    def feed(self, data: bytes) -> list[RawEvent]:
        """Take the next piece of the stream, of any size; give the events that it completes, in order."""
        if not data:
            return []
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        events = []
        for piece in data.splitlines(keepends=True):
            text = piece.rstrip(b"\r\n")
            self._extend_line(text)
            if len(text) < len(piece) and (event := self._end_line()):
                events.append(event)
        return events

    def _begin_event(self) -> None:
        self._name = ""
        self._data: list[bytes] = []
        self._held_bytes = 0
        self._too_big = False

    def _extend_line(self, text: bytes) -> None:
        self._line += text
        if self._held_bytes + len(self._line) > self._max_event_bytes:
            self._too_big = True
            self._data.clear()
        if self._too_big:
            # One byte is enough to tell this line from the empty one that ends the event.
            del self._line[1:]

    def _end_line(self) -> RawEvent | None:
        """One line is complete: part of the event, or, when it is empty, the end of the event."""
        line = bytes(self._line)
        self._line.clear()
        if not line:
            return self._end_event()
        if not self._too_big:
            self._take_field(line)
        return None

    def _take_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._held_bytes += len(line)
        elif name == b"event":
            self._name = value.decode(errors="replace")
        # The rest is comments, whose name is empty, and fields that Marathon never sends (id, retry).

    def _end_event(self) -> RawEvent | None:
        self.oversized += self._too_big
        # Without data there is nothing to tell: Marathon's heartbeat is an empty line alone.
        event = RawEvent(self._name, b"\n".join(self._data)) if self._data else None
        self._begin_event()
        return event
