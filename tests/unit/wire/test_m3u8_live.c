/* SPDX-License-Identifier: MIT */
/*
 * Live playlists, letter by letter; and what a client that asked for an update puts together from
 * it: what it would have been sent otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/m3u8_live.h"

enum { PARTS = 5, WALL_MS_0 = 100 };

/* Four frames of 25 in a second each, but for the last one. */
static const struct m3u8_live_part parts[PARTS] = {
    {160000, true}, {160000, false}, {160000, false}, {160000, true}, {80000, false}};

static void assert_text(struct text *text, const char *wanted)
{
    assert_false(text->has_failed);
    text_add(text, slice_of("", 1));
    assert_string_equal(text->data, wanted);
    text_fini(text);
}

/* Segments of a second each from `first` on, which begin with the epoch. */
static void make(struct m3u8_live_segment *segments, size_t count, uint64_t first)
{
    for (size_t index = 0; index < count; index++)
        segments[index] =
            (struct m3u8_live_segment){.number = first + index,
                                       .duration_us = 1000000,
                                       .wall_ms = WALL_MS_0 + 1000 * (int64_t)(first + index),
                                       .is_whole = true,
                                       .parts = parts,
                                       .part_count = PARTS};
}

static struct m3u8_live playlist_of(const struct m3u8_live_segment *segments, size_t count)
{
    return (struct m3u8_live){.target_s = 1,
                              .part_target_us = 160000,
                              .is_independent = true,
                              .segments = segments,
                              .segment_count = count};
}

#define CONTROL                                                                                    \
    "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=6,CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.480000\n"        \
    "#EXT-X-PART-INF:PART-TARGET=0.160000\n"                                                       \
    "#EXT-X-INDEPENDENT-SEGMENTS\n"
#define HEAD "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:1\n" CONTROL
#define DATE(second) "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:" second ".100Z\n"
#define PARTS_OF(number)                                                                           \
    "#EXT-X-PART:DURATION=0.160000,URI=\"" number ".0.m4s\",INDEPENDENT=YES\n"                     \
    "#EXT-X-PART:DURATION=0.160000,URI=\"" number ".1.m4s\"\n"                                     \
    "#EXT-X-PART:DURATION=0.160000,URI=\"" number ".2.m4s\"\n"                                     \
    "#EXT-X-PART:DURATION=0.160000,URI=\"" number ".3.m4s\",INDEPENDENT=YES\n"                     \
    "#EXT-X-PART:DURATION=0.080000,URI=\"" number ".4.m4s\"\n"
#define WHOLE(number) "#EXTINF:1.000000,\n" number ".m4s\n"

/* What applies to a segment stands before its parts; those of segments that begin more than three
 * target durations before the end are not listed. */
static void writes_the_live_edge(void **state)
{
    struct m3u8_live_segment segments[5];
    make(segments, 5, 7);
    segments[2].init = segments[3].init = segments[4].init = 1;
    segments[2].is_discontinuity = true;
    segments[4].is_whole = false;
    segments[4].part_count = 2;
    segments[4].duration_us = 320000;
    const struct m3u8_live_report reports[] = {
        {.uri = "../video/index.m3u8", .last_msn = 11, .last_part = 1},
        {.uri = "../audio-1/index.m3u8", .last_msn = 10, .last_part = 4},
    };
    struct m3u8_live playlist = playlist_of(segments, 5);
    playlist.discontinuity_sequence = 2;
    playlist.reports = reports;
    playlist.report_count = 2;
    struct text text = {0};
    m3u8_live_write(&text, &playlist);
    assert_text(
        &text, HEAD
        "#EXT-X-MEDIA-SEQUENCE:7\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:2\n"
        "#EXT-X-MAP:URI=\"init-0.mp4\"\n" DATE("07") WHOLE("7") DATE("08") WHOLE(
            "8") "#EXT-X-DISCONTINUITY\n"
                 "#EXT-X-MAP:URI=\"init-1.mp4\"\n" DATE("09") PARTS_OF("9") WHOLE("9") DATE("10")
                     PARTS_OF("10") WHOLE("10") DATE(
                         "11") "#EXT-X-PART:DURATION=0.160000,URI=\"11.0.m4s\",INDEPENDENT=YES\n"
                               "#EXT-X-PART:DURATION=0.160000,URI=\"11.1.m4s\"\n"
                               "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"11.2.m4s\"\n"
                               "#EXT-X-RENDITION-REPORT:URI=\"../video/index.m3u8\",LAST-MSN=11,"
                               "LAST-PART=1\n"
                               "#EXT-X-RENDITION-REPORT:URI=\"../audio-1/index.m3u8\",LAST-MSN=10,"
                               "LAST-PART=4\n");
}

