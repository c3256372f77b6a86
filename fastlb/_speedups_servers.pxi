"""The names, ids and cookies of servers, and the lines of a whole backend."""

cdef enum:
    ID_MODULUS = 32767
    ID_BYTES = 4096  # a bit for each id
    COOKIE_DIGITS = 10


cpdef str server_name(host, address, port):
    cdef Text hosts[2]
    cdef Number number
    cdef str name
    if not _see(host, &hosts[0]) or not _see(address, &hosts[1]) or not _see_number(port, &number):
        return clean(f"{address}_{port}" if host == address else f"{host}_{address}_{port}")
    name = PyUnicode_New(_name_size(hosts[0], hosts[1], number.text), 127)
    _put_name(<char *>PyUnicode_1BYTE_DATA(name), hosts[0], hosts[1], number.text)
    return name


cdef inline Py_ssize_t _name_size(Text host, Text address, Text port) noexcept:
    return (0 if _same(host, address) else host.size + 1) + address.size + 1 + port.size


cdef inline void _put_name(char *at, Text host, Text address, Text port) noexcept:
    if not _same(host, address):
        at = _put_clean(at, host)
        at[0] = c"_"
        at += 1
    at = _put_clean(at, address)
    at[0] = c"_"
    _put(at + 1, port)


cpdef str cookie(name):
    cdef Text seen
    cdef char digits[COOKIE_DIGITS]
    _see_utf8(name, &seen)
    _print_cookie(seen, digits)
    return digits[:COOKIE_DIGITS].decode("ascii")


cdef void _print_cookie(Text name, char *digits) noexcept:
    cdef uint32_t words[8]
    _finish(_sha1(name), words)
    _print_hex(words, COOKIE_DIGITS, digits)


cpdef int server_id(name, taken) except -1:
    cdef Text seen
    cdef uint32_t words[8]
    cdef int number
    _see_utf8(name, &seen)
    cdef Digest digest = _sha256(seen)
    if len(taken) >= ID_MODULUS - 1:
        raise ValueError(f"no backend can have more than {ID_MODULUS - 1} server ids")
    while True:
        number = _id_of(&digest, words)
        if number != 0 and number not in taken:
            taken.add(number)
            return number
        _lengthen(&digest, words)


cdef inline int _id_of(const Digest *digest, uint32_t *words) noexcept:
    cdef uint64_t total = 0
    cdef int i
    _finish(digest[0], words)
    for i in range(8):
        total += <uint64_t>words[i] << (2 * (7 - i))  # modulo ID_MODULUS, 2**32 is 2**2
    return <int>(total % ID_MODULUS)


cdef void _lengthen(Digest *digest, const uint32_t *words) noexcept:
    """Add a blank and its 64 digits to the name whose id cannot be had."""
    cdef char added[65]
    added[0] = c" "
    _print_hex(words, 64, added + 1)
    _take(digest, added, 65)


def server_values(servers, bint sticky, health):
    cdef set taken = set()
    cdef list every = []
    cdef Py_ssize_t position = 0
    cdef str name
    for host, address, port, draining in servers:
        name = server_name(host, address, port)
        every.append({
            "host": host,
            "host_ipv4": address,
            "port": port,
            "serverName": name,
            "serverId": server_id(name, taken),
            "cookieOptions": f" check cookie {cookie(name)}" if sticky else "",
            "healthCheckOptions": health[0] if len(health) == 1 else health[position],
            "otherOptions": " disabled" if draining else "",
        })
        position += 1
    return every


def server_lines(program, servers, bint sticky, health):
    cdef str lines = None
    if type(program) is tuple and type(servers) in (tuple, list) and type(health) in (tuple, list):
        lines = _server_lines_plain(<tuple>program, tuple(servers), sticky, tuple(health))
    if lines is None:
        lines = "".join([fill(program, values) for values in server_values(servers, sticky, health)])
    return lines


cdef enum Field:
    HOST, ADDRESS, PORT, NAME, ID, COOKIE, HEALTH, OTHER, FIELDS

cdef Text FIELD_NAMES[FIELDS]
FIELD_NAMES[:] = [
    [b"host", 4], [b"host_ipv4", 9], [b"port", 4], [b"serverName", 10], [b"serverId", 8], [b"cookieOptions", 13],
    [b"healthCheckOptions", 18], [b"otherOptions", 12],
]

