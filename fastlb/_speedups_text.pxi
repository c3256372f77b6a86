"""Texts and numbers where they lie in memory, the buffer they are written to, and what all parts take from C."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.pyport cimport PY_SSIZE_T_MAX
from cpython.unicode cimport PyUnicode_1BYTE_DATA, PyUnicode_AsUTF8AndSize, PyUnicode_New
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

cdef extern from "Python.h":
    bint PyLong_CheckExact(object value) noexcept
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) noexcept
    bint PyUnicode_CheckExact(object value) noexcept
    bint PyUnicode_IS_COMPACT_ASCII(object value) noexcept

cdef enum:
    LONGEST_NUMBER = 20  # characters of -(2**63)
    FIRST_ROOM = 512  # bytes

cdef struct Text:  # borrowed: it lives as long as what it was seen in
    const char *data
    Py_ssize_t size

cdef struct Number:
    char digits[LONGEST_NUMBER]
    Text text

cdef struct Buffer:
    char *data
    Py_ssize_t size
    Py_ssize_t room

cdef char CLEAN[256]
for _code in range(256):
    CLEAN[_code] = _code if _code < 128 and (chr(_code).isalnum() or _code == c"-") else c"_"


cdef inline bint _see(value, Text *text) noexcept:
    """See an ASCII text; False for anything else."""
    if not PyUnicode_CheckExact(value) or not PyUnicode_IS_COMPACT_ASCII(value):
        return False
    text.data = <const char *>PyUnicode_1BYTE_DATA(value)
    text.size = len(<str>value)
    return True


cdef bint _see_number(value, Number *number) noexcept:
    """See the decimal digits of a number of 64 bits; False for anything else."""
    cdef int overflow = 0
    if not PyLong_CheckExact(value):
        return False
    cdef long long seen = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow:
        return False
    _print(seen, number)
    return True


cdef void _print(long long amount, Number *number) noexcept:
    cdef unsigned long long rest = amount
    cdef char *at = number.digits + LONGEST_NUMBER
    if amount < 0:
        rest = 0 - rest
    while True:
        at -= 1
        at[0] = c"0" + <char>(rest % 10)
        rest //= 10
        if rest == 0:
            break
    if amount < 0:
        at -= 1
        at[0] = c"-"
    number.text.data = at
    number.text.size = number.digits + LONGEST_NUMBER - at


cdef int _see_utf8(value, Text *text) except -1:
    """See the UTF-8 of any text. Raises what ``value.encode()`` raises."""
    if not isinstance(value, str):
        raise AttributeError(f"{type(value).__name__!r} object has no attribute 'encode'")
    text.data = PyUnicode_AsUTF8AndSize(value, &text.size)
    return 0


cdef inline bint _same(Text one, Text other) noexcept:
    return one.size == other.size and memcmp(one.data, other.data, one.size) == 0


cdef inline char *_put(char *at, Text text) noexcept:
    cdef Py_ssize_t size = text.size
    if 16 <= size <= 32:  # most texts: two moves that overlap, and no call
        memcpy(at, text.data, 16)
        memcpy(at + size - 16, text.data + size - 16, 16)
    elif size:  # of nothing, either place may be nowhere
        memcpy(at, text.data, size)
    return at + size


cdef inline char *_put_clean(char *at, Text text) noexcept:
    cdef Py_ssize_t i
    for i in range(text.size):
        at[i] = CLEAN[<unsigned char>text.data[i]]
    return at + text.size


cdef inline char *_put_path(char *at, Text app_id) noexcept:
    """Put all but the first character of an app's id, with underscores for slashes."""
    cdef Py_ssize_t i
    for i in range(1, app_id.size):
        at[i - 1] = c"_" if app_id.data[i] == c"/" else app_id.data[i]
    return at + app_id.size - 1


cdef inline int _append(Buffer *out, Text text) except -1:
    if out.size + text.size > out.room:
        _make_room(out, text.size)
    _put(out.data + out.size, text)
    out.size += text.size
    return 0


cdef int _make_room(Buffer *out, Py_ssize_t size) except -1:
    """Double at least, so that a byte is moved once on average."""
    cdef Py_ssize_t room = max(out.size + size, 2 * out.room, FIRST_ROOM)
    cdef char *data = <char *>PyMem_Realloc(out.data, room)
    if data is NULL:
        raise MemoryError
    out.data = data
    out.room = room
    return 0


cdef str _text_of(Buffer *out):
    cdef str text = PyUnicode_New(out.size, 127)
    if out.size:
        memcpy(PyUnicode_1BYTE_DATA(text), out.data, out.size)
    return text


cpdef str clean(text):
    cdef Text seen
    cdef str cleaned
    if not isinstance(text, str):
        raise TypeError(f"a text is cleaned, not {type(text).__name__}")
    if not _see(text, &seen):
        return "".join([chr(CLEAN[<int>c]) if c < 128 else "_" for c in <str>text])
    cleaned = PyUnicode_New(seen.size, 127)
    _put_clean(<char *>PyUnicode_1BYTE_DATA(cleaned), seen)
    return cleaned
