# cython: language_level=3, embedsignature=False
"""The hot path, compiled: what is done once per service and once per server.

Same functions, results and errors as the readable twin ``_native.py``, which documents them; a property test feeds
both the same input. Builtin types only, no imports of fastlb, no I/O.

Arguments carry no C types and indexes stay checked: a wrong argument has to raise what it raises in the twin, and
never to read memory that is not there. What makes this fast is the loops.
"""

from hashlib import sha1 as _sha1
from hashlib import sha256 as _sha256

cdef enum:
    ID_MODULUS = 32767
    COOKIE_DIGITS = 10


cpdef str clean(text):
    cdef Py_UCS4 c
    cdef str checked = <str?>text
    if checked is None:
        raise TypeError("clean needs a text")
    for c in checked:
        if not _is_clean(c):
            return "".join([c if _is_clean(c) else u"_" for c in checked])
    return checked


cdef inline bint _is_clean(Py_UCS4 c) noexcept:
    return (c'a' <= c <= c'z') or (c'0' <= c <= c'9') or (c'A' <= c <= c'Z') or c == c'-'


cpdef str fill(program, values):
    cdef list out = []
    for part in program:
        out.append(part if isinstance(part, str) else _value(part, values))
    return "".join(out)


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


cpdef str server_name(host, address, port):
    if host == address:
        return clean(f"{address}_{port}")
    return clean(f"{host}_{address}_{port}")


cpdef str cookie(name):
    return (<str>_sha1(name.encode(), usedforsecurity=False).hexdigest())[:COOKIE_DIGITS]


cpdef int server_id(name, taken) except -1:
    cdef int number
    while True:
        digest = _sha256(name.encode())
        number = _remainder(digest.digest())
        if number != 0 and number not in taken:
            taken.add(number)
            return number
        name = f"{name} {digest.hexdigest()}"


cdef inline int _remainder(bytes digest) noexcept:
    """The digest as a big-endian integer, modulo ID_MODULUS."""
    cdef const unsigned char *data = digest
    cdef unsigned int rest = 0
    cdef Py_ssize_t i
    for i in range(len(digest)):
        rest = (rest * 256 + data[i]) % ID_MODULUS
    return rest


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
    return "".join([fill(program, values) for values in server_values(servers, sticky, health)])


def map_text(pairs):
    return "".join([f"{key} {backend}\n" for key, backend in pairs])
