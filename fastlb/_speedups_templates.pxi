"""Compiled templates, filled in."""

cpdef str fill(program, values):
    cdef str filled = None
    cdef list out
    if type(program) is tuple and type(values) is dict:
        filled = _fill_plain(<tuple>program, <dict>values)
    if filled is None:
        out = []
        for part in program:
            out.append(part if isinstance(part, str) else _value(part, values))
        filled = "".join(out)
    return filled


cdef str _fill_plain(tuple program, dict values):
    cdef Buffer out = [NULL, 0, 0]
    cdef Text text
    cdef Number number
    try:
        for part in program:
            if _see(part, &text):
                _append(&out, text)
                continue
            if type(part) is not tuple or len(<tuple>part) != 1 or type((<tuple>part)[0]) is not str:
                return None
            value = values.get((<tuple>part)[0])
            if _see(value, &text):
                _append(&out, text)
            elif _see_number(value, &number):
                _append(&out, number.text)
            else:
                return None
        return _text_of(&out)
    finally:
        PyMem_Free(out.data)


cdef str _value(part, values):
    value = values[part[0]]
    if len(part) == 1:
        return value if isinstance(value, str) else format(value, "")
    _, keys, conversion, spec = part
    for key in keys:
        value = value[key]
    if conversion == "r":
        value = repr(value)
    elif conversion == "a":
        value = ascii(value)
    elif conversion == "s":
        value = str(value)
    return format(value, spec)
