"""The bytes of an event stream to events, whatever pieces they arrive in.

It must not know what an event means, what JSON is, or where the bytes come from: bytes stay bytes, so a
character cut in two by the network is never seen as two halves. Data flows: pieces -> lines -> fields of
the event being read -> a `RawEvent` at each empty line, all but the last step in `fastlb.kernel`. The rules are
those of text/event-stream as Marathon uses it (MARATHON.md 5.2).

A line may end with CR LF, LF or CR alone. A line that ends with CR counts as ended at once, and an LF that
arrives as the very next byte is dropped: no event waits for the piece after it.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastlb import kernel

#: Bytes one event may hold. Heavy deployment events of old Marathons pass 1 MB (MARATHON.md 5.1).
MAX_EVENT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One event as it came; `name` is empty when the stream gave none."""

    name: str
    data: bytes


class EventDecoder(kernel.EventCutter):
    """Collects pieces of a stream and hands out each event as soon as it is complete.

    `oversized` counts the events that were dropped because they held more than `max_event_bytes`; the
    events after them are read as ever. A half event at the end of the stream is forgotten along with the
    decoder.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        super().__init__(max_event_bytes)

    def feed(self, data: bytes) -> list[RawEvent]:
        """Take the next piece of the stream, of any size; give the events that it completes, in order."""
        return [RawEvent(name, held) for name, held in self.cut(data)]
