/* SPDX-License-Identifier: MIT */
/*
 * Samples: which bytes are looked at, what they tell of bytes whose figures a person can reckon,
 * and what magic numbers say of the corpus.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "codec/magic.h"
#include "codec/sample.h"

static void test_ranges_lie_in_the_text(void **state)
{
    (void)state;
    struct sample_range ranges[SAMPLE_PIECES_MAX];
    assert_int_equal(sample_ranges(0, ranges), 0);
    for (uint64_t size = 1; size < 40000; size++) {
        const unsigned count = sample_ranges(size, ranges);
        uint64_t end = 0, sampled = 0;
        assert_in_range(count, 1, SAMPLE_PIECES_MAX);
        assert_int_equal(ranges[0].offset, 0);
        for (unsigned index = 0; index < count; index++) {
            assert_in_range(ranges[index].size, 1, SAMPLE_PIECE_SIZE);
            assert_true(ranges[index].offset >= end);
            end = ranges[index].offset + ranges[index].size;
            sampled += ranges[index].size;
        }
        assert_true(end <= size);
        assert_int_equal(sampled, size < SAMPLE_SIZE_MAX / 2 ? size : SAMPLE_SIZE_MAX / 2);
    }
    assert_int_equal(sample_ranges(UINT64_MAX, ranges), SAMPLE_PIECES_MAX);
    assert_true(ranges[SAMPLE_PIECES_MAX - 1].offset > UINT64_MAX / 10 * 9);
}

static struct sample sample_of(const void *text, size_t size)
{
    struct sample_range ranges[SAMPLE_PIECES_MAX];
    struct leat_slice pieces[SAMPLE_PIECES_MAX];
    struct sample sample;
    const unsigned count = sample_ranges(size, ranges);
    for (unsigned index = 0; index < count; index++)
        pieces[index] = slice_of((const char *)text + ranges[index].offset, ranges[index].size);
    sample_take(size, pieces, count, &sample);
    return sample;
}

static void test_figures_of_plain_cases(void **state)
{
    (void)state;
    static unsigned char text[100000];
    struct sample sample = sample_of(text, sizeof text); /* all alike */
    assert_int_equal(sample.size, sizeof text);
    assert_float_equal(sample.entropy, 0, 1e-6);
    assert_float_equal(sample.core_set, 1 / 256.0, 1e-6);
    assert_true(sample.lz4_ratio < 0.02f);

    for (size_t index = 0; index < sizeof text; index++) /* each byte as often */
        text[index] = (unsigned char)index;
    sample = sample_of(text, sizeof text);
    assert_float_equal(sample.entropy, 8, 1e-4);
    assert_float_equal(sample.core_set, 231 / 256.0, 1e-6); /* 90 % of 256: 230.4 */
    assert_true(sample.lz4_ratio < 0.2f);

    for (size_t index = 0; index < sizeof text; index++) /* one half the time, sixteen by turns */
        text[index] = index % 2 ? 'x' : (unsigned char)(index / 2 % 16);
    sample = sample_of(text, sizeof text);
    assert_float_equal(sample.entropy, 1 + 4 / 2.0, 1e-4);
    assert_float_equal(sample.core_set, 14 / 256.0, 1e-6); /* x, and 13 of 16: 50 + 40.6 % */
}

static void test_noise_is_told_from_text(void **state)
{
    (void)state;
    static uint64_t noise[4096];
    struct random random;
    random_init(&random, 1);
    for (size_t index = 0; index < sizeof noise / sizeof *noise; index++)
        noise[index] = random_next(&random);
    const struct sample sample = sample_of(noise, sizeof noise);
    assert_true(sample.entropy > 7.9f);
    assert_true(sample.core_set > 0.8f);
    assert_float_equal(sample.lz4_ratio, 1, 0);
    assert_false(sample.is_compressed);
}

static void test_small_texts(void **state)
{
    (void)state;
    struct sample sample;
    sample_take(0, NULL, 0, &sample);
    assert_float_equal(sample.lz4_ratio, 1, 0);
    assert_float_equal(sample.entropy, 0, 0);
    for (size_t size = 1; size <= 64; size++) {
        char text[64];
        memset(text, 'a', size);
        sample = sample_of(text, size);
        assert_float_equal(sample.entropy, 0, 1e-5);
        assert_float_equal(sample.core_set, 1 / 256.0, 1e-6);
        assert_true(sample.lz4_ratio > 0 && sample.lz4_ratio <= 1);
    }
}

/* Of a text of 64 KiB, of which so far there is little. */
static void test_a_beginning_says_little(void **state)
{
    (void)state;
    static const char list[] = "[{\"id\":1,\"name\":\"film\"},";
    struct leat_slice piece = slice_of(list, 1);
    struct sample sample;
    sample_take(65536, &piece, 1, &sample);
    assert_in_range(sample.lz4_ratio * 100, 45, 55);
    assert_in_range(sample.entropy * 10, 45, 55);
    piece.size = sizeof list - 1;
    sample_take(65536, &piece, 1, &sample);
    assert_in_range(sample.lz4_ratio * 100, 45, 55);
    sample_take(sizeof list - 1, &piece, 1, &sample); /* that is all of it */
    assert_true(sample.lz4_ratio > 0.9f);
    uint64_t noise[64];
    struct random random;
    random_init(&random, 1);
    for (size_t index = 0; index < sizeof noise / sizeof *noise; index++)
        noise[index] = random_next(&random);
    piece = slice_of(noise, sizeof noise);
    sample_take(65536, &piece, 1, &sample);
    assert_true(sample.lz4_ratio > 0.99f && sample.entropy > 7);
}

static void test_magic_numbers(void **state)
{
    static const struct {
        struct leat_slice head;
        bool is_compressed;
    } cases[] = {
        {SLICE("\x1f\x8b\x08\0\0\0\0\0"), true},
        {SLICE("\x1f\x8b"), false}, /* cut off */
        {SLICE("RIFF\x10\0\0\0WEBPVP8 "), true},
        {SLICE("RIFF\x10\0\0\0WAVEfmt "), false},
        {SLICE("\0\0\0\x18"
               "ftypavif"),
         true},
        {SLICE("GIF89a"), true},
        {SLICE("\xff\xfeG\0"), false}, /* UTF-16 */
        {SLICE("%PDF-1.7"), false},
        {SLICE("{\"a\":1}"), false},
        {SLICE(""), false},
    };
    (void)state;
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++)
        assert_int_equal(magic_is_compressed(cases[index].head), cases[index].is_compressed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_lie_in_the_text),
        cmocka_unit_test(test_figures_of_plain_cases),
        cmocka_unit_test(test_noise_is_told_from_text),
        cmocka_unit_test(test_small_texts),
        cmocka_unit_test(test_a_beginning_says_little),
        cmocka_unit_test(test_magic_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
