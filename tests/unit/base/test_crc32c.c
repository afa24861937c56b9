/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C: the standard's vectors, and the quick way against the plain one: bit by bit, at every
 * length up to several blocks, at every alignment, in two pieces cut anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/random.h"

enum { SIZE = 10000 };

static uint8_t bytes[SIZE];

static int fill(void **state)
{
    struct random random;
    random_init(&random, 32);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)random_next(&random);
    return 0;
}

/* As the polynomial says, a bit at a time. */
static uint32_t sum_slowly(uint32_t crc, const uint8_t *data, size_t size)
{
    crc = ~crc;
    for (; size > 0; data++, size--) {
        crc ^= *data;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0x82F63B78) : 0);
    }
    return ~crc;
}

static void check_both(const void *data, size_t size, uint32_t expected)
{
    assert_int_equal(crc32c(0, data, size), expected);
    assert_int_equal(crc32c_portable(0, data, size), expected);
}

/* RFC 3720, appendix B.4, and the check value that every list of CRCs has. */
static void the_vectors_of_the_standard(void **state)
{
    uint8_t data[32];
    check_both("", 0, 0);
    check_both("123456789", 9, 0xE3069283);
    check_both(memset(data, 0, sizeof data), sizeof data, 0x8A9136AA);
    check_both(memset(data, 0xFF, sizeof data), sizeof data, 0x62A8AB43);
    for (uint8_t i = 0; i < sizeof data; i++)
        data[i] = i;
    check_both(data, sizeof data, 0x46DD794E);
    for (uint8_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(31 - i);
    check_both(data, sizeof data, 0x113FDB5C);
}

static void every_length_and_alignment(void **state)
{
    uint32_t expected = 0;
    for (size_t size = 0; size < SIZE; size++) {
        assert_int_equal(crc32c(0, bytes, size), expected);
        assert_int_equal(crc32c_portable(0, bytes, size), expected);
        expected = sum_slowly(expected, bytes + size, 1);
    }
    for (size_t offset = 0; offset < 16; offset++)
        for (size_t size = 1000; size < 1400; size++)
            assert_int_equal(crc32c(7, bytes + offset, size),
                             crc32c_portable(7, bytes + offset, size));
}

static void pieces_make_the_whole(void **state)
{
    const uint32_t whole = sum_slowly(0, bytes, 4000);
    for (size_t cut = 0; cut <= 4000; cut++)
        assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, 4000 - cut), whole);
}

/* What the log relies on: the same bytes never have the same sum under another seed. */
static void another_seed_is_another_sum(void **state)
{
    for (size_t size = 1; size < 200; size++)
        for (uint32_t seed = 1; seed != 0; seed <<= 1)
            assert_int_not_equal(crc32c(seed, bytes, size), crc32c(0, bytes, size));
}

static void every_flipped_bit_is_seen(void **state)
{
    const uint32_t sum = crc32c(0, bytes, 1200);
    for (size_t bit = 0; bit < 1200 * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(crc32c(0, bytes, 1200), sum);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_standard),
        cmocka_unit_test(every_length_and_alignment),
        cmocka_unit_test(pieces_make_the_whole),
        cmocka_unit_test(another_seed_is_another_sum),
        cmocka_unit_test(every_flipped_bit_is_seen),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
