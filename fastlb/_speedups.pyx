# cython: language_level=3, embedsignature=False
"""The hot path, compiled: what is done once per service, per server, per map entry and per event.

Same functions, results and errors as the readable twin ``_native.py``, which documents them; a property test feeds
both the same input. Builtin types only, no imports of fastlb, no I/O.

What is called most has two ways. The plain way sees ASCII texts and small numbers where they lie and writes into one
growing buffer, without an object per server. It runs no Python code, so nothing that it looks at can change
meanwhile; of what it does not know it makes None, and has changed nothing. Then the general way does it as the twin
would. Indexes stay checked everywhere: a wrong argument has to raise, and never to read memory that is not there.
"""

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
    ID_MODULUS = 32767
    ID_BYTES = 4096  # a bit for each id
    COOKIE_DIGITS = 10
    LONGEST_NUMBER = 20  # characters of -(2**63)
    FIRST_ROOM = 512  # bytes

# --- texts, and the buffer they are written to ---

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


cdef inline char *_put(char *at, Text text) noexcept:
    memcpy(at, text.data, text.size)
    return at + text.size


cdef inline char *_put_clean(char *at, Text text) noexcept:
    cdef Py_ssize_t i
    for i in range(text.size):
        at[i] = CLEAN[<unsigned char>text.data[i]]
    return at + text.size


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


# --- templates ---

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


# --- digests ---

cdef extern from *:
    """
    #include <stdint.h>

    static inline uint32_t turn_left(uint32_t x, int bits) { return x << bits | x >> (32 - bits); }
    static inline uint32_t turn(uint32_t x, int bits) { return x >> bits | x << (32 - bits); }
    static inline uint32_t big_endian(const unsigned char *at) {
        return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }

    /* FIPS 180-4, 6.1.2. Unrolled, the letters change places at no cost. */
    static void sha1_block(uint32_t *state, const unsigned char *block) {
        uint32_t w[16], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
        #pragma GCC unroll 80
        for (int i = 0; i < 80; i++) {
            w[i & 15] = i < 16 ? big_endian(block + 4 * i)
                : turn_left(w[(i + 13) & 15] ^ w[(i + 8) & 15] ^ w[(i + 2) & 15] ^ w[i & 15], 1);
            uint32_t mixed = i < 20 ? (d ^ (b & (c ^ d))) + 0x5a827999 : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                           : i < 60 ? ((b & c) | (d & (b | c))) + 0x8f1bbcdc : (b ^ c ^ d) + 0xca62c1d6;
            uint32_t next = turn_left(a, 5) + mixed + e + w[i & 15];
            e = d, d = c, c = turn_left(b, 30), b = a, a = next;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
    }

    static const uint32_t SHA256_ROUND[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

    /* FIPS 180-4, 6.2.2 */
    static void sha256_block(uint32_t *state, const unsigned char *block) {
        uint32_t w[16], a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
        for (int i = 0; i < 16; i++) w[i] = big_endian(block + 4 * i);
        for (const uint32_t *k = SHA256_ROUND; k < SHA256_ROUND + 64; k += 16) {
            #pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                h += (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (g ^ (e & (f ^ g))) + k[i] + w[i];
                uint32_t fifth = d + h, next = h + (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) | (c & (a | b)));
                h = g, g = f, f = e, e = fifth, d = c, c = b, b = a, a = next;
                uint32_t x = w[(i + 1) & 15], y = w[(i + 14) & 15];
                w[i] += w[(i + 9) & 15] + (turn(x, 7) ^ turn(x, 18) ^ x >> 3) + (turn(y, 17) ^ turn(y, 19) ^ y >> 10);
            }
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d;
        state[4] += e, state[5] += f, state[6] += g, state[7] += h;
    }
    """
    void sha1_block(uint32_t *state, const unsigned char *block) noexcept nogil
    void sha256_block(uint32_t *state, const unsigned char *block) noexcept nogil

ctypedef void (*BlockFunction)(uint32_t *, const unsigned char *) noexcept nogil

cdef struct Digest:
    BlockFunction take_block
    uint32_t state[8]
    uint64_t length  # bytes taken so far
    unsigned char block[64]

cdef const unsigned char *PADDING = b"\x80" + 63 * b"\0"


