/* SPDX-License-Identifier: MIT */
/*
 * The bodies of FLV tags, byte by byte: legacy ones and those of Enhanced RTMP. That whole streams
 * of real publishers come through, tests/e2e/test_rtmp.py shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "leat/error.h"
#include "wire/flv.h"
#include "wire/mp4_entry.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Of x264: 640x360. Of x265: 641x361. Of AAC: LC of 48000 Hz; HE of 44100 Hz, which is 22050 Hz of
 * its core; LC in frames of 960. */
#define AVC_SPS "67640016acd940a02ff97011000003000100000300140f162d96"
#define AVC_PPS "68ebe3cb22c0"
static const char avc_record[] = "01640016ffe1001a" AVC_SPS "010006" AVC_PPS "fdf8f800";
static const char hevc_vps[] = "40010c01ffff0408000003009e0800000300003f959809";
static const char hevc_sps[] =
    "4201010408000003009e0800000300003f9000a2402e38888cb2b349265780b4040000030004000003002820";
static const char hevc_pps[] = "4401c172b46240";
static const char aac_lc[] = "1190", aac_he[] = "2b920800", aac_960[] = "1194";

struct told_sample {
    unsigned index;
    struct media_sample sample; /* data: no pointer to it, but its size */
    unsigned char first;
};

static struct told {
    unsigned track_count, sample_count;
    struct {
        unsigned index;
        uint32_t id, handler, timescale, width;
        char codec[MP4_CODEC_SIZE];
        uint32_t rate;
    } tracks[8];
    struct told_sample samples[64];
    int answer; /* to a sample */
} told;

static int on_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct told *const into = user;
    assert_true(into->track_count < COUNT_OF(into->tracks));
    assert_true(track->stsd.size > 0 && track->entry_count == 1);
    assert_string_equal(track->language, "und");
    into->tracks[into->track_count].index = index;
    into->tracks[into->track_count].id = track->id;
    into->tracks[into->track_count].handler = track->handler;
    into->tracks[into->track_count].timescale = track->timescale;
    into->tracks[into->track_count].width = track->width >> 16;
    into->tracks[into->track_count].rate = track->codec.sample_rate;
    strcpy(into->tracks[into->track_count++].codec, track->codec.text);
    return 0;
}

static int on_sample(unsigned index, const struct media_sample *sample, void *user)
{
    struct told *const into = user;
    assert_true(into->sample_count < COUNT_OF(into->samples));
    struct told_sample *const at = &into->samples[into->sample_count++];
    assert_true(sample->data.size > 0);
    *at = (struct told_sample){index, *sample, (unsigned char)sample->data.data[0]};
    at->sample.data.data = NULL;
    return into->answer;
}

static struct flv *make(void)
{
    const struct media_events events = {
        .on_track = on_track, .on_sample = on_sample, .user = &told};
    struct flv *flv;
    told = (struct told){0};
    assert_int_equal(flv_create(&events, &flv), 0);
    assert_string_equal(flv_reason(flv), "");
    return flv;
}

/* A message: what `head` and `tail` say in hexadecimal; in memory of exactly its size. */
static int feed(struct flv *flv, bool is_video, int64_t time_ms, const char *head, const char *tail)
{
    const size_t head_size = strlen(head) / 2, size = head_size + strlen(tail) / 2;
    unsigned char *const body = malloc(size + !size);
    for (size_t i = 0; i < size; i++) {
        unsigned value;
        const char *const at = i < head_size ? head + 2 * i : tail + 2 * (i - head_size);
        assert_int_equal(sscanf(at, "%2x", &value), 1);
        body[i] = (unsigned char)value;
    }
    const int result = is_video ? flv_video(flv, time_ms, slice_of(body, size))
                                : flv_audio(flv, time_ms, slice_of(body, size));
    free(body);
    return result;
}

#define VIDEO(flv, time, head, tail) assert_int_equal(feed(flv, true, time, head, tail), 0)
#define AUDIO(flv, time, head, tail) assert_int_equal(feed(flv, false, time, head, tail), 0)

/* A record of x265's parameter sets, in hexadecimal. */
static const char *hevc_record(void)
{
    static char text[1024];
    static const char *const sets[] = {hevc_vps, hevc_sps, hevc_pps};
    unsigned char bytes[3][128], record[512];
    struct leat_slice nals[3];
    for (unsigned set = 0; set < 3; set++) {
        const size_t size = strlen(sets[set]) / 2;
        for (size_t i = 0; i < size; i++)
            assert_int_equal(sscanf(sets[set] + 2 * i, "%2hhx", &bytes[set][i]), 1);
        nals[set] = slice_of(bytes[set], size);
    }
    struct writer writer = writer_over(record, sizeof record);
    assert_int_equal(mp4_hvcc_write(&writer, nals[0], nals[1], nals[2]), 0);
    for (size_t i = 0; i < writer.size; i++)
        sprintf(text + 2 * i, "%02x", record[i]);
    return text;
}

