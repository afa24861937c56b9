/* SPDX-License-Identifier: MIT */
/*
 * Sequence parameter sets that are put together bit by bit, with what encoders seldom write: those
 * of encoders are in test_mp4_entry.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "leat/error.h"
#include "wire/bits.h"
#include "wire/h26x.h"

/* ---- Writing --------------------------------------------------------------------------------- */

static unsigned char bytes[4096];
static size_t bit_count;

static void put(uint32_t value, unsigned count)
{
    while (count-- > 0) {
        assert_true(bit_count < sizeof(bytes) * 8);
        if (value >> count & 1)
            bytes[bit_count / 8] |= (unsigned char)(0x80 >> bit_count % 8);
        bit_count++;
    }
}

static void put_ue(uint32_t value)
{
    const uint64_t code = (uint64_t)value + 1;
    const unsigned size = 63 - (unsigned)__builtin_clzll(code);
    put(0, size);
    put(1, 1);
    put((uint32_t)(code - (UINT64_C(1) << size)), size);
}

static void put_se(int32_t value)
{
    put_ue(value > 0 ? 2 * (uint32_t)value - 1 : 2 * (uint32_t)-value);
}

static void begin(void)
{
    memset(bytes, 0, sizeof(bytes));
    bit_count = 0;
}

/* With the bytes that keep start codes out of it, in memory of exactly its size. */
static int read_sps(int (*read)(struct leat_slice nal, struct h26x_sps *ret_sps),
                    struct h26x_sps *ret_sps)
{
    unsigned char nal[2 * sizeof(bytes)];
    size_t size = 0;
    unsigned zeros = 0;
    put(1, 1); /* rbsp_trailing_bits */
    for (size_t i = 0; i < (bit_count + 7) / 8; i++) {
        if (zeros == 2 && bytes[i] <= 3) {
            nal[size++] = 3;
            zeros = 0;
        }
        nal[size++] = bytes[i];
        zeros = bytes[i] == 0 ? zeros + 1 : 0;
    }
    unsigned char *const copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, nal, size);
    const int result = read(slice_of(copy, size), ret_sps);
    free(copy);
    return result;
}

static void codes(void **state)
{
    static const uint32_t values[] = {0, 1, 2, 3, 255, 65535, 1u << 30, INT32_MAX, UINT32_MAX - 1};
    begin();
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        put_ue(values[i]);
    for (int32_t value = -5; value <= 5; value++)
        put_se(value);
    struct bits bits = {.bytes = slice_of(bytes, (bit_count + 7) / 8)};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        assert_int_equal(bits_take_ue(&bits), values[i]);
    for (int32_t value = -5; value <= 5; value++)
        assert_int_equal(bits_take_se(&bits), value);
    assert_false(bits_overran(&bits));
    assert_true(bits_left(&bits) < 8);
    /* 32 zeros: there is no such value; and the end, before there is any. */
    static const unsigned char zeros[] = {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff};
    bits = (struct bits){.bytes = slice_of(zeros, sizeof(zeros))};
    assert_int_equal(bits_take_ue(&bits), 0);
    assert_true(bits_overran(&bits));
    bits = (struct bits){.bytes = slice_of(zeros, 1)};
    assert_int_equal(bits_take_ue(&bits), 0);
    assert_true(bits_overran(&bits));
    bits = (struct bits){.bytes = slice_of(NULL, 0)};
    assert_int_equal(bits_take_ue(&bits), 0);
    assert_true(bits_overran(&bits));
}

/* ---- H.264 ----------------------------------------------------------------------------------- */

struct avc {
    uint32_t format;
    bool is_separate, is_interlaced, has_lists;
    uint32_t order_type, cycle;
    uint32_t crop[4];
};

