/* SPDX-License-Identifier: MIT */
/*
 * Frames between nodes: what goes in comes out, whatever it is coded by; any byte that is changed,
 * missing or too many is an error; a frame that promises more than there is room for does no work.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/random.h"
#include "codec/frame.h"
#include "leat/error.h"
#include "leat/leat.h"

enum { LARGE = 300 * 1000 };

static const struct leat_compress_policy policies[] = {
    {.mode = LEAT_COMPRESS_UNSET},
    {.mode = LEAT_COMPRESS_OFF},
    {.mode = LEAT_COMPRESS_AUTO},
    {.mode = LEAT_COMPRESS_AUTO, .codec = LEAT_CODEC_LZ4},
    {.mode = LEAT_COMPRESS_AUTO, .codec = LEAT_CODEC_ZSTD},
    {.mode = LEAT_COMPRESS_FIXED},
    {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_ZSTD, .level = 3},
    {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_GZIP, .level = 6},
    {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_BROTLI, .level = 4},
    {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_LZ4, .level = 0},
};
enum { POLICIES = sizeof policies / sizeof *policies };

/* Words again and again, or noise. */
static char *make_block(size_t size, bool is_noise, uint64_t seed)
{
    static const char *const words[] = {"leat ", "mill ", "water ", "slope ", "{\"id\":", "42},\n"};
    char *block = malloc(size + 1);
    assert_non_null(block);
    for (size_t at = 0; at < size;) {
        const uint64_t number = random_mix(seed + at);
        if (is_noise) {
            block[at++] = (char)number;
            continue;
        }
        for (const char *word = words[number % 6]; *word && at < size; word++)
            block[at++] = *word;
    }
    return block;
}

static struct leat_compressor *make(const struct leat_compress_policy *policy)
{
    struct leat_compressor *compressor;
    assert_int_equal(leat_compressor_create(policy, &compressor), 0);
    return compressor;
}

/* A frame in memory of exactly its size. */
static char *frame_of(struct leat_compressor *compressor, const char *block, size_t size,
                      size_t *ret_size)
{
    const size_t room = LEAT_FRAME_HEAD_SIZE + size;
    char *frame = malloc(room);
    assert_non_null(frame);
    const ssize_t result = leat_compress(compressor, block, size, frame, room);
    assert_in_range(result, LEAT_FRAME_HEAD_SIZE, room);
    *ret_size = (size_t)result;
    frame = realloc(frame, *ret_size);
    assert_non_null(frame);
    return frame;
}

static void expect_block(const char *frame, size_t frame_size, const char *block, size_t size)
{
    struct leat_frame found;
    char *out = malloc(size > 0 ? size : 1);
    assert_non_null(out);
    assert_int_equal(leat_frame_parse(frame, &found), 0);
    assert_int_equal(found.size, frame_size);
    assert_int_equal(found.plain_size, size);
    assert_int_equal(leat_decompress(frame, frame_size, out, size), size);
    assert_memory_equal(out, block, size);
    free(out);
}

static int round_trips(void *arg)
{
    static const size_t sizes[] = {0, 1, 2, 3, 10, 100, 1000, 5000, 65536, LARGE};
    for (unsigned index = 0; index < POLICIES; index++) {
        struct leat_compressor *compressor = make(&policies[index]);
        struct leat_compressor_counters counters;
        uint64_t plain = 0, frames = 0, framed = 0, sum = 0, told = 0, told_framed = 0;
        for (size_t at = 0; at < 20; at++) {
            const size_t size = sizes[at / 2];
            char *block = make_block(size, at % 2 == 1, at);
            size_t frame_size;
            char *frame = frame_of(compressor, block, size, &frame_size);
            expect_block(frame, frame_size, block, size);
            const bool is_text = at % 2 == 0 && size >= 1000;
            if (is_text && policies[index].mode == LEAT_COMPRESS_FIXED &&
                policies[index].codec != LEAT_CODEC_NONE) {
                assert_true(frame_size < size / 2);
                assert_int_equal(frame[3], policies[index].codec);
            }
            if (policies[index].mode < LEAT_COMPRESS_AUTO)
                assert_int_equal(frame_size, LEAT_FRAME_HEAD_SIZE + size);
            plain += size;
            framed += frame_size;
            frames++;
            free(frame);
            free(block);
        }
        leat_compressor_counters(compressor, &counters);
        for (unsigned codec = 0; codec < LEAT_CODECS; codec++) {
            sum += counters.frames[codec];
            told += counters.plain_bytes[codec];
            told_framed += counters.frame_bytes[codec];
        }
        assert_int_equal(sum, frames);
        assert_int_equal(told, plain);
        assert_int_equal(told_framed, framed);
        leat_compressor_destroy(compressor);
    }
    return 0;
}

