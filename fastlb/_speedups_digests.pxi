"""SHA-1 and SHA-256: cookies, server ids and table hashes are made of them; the C is in a header of its own."""

cdef extern from "_speedups_digests.h":
    bint has_sha_instructions() noexcept
    void sha1_block(uint32_t *state, const unsigned char *block) noexcept nogil
    void sha256_block(uint32_t *state, const unsigned char *block) noexcept nogil
    void sha1_block_by_processor(uint32_t *state, const unsigned char *block) noexcept nogil
    void sha256_block_by_processor(uint32_t *state, const unsigned char *block) noexcept nogil

ctypedef void (*BlockFunction)(uint32_t *, const unsigned char *) noexcept nogil

cdef BlockFunction take_sha1_block, take_sha256_block


def _use_processor(bint wanted):
    """Have digests computed by instructions of the processor, if there are any, or in plain C; return which it is."""
    global take_sha1_block, take_sha256_block
    cdef bint used = wanted and has_sha_instructions()
    take_sha1_block = sha1_block_by_processor if used else sha1_block
    take_sha256_block = sha256_block_by_processor if used else sha256_block
    return used


_use_processor(True)

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
    digest.take_block = take_sha1_block
    digest.state[:] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0, 0, 0, 0]
    digest.length = 0
    _take(&digest, text.data, text.size)
    return digest


cdef Digest _sha256(Text text) noexcept:
    cdef Digest digest
    digest.take_block = take_sha256_block
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