static void expect_sample(unsigned number, unsigned index, int64_t dts, int32_t cto, bool is_sync,
                          size_t size)
{
    assert_true(number < told.sample_count);
    const struct told_sample *const at = &told.samples[number];
    assert_int_equal(at->index, index);
    assert_int_equal(at->sample.dts, dts);
    assert_int_equal(at->sample.cto, cto);
    assert_int_equal(at->sample.is_sync, is_sync);
    assert_int_equal(at->sample.data.size, size);
}

/* ---- What is taken --------------------------------------------------------------------------- */

static void avc_and_aac_as_everybody_sends_them(void **state)
{
    struct flv *const flv = make();
    AUDIO(flv, 0, "af00", aac_lc);
    VIDEO(flv, 0, "1700000000", avc_record);
    VIDEO(flv, 10, "1701000042", "0000000165");   /* shown 66 ms later */
    VIDEO(flv, 43, "2701ffffff", "000000024142"); /* a millisecond before */
    AUDIO(flv, 20, "af01", "2122");
    VIDEO(flv, 60, "1702000000", ""); /* end of sequence */
    VIDEO(flv, 60, "17", "03000000");
    VIDEO(flv, 60, "5700", "");       /* a command to players */
    VIDEO(flv, 60, "2701000000", ""); /* without a picture */
    AUDIO(flv, 60, "", "");
    assert_int_equal(told.track_count, 2);
    assert_int_equal(told.tracks[0].index, 0);
    assert_int_equal(told.tracks[0].id, 1);
    assert_int_equal(told.tracks[0].handler, MP4_FOURCC('s', 'o', 'u', 'n'));
    assert_int_equal(told.tracks[0].timescale, 48000);
    assert_string_equal(told.tracks[0].codec, "mp4a.40.2");
    assert_int_equal(told.tracks[1].index, 1);
    assert_int_equal(told.tracks[1].id, 2);
    assert_int_equal(told.tracks[1].timescale, 90000);
    assert_int_equal(told.tracks[1].width, 640);
    assert_string_equal(told.tracks[1].codec, "avc1.640016");
    assert_int_equal(told.sample_count, 3);
    expect_sample(0, 1, 900, 66 * 90, true, 5);
    expect_sample(1, 1, 43 * 90, -90, false, 6);
    assert_int_equal(told.samples[1].sample.duration, 0);
    expect_sample(2, 0, 960, 0, true, 2);
    assert_int_equal(told.samples[2].first, 0x21);
    assert_int_equal(told.samples[2].sample.duration, 1024);
    flv_destroy(flv);
}

static void enhanced_rtmp(void **state)
{
    struct flv *const flv = make();
    VIDEO(flv, 0, "9068766331", hevc_record());
    VIDEO(flv, 0, "9468766331", "02000963");        /* metadata: colours */
    VIDEO(flv, 33, "9168766331", "00000a2611");     /* CodedFrames, shown 10 ms later */
    VIDEO(flv, 66, "a368766331", "0201");           /* CodedFramesX */
    VIDEO(flv, 66, "9268766331", "");               /* SequenceEnd */
    VIDEO(flv, 99, "a7020102030368766331", "0202"); /* ModEx of 3 bytes, then CodedFramesX */
    VIDEO(flv, 99, "a5", "68766331");               /* MPEG2TSSequenceStart */
    AUDIO(flv, 0, "906d703461", aac_lc);
    AUDIO(flv, 0, "946d703461", "0102"); /* MultichannelConfig */
    AUDIO(flv, 0, "916d703461", "21");
    AUDIO(flv, 0, "936d703461", "21");         /* reserved */
    AUDIO(flv, 0, "970000016d703461", "22");   /* ModEx of a byte, then CodedFrames */
    VIDEO(flv, 120, "9061766331", avc_record); /* another codec */
    VIDEO(flv, 120, "9161766331", "fffff665"); /* 10 ms before */
    VIDEO(flv, 150, "2701000000", "41");       /* the same, said as before */
    assert_int_equal(told.track_count, 3);
    assert_memory_equal(told.tracks[0].codec, "hvc1.4.", 7);
    assert_int_equal(told.tracks[2].index, 0);
    assert_string_equal(told.tracks[2].codec, "avc1.640016");
    assert_int_equal(told.sample_count, 7);
    expect_sample(0, 0, 33 * 90, 900, true, 2);
    expect_sample(1, 0, 66 * 90, 0, false, 2);
    expect_sample(2, 0, 99 * 90, 0, false, 2);
    assert_int_equal(told.samples[2].first, 2);
    expect_sample(3, 1, 0, 0, true, 1);
    expect_sample(4, 1, 1024, 0, true, 1);
    assert_int_equal(told.samples[4].first, 0x22);
    expect_sample(5, 0, 120 * 90, -900, true, 1);
    expect_sample(6, 0, 150 * 90, 0, false, 1);
    flv_destroy(flv);
}