/* A picture of 20 by 10 macroblocks, or as many in each of two fields. */
static int read_avc(const struct avc *avc, struct h26x_sps *ret_sps)
{
    begin();
    put(0x67, 8);
    put(244, 8); /* High 4:4:4 Predictive */
    put(0, 8);
    put(31, 8);
    put_ue(0);
    put_ue(avc->format);
    if (avc->format == 3)
        put(avc->is_separate, 1);
    put_ue(2); /* 10 bits and 9 bits */
    put_ue(1);
    put(1, 1);
    put(avc->has_lists, 1);
    for (unsigned i = 0; avc->has_lists && i < (avc->format == 3 ? 12u : 8u); i++) {
        put(i % 4 != 3, 1);
        if (i % 4 == 3)
            continue;
        const unsigned size = i < 6 ? 16 : 64, ends = i % 4 == 2 ? 5 : size;
        for (unsigned k = 0; k < ends; k++) /* of 8 and 9 in turn, or cut short: 0 */
            put_se(k + 1 == ends && ends < size ? (k % 2 ? -9 : -8) : k % 2 ? -1 : 1);
    }
    put_ue(0);
    put_ue(avc->order_type);
    if (avc->order_type == 0)
        put_ue(4);
    if (avc->order_type == 1) {
        put(0, 1);
        put_se(-3);
        put_se(INT32_MAX);
        put_ue(avc->cycle);
        for (uint32_t i = 0; i < avc->cycle; i++)
            put_se(-(int32_t)i);
    }
    put_ue(4);
    put(0, 1);
    put_ue(19);
    put_ue(9);
    put(!avc->is_interlaced, 1);
    if (avc->is_interlaced)
        put(0, 1);
    put(1, 1);
    const bool has_crop = avc->crop[0] || avc->crop[1] || avc->crop[2] || avc->crop[3];
    put(has_crop, 1);
    for (unsigned i = 0; i < 4 && has_crop; i++)
        put_ue(avc->crop[i]);
    put(0, 1); /* vui_parameters_present_flag */
    return read_sps(h264_sps_read, ret_sps);
}

