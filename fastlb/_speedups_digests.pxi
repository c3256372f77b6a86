"""SHA-1 and SHA-256 in plain C: cookies, server ids and table hashes are made of them."""

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