/* Behind the FourCC (or before it, where each has its own): id, size, and as many bytes. */
static void of_several_tracks_the_first_counts(void **state)
{
    struct flv *const flv = make();
    VIDEO(flv, 0, "96006876633100", hevc_record()); /* one track, without its size */
    VIDEO(flv, 0, "961168766331000000050000022601", "01000002aabb");
    VIDEO(flv, 40, "a6236176633101000001416876633100000003", "020304");
    VIDEO(flv, 40, "96116876633107000001", "aa"); /* not that with the id 0 */
    AUDIO(flv, 0, "95106d70346100000002", aac_lc);
    AUDIO(flv, 0, "95016d70346101", "77");
    AUDIO(flv, 0, "95016d70346100", "77");
    assert_int_equal(told.track_count, 2);
    assert_int_equal(told.sample_count, 3);
    expect_sample(0, 0, 0, 180, true, 2);
    assert_int_equal(told.samples[0].first, 0x26);
    expect_sample(1, 0, 40 * 90, 0, false, 3);
    assert_int_equal(told.samples[1].first, 0x02);
    expect_sample(2, 1, 0, 0, true, 1);
    flv_destroy(flv);
}

static void a_configuration_is_told_when_it_is_new(void **state)
{
    struct flv *const flv = make();
    VIDEO(flv, 0, "1700000000", avc_record);
    VIDEO(flv, 40, "1700000000", avc_record);
    AUDIO(flv, 40, "af00", aac_lc);
    AUDIO(flv, 40, "af00", aac_lc);
    assert_int_equal(told.track_count, 2);
    AUDIO(flv, 80, "af00", aac_he);
    AUDIO(flv, 100, "af01", "21");
    AUDIO(flv, 146, "af01", "21");
    assert_int_equal(told.track_count, 3);
    assert_int_equal(told.tracks[2].index, 1);
    assert_int_equal(told.tracks[2].timescale, 22050);
    assert_int_equal(told.tracks[2].rate, 44100);
    expect_sample(0, 1, 2205, 0, true, 1);
    expect_sample(1, 1, 2205 + 1024, 0, true, 1);
    AUDIO(flv, 200, "af00", aac_960);
    AUDIO(flv, 200, "af01", "21");
    AUDIO(flv, 220, "af01", "21");
    expect_sample(2, 1, 9600, 0, true, 1);
    assert_int_equal(told.samples[2].sample.duration, 960);
    expect_sample(3, 1, 9600 + 960, 0, true, 1);
    flv_destroy(flv);
}

/* ---- Times ----------------------------------------------------------------------------------- */

static void sound_is_counted_until_it_is_far_away(void **state)
{
    static const struct {
        int64_t time_ms, dts;
    } rows[] = {
        {1000, 48000},            /* as it says */
        {1021, 49024},            /* 1021.33 */
        {1042, 50048},            /* 1042.67: no jitter, though milliseconds are cut off */
        {1014, 51072},            /* 50 ms too early */
        {1135, 52096},            /* nearly 50 ms too late */
        {1157, 157 * 48 + 48000}, /* more: sound was lost */
        {1178, 157 * 48 + 49024},
        {500, 24000}, /* back */
        {-5, -240},
        {INT64_C(1) << 40, (INT64_C(1) << 40) * 48},
    };
    struct flv *const flv = make();
    AUDIO(flv, 0, "af00", aac_lc);
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        AUDIO(flv, rows[i].time_ms, "af01", "21");
        expect_sample(i, 0, rows[i].dts, 0, true, 1);
    }
    assert_int_equal(feed(flv, false, (INT64_C(1) << 40) + 1, "af01", "21"), -LEAT_E_LIMIT);
    assert_int_equal(feed(flv, true, INT64_MIN, "af01", "21"), -LEAT_E_LIMIT);
    flv_destroy(flv);
}

/* ---- What is not taken ----------------------------------------------------------------------- */

