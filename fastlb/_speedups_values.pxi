"""Values of fastlb.model made without a call of Python's, and the checks of what they are made from.

What the plain ways of the next parts do not know raises `_Odd`; it never gets out of them.
"""

from fastlb import model as _model

cdef object APP = _model.App
cdef object HEALTH_CHECK = _model.HealthCheck
cdef object TASK = _model.Task

cdef extern from *:
    """
    /* What `tuple.__new__(type, items)` does, items being a tuple or a list. From 3.14 on tuples hold their hash, which
       is for Python alone to begin. */
    static PyObject *make_value(PyObject *type, PyObject *items) {
    #if PY_VERSION_HEX < 0x030e0000
        Py_ssize_t size = PySequence_Fast_GET_SIZE(items);
        PyObject *made = ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, size);
        for (Py_ssize_t i = 0; made && i < size; i++)
            PyTuple_SET_ITEM(made, i, Py_NewRef(PySequence_Fast_GET_ITEM(items, i)));
    #else
        PyObject *arguments = PyTuple_Pack(1, items);
        PyObject *made = arguments ? PyTuple_Type.tp_new((PyTypeObject *)type, arguments, NULL) : NULL;
        Py_XDECREF(arguments);
    #endif
        return made;
    }
    """
    object make_value(object type, object items)

cdef enum:
    FIRST_PRINTABLE = 0x20
    FIRST_IN_WORD = 0x21  # below are blanks and control characters
    DELETE = 0x7f
    LONGEST_LABEL = 65536  # `fastlb.labels.MAX_CHARACTERS`, and of the path of a health check
    LONGEST_WORD = 1024  # `fastlb.reading.MAX_WORD_CHARACTERS`

cdef uint64_t ONES = 0x0101010101010101  # a one in each byte
cdef uint64_t TOPS = 0x8080808080808080


class _Odd(Exception):
    pass


cdef bint _has_below(Text text, uint64_t limit) noexcept:
    """Whether an ASCII text has a character below ``limit``, which is at most 128; eight are looked at together."""
    cdef const char *at = text.data
    cdef const char *end = text.data + text.size
    cdef uint64_t eight
    while end - at >= 8:
        memcpy(&eight, at, 8)
        if (eight - ONES * limit) & ~eight & TOPS:
            return True
        at += 8
    while at < end:
        if <unsigned char>at[0] < limit:
            return True
        at += 1
    return False


cdef inline bint _is_word(value) noexcept:
    """Whether it is an ASCII text without blanks and control characters."""
    cdef Text text
    if not _see(value, &text) or text.size > LONGEST_WORD or _has_below(text, FIRST_IN_WORD):
        return False
    return memchr(text.data, DELETE, text.size) is NULL


cdef inline bint _is_printable(Text text) noexcept:
    return not _has_below(text, FIRST_PRINTABLE) and memchr(text.data, DELETE, text.size) is NULL
