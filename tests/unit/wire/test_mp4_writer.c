/* SPDX-License-Identifier: MIT */
/*
 * Writing fragments and init segments: byte by byte where that is short. That whole films come back
 * from what is written, media/test_film.c shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "wire/mp4_writer.h"

static unsigned char data[4096];

static void assert_bytes(const struct writer *writer, const char *wanted, size_t size)
{
    assert_false(writer->failed);
    for (size_t at = 0; at < size && at < writer->size; at++)
        if (writer->data[at] != (unsigned char)wanted[at])
            fail_msg("byte %zu is %02x, not %02x", at, writer->data[at], wanted[at] & 0xff);
    assert_int_equal(writer->size, size);
}

#define ASSERT_BYTES(writer, literal) assert_bytes(writer, literal, sizeof(literal) - 1)

static struct mp4_fragment fragment_of(const struct mp4_fragment_track *track, uint32_t number,
                                       uint64_t body_size)
{
    struct mp4_fragment fragment = {
        .sequence_number = number, .tracks = {*track}, .track_count = 1, .body_size = body_size};
    mp4_fragment_measure(&fragment);
    return fragment;
}

static void a_fragment_of_three_pictures(void **state)
{
    static const struct mp4_fragment_sample samples[] = {
        {.position = 0, .size = 100, .duration = 512, .cto = 1024, .is_sync = true},
        {.position = 100, .size = 20, .duration = 512, .cto = -512},
        {.position = 130, .size = 30, .duration = 512}, /* behind a gap */
    };
    const struct mp4_fragment_track track = {
        .id = 7, .dts = 0x123456789, .samples = samples, .count = 3};
    const struct mp4_fragment fragment = fragment_of(&track, 5, 160);
    struct writer writer = writer_over(data, sizeof data);
    mp4_write_fragment(&writer, &fragment);
    assert_int_equal(fragment.head_size, writer.size);
    ASSERT_BYTES(&writer, "\0\0\0\x90moof"
                          "\0\0\0\x10mfhd\0\0\0\0\0\0\0\5"
                          "\0\0\0\x78traf"
                          "\0\0\0\x18tfhd\0\2\0\x28\0\0\0\7\0\0\2\0\1\1\0\0"
                          "\0\0\0\x14tfdt\1\0\0\0\0\0\0\1\x23\x45\x67\x89"
                          "\0\0\0\x28trun\1\0\x0a\5\0\0\0\2\0\0\0\x98\2\0\0\0"
                          "\0\0\0\x64\0\0\4\0"
                          "\0\0\0\x14\xff\xff\xfe\0"
                          "\0\0\0\x1ctrun\1\0\x0a\1\0\0\0\1\0\0\1\x1a"
                          "\0\0\0\x1e\0\0\0\0"
                          "\0\0\0\xa8mdat");
}

static void sounds_of_different_length(void **state)
{
    static const struct mp4_fragment_sample samples[] = {
        {.position = 0, .size = 3, .duration = 1024, .is_sync = true},
        {.position = 3, .size = 4, .duration = 960, .is_sync = true},
    };
    const struct mp4_fragment_track track = {
        .id = 1, .is_all_sync = true, .samples = samples, .count = 2};
    const struct mp4_fragment fragment = fragment_of(&track, 1, 7);
    struct writer writer = writer_over(data, sizeof data);
    mp4_write_fragment(&writer, &fragment);
    ASSERT_BYTES(&writer, "\0\0\0\x6cmoof"
                          "\0\0\0\x10mfhd\0\0\0\0\0\0\0\1"
                          "\0\0\0\x54traf"
                          "\0\0\0\x14tfhd\0\2\0\x20\0\0\0\1\2\0\0\0"
                          "\0\0\0\x14tfdt\1\0\0\0\0\0\0\0\0\0\0\0"
                          "\0\0\0\x24trun\1\0\3\1\0\0\0\2\0\0\0\x74"
                          "\0\0\4\0\0\0\0\3"
                          "\0\0\3\xc0\0\0\0\4"
                          "\0\0\0\x0fmdat");
}