static void refusals_say_why(void **state)
{
    static const struct {
        bool is_video;
        const char *head, *tail;
        int error;
        const char *reason;
    } rows[] = {
        {true, "22", "00", -EOPNOTSUPP,
         "its pictures are Sorenson H.263, not H.264 (AVC) or H.265 (hvc1)"},
        {true, "1f", "00", -EOPNOTSUPP,
         "its pictures are of an unknown codec, not H.264 (AVC) or H.265 (hvc1)"},
        {true, "9061763031", "81", -EOPNOTSUPP,
         "its pictures are av01, not H.264 (AVC) or H.265 (hvc1)"},
        {true, "906d703461", "81", -EOPNOTSUPP,
         "its pictures are mp4a, not H.264 (AVC) or H.265 (hvc1)"},
        {true, "90000a4180", "81", -EOPNOTSUPP,
         "its pictures are ??A?, not H.264 (AVC) or H.265 (hvc1)"},
        {false, "2f", "ff", -EOPNOTSUPP, "its sound is MP3, not AAC"},
        {false, "904f707573", "00", -EOPNOTSUPP, "its sound is Opus, not AAC"},
        {false, "9061766331", "00", -EOPNOTSUPP, "its sound is avc1, not AAC"},
        {false, "af00", "0990", -EOPNOTSUPP,
         "its sound is a form of AAC that is not LC, HE or HEv2"},
        {false, "af00", "11", -LEAT_E_MALFORMED, "the configuration of its sound cannot be read"},
        {true, "1700000000", "01640016", -LEAT_E_MALFORMED,
         "the configuration of its pictures cannot be read"},
        {true, "1700000000", "", -LEAT_E_MALFORMED,
         "a configuration of 0 bytes: at most 16384 are taken"},
        {true, "1701000000", "65", -LEAT_E_MALFORMED,
         "pictures come before their configuration (sequence header)"},
        {false, "af01", "21", -LEAT_E_MALFORMED,
         "sounds come before their configuration (sequence header)"},
        {true, "17010000", "", -LEAT_E_MALFORMED, "a message of 4 bytes ends in its header"},
        {true, "90687663", "", -LEAT_E_MALFORMED, "a message of 4 bytes ends in its header"},
        {true, "97ff0001", "", -LEAT_E_MALFORMED, "a message of 4 bytes ends in its header"},
        {true, "961168766331", "00000005aa", -LEAT_E_MALFORMED,
         "a message of 11 bytes ends in its header"},
        {true, "9631", "", -LEAT_E_MALFORMED, "a message of 2 bytes ends in its header"},
    };
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        struct flv *const flv = make();
        const int error = feed(flv, rows[i].is_video, 0, rows[i].head, rows[i].tail);
        assert_string_equal(flv_reason(flv), rows[i].reason);
        assert_int_equal(error, rows[i].error);
        assert_int_equal(told.track_count + told.sample_count, 0);
        flv_destroy(flv);
    }
}

static void modifiers_without_end_are_refused(void **state)
{
    enum { SIZE = 2 * FLV_HEADER_MAX };
    struct flv *const flv = make();
    unsigned char *const body = malloc(SIZE);
    body[0] = 0x97;
    for (size_t i = 1; i + 2 < SIZE; i += 3)
        memcpy(body + i, "\0\0\7", 3); /* a byte, and another modifier */
    assert_int_equal(flv_video(flv, 0, slice_of(body, SIZE)), -LEAT_E_MALFORMED);
    free(body);
    flv_destroy(flv);
}

static void a_sample_that_is_too_large_is_refused(void **state)
{
    const size_t size = MEDIA_SAMPLE_MAX + 5 + 1;
    struct flv *const flv = make();
    unsigned char *const body = calloc(1, size);
    memcpy(body, "\x17\1\0\0\0", 5);
    VIDEO(flv, 0, "1700000000", avc_record);
    assert_int_equal(flv_video(flv, 0, slice_of(body, size - 1)), 0);
    assert_int_equal(told.sample_count, 1);
    assert_int_equal(flv_video(flv, 0, slice_of(body, size)), -LEAT_E_LIMIT);
    assert_string_equal(flv_reason(flv), "a sample of 8388609 bytes: at most 8388608 are taken");
    free(body);
    flv_destroy(flv);
}

static void what_an_event_returns_is_returned(void **state)
{
    struct flv *const flv = make();
    VIDEO(flv, 0, "1700000000", avc_record);
    told.answer = -ENOSPC;
    assert_int_equal(feed(flv, true, 0, "1701000000", "65"), -ENOSPC);
    assert_string_equal(flv_reason(flv), "");
    flv_destroy(flv);
    flv_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(avc_and_aac_as_everybody_sends_them),
        cmocka_unit_test(enhanced_rtmp),
        cmocka_unit_test(of_several_tracks_the_first_counts),
        cmocka_unit_test(a_configuration_is_told_when_it_is_new),
        cmocka_unit_test(sound_is_counted_until_it_is_far_away),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(modifiers_without_end_are_refused),
        cmocka_unit_test(a_sample_that_is_too_large_is_refused),
        cmocka_unit_test(what_an_event_returns_is_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
