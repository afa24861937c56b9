/* SPDX-License-Identifier: MIT */
/*
 * Headers of ADTS: as encoders write them, and each thing that can be wrong with one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "leat/error.h"
#include "wire/adts.h"
#include "wire/mp4.h"

/* LC, 44.1 kHz, stereo, 371 bytes, without a checksum: as ffmpeg writes it. */
static const unsigned char plain[ADTS_HEADER_SIZE] = {0xff, 0xf1, 0x50, 0x80, 0x2e, 0x7f, 0xfc};

static void as_encoders_write_it(void **state)
{
    struct adts header;
    assert_int_equal(adts_read(slice_of(plain, sizeof(plain)), &header), 1);
    assert_int_equal(header.object_type, 2);
    assert_int_equal(header.sample_rate, 44100);
    assert_int_equal(header.channel_config, 2);
    assert_int_equal(header.block_count, 1);
    assert_int_equal(header.header_size, 7);
    assert_int_equal(header.frame_size, 371);

    unsigned char config[ADTS_CONFIG_SIZE];
    adts_config(&header, config);
    assert_int_equal(config[0], 0x12); /* as every MP4 of such sound has it */
    assert_int_equal(config[1], 0x10);
}

static void every_field(void **state)
{
    /* MPEG-2, with a checksum; SSR, 7,350 Hz, 7 channels, as large as can be, four blocks */
    const unsigned char bytes[] = {0xff, 0xf8, 0xb1, 0xc3, 0xff, 0xff, 0xff};
    struct adts header;
    assert_int_equal(adts_read(slice_of(bytes, sizeof(bytes)), &header), 1);
    assert_int_equal(header.object_type, 3);
    assert_int_equal(header.rate_index, 12);
    assert_int_equal(header.sample_rate, 7350);
    assert_int_equal(header.channel_config, 7);
    assert_int_equal(header.block_count, 4);
    assert_int_equal(header.header_size, 9);
    assert_int_equal(header.frame_size, ADTS_FRAME_MAX);
}

static void rates_are_those_of_mp4(void **state)
{
    for (unsigned index = 0; index < 16; index++) {
        unsigned char bytes[ADTS_HEADER_SIZE];
        struct adts header = {.sample_rate = 0};
        memcpy(bytes, plain, sizeof(plain));
        bytes[2] = (unsigned char)(0x40 | index << 2);
        const int result = adts_read(slice_of(bytes, sizeof(bytes)), &header);
        assert_int_equal(result, index < 13 ? 1 : -LEAT_E_MALFORMED);
        assert_true(index == 0 || index >= 13 || header.sample_rate <= 88200);
        assert_true((header.sample_rate > 0) == (index < 13));
    }
}

static void too_little_is_asked_for_again(void **state)
{
    struct adts header = {.frame_size = 1};
    for (size_t size = 0; size < sizeof(plain); size++)
        assert_int_equal(adts_read(slice_of(plain, size), &header), 0);
    assert_int_equal(header.frame_size, 1);
}

static void what_is_no_header(void **state)
{
    static const struct {
        unsigned at;
        unsigned char byte;
    } rows[] = {
        {0, 0xfe}, {1, 0xe1}, {1, 0xf3}, {1, 0xf5}, {2, 0x74}, /* the last: no such rate */
    };
    struct adts header;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned char bytes[ADTS_HEADER_SIZE];
        memcpy(bytes, plain, sizeof(plain));
        bytes[rows[i].at] = rows[i].byte;
        assert_int_equal(adts_read(slice_of(bytes, sizeof(bytes)), &header), -LEAT_E_MALFORMED);
    }
    /* frames of 7 bytes: nothing behind the header; and of 9 with a checksum */
    const unsigned char empty[] = {0xff, 0xf1, 0x50, 0x80, 0x00, 0xff, 0xfc};
    const unsigned char checked[] = {0xff, 0xf0, 0x50, 0x80, 0x01, 0x3f, 0xfc};
    assert_int_equal(adts_read(slice_of(empty, sizeof(empty)), &header), -LEAT_E_MALFORMED);
    assert_int_equal(adts_read(slice_of(checked, sizeof(checked)), &header), -LEAT_E_MALFORMED);
}

static void which_are_alike(void **state)
{
    struct adts a, b;
    assert_int_equal(adts_read(slice_of(plain, sizeof(plain)), &a), 1);
    b = a;
    b.frame_size = 100;
    assert_true(adts_is_alike(&a, &b));
    b.channel_config = 1;
    assert_false(adts_is_alike(&a, &b));
    b = a;
    b.rate_index = 3;
    assert_false(adts_is_alike(&a, &b));
    b = a;
    b.object_type = 1;
    assert_false(adts_is_alike(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_encoders_write_it),          cmocka_unit_test(every_field),
        cmocka_unit_test(rates_are_those_of_mp4),        cmocka_unit_test(what_is_no_header),
        cmocka_unit_test(too_little_is_asked_for_again), cmocka_unit_test(which_are_alike),
    };
    return cmocka_run_group_tests_name("wire/adts", tests, NULL, NULL);
}