static int changes_are_seen(void *arg)
{
    for (unsigned index = 5; index < POLICIES; index++) {
        struct leat_compressor *compressor = make(&policies[index]);
        size_t frame_size;
        char *block = make_block(700, false, index), out[700];
        char *frame = frame_of(compressor, block, 700, &frame_size);
        for (size_t at = 0; at < frame_size; at++)
            for (unsigned bit = 0; bit < 8; bit++) {
                frame[at] ^= (char)(1 << bit);
                assert_true(leat_decompress(frame, frame_size, out, sizeof out) < 0);
                frame[at] ^= (char)(1 << bit);
            }
        assert_int_equal(leat_decompress(frame, frame_size, out, sizeof out), 700);
        for (size_t size = 0; size < frame_size; size++) {
            char *copy = malloc(size + 1);
            assert_non_null(copy);
            memcpy(copy, frame, size);
            assert_int_equal(leat_decompress(copy, size, out, sizeof out), -LEAT_E_TRUNCATED);
            free(copy);
        }
        char *longer = malloc(frame_size + 1);
        assert_non_null(longer);
        memcpy(longer, frame, frame_size);
        longer[frame_size] = 0;
        assert_int_equal(leat_decompress(longer, frame_size + 1, out, sizeof out),
                         -LEAT_E_MALFORMED);
        free(longer);
        free(frame);
        free(block);
        leat_compressor_destroy(compressor);
    }
    return 0;
}

static int limits_hold(void *arg)
{
    struct leat_compressor *compressor = make(&policies[6]);
    static char zeros[LARGE + 1], out[LARGE + 1];
    size_t frame_size;
    char *frame = frame_of(compressor, zeros, LARGE, &frame_size), small[64];
    assert_true(frame_size < 100);
    assert_int_equal(leat_decompress(frame, frame_size, out, LARGE - 1), -LEAT_E_LIMIT);
    assert_int_equal(leat_decompress(frame, frame_size, out, LARGE), LARGE);
    assert_int_equal(leat_compress(compressor, zeros, 45, small, sizeof small), -LEAT_E_LIMIT);
    assert_true(leat_compress(compressor, zeros, 44, small, sizeof small) > 0);
    assert_int_equal(leat_compress(compressor, zeros, LEAT_FRAME_SIZE_MAX + 1, out, LARGE),
                     -LEAT_E_LIMIT);
    /* What says less or more than there is in it, its sums being right. */
    frame_put_head(LEAT_CODEC_ZSTD, slice_of(zeros, LARGE - 1), frame_size - LEAT_FRAME_HEAD_SIZE,
                   frame);
    assert_int_equal(leat_decompress(frame, frame_size, out, LARGE), -LEAT_E_MALFORMED);
    frame_put_head(LEAT_CODEC_ZSTD, slice_of(zeros, LARGE + 1), frame_size - LEAT_FRAME_HEAD_SIZE,
                   frame);
    assert_int_equal(leat_decompress(frame, frame_size, out, LARGE + 1), -LEAT_E_MALFORMED);
    free(frame);
    leat_compressor_destroy(compressor);
    return 0;
}

static int policies_are_looked_at(void *arg)
{
    static const struct leat_compress_policy wrong[] = {
        {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_ZSTD, .level = 20},
        {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODECS},
        {.mode = LEAT_COMPRESS_AUTO, .codec = LEAT_CODECS},
        {.mode = LEAT_COMPRESS_AUTO, .codec = LEAT_CODEC_ZSTD, .level = 3},
        {.mode = (enum leat_compress_mode)9},
    };
    struct leat_compressor *compressor = NULL;
    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++)
        assert_int_equal(leat_compressor_create(&wrong[index], &compressor), -EINVAL);
    assert_null(compressor);
    leat_compressor_destroy(NULL);
    return 0;
}