cdef enum:
    COOKIE_LEAD = 14  # characters of the next line
cdef const char *CHECK_COOKIE = b" check cookie "

cdef struct Part:
    const Text *text  # its own literal, or a value of the server whose line is written
    Text literal

cdef struct Server:  # the one whose line is written
    Text values[FIELDS]
    Buffer name
    Number port
    Number id
    char cookie[COOKIE_LEAD + COOKIE_DIGITS]
    unsigned char taken[ID_BYTES]


cdef str _server_lines_plain(tuple program, tuple servers, bint sticky, tuple health):
    cdef Buffer out = [NULL, 0, 0]
    cdef Server server
    cdef Py_ssize_t i, position = 0
    if len(servers) >= ID_MODULUS or len(health) != 1 and len(health) < len(servers):
        return None
    cdef Part *parts = <Part *>PyMem_Malloc((len(program) + 1) * sizeof(Part))
    server.name = out
    memset(server.taken, 0, ID_BYTES)
    try:
        if parts is NULL:
            raise MemoryError
        if not _see_program(program, parts, &server):
            return None
        for each in servers:
            if not isinstance(each, tuple) or not _see_server(<tuple>each, sticky, &server):
                return None
            if not _see(health[position if len(health) > 1 else 0], &server.values[<int>HEALTH]):
                return None
            for i in range(len(program)):
                _append(&out, parts[i].text[0])
            position += 1
        return _text_of(&out)
    finally:
        PyMem_Free(parts)
        PyMem_Free(server.name.data)
        PyMem_Free(out.data)


cdef bint _see_program(tuple program, Part *parts, Server *server) noexcept:
    """Make every part point to its text; False if there is a part of another kind than a text or a known name."""
    cdef Text name
    cdef int field
    for part in program:
        parts.text = &parts.literal
        if not _see(part, &parts.literal):
            if not isinstance(part, tuple) or len(<tuple>part) != 1 or not _see((<tuple>part)[0], &name):
                return False
            field = _field(name)
            if field == <int>FIELDS:
                return False
            parts.text = &server.values[field]
        parts += 1
    return True


cdef int _field(Text name) noexcept:
    """Return which field is called so; FIELDS if none is."""
    cdef int field = 0
    while field < <int>FIELDS and not _same(name, FIELD_NAMES[field]):
        field += 1
    return field


cdef int _see_server(tuple server, bint sticky, Server *seen) except -1:
    """Fill in the values of a server and claim its id; 0 if it is not of the usual form."""
    cdef Text *values = seen.values
    cdef Py_ssize_t size
    if len(server) != 4 or not _see(server[0], &values[<int>HOST]) or not _see(server[1], &values[<int>ADDRESS]):
        return 0
    if not _see_number(server[2], &seen.port) or type(server[3]) is not bool:
        return 0
    values[<int>PORT] = seen.port.text
    size = _name_size(values[<int>HOST], values[<int>ADDRESS], values[<int>PORT])
    if size > seen.name.room:
        _make_room(&seen.name, size)
    _put_name(seen.name.data, values[<int>HOST], values[<int>ADDRESS], values[<int>PORT])
    values[<int>NAME] = [seen.name.data, size]
    _print(_claim(values[<int>NAME], seen.taken), &seen.id)
    values[<int>ID] = seen.id.text
    values[<int>COOKIE] = [seen.cookie, 0]
    if sticky:
        memcpy(seen.cookie, CHECK_COOKIE, COOKIE_LEAD)
        _print_cookie(values[<int>NAME], seen.cookie + COOKIE_LEAD)
        values[<int>COOKIE].size = COOKIE_LEAD + COOKIE_DIGITS
    values[<int>OTHER] = [b" disabled", 9 if server[3] else 0]
    return 1


cdef int _claim(Text name, unsigned char *taken) noexcept:
    cdef uint32_t words[8]
    cdef Digest digest = _sha256(name)
    cdef int number = _id_of(&digest, words)
    while number == 0 or taken[number >> 3] >> (number & 7) & 1:
        _lengthen(&digest, words)
        number = _id_of(&digest, words)
    taken[number >> 3] |= 1 << (number & 7)
    return number
