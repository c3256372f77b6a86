"""The labels of an app as options of its services, as far as they are ASCII texts with nothing to say about them.

What they mean is said in `fastlb.labels`. Options that are not complete yet are a list, in the order of ServiceOptions.
"""

cdef object SERVICE_OPTIONS = _model.ServiceOptions
cdef tuple DEFAULTS = (*_model.ServiceOptions(),)
cdef dict PLACES = {option: place for place, option in enumerate(_model.ServiceOptions._fields)}
cdef Py_ssize_t MODE = PLACES["mode"], ENABLED = PLACES["enabled"], RANK = PLACES["rank"], PATH = PLACES["path"]
cdef Py_ssize_t BIND_ADDRESS = PLACES["bind_address"], KNOWN_PORT = PLACES["port"], GROUPS = PLACES["groups"]
cdef Py_ssize_t VHOST = PLACES["vhost"], CHECK_INDEX = PLACES["health_port_index"], TEMPLATES = PLACES["templates"]

cdef enum:
    LABEL_LEAD = 8  # characters of the next line
    LONGEST_INTEGER = 18  # digits that fit into 64 bits, whatever they are
    MOST_LABELS = 4096  # that are remembered; a cluster has some dozens
cdef const char *LABEL_START = b"HAPROXY_"

cdef dict _labels_seen = {}  # what the names of labels say, by those that are known
cdef dict _known_labels = None


cdef list _options_by_index(dict labels, rules, dict known_labels, Py_ssize_t count):
    """Return the options of ``count`` services."""
    cdef list defaults = list(DEFAULTS)
    cdef list every = []
    cdef tuple row
    defaults[ENABLED] = not rules.strict_mode
    defaults[BIND_ADDRESS] = rules.bind_address
    for _ in range(count):
        every.append(list(defaults))
    for label, value in labels.items():
        row = _row_of(label, known_labels)
        if row and value is not None and <Py_ssize_t>row[0] < count:
            _set_option(every[<Py_ssize_t>row[0]], row, value)
    return every


cdef tuple _row_of(label, dict known_labels):
    """Return what a label is about: index, name, place among the options and kind; nothing if it has no index."""
    global _known_labels
    if _known_labels is not known_labels or len(_labels_seen) >= MOST_LABELS:
        _labels_seen.clear()
        _known_labels = known_labels
    row = _labels_seen.get(label)
    if row is None:
        row = _labels_seen[label] = _new_row(label, known_labels)
    return <tuple>row


cdef tuple _new_row(label, dict known_labels):
    cdef Text text
    cdef Py_ssize_t end
    cdef long long index
    if not _see(label, &text):
        raise _Odd
    end = _index_end(text)
    if end == 0 or not _see_integer([text.data + LABEL_LEAD, end - LABEL_LEAD], &index):
        return ()
    name = (<str>label)[end + 1:]
    option, kind = <tuple?>known_labels.get(name, (None, None))
    return index, name, PLACES.get(option), kind


cdef Py_ssize_t _index_end(Text label) noexcept:
    """Return where the index of a label ends; 0 if it has none, or no name after it."""
    cdef Py_ssize_t end = LABEL_LEAD
    if label.size < LABEL_LEAD or memcmp(label.data, LABEL_START, LABEL_LEAD) != 0:
        return 0
    while end < label.size and c"0" <= label.data[end] <= c"9":
        end += 1
    if end == LABEL_LEAD or end + 1 >= label.size or label.data[end] != c"_":
        return 0
    return 0 if label.data[LABEL_LEAD] == c"0" and end > LABEL_LEAD + 1 else end


cdef int _set_option(list options, tuple row, value) except -1:
    cdef dict templates
    if options[TEMPLATES] is DEFAULTS[TEMPLATES]:
        options[TEMPLATES] = {}
    _, name, place, kind = row
    if kind == "template":
        templates = options[TEMPLATES]
        templates[name] = _template(value)
    elif kind is not None:
        options[<Py_ssize_t>place] = _value_of(kind, value)
    return 0


cdef str _template(value):
    if type(value) is not str or len(<str>value) > LONGEST_LABEL:
        raise _Odd
    return (<str>value).replace("\r\n", "\n") if "\r" in <str>value else value


cdef object _value_of(str kind, value):
    cdef Text text
    if not _see(value, &text) or text.size > LONGEST_LABEL or not _is_printable(text):
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