/* The slower the link the smaller the frames, and what is noise is left alone on any. */
static int slower_links_have_smaller_frames(void *arg)
{
    static const uint64_t rates[] = {UINT64_C(100000000000), 125000000, 12500000, 1250000, 12500};
    const size_t size = LARGE;
    char *text = make_block(size, false, 1), *noise = make_block(size, true, 1);
    size_t last = SIZE_MAX, first = 0, frame_size;
    for (unsigned index = 0; index < 5; index++) {
        struct leat_compressor *compressor = make(&policies[2]);
        leat_compressor_set_rate(compressor, rates[index]);
        free(frame_of(compressor, text, size, &frame_size));
        /* A busy core counts, too: only the slowest link is too slow for that to matter. */
        assert_true(index < 4 || frame_size <= last);
        last = frame_size;
        first = index == 0 ? frame_size : first;
        free(frame_of(compressor, noise, size, &frame_size));
        assert_int_equal(frame_size, LEAT_FRAME_HEAD_SIZE + size);
        leat_compressor_destroy(compressor);
    }
    assert_int_equal(first, LEAT_FRAME_HEAD_SIZE + size);
    assert_true(last < size / 3);
    free(text);
    free(noise);
    return 0;
}

/* One decision is for a while, and not for other content. */
static int a_change_of_content_is_noticed(void *arg)
{
    struct leat_compressor *compressor = make(&policies[2]);
    leat_compressor_set_rate(compressor, 1250000);
    size_t frame_size;
    for (unsigned round = 0; round < 4; round++)
        for (unsigned index = 0; index < 20; index++) {
            const bool is_noise = round % 2 == 1;
            char *block = make_block(65536, is_noise, index);
            free(frame_of(compressor, block, 65536, &frame_size));
            if (index > 8)
                assert_true(is_noise ? frame_size > 65536 : frame_size < 65536 / 2);
            free(block);
        }
    leat_compressor_destroy(compressor);
    return 0;
}

/* The format, byte by byte. */
static int the_format_is_this(void *arg)
{
    static const unsigned char plain[] = {0x1e, 0xa7, 1, 0, 4, 0, 0, 0, 4, 0, 0, 0};
    struct leat_compressor *compressor = make(&policies[1]);
    unsigned char frame[64], sums[8];
    assert_int_equal(leat_compress(compressor, "leat", 4, frame, sizeof frame), 24);
    assert_memory_equal(frame, plain, sizeof plain);
    assert_memory_equal(frame + 20, "leat", 4);
    const uint32_t plain_sum = crc32c_portable(0, "leat", 4);
    for (unsigned byte = 0; byte < 4; byte++)
        sums[byte] = (unsigned char)(plain_sum >> 8 * byte);
    assert_memory_equal(frame + 12, sums, 4);
    const uint32_t frame_sum = crc32c_portable(crc32c_portable(0, frame, 16), "leat", 4);
    for (unsigned byte = 0; byte < 4; byte++)
        sums[byte] = (unsigned char)(frame_sum >> 8 * byte);
    assert_memory_equal(frame + 16, sums, 4);
    leat_compressor_destroy(compressor);
    return 0;
}

#define ON_A_LOOP(name)                                                                            \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        assert_int_equal(leat_run(name, NULL, NULL), 0);                                           \
    }
ON_A_LOOP(round_trips)
ON_A_LOOP(changes_are_seen)
ON_A_LOOP(limits_hold)
ON_A_LOOP(policies_are_looked_at)
ON_A_LOOP(slower_links_have_smaller_frames)
ON_A_LOOP(a_change_of_content_is_noticed)
ON_A_LOOP(the_format_is_this)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_changes_are_seen),
        cmocka_unit_test(test_limits_hold),
        cmocka_unit_test(test_policies_are_looked_at),
        cmocka_unit_test(test_slower_links_have_smaller_frames),
        cmocka_unit_test(test_a_change_of_content_is_noticed),
        cmocka_unit_test(test_the_format_is_this),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
