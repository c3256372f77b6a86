"""The event stream, cut into events."""

cdef class EventCutter:
    cdef readonly Py_ssize_t oversized
    cdef readonly bytearray _line
    cdef Py_ssize_t _max_event_bytes
    cdef Py_ssize_t _held_bytes
    cdef bint _after_cr
    cdef bint _too_big
    cdef str _name
    cdef list _data

    def __cinit__(self):
        self._line = bytearray()
        self._begin_event()

    def __init__(self, max_event_bytes):
        self._max_event_bytes = max(-1, min(max_event_bytes, PY_SSIZE_T_MAX))

    def cut(self, data):
        if not isinstance(data, bytes):
            raise TypeError(f"bytes are cut into events, not {type(data).__name__}")
        if not data:
            return []
        cdef list events = []
        cdef const char *at = <bytes>data
        cdef const char *end = at + len(<bytes>data)
        cdef const char *lf = at - 1
        cdef const char *cr = at - 1
        at += self._after_cr and at[0] == c"\n"
        self._after_cr = end[-1] == c"\r"
        while at < end:
            lf = _find(c"\n", lf, at, end)
            cr = _find(c"\r", cr, at, end)
            stop = min(lf, cr)
            self._take_line([at, stop - at], stop < end, events)
            at = stop + (2 if stop + 1 == lf else 1)
        return events

    cdef int _take_line(self, Text text, bint is_whole, list events) except -1:
        """Take a line, or as much of one as there is. Only what the next piece goes on with is copied."""
        if not is_whole or self._line:
            self._line += text.data[:text.size]
            text = [self._line, len(self._line)]
        if self._held_bytes + text.size > self._max_event_bytes:
            self._too_big = True
            self._data.clear()
        if not is_whole:
            if self._too_big:
                del self._line[1:]
        elif text.size == 0:
            self._end_event(events)
        elif not self._too_big:
            self._take_field(text)
        if is_whole and self._line:
            self._line.clear()
        return 0

    cdef int _take_field(self, Text line) except -1:
        cdef const char *end = line.data + line.size
        cdef const char *colon = _find(c":", line.data - 1, line.data, end)
        cdef const char *value = min(colon + 1, end)
        value += value < end and value[0] == c" "
        if _same([line.data, colon - line.data], [b"data", 4]):
            self._data.append(value[:end - value])
            self._held_bytes += line.size
        elif _same([line.data, colon - line.data], [b"event", 5]):
            self._name = value[:end - value].decode("utf-8", "replace")
        return 0

    cdef int _end_event(self, list events) except -1:
        self.oversized += self._too_big
        if self._data:
            events.append((self._name, b"\n".join(self._data)))
        self._begin_event()
        return 0

    cdef int _begin_event(self) except -1:
        self._name = ""
        self._data = []
        self._held_bytes = 0
        self._too_big = False
        return 0


cdef inline const char *_find(char wanted, const char *last, const char *at, const char *end) noexcept:
    """Return where it is next, or the end; where it was found last is still right as long as that lies ahead."""
    if last >= at:
        return last
    last = <const char *>memchr(at, wanted, end - at)
    return end if last is NULL else last
