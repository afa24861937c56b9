/* SPDX-License-Identifier: MIT */
/*
 * Playlists of HLS, letter by letter; and of long films the sums: no segment is lost, and times do
 * not drift.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/m3u8.h"

static void assert_text(struct text *text, const char *wanted)
{
    assert_false(text->has_failed);
    text_add(text, slice_of("", 1));
    assert_string_equal(text->data, wanted);
    text_fini(text);
}

static void writes_a_film_with_renditions(void **state)
{
    const struct m3u8_variant variants[] = {
        {.uri = "../film-1080.mp4/video/index.m3u8",
         .peak_bits_per_s = 6400000,
         .average_bits_per_s = 5000000,
         .codecs = "avc1.640028,mp4a.40.2",
         .width = 1920,
         .height = 1080,
         .frame_rate_milli = 23976,
         .audio = "audio",
         .subtitles = "subtitles"},
        {.uri = "../film-360.mp4/video/index.m3u8",
         .peak_bits_per_s = 800000,
         .width = 640,
         .height = 360,
         .frame_rate_milli = 25000,
         .audio = "audio",
         .subtitles = "subtitles"},
    };
    const struct m3u8_rendition renditions[] = {
        {.type = M3U8_AUDIO,
         .group = "audio",
         .name = "English",
         .language = "en",
         .uri = "audio-1/index.m3u8",
         .channels = 2,
         .is_default = true},
        {.type = M3U8_AUDIO,
         .group = "audio",
         .name = "Deutsch",
         .language = "de",
         .uri = "audio-2/index.m3u8",
         .channels = 6,
         .is_autoselect = true},
        {.type = M3U8_SUBTITLES,
         .group = "subtitles",
         .name = "subtitles",
         .uri = "subtitles-en.m3u8"},
    };
    const struct m3u8_multivariant playlist = {.variants = variants,
                                               .variant_count = 2,
                                               .renditions = renditions,
                                               .rendition_count = 3,
                                               .is_independent = true};
    struct text text = {0};
    m3u8_write_multivariant(&text, &playlist);
    assert_text(
        &text,
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,"
        "AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio-1/index.m3u8\"\n"
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Deutsch\",LANGUAGE=\"de\",DEFAULT=NO,"
        "AUTOSELECT=YES,CHANNELS=\"6\",URI=\"audio-2/index.m3u8\"\n"
        "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subtitles\",NAME=\"subtitles\",DEFAULT=NO,"
        "AUTOSELECT=NO,URI=\"subtitles-en.m3u8\"\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=6400000,AVERAGE-BANDWIDTH=5000000,"
        "CODECS=\"avc1.640028,mp4a.40.2\",RESOLUTION=1920x1080,FRAME-RATE=23.976,AUDIO=\"audio\","
        "SUBTITLES=\"subtitles\"\n"
        "../film-1080.mp4/video/index.m3u8\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360,FRAME-RATE=25.000,AUDIO=\"audio\","
        "SUBTITLES=\"subtitles\"\n"
        "../film-360.mp4/video/index.m3u8\n");
}

/* A quoted string has no way to escape: no character of a name may end it, or the line. */
static void names_cannot_break_out(void **state)
{
    const struct m3u8_rendition rendition = {
        .type = M3U8_SUBTITLES,
        .group = "s",
        .name = "a\"b\r\n#EXT\t\x7f\xc2\x85\xff\xc3\xa9,=",
        .uri = "s.m3u8",
    };
    struct text text = {0};
    m3u8_write_multivariant(
        &text, &(struct m3u8_multivariant){.renditions = &rendition, .rendition_count = 1});
    assert_text(&text, "#EXTM3U\n"
                       "#EXT-X-VERSION:7\n"
                       "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"a”b  #EXT   "
                       "\xef\xbf\xbd\xc3\xa9,=\",DEFAULT=NO,AUTOSELECT=NO,URI=\"s.m3u8\"\n");
}

static void says_rates_that_players_can_use(void **state)
{
    const struct m3u8_variant variants[] = {
        {.uri = "a", .peak_bits_per_s = 999, .average_bits_per_s = 1000},
        {.uri = "b"},
    };
    struct text text = {0};
    m3u8_write_multivariant(&text,
                            &(struct m3u8_multivariant){.variants = variants, .variant_count = 2});
    assert_text(&text, "#EXTM3U\n"
                       "#EXT-X-VERSION:7\n"
                       "#EXT-X-STREAM-INF:BANDWIDTH=1000,AVERAGE-BANDWIDTH=1000\n"
                       "a\n"
                       "#EXT-X-STREAM-INF:BANDWIDTH=1\n"
                       "b\n");
}

/* ---- Media playlists ------------------------------------------------------------------------- */

static int64_t begin_in_table(void *user, unsigned index)
{
    return ((const int64_t *)user)[index];
}

