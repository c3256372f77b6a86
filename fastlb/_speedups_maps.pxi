"""The text of a map file, and the hash of a table."""

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


def enter(entries, dict counts not None, dict keys not None):
    cdef list new = []
    cdef Py_ssize_t known
    for entry in entries:
        known = len(counts)
        count = counts.setdefault(entry, 1)
        if len(counts) > known:
            count = 0
        else:
            counts[entry] = count + 1
        if count == 0:
            _count_up(keys, entry[0])
            new.append(entry)
    return table_hash(new)


cdef int _count_up(dict keys, key) except -1:
    cdef Py_ssize_t known = len(keys)
    count = keys.setdefault(key, 1)
    if len(keys) == known:
        keys[key] = count + 1
    return 0


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
