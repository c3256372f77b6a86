"""The labels of an app, by service port and as options, as far as they are ASCII texts without anything to say about.

What they mean is said in `fastlb.labels`.
"""

cdef object SERVICE_OPTIONS = _model.ServiceOptions
cdef dict PLACES = {name: place for place, name in enumerate(_model.ServiceOptions._fields)}
cdef Py_ssize_t RANK = PLACES["rank"], TEMPLATES = PLACES["templates"]

cdef enum:
    LABEL_LEAD = 8  # characters of the next line
    LONGEST_INDEX = 9  # digits
    LONGEST_INTEGER = 18  # digits that fit into 64 bits, whatever they are
cdef const char *LABEL_START = b"HAPROXY_"


def labels_by_index(labels, otherwise):
    cdef dict indexed = _by_index(<dict>labels) if type(labels) is dict else None
    return otherwise(labels) if indexed is None else indexed


cdef dict _by_index(dict labels):
    cdef dict indexed = {}
    cdef Text text
    cdef Py_ssize_t end
    cdef long long index
    for label, value in labels.items():
        if not _see(label, &text):
            return None
        end = _index_end(text)
        if end != 0 and value is not None:
            _see_integer([text.data + LABEL_LEAD, end - LABEL_LEAD], &index)
            names = indexed.get(index)
            if names is None:
                names = indexed[index] = {}
            (<dict>names)[(<str>label)[end + 1:]] = value
    return indexed


cdef Py_ssize_t _index_end(Text label) noexcept:
    """Return where the index of a label ends; 0 if it has none, or no name after it."""
    cdef Py_ssize_t end = LABEL_LEAD
    if label.size < LABEL_LEAD or memcmp(label.data, LABEL_START, LABEL_LEAD) != 0:
        return 0
    while end < label.size and c"0" <= label.data[end] <= c"9":
        end += 1
    if end == LABEL_LEAD or end > LABEL_LEAD + LONGEST_INDEX or end + 1 >= label.size or label.data[end] != c"_":
        return 0
    return 0 if label.data[LABEL_LEAD] == c"0" and end > LABEL_LEAD + 1 else end


def options_of(index, labels, defaults, rows, otherwise):
    options = None
    try:
        if type(labels) is dict and type(defaults) is SERVICE_OPTIONS and type(rows) is dict:
            options = _options(<dict>labels, <tuple>defaults, <dict>rows)
    except _Odd:
        pass
    return otherwise(index, labels, defaults) if options is None else options


cdef object _options(dict labels, tuple defaults, dict rows):
    cdef list values = list(defaults)
    cdef dict templates = {}
    cdef bint has_path = False, has_rank = False
    for name, value in labels.items():
        row = rows.get(name)
        if row is None:
            continue
        option, kind = <tuple>row
        if kind == "template":
            templates[name] = _template(value)
            continue
        values[<Py_ssize_t>PLACES[option]] = read = _value_of(kind, value)
        has_path |= option == "path"
        has_rank |= option == "rank" and read != 0
    if has_path and not has_rank:
        values[RANK] = 1
    values[TEMPLATES] = templates
    return make_value(SERVICE_OPTIONS, tuple(values))


cdef str _template(value):
    if type(value) is not str:
        raise _Odd
    return (<str>value).replace("\r\n", "\n") if "\r" in <str>value else value


cdef object _value_of(str kind, value):
    cdef Text text
    if not _see(value, &text) or not _is_printable(text):
        raise _Odd
    if kind == "text":
        return value
    if kind == "lower":
        return (<str>value).lower()
    if kind == "vhost" and not _has_below(text, FIRST_IN_WORD):
        return (<str>value).lower()
    if kind == "bool":
        return (<str>value).lower() in ("true", "t", "yes", "y")
    if kind == "texts":
        return tuple((<str>value).split(","))
    return _integer_of(kind, text)


cdef object _integer_of(str kind, Text text):
    cdef long long number
    if not _see_integer(text, &number) or not (kind == "int" or kind == "port" and number <= 65535):
        raise _Odd
    return number


cdef bint _see_integer(Text text, long long *number) noexcept:
    """See a number written in 1 to 18 digits and nothing else."""
    cdef Py_ssize_t i
    if not 1 <= text.size <= LONGEST_INTEGER:
        return False
    number[0] = 0
    for i in range(text.size):
        if not c"0" <= text.data[i] <= c"9":
            return False
        number[0] = 10 * number[0] + (text.data[i] - c"0")
    return True