static void silence_says_so(void **state)
{
    const struct mp4_fragment_track track = {.id = 2, .dts = 9, .is_all_sync = true};
    const struct mp4_fragment fragment = fragment_of(&track, 3, 0);
    struct writer writer = writer_over(data, sizeof data);
    mp4_write_fragment(&writer, &fragment);
    assert_int_equal(fragment.head_size, writer.size);
    ASSERT_BYTES(&writer, "\0\0\0\x44moof"
                          "\0\0\0\x10mfhd\0\0\0\0\0\0\0\3"
                          "\0\0\0\x2ctraf"
                          "\0\0\0\x10tfhd\0\3\0\0\0\0\0\2"
                          "\0\0\0\x14tfdt\1\0\0\0\0\0\0\0\0\0\0\x09"
                          "\0\0\0\x08mdat");
}

/* ---- Init segments --------------------------------------------------------------------------- */

/* The payload of the first box of this type, wherever it is. */
static const unsigned char *find(const struct writer *writer, const char *type)
{
    for (size_t at = 4; at + 4 < writer->size; at++)
        if (memcmp(writer->data + at, type, 4) == 0)
            return writer->data + at + 4;
    return NULL;
}

static struct writer write_init(const struct mp4_track *track, int64_t media_time)
{
    const struct mp4_init_track init = {track, media_time};
    struct writer writer = writer_over(data, sizeof data);
    mp4_write_init(&writer, &init, 1);
    return writer;
}

static struct mp4_track audio_track(struct leat_slice stsd)
{
    return (struct mp4_track){.id = 3,
                              .handler = MP4_FOURCC('s', 'o', 'u', 'n'),
                              .timescale = 48000,
                              .language = "deu",
                              .stsd = stsd,
                              .entry_count = 1};
}

#define AUDIO_ENTRY "mp4a\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\2\0\x10\0\0\0\0\xbb\x80\0\0"

static void one_edit_or_none(void **state)
{
    const struct mp4_track track = audio_track(SLICE("\0\0\0\x24" AUDIO_ENTRY));
    struct writer writer = write_init(&track, 0);
    assert_null(find(&writer, "edts"));
    writer = write_init(&track, 1024);
    assert_memory_equal(find(&writer, "elst"), "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\4\0\0\1\0\0", 20);
    writer = write_init(&track, INT64_C(0x123456789));
    assert_memory_equal(find(&writer, "elst"),
                        "\1\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\1\x23\x45\x67\x89\0\1\0\0", 28);
    assert_memory_equal(find(&writer, "mdhd") + 20, "\x10\xb5", 2); /* deu */
    assert_memory_equal(find(&writer, "ftyp"), "iso6\0\0\0\1iso6mp41", 16);
}

static void quicktime_sound_becomes_plain(void **state)
{
    static const char plain[] = AUDIO_ENTRY "\0\0\0\x0c"
                                            "esdsABCD";
    static const char version_1[] =
        "\0\0\0\x5cmp4a\0\0\0\0\0\0\0\1\0\1\0\0VEND\0\2\0\x10\xff\xfe\0\0"
        "\xbb\x80\0\0"
        "\0\0\4\0\0\0\0\1\0\0\0\2\0\0\0\2"
        "\0\0\0\x28wave\0\0\0\x0c"
        "frmamp4a\0\0\0\x0c"
        "esdsABCD\0\0\0\x08\0\0\0\0";
    struct mp4_track track = audio_track(slice_of(version_1, sizeof version_1 - 1));
    struct writer writer = write_init(&track, 0);
    assert_memory_equal(find(&writer, "mp4a") - 4, plain, sizeof plain - 1);
    assert_memory_equal(find(&writer, "mp4a") - 8, "\0\0\0\x30", 4);
    /* what is plain stays */
    static const char other[] = "\0\0\0\x30" AUDIO_ENTRY "\0\0\0\x0c"
                                "esdsABCD";
    track.stsd = slice_of(other, sizeof other - 1);
    writer = write_init(&track, 0);
    assert_memory_equal(find(&writer, "mp4a") - 8, other, sizeof other - 1);
}

static void without_room_it_fails(void **state)
{
    const struct mp4_track track = audio_track(SLICE("\0\0\0\x24" AUDIO_ENTRY));
    const struct mp4_init_track init = {&track, 5};
    const size_t size = write_init(&track, 5).size;
    for (size_t capacity = 0; capacity <= size; capacity++) {
        struct writer writer = writer_over(data, capacity);
        mp4_write_init(&writer, &init, 1);
        assert_int_equal(writer.failed, capacity < size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fragment_of_three_pictures),
        cmocka_unit_test(sounds_of_different_length),
        cmocka_unit_test(silence_says_so),
        cmocka_unit_test(one_edit_or_none),
        cmocka_unit_test(quicktime_sound_becomes_plain),
        cmocka_unit_test(without_room_it_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