cdef inline void _take(Digest *digest, const char *data, Py_ssize_t size) noexcept:
    cdef Py_ssize_t held = <Py_ssize_t>(digest.length & 63)
    digest.length += <uint64_t>size
    while held + size >= 64:
        memcpy(digest.block + held, data, 64 - held)
        digest.take_block(digest.state, digest.block)
        data += 64 - held
        size -= 64 - held
        held = 0
    memcpy(digest.block + held, data, size)


cdef Digest _sha1(Text text) noexcept:
    cdef Digest digest
    digest.take_block = sha1_block
    digest.state[:] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0, 0, 0, 0]
    digest.length = 0
    _take(&digest, text.data, text.size)
    return digest


cdef Digest _sha256(Text text) noexcept:
    cdef Digest digest
    digest.take_block = sha256_block
    digest.state[:] = [
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
    ]
    digest.length = 0
    _take(&digest, text.data, text.size)
    return digest


cdef void _finish(Digest digest, uint32_t *words) noexcept:
    """Write the digest as words; the caller's own can take more."""
    cdef uint64_t bits = digest.length * 8
    cdef unsigned char length[8]
    cdef int i
    for i in range(8):
        length[i] = <unsigned char>(bits >> (56 - 8 * i))
    _take(&digest, <const char *>PADDING, 1 + <Py_ssize_t>((55 - digest.length) & 63))
    _take(&digest, <const char *>length, 8)
    memcpy(words, digest.state, 32)


cdef void _print_hex(const uint32_t *words, int digits, char *out) noexcept:
    cdef int i
    for i in range(digits):
        out[i] = b"0123456789abcdef"[(words[i // 8] >> (28 - 4 * (i % 8))) & 15]


# --- servers ---

cpdef str server_name(host, address, port):
    cdef Text hosts[2]
    cdef Number number
    cdef str name
    if not _see(host, &hosts[0]) or not _see(address, &hosts[1]) or not _see_number(port, &number):
        return clean(f"{address}_{port}" if host == address else f"{host}_{address}_{port}")
    name = PyUnicode_New(_name_size(hosts[0], hosts[1], number.text), 127)
    _put_name(<char *>PyUnicode_1BYTE_DATA(name), hosts[0], hosts[1], number.text)
    return name


cdef inline bint _same(Text one, Text other) noexcept:
    return one.size == other.size and memcmp(one.data, other.data, one.size) == 0


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


# --- maps ---

def map_text(pairs):
    cdef str lines = _map_text_plain(pairs) if type(pairs) in (tuple, list) else None
    if lines is None:
        lines = "".join([f"{key} {backend}\n" for key, backend in pairs])
    return lines


cdef str _map_text_plain(pairs):
    cdef Buffer out = [NULL, 0, 0]
    cdef Text key, backend
    cdef char *at
    try:
        for pair in pairs:
            if not isinstance(pair, tuple) or len(<tuple>pair) != 2:
                return None
            if not _see((<tuple>pair)[0], &key) or not _see((<tuple>pair)[1], &backend):
                return None
            if out.size + key.size + backend.size + 2 > out.room:
                _make_room(&out, key.size + backend.size + 2)
            at = _put(out.data + out.size, key)
            at[0] = c" "
            at = _put(at + 1, backend)
            at[0] = c"\n"
            out.size = at + 1 - out.data
        return _text_of(&out)
    finally:
        PyMem_Free(out.data)


def entry_hash(key, value):
    cdef uint64_t halves[2]
    _hash_entry(key, value, halves)
    return <object>halves[0] << 64 | halves[1]


def table_hash(pairs):
    cdef uint64_t halves[2]
    cdef uint64_t high = 0, low = 0
    for key, value in pairs:
        _hash_entry(key, value, halves)
        low += halves[1]
        high += halves[0] + (low < halves[1])
    return <object>high << 64 | low


cdef int _hash_entry(key, value, uint64_t *halves) except -1:
    cdef Text texts[2]
    cdef unsigned char length[8]
    cdef uint32_t words[8]
    cdef int i
    _see_utf8(key, &texts[0])
    _see_utf8(value, &texts[1])
    for i in range(8):
        length[i] = <unsigned char>(texts[0].size >> (56 - 8 * i))
    cdef Digest digest = _sha256([<const char *>length, 8])
    _take(&digest, texts[0].data, texts[0].size)
    _take(&digest, texts[1].data, texts[1].size)
    _finish(digest, words)
    halves[0] = <uint64_t>words[0] << 32 | words[1]
    halves[1] = <uint64_t>words[2] << 32 | words[3]
    return 0


# --- the event stream ---

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