static void writes_a_film(void **state)
{
    /* Pictures at 29.97; the last two segments are empty. */
    int64_t begins[] = {0, 60060, 120120, 195195, 195195, 195195};
    struct text text = {0};
    m3u8_write_media(&text, &(struct m3u8_media){.map_uri = "init.mp4",
                                                 .segment_uri = "$Number$.m4s",
                                                 .segment_count = 5,
                                                 .timescale = 30000,
                                                 .is_independent = true,
                                                 .begin = begin_in_table,
                                                 .user = begins});
    assert_text(&text, "#EXTM3U\n"
                       "#EXT-X-VERSION:7\n"
                       "#EXT-X-INDEPENDENT-SEGMENTS\n"
                       "#EXT-X-TARGETDURATION:3\n" /* 2.5025 rounded */
                       "#EXT-X-MEDIA-SEQUENCE:0\n"
                       "#EXT-X-PLAYLIST-TYPE:VOD\n"
                       "#EXT-X-MAP:URI=\"init.mp4\"\n"
                       "#EXTINF:2.002000,\n"
                       "0.m4s\n"
                       "#EXTINF:2.002000,\n"
                       "1.m4s\n"
                       "#EXTINF:2.502500,\n"
                       "2.m4s\n"
                       "#EXT-X-ENDLIST\n");
}

/* Segments keep their numbers when one before them is left out. */
static void leaves_empty_segments_out(void **state)
{
    int64_t begins[] = {0, 0, 1000, 1000, 2499};
    struct text text = {0};
    m3u8_write_media(&text, &(struct m3u8_media){.segment_uri = "a-$Number$?x",
                                                 .segment_count = 4,
                                                 .timescale = 1000,
                                                 .begin = begin_in_table,
                                                 .user = begins});
    assert_text(&text, "#EXTM3U\n"
                       "#EXT-X-VERSION:7\n"
                       "#EXT-X-TARGETDURATION:1\n" /* 1.499 rounded */
                       "#EXT-X-MEDIA-SEQUENCE:0\n"
                       "#EXT-X-PLAYLIST-TYPE:VOD\n"
                       "#EXTINF:1.000000,\n"
                       "a-1?x\n"
                       "#EXTINF:1.499000,\n"
                       "a-3?x\n"
                       "#EXT-X-ENDLIST\n");
}

static void writes_subtitles_as_one_segment(void **state)
{
    int64_t begins[] = {0, 300};
    struct text text = {0};
    m3u8_write_media(&text, &(struct m3u8_media){.segment_uri = "subtitles-en.vtt",
                                                 .segment_count = 1,
                                                 .timescale = 1000,
                                                 .begin = begin_in_table,
                                                 .user = begins});
    assert_text(&text, "#EXTM3U\n"
                       "#EXT-X-VERSION:7\n"
                       "#EXT-X-TARGETDURATION:1\n" /* never 0 */
                       "#EXT-X-MEDIA-SEQUENCE:0\n"
                       "#EXT-X-PLAYLIST-TYPE:VOD\n"
                       "#EXTINF:0.300000,\n"
                       "subtitles-en.vtt\n"
                       "#EXT-X-ENDLIST\n");
}

/* Segments of 2 s that end on the next AAC frame, as audio does. */
static int64_t begin_of_audio(void *user, unsigned index)
{
    const int64_t frame = 1024, sample_rate = *(const int64_t *)user;
    return (index * 2 * sample_rate + frame - 1) / frame * frame;
}

static void sums_do_not_drift(void **state)
{
    enum { SEGMENTS = 18000 };
    int64_t sample_rate = 44100;
    struct text text = {0};
    m3u8_write_media(&text, &(struct m3u8_media){.segment_uri = "$Number$.m4s",
                                                 .segment_count = SEGMENTS,
                                                 .timescale = 44100,
                                                 .begin = begin_of_audio,
                                                 .user = &sample_rate});
    text_add(&text, slice_of("", 1));
    assert_false(text.has_failed);
    long long sum_us = 0;
    unsigned count = 0;
    for (const char *line = text.data; (line = strstr(line, "#EXTINF:")); count++) {
        long long s, us;
        unsigned number;
        assert_int_equal(sscanf(line, "#EXTINF:%lld.%6lld,\n%u.m4s\n", &s, &us, &number), 3);
        assert_int_equal(number, count);
        sum_us += s * 1000000 + us;
        /* Each segment is where it belongs, to half a microsecond. */
        const long long wanted = begin_of_audio(&sample_rate, count + 1);
        assert_true(llabs(sum_us * 44100 - wanted * 1000000) <= 44100 / 2);
        line++;
    }
    assert_int_equal(count, SEGMENTS);
    text_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_film_with_renditions),
        cmocka_unit_test(names_cannot_break_out),
        cmocka_unit_test(says_rates_that_players_can_use),
        cmocka_unit_test(writes_a_film),
        cmocka_unit_test(leaves_empty_segments_out),
        cmocka_unit_test(writes_subtitles_as_one_segment),
        cmocka_unit_test(sums_do_not_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
