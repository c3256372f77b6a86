/* One block of SHA-1 and of SHA-256: in plain C, which runs anywhere, and by instructions of x86 processors that have
   them, which takes a quarter of the time. Other processors are left to plain C. */

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

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#include <cpuid.h>
#include <immintrin.h>

#define BY_PROCESSOR __attribute__((target("sha,sse4.1,ssse3")))

static int has_sha_instructions(void) {
    unsigned a, b, c, d;
    const unsigned both = bit_SSSE3 | bit_SSE4_1;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & both) != both) return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 29 & 1;
}

BY_PROCESSOR static inline __m128i four(const void *at) { return _mm_loadu_si128((const __m128i *)at); }

/* Four rounds at a time; `before` is what the first four letters were before the last four rounds. */
BY_PROCESSOR static void sha1_block_by_processor(uint32_t *state, const unsigned char *block) {
    const __m128i swap = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
    const __m128i first = _mm_shuffle_epi32(four(state), 0x1b), fifth = _mm_set_epi32((int)state[4], 0, 0, 0);
    __m128i letters = first, before = first, w[4];
    #pragma GCC unroll 20
    for (int i = 0; i < 20; i++) {
        w[i & 3] = i < 4 ? _mm_shuffle_epi8(four(block + 16 * i), swap) : _mm_sha1msg2_epu32(
            _mm_xor_si128(_mm_sha1msg1_epu32(w[i & 3], w[(i + 1) & 3]), w[(i + 2) & 3]), w[(i + 3) & 3]);
        __m128i e = i == 0 ? _mm_add_epi32(fifth, w[0]) : _mm_sha1nexte_epu32(before, w[i & 3]);
        before = letters;
        letters = i < 5 ? _mm_sha1rnds4_epu32(letters, e, 0) : i < 10 ? _mm_sha1rnds4_epu32(letters, e, 1)
                : i < 15 ? _mm_sha1rnds4_epu32(letters, e, 2) : _mm_sha1rnds4_epu32(letters, e, 3);
    }
    state[4] = (uint32_t)_mm_extract_epi32(_mm_sha1nexte_epu32(before, fifth), 3);
    _mm_storeu_si128((__m128i *)state, _mm_shuffle_epi32(_mm_add_epi32(letters, first), 0x1b));
}

/* The instructions take the letters as a b e f and c d g h. */
BY_PROCESSOR static void sha256_block_by_processor(uint32_t *state, const unsigned char *block) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i upper = _mm_shuffle_epi32(four(state), 0xb1), lower = _mm_shuffle_epi32(four(state + 4), 0x1b);
    const __m128i first_abef = _mm_alignr_epi8(upper, lower, 8), first_cdgh = _mm_blend_epi16(lower, upper, 0xf0);
    __m128i abef = first_abef, cdgh = first_cdgh, w[4];
    #pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        w[i & 3] = i < 4 ? _mm_shuffle_epi8(four(block + 16 * i), swap) : _mm_sha256msg2_epu32(
            _mm_add_epi32(_mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]),
                          _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4)), w[(i + 3) & 3]);
        __m128i next = _mm_add_epi32(w[i & 3], four(SHA256_ROUND + 4 * i));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, next);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(next, 0x0e));
    }
    upper = _mm_shuffle_epi32(_mm_add_epi32(abef, first_abef), 0x1b);
    lower = _mm_shuffle_epi32(_mm_add_epi32(cdgh, first_cdgh), 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(upper, lower, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(lower, upper, 8));
}

#else

#define sha1_block_by_processor sha1_block
#define sha256_block_by_processor sha256_block

static int has_sha_instructions(void) { return 0; }

#endif