static void h264(void **state)
{
    static const struct {
        struct avc avc;
        uint32_t width, height; /* 0: it is refused */
    } rows[] = {
        {{.format = 1}, 320, 160},
        {{.format = 1, .crop = {1, 2, 3, 4}}, 320 - 6, 160 - 14},
        {{.format = 1, .is_interlaced = true, .crop = {1, 2, 3, 4}}, 320 - 6, 320 - 28},
        {{.format = 0, .crop = {1, 2, 3, 4}}, 320 - 3, 160 - 7},
        {{.format = 2, .crop = {1, 2, 3, 4}}, 320 - 6, 160 - 7},
        {{.format = 3, .crop = {1, 2, 3, 4}}, 320 - 3, 160 - 7},
        {{.format = 3, .is_separate = true, .is_interlaced = true, .crop = {1, 2, 3, 4}},
         320 - 3,
         320 - 14},
        {{.format = 1, .has_lists = true}, 320, 160},
        {{.format = 3, .has_lists = true, .crop = {1, 0, 0, 0}}, 319, 160},
        {{.format = 1, .order_type = 2}, 320, 160},
        {{.format = 1, .order_type = 1, .cycle = 0}, 320, 160},
        {{.format = 1, .order_type = 1, .cycle = 255}, 320, 160},
        {{.format = 1, .order_type = 1, .cycle = 256}, 0, 0},
        {{.format = 1, .order_type = 3}, 0, 0},
        {{.format = 4}, 0, 0},
        {{.format = 1, .crop = {80, 80, 0, 0}}, 0, 0}, /* nothing is left of it */
        {{.format = 1, .crop = {80, 79, 0, 0}}, 2, 160},
        {{.format = 1, .crop = {0, 0, 40, 40}}, 0, 0},
        {{.format = 1, .crop = {UINT32_MAX - 1, UINT32_MAX - 1, 0, 0}}, 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct h26x_sps sps = {.width = 1};
        const int result = read_avc(&rows[i].avc, &sps);
        if (result != (rows[i].width ? 0 : -LEAT_E_MALFORMED))
            fail_msg("row %zu: %d", i, result);
        assert_int_equal(sps.width, rows[i].width ? rows[i].width : 1);
        if (result)
            continue;
        assert_int_equal(sps.height, rows[i].height);
        assert_int_equal(sps.chroma_format, rows[i].avc.format);
        assert_int_equal(sps.luma_depth, 10);
        assert_int_equal(sps.chroma_depth, 9);
    }
}

/* ---- H.265 ----------------------------------------------------------------------------------- */

struct hevc {
    unsigned layer_count, profiles, levels; /* a bit for each layer but the last */
    uint32_t format;
    bool is_separate;
    uint32_t width, height, depth;
    uint32_t crop[4];
};

static int read_hevc(const struct hevc *hevc, struct h26x_sps *ret_sps)
{
    begin();
    put(0x4201, 16);
    put(0, 4);
    put(hevc->layer_count - 1, 3);
    put(1, 1);
    for (unsigned i = 0; i < H265_PROFILE_SIZE; i++)
        put(i * 17, 8);
    for (unsigned i = 1; i < hevc->layer_count; i++) {
        put(hevc->profiles >> (i - 1) & 1, 1);
        put(hevc->levels >> (i - 1) & 1, 1);
    }
    for (unsigned i = hevc->layer_count; hevc->layer_count > 1 && i < 9; i++)
        put(0, 2);
    for (unsigned i = 1; i < hevc->layer_count; i++) {
        for (unsigned k = 0; hevc->profiles >> (i - 1) & 1 && k < 11; k++)
            put(0xa5, 8);
        if (hevc->levels >> (i - 1) & 1)
            put(0x5a, 8);
    }
    put_ue(0);
    put_ue(hevc->format);
    if (hevc->format == 3)
        put(hevc->is_separate, 1);
    put_ue(hevc->width);
    put_ue(hevc->height);
    put(1, 1);
    for (unsigned i = 0; i < 4; i++)
        put_ue(hevc->crop[i]);
    put_ue(hevc->depth);
    put_ue(0);
    put(0, 8);
    return read_sps(h265_sps_read, ret_sps);
}

static void h265(void **state)
{
    static const struct {
        struct hevc hevc;
        uint32_t width, height;
    } rows[] = {
        {{.layer_count = 1, .format = 1, .width = 640, .height = 368, .crop = {0, 0, 0, 4}},
         640,
         360},
        {{.layer_count = 2, .levels = 1, .format = 1, .width = 640, .height = 360}, 640, 360},
        {{.layer_count = 4, .profiles = 5, .levels = 6, .format = 1, .width = 8, .height = 16},
         8,
         16},
        {{.layer_count = 7,
          .profiles = 63,
          .levels = 63,
          .format = 2,
          .width = 90,
          .height = 80,
          .crop = {1, 2, 3, 4}},
         84,
         73},
        {{.layer_count = 8, .format = 1, .width = 640, .height = 360}, 0, 0},
        {{.layer_count = 1, .format = 3, .width = 90, .height = 80, .crop = {1, 2, 3, 4}}, 87, 73},
        {{.layer_count = 1, .format = 3, .is_separate = true, .width = 90, .height = 80}, 90, 80},
        {{.layer_count = 1, .format = 0, .width = 90, .height = 80, .crop = {1, 2, 3, 4}}, 87, 73},
        {{.layer_count = 1, .format = 4, .width = 90, .height = 80}, 0, 0},
        {{.layer_count = 1, .format = 1, .width = 90, .height = 80, .depth = 8}, 90, 80},
        {{.layer_count = 1, .format = 1, .width = 90, .height = 80, .depth = 9}, 0, 0},
        {{.layer_count = 1, .format = 1, .width = 0, .height = 80}, 0, 0},
        {{.layer_count = 1, .format = 1, .width = 65535, .height = 65535}, 65535, 65535},
        {{.layer_count = 1, .format = 1, .width = 65536, .height = 80}, 0, 0},
        {{.layer_count = 1, .format = 1, .width = 80, .height = 65536}, 0, 0},
        {{.layer_count = 1, .format = 1, .width = 80, .height = UINT32_MAX - 1}, 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct h26x_sps sps = {.width = 1};
        const int result = read_hevc(&rows[i].hevc, &sps);
        if (result != (rows[i].width ? 0 : -LEAT_E_MALFORMED))
            fail_msg("row %zu: %d", i, result);
        assert_int_equal(sps.width, rows[i].width ? rows[i].width : 1);
        if (result)
            continue;
        assert_int_equal(sps.height, rows[i].height);
        assert_int_equal(sps.layer_count, rows[i].hevc.layer_count);
        assert_true(sps.is_layer_nested);
        assert_int_equal(sps.luma_depth, 8 + rows[i].hevc.depth);
        for (unsigned k = 0; k < H265_PROFILE_SIZE; k++)
            assert_int_equal(sps.profile[k], k * 17);
    }
}

static void others_are_none(void **state)
{
    struct h26x_sps sps;
    assert_int_equal(h264_nal_type(slice_of(NULL, 0)), -1);
    assert_int_equal(h265_nal_type(slice_of("\x42", 1)), -1);
    assert_int_equal(h264_nal_type(slice_of("\x67", 1)), H264_NAL_SPS);
    assert_int_equal(h265_nal_type(slice_of("\x42\1", 2)), H265_NAL_SPS);
    assert_int_equal(h264_sps_read(slice_of(NULL, 0), &sps), -LEAT_E_MALFORMED);
    assert_int_equal(h265_sps_read(slice_of(NULL, 0), &sps), -LEAT_E_MALFORMED);
    assert_int_equal(h264_sps_read(slice_of("\x68\x64\0\x1f", 4), &sps), -LEAT_E_MALFORMED);
    assert_int_equal(h265_sps_read(slice_of("\x44\1\1\1", 4), &sps), -LEAT_E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes),
        cmocka_unit_test(h264),
        cmocka_unit_test(h265),
        cmocka_unit_test(others_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
