"""The tasks of an app paired with its service ports, and servers in server order; `fastlb.services` says what is what."""

from libc.stdlib cimport qsort

cdef object SERVER = _model.Server
cdef Py_ssize_t HOST_PLACE = _model.Task._fields.index("host")

cdef struct Place:  # of one server among others; borrowed, as texts are
    Text host
    Text address
    long long port
    Py_ssize_t task
    void *server


cpdef bint is_ipv4(text) except -1:
    cdef Text seen
    if not isinstance(text, str):
        raise TypeError(f"a text is looked at, not {type(text).__name__}")
    return _see(text, &seen) and _sees_ipv4(seen)


cdef bint _sees_ipv4(Text text) noexcept:
    cdef const char *end = text.data + text.size
    cdef const char *at = text.data
    cdef const char *start
    cdef int number, octet
    for octet in range(4):
        if octet > 0:
            if at == end or at[0] != c".":
                return False
            at += 1
        start = at
        number = 0
        while at < end and at - start < 3 and c"0" <= at[0] <= c"9":
            number = 10 * number + (at[0] - c"0")
            at += 1
        if at == start or number > 255 or (start[0] == c"0" and at - start > 1):
            return False
    return at == end


def host_names(tasks):
    cdef set names = set()
    for task in tasks:
        host = (<tuple>task)[HOST_PLACE] if type(task) is TASK else task.host
        if host and not is_ipv4(host):
            names.add(host)
    return names


cdef dict _servers(tuple app, tuple service_ports, bint filters, surroundings, frozenset skipped_states):
    """Return the servers by service port, in server order."""
    _, _, mode, _, _, definition_ports, container_ports, discovery_ports, checks, _, _, tasks, _ = app
    known_alive = surroundings.known_alive if filters and checks else None
    addresses = surroundings.addresses
    cdef bint is_bridge = mode == "container/bridge"
    cdef bint has_own_ports = is_bridge or mode == "host"
    cdef bint has_address = mode == "container"
    cdef dict servers = {}
    fallback = definition_ports if has_own_ports else discovery_ports
    if not fallback and mode != "host":
        fallback = container_ports
    for each in <tuple?>tasks:
        if type(each) is not TASK:
            raise _Odd
        task_id, host, state, ports, address, alive, draining = <tuple>each
        if not host or state in skipped_states:
            continue
        if known_alive is not None and not (task_id in known_alive if alive is None else alive):
            continue
        if not has_address:
            address = host if is_ipv4(host) else addresses.get(host)
        if address is not None:
            ports = ports if has_own_ports and ports else fallback
            _serve(servers, host, address, <tuple?>ports, draining, service_ports)
    return {port: _in_server_order(found) for port, found in servers.items()}


cdef int _serve(dict servers, host, address, tuple ports, draining, tuple service_ports) except -1:
    """Add a server for each pair of a port of the task and a service port."""
    cdef Py_ssize_t position
    for position in range(min(len(ports), len(service_ports))):
        found = servers.get(service_ports[position])
        if found is None:
            found = servers[service_ports[position]] = []
        (<list>found).append(make_value(SERVER, (host, address, ports[position], draining)))
    return 0


cdef tuple _in_server_order(list servers):
    cdef Py_ssize_t task, count = len(servers)
    if count == 1:
        return (servers[0],)
    cdef Place *places = <Place *>PyMem_Malloc(count * sizeof(Place))
    try:
        if places is NULL:
            raise MemoryError
        for task in range(count):
            _see_place(<tuple>servers[task], &places[task])
            places[task].task = task
        qsort(places, count, sizeof(Place), _compare)
        return tuple([<object>places[task].server for task in range(count)])
    finally:
        PyMem_Free(places)


cdef int _see_place(tuple server, Place *place) except -1:
    cdef int overflow = 0
    port = server[2]
    if not _see(server[0], &place.host) or not _see(server[1], &place.address) or not PyLong_CheckExact(port):
        raise _Odd
    place.port = PyLong_AsLongLongAndOverflow(port, &overflow)
    if overflow:
        raise _Odd
    place.server = <void *>server
    return 0


cdef int _compare(const void *one, const void *other) noexcept nogil:
    """By host as a text, port, address as a text and task: no two are alike."""
    cdef const Place *a = <const Place *>one
    cdef const Place *b = <const Place *>other
    cdef int order = _compare_texts(a.host, b.host)
    if order == 0:
        order = (a.port > b.port) - (a.port < b.port)
    if order == 0:
        order = _compare_texts(a.address, b.address)
    return order if order != 0 else (a.task > b.task) - (a.task < b.task)


cdef int _compare_texts(Text a, Text b) noexcept nogil:
    cdef int order = memcmp(a.data, b.data, min(a.size, b.size))
    return order if order != 0 else (a.size > b.size) - (a.size < b.size)