#define LAST_WHOLE                                                                                 \
    HEAD "#EXT-X-MEDIA-SEQUENCE:3\n"                                                               \
         "#EXT-X-DISCONTINUITY-SEQUENCE:0\n"                                                       \
         "#EXT-X-MAP:URI=\"init-0.mp4\"\n" DATE("03") PARTS_OF("3") WHOLE("3")

static void hints_the_next_segment_when_one_is_whole(void **state)
{
    struct m3u8_live_segment segments[2];
    make(segments, 2, 3);
    const struct m3u8_live whole = playlist_of(segments, 1);
    struct text text = {0};
    m3u8_live_write(&text, &whole);
    assert_text(&text, LAST_WHOLE "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"4.0.m4s\"\n");

    /* One that has begun and has no part yet is not to be seen, its tags neither. */
    segments[1] = (struct m3u8_live_segment){.number = 4, .init = 1, .is_discontinuity = true};
    const struct m3u8_live begun = playlist_of(segments, 2);
    m3u8_live_write(&text, &begun);
    assert_text(&text, LAST_WHOLE "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"4.0.m4s\"\n");
}

static void all_parts_of_sound_are_independent(void **state)
{
    struct m3u8_live_segment segment;
    make(&segment, 1, 3);
    struct m3u8_live playlist = playlist_of(&segment, 1);
    playlist.is_sound = true;
    struct text text = {0};
    m3u8_live_write(&text, &playlist);
    text_add(&text, slice_of("", 1));
    unsigned count = 0;
    for (const char *at = text.data; (at = strstr(at, ".m4s\",INDEPENDENT=YES\n")); at++)
        count++;
    assert_int_equal(count, PARTS);
    text_fini(&text);
}

static void hints_what_is_expected(void **state)
{
    struct m3u8_live_segment segments[2];
    make(segments, 2, 3);
    segments[1].is_whole = false;
    struct m3u8_live playlist = playlist_of(segments, 2);
    struct text text = {0};
    m3u8_live_write(&text, &playlist);
    text_add(&text, slice_of("", 1));
    assert_non_null(strstr(text.data, "PRELOAD-HINT:TYPE=PART,URI=\"4.5.m4s\""));
    text_fini(&text);
    text = (struct text){0};
    playlist.hints_next_segment = true;
    m3u8_live_write(&text, &playlist);
    text_add(&text, slice_of("", 1));
    assert_non_null(strstr(text.data, "PRELOAD-HINT:TYPE=PART,URI=\"5.0.m4s\""));
    text_fini(&text);
}

static void ends(void **state)
{
    struct m3u8_live_segment segments[20];
    make(segments, 20, 3);
    struct m3u8_live playlist = playlist_of(segments, 1);
    playlist.is_ended = true;
    struct text text = {0};
    m3u8_live_write(&text, &playlist);
    assert_text(&text, LAST_WHOLE "#EXT-X-ENDLIST\n");
    playlist.segment_count = 20;
    assert_int_equal(m3u8_live_skippable(&playlist), 0);
}

static void writes_without_low_latency(void **state)
{
    struct m3u8_live_segment segments[3];
    make(segments, 3, 0);
    segments[1].duration_us = 999999;
    segments[2].is_whole = false;
    const struct m3u8_live_report report = {.uri = "../muxed/index.m3u8", .last_msn = 1};
    struct m3u8_live playlist = playlist_of(segments, 3);
    playlist.part_target_us = 0;
    playlist.is_independent = false;
    playlist.target_s = 4;
    playlist.reports = &report;
    playlist.report_count = 1;
    struct text text = {0};
    m3u8_live_write(&text, &playlist);
    assert_text(&text,
                "#EXTM3U\n"
                "#EXT-X-VERSION:6\n"
                "#EXT-X-TARGETDURATION:4\n"
                "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=24\n"
                "#EXT-X-MEDIA-SEQUENCE:0\n"
                "#EXT-X-DISCONTINUITY-SEQUENCE:0\n"
                "#EXT-X-MAP:URI=\"init-0.mp4\"\n" DATE("00") WHOLE("0")
                    DATE("01") "#EXTINF:0.999999,\n"
                               "1.m4s\n"
                               "#EXT-X-RENDITION-REPORT:URI=\"../muxed/index.m3u8\",LAST-MSN=1\n");
}

static void holds_back_as_asked_but_not_too_little(void **state)
{
    struct m3u8_live_segment segment;
    make(&segment, 1, 0);
    static const struct {
        uint32_t asked_us;
        const char *wanted;
    } rows[] = {{0, "PART-HOLD-BACK=0.480000\n"},
                {479999, "PART-HOLD-BACK=0.480000\n"},
                {1200000, "PART-HOLD-BACK=1.200000\n"}};
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        struct m3u8_live playlist = playlist_of(&segment, 1);
        playlist.part_hold_back_us = rows[row].asked_us;
        struct text text = {0};
        m3u8_live_write(&text, &playlist);
        text_add(&text, slice_of("", 1));
        assert_non_null(strstr(text.data, rows[row].wanted));
        text_fini(&text);
    }
}

