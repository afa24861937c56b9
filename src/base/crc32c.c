/* SPDX-License-Identifier: MIT */
/*
 * See crc32c.h. All polynomials are reflected: bit 31 is the coefficient of x^0.
 *
 * Tables: eight bytes a step (Kounavis and Berry, "Novel table lookup-based algorithms", 2008).
 * Instruction: three lanes of equal length a, b, c, in blocks of at most LANE_MAX words each. What
 * a lane's sum S becomes after n more words is S * x^(64n) mod P. The product of S and a constant
 * has 63 bits, so it can be added to the last word of lane c, whose own step multiplies by x^32 and
 * takes the modulus; a reflected product is one power of x short: the constant is x^(64n - 33).
 */
#include "base/crc32c.h"

#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/assert.h"

#define POLYNOMIAL UINT32_C(0x82F63B78)

enum { LANE_MAX = 128 };

static uint32_t tables[8][256];
static uint32_t shifts[2 * LANE_MAX + 1]; /* [n]: x^(64n - 33) mod P */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t times_x(uint32_t value, unsigned power)
{
    for (; power > 0; power--)
        value = (value >> 1) ^ (value & 1 ? POLYNOMIAL : 0);
    return value;
}

static void make_tables(void)
{
    for (unsigned byte = 0; byte < 256; byte++)
        tables[0][byte] = times_x(byte, 8);
    for (unsigned step = 1; step < 8; step++)
        for (unsigned byte = 0; byte < 256; byte++) {
            const uint32_t before = tables[step - 1][byte];
            tables[step][byte] = (before >> 8) ^ tables[0][before & 0xFF];
        }
    shifts[1] = 1; /* x^31 */
    for (unsigned words = 2; words <= 2 * LANE_MAX; words++)
        shifts[words] = times_x(shifts[words - 1], 64);
}

static uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return le64toh(word);
}

static uint32_t sum_by_tables(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    crc = ~crc;
    for (; size >= 8; at += 8, size -= 8) {
        const uint64_t word = load_word(at) ^ crc;
        crc = 0;
        for (unsigned byte = 0; byte < 8; byte++)
            crc ^= tables[7 - byte][(word >> (8 * byte)) & 0xFF];
    }
    for (; size > 0; at++, size--)
        crc = (crc >> 8) ^ tables[0][(crc ^ *at) & 0xFF];
    return ~crc;
}

#if defined __x86_64__
#include <immintrin.h>

/* Below this one lane is quicker than to join three. */
enum { LANE_MIN = 6 };

__attribute__((target("sse4.2,pclmul"))) static inline uint64_t shift(uint64_t sum, size_t words)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)sum),
                                                            _mm_cvtsi64_si128(shifts[words]), 0));
}

/* Three lanes of `words` words each. */
__attribute__((target("sse4.2,pclmul"))) static inline uint64_t sum_lanes(uint64_t a,
                                                                          const uint8_t *at,
                                                                          size_t words)
{
    const uint8_t *const to_b = at + words * 8, *const to_c = at + words * 16;
    uint64_t b = 0, c = 0;
    for (size_t i = 0; i + 1 < words; i++) {
        a = _mm_crc32_u64(a, load_word(at + i * 8));
        b = _mm_crc32_u64(b, load_word(to_b + i * 8));
        c = _mm_crc32_u64(c, load_word(to_c + i * 8));
    }
    const size_t last = (words - 1) * 8;
    a = _mm_crc32_u64(a, load_word(at + last));
    b = _mm_crc32_u64(b, load_word(to_b + last));
    return _mm_crc32_u64(c, load_word(to_c + last) ^ shift(a, 2 * words) ^ shift(b, words));
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t sum_by_instruction(uint32_t crc,
                                                                            const void *data,
                                                                            size_t size)
{
    const uint8_t *at = data;
    uint64_t sum = (uint32_t)~crc;
    for (size_t words; (words = size / 24) >= LANE_MIN; at += words * 24, size -= words * 24) {
        words = words < LANE_MAX ? words : LANE_MAX;
        sum = sum_lanes(sum, at, words);
    }
    for (; size >= 8; at += 8, size -= 8)
        sum = _mm_crc32_u64(sum, load_word(at));
    for (; size > 0; at++, size--)
        sum = _mm_crc32_u8((uint32_t)sum, *at);
    return ~(uint32_t)sum;
}

static bool has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}
#else
#define sum_by_instruction sum_by_tables

static bool has_instruction(void)
{
    return false;
}
#endif

static uint32_t choose(uint32_t crc, const void *data, size_t size);

/* What does the work: the choice itself, at first. */
static _Atomic(uint32_t (*)(uint32_t crc, const void *data, size_t size)) sum_fn = choose;

static uint32_t choose(uint32_t crc, const void *data, size_t size)
{
    ASSERT(pthread_once(&once, make_tables) == 0);
    atomic_store_explicit(&sum_fn, has_instruction() ? sum_by_instruction : sum_by_tables,
                          memory_order_release);
    return crc32c(crc, data, size);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    return atomic_load_explicit(&sum_fn, memory_order_acquire)(crc, data, size);
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    ASSERT(pthread_once(&once, make_tables) == 0);
    return sum_by_tables(crc, data, size);
}
