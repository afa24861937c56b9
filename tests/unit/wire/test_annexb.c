/* SPDX-License-Identifier: MIT */
/*
 * Byte streams cut into NAL units, and what each of these is for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leat/error.h"
#include "wire/annexb.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Bytes that are given as hexadecimal digits, in memory of exactly their size, so that a sanitizer
 * sees the first byte read beyond it. */
static struct leat_slice bytes_of(const char *digits)
{
    unsigned char *const bytes = malloc(strlen(digits) / 2 + 1);
    size_t size = 0;
    assert_non_null(bytes);
    for (; *digits; digits++) {
        unsigned value;
        if (*digits == ' ')
            continue;
        assert_int_equal(sscanf(digits++, "%2x", &value), 1);
        bytes[size++] = (unsigned char)value;
    }
    return slice_of(realloc(bytes, size > 0 ? size : 1), size);
}

static void free_bytes(struct leat_slice bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

static void splitting(void **state)
{
    static const struct {
        const char *stream, *units; /* these as MP4 has them */
    } rows[] = {
        {"", ""},
        {"00", ""},
        {"0000 01", ""},
        {"65 01 02", ""},
        {"000001 65", "00000001 65"},
        {"000001 65 0102", "00000003 650102"},
        {"00000001 65 0102", "00000003 650102"},
        {"ffff 000001 65", "00000001 65"},
        {"000001 65 01 000001 41 02", "00000002 6501 00000002 4102"},
        {"000001 65 01 00000001 41 02", "00000002 6501 00000002 4102"},
        {"000001 65 01 000000 000001 41 02 0000", "00000002 6501 00000002 4102"},
        {"000001 000001 41 000001 000001", "00000001 41"},
        {"000001 65 000003 01 0000", "00000005 6500000301"},
        {"000001 65 0002 000001 41", "00000003 650002 00000001 41"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct leat_slice stream = bytes_of(rows[i].stream), units = bytes_of(rows[i].units);
        struct leat_slice rest = stream, nal;
        struct text text = {.data = NULL};
        while (annexb_next(&rest, &nal))
            annexb_put(&text, nal);
        assert_int_equal(rest.size, 0);
        if (!slice_equal(slice_of(text.data, text.size), units))
            fail_msg("%s", rows[i].stream);
        text_fini(&text);
        free_bytes(stream);
        free_bytes(units);
    }
}

static void kinds(void **state)
{
    static const struct {
        enum annexb_codec codec;
        const char *nal;
        enum annexb_kind kind;
    } rows[] = {
        {ANNEXB_AVC, "65 88", ANNEXB_SYNC},
        {ANNEXB_AVC, "41 9a", ANNEXB_PICTURE},
        {ANNEXB_AVC, "01 9a", ANNEXB_PICTURE},
        {ANNEXB_AVC, "44 9a", ANNEXB_PICTURE},
        {ANNEXB_AVC, "67 42c00a", ANNEXB_SPS},
        {ANNEXB_AVC, "68 ce", ANNEXB_PPS},
        {ANNEXB_AVC, "09 f0", ANNEXB_DELIMITER},
        {ANNEXB_AVC, "0a", ANNEXB_IDLE},
        {ANNEXB_AVC, "0b", ANNEXB_IDLE},
        {ANNEXB_AVC, "0c ffff80", ANNEXB_IDLE},
        {ANNEXB_AVC, "6d 00", ANNEXB_OTHER},
        {ANNEXB_AVC, "06 05 02 aabb 80", ANNEXB_OTHER},
        {ANNEXB_AVC, "06 06 01 c4 80", ANNEXB_RECOVERY},
        {ANNEXB_AVC, "06 01 02 aabb 06 01 c4 80", ANNEXB_RECOVERY},
        /* bytes that keep start codes out count for nothing */
        {ANNEXB_AVC, "06 00 04 000003 0000 03 06 01 c4 80", ANNEXB_RECOVERY},
        {ANNEXB_AVC, "06 05 03 060601 80", ANNEXB_OTHER},
        {ANNEXB_AVC, "06 05 ff", ANNEXB_OTHER},
        {ANNEXB_AVC, "06 ff ff ff", ANNEXB_OTHER},
        {ANNEXB_AVC, "06", ANNEXB_OTHER},
        {ANNEXB_HEVC, "26 01 af", ANNEXB_SYNC},    /* IDR_W_RADL */
        {ANNEXB_HEVC, "28 01 af", ANNEXB_SYNC},    /* IDR_N_LP */
        {ANNEXB_HEVC, "2a 01 af", ANNEXB_SYNC},    /* CRA */
        {ANNEXB_HEVC, "20 01 af", ANNEXB_SYNC},    /* BLA */
        {ANNEXB_HEVC, "02 01 d0", ANNEXB_PICTURE}, /* TRAIL_R */
        {ANNEXB_HEVC, "12 01 d0", ANNEXB_PICTURE}, /* RASL_R */
        {ANNEXB_HEVC, "40 01 0c", ANNEXB_VPS},
        {ANNEXB_HEVC, "42 01 01", ANNEXB_SPS},
        {ANNEXB_HEVC, "44 01 c0", ANNEXB_PPS},
        {ANNEXB_HEVC, "46 01 50", ANNEXB_DELIMITER},
        {ANNEXB_HEVC, "48 01", ANNEXB_IDLE},
        {ANNEXB_HEVC, "4a 01", ANNEXB_IDLE},
        {ANNEXB_HEVC, "4c 01 ff80", ANNEXB_IDLE},
        {ANNEXB_HEVC, "4e 01 05", ANNEXB_OTHER}, /* SEI */
        {ANNEXB_HEVC, "42 09 01", ANNEXB_IDLE},  /* of layer 1 */
        {ANNEXB_HEVC, "27 01 01", ANNEXB_IDLE},  /* of layer 32 */
        {ANNEXB_HEVC, "26", ANNEXB_IDLE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct leat_slice nal = bytes_of(rows[i].nal);
        if (annexb_kind_of(rows[i].codec, nal) != rows[i].kind)
            fail_msg("%s: %d", rows[i].nal, annexb_kind_of(rows[i].codec, nal));
        free_bytes(nal);
    }
}

static void numbers_of_parameter_sets(void **state)
{
    static const struct {
        enum annexb_codec codec;
        enum annexb_kind kind;
        const char *nal;
        int id;
    } rows[] = {
        {ANNEXB_AVC, ANNEXB_SPS, "67 42c00a da", 0},
        {ANNEXB_AVC, ANNEXB_SPS, "67 42c00a 5a", 1},
        {ANNEXB_AVC, ANNEXB_SPS, "67 42c00a", -LEAT_E_MALFORMED},
        {ANNEXB_AVC, ANNEXB_PPS, "68 ce", 0},
        {ANNEXB_AVC, ANNEXB_PPS, "68 60", 2},
        {ANNEXB_AVC, ANNEXB_PPS, "68 0080 00", 255},
        {ANNEXB_AVC, ANNEXB_PPS, "68 0080 80", -LEAT_E_MALFORMED}, /* 256 */
        {ANNEXB_AVC, ANNEXB_PPS, "68 0000", -LEAT_E_MALFORMED},
        {ANNEXB_AVC, ANNEXB_PPS, "68", -LEAT_E_MALFORMED},
        {ANNEXB_HEVC, ANNEXB_PPS, "44 01 c0", 0},
        {ANNEXB_HEVC, ANNEXB_PPS, "44 01 40", 1},
        {ANNEXB_HEVC, ANNEXB_VPS, "40 01 1c", 0},
        {ANNEXB_HEVC, ANNEXB_SPS, "42 01 01", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct leat_slice nal = bytes_of(rows[i].nal);
        if (annexb_set_id(rows[i].codec, rows[i].kind, nal) != rows[i].id)
            fail_msg("%s: %d", rows[i].nal, annexb_set_id(rows[i].codec, rows[i].kind, nal));
        free_bytes(nal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splitting),
        cmocka_unit_test(kinds),
        cmocka_unit_test(numbers_of_parameter_sets),
    };
    return cmocka_run_group_tests_name("wire/annexb", tests, NULL, NULL);
}