/* ---- Delta updates --------------------------------------------------------------------------- */

static char *written(const struct m3u8_live *playlist)
{
    struct text text = {0};
    m3u8_live_write(&text, playlist);
    text_add(&text, slice_of("", 1));
    assert_false(text.has_failed);
    return text.data;
}

/* Where the tags of a segment begin; each has a date, which is its own. */
static const char *tags_of(const char *playlist, const struct m3u8_live_segment *segment)
{
    char date[16];
    snprintf(date, sizeof date, ":%02d.100Z\n", (int)segment->number);
    const char *at = strstr(playlist, date);
    assert_non_null(at);
    while (at[-1] != '\n' || strncmp(at, "#EXT-X-PROGRAM", 14) != 0)
        at--;
    if (segment->is_discontinuity) { /* and a MAP */
        at = strstr(playlist, "#EXT-X-DISCONTINUITY\n");
        assert_non_null(at);
    }
    return at;
}

/* Only the head differs: by EXT-X-SKIP and the version that it asks for. */
static void assert_is_update(const struct m3u8_live *playlist)
{
    struct m3u8_live update = *playlist;
    update.skipped = m3u8_live_skippable(playlist);
    assert_true(update.skipped > 0);
    const struct m3u8_live_segment *first = &playlist->segments[update.skipped];
    char *whole = written(playlist), *delta = written(&update), head[512];
    snprintf(head, sizeof head,
             "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:1\n" CONTROL
             "#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n"
             "#EXT-X-SKIP:SKIPPED-SEGMENTS=%zu\n",
             (int)playlist->segments[0].number, update.skipped);
    assert_memory_equal(delta, head, strlen(head));
    assert_string_equal(delta + strlen(head), tags_of(whole, first));
    free(whole);
    free(delta);
}

/* Six target durations are kept; what ends just there is kept, too. */
static void skips_what_is_old(void **state)
{
    struct m3u8_live_segment segments[12];
    make(segments, 12, 5);
    static const struct {
        size_t count, skippable;
    } rows[] = {{1, 0}, {6, 0}, {7, 0}, {8, 1}, {9, 2}, {12, 5}};
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        const struct m3u8_live playlist = playlist_of(segments, rows[row].count);
        assert_int_equal(m3u8_live_skippable(&playlist), rows[row].skippable);
        if (rows[row].skippable > 0)
            assert_is_update(&playlist);
    }
    /* The end is that of the last part. */
    segments[8].is_whole = false;
    segments[8].part_count = 1;
    segments[8].duration_us = 160000;
    const struct m3u8_live playlist = playlist_of(segments, 9);
    assert_int_equal(m3u8_live_skippable(&playlist), 2);
    assert_is_update(&playlist);
}

/* A discontinuity and a new init: among the skipped, they are known; behind them, they are told. */
static void skips_over_epochs(void **state)
{
    for (size_t change = 1; change < 10; change++) {
        struct m3u8_live_segment segments[12];
        make(segments, 12, 5);
        segments[change].is_discontinuity = true;
        for (size_t index = change; index < 12; index++)
            segments[index].init = 1;
        const struct m3u8_live playlist = playlist_of(segments, 12);
        assert_is_update(&playlist);
    }
}

/* Two hours: every segment is there, once. */
static void writes_a_long_window(void **state)
{
    enum { COUNT = 3600 };
    struct m3u8_live_segment *segments = calloc(COUNT, sizeof *segments);
    assert_non_null(segments);
    make(segments, COUNT, UINT64_C(18446744073709500000));
    for (size_t index = 0; index + 4 < COUNT; index++)
        segments[index].part_count = 0;
    const struct m3u8_live playlist = playlist_of(segments, COUNT);
    char *text = written(&playlist), line[32];
    const char *at = text;
    for (size_t index = 0; index < COUNT; index++) {
        snprintf(line, sizeof line, "\n%llu.m4s\n", (unsigned long long)segments[index].number);
        at = strstr(at, line);
        assert_non_null(at);
    }
    assert_null(strstr(at, "EXTINF"));
    assert_int_equal(m3u8_live_skippable(&playlist), COUNT - 7);
    free(text);
    free(segments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_live_edge),
        cmocka_unit_test(hints_the_next_segment_when_one_is_whole),
        cmocka_unit_test(all_parts_of_sound_are_independent),
        cmocka_unit_test(hints_what_is_expected),
        cmocka_unit_test(ends),
        cmocka_unit_test(writes_without_low_latency),
        cmocka_unit_test(holds_back_as_asked_but_not_too_little),
        cmocka_unit_test(skips_what_is_old),
        cmocka_unit_test(skips_over_epochs),
        cmocka_unit_test(writes_a_long_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
