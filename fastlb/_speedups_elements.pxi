"""Where an object ends in a JSON text; what is in it is for whoever reads it."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Check
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check
from cpython.number cimport PyNumber_Index

cdef enum:
    DEEPEST_ELEMENT = 500
    PLAIN = 0
    OPENS = 1
    CLOSES = 2
    QUOTE = 3

cdef char BRACKETS[256]
memset(BRACKETS, PLAIN, sizeof(BRACKETS))
BRACKETS[c"{"] = BRACKETS[c"["] = OPENS
BRACKETS[c"}"] = BRACKETS[c"]"] = CLOSES
BRACKETS[c'"'] = QUOTE


def object_end(data, at):
    cdef const unsigned char *begin
    cdef Py_ssize_t start = max(-1, min(PyNumber_Index(at), PY_SSIZE_T_MAX))
    if PyBytes_Check(data):
        begin = <const unsigned char *>PyBytes_AS_STRING(data)
    elif PyByteArray_Check(data):
        begin = <const unsigned char *>PyByteArray_AS_STRING(data)
    else:
        raise TypeError(f"an object is looked for in bytes, not in {type(data).__name__}")
    cdef Py_ssize_t size = len(data)
    if not 0 <= start < size or begin[start] != c"{":
        return -1
    cdef const unsigned char *end = _object_end(begin + start, begin + size)
    return -1 if end is NULL else end - begin


cdef const unsigned char *_object_end(const unsigned char *at, const unsigned char *end) noexcept:
    cdef int depth = 0
    cdef char kind
    while at < end:
        kind = BRACKETS[at[0]]
        at += 1
        if kind == QUOTE:
            at = _string_end(at, end)
        elif kind == OPENS:
            depth += 1
            if depth > DEEPEST_ELEMENT:
                return NULL
        elif kind == CLOSES:
            depth -= 1
            if depth == 0:
                return at
    return NULL


cdef inline const unsigned char *_string_end(const unsigned char *at, const unsigned char *end) noexcept:
    """Return what follows the string whose first character is at ``at``; the end if it does not end.

    A quotation mark ends it but after an odd number of backslashes. None of these is counted twice.
    """
    cdef const unsigned char *quote
    cdef const unsigned char *first = at
    while True:
        quote = <const unsigned char *>memchr(first, c'"', end - first)
        if quote is NULL:
            return end
        at = quote
        while at > first and at[-1] == c"\\":
            at -= 1
        if (quote - at) % 2 == 0:
            return quote + 1
        first = quote + 1
