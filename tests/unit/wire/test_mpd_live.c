/* SPDX-License-Identifier: MIT */
/*
 * The manifest of a live channel, letter by letter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "wire/mpd_live.h"

static void assert_text(struct text *text, const char *wanted)
{
    assert_false(text->has_failed);
    text_add(text, slice_of("", 1));
    assert_string_equal(text->data, wanted);
    text_fini(text);
}

static const struct mpd_live_track tracks[] = {
    {.stream = "video",
     .codecs = "avc1.64001f",
     .bits_per_s = 2000000,
     .width = 1280,
     .height = 720,
     .frame_rate_milli = 29970},
    {.stream = "audio-1",
     .codecs = "mp4a.40.2",
     .bits_per_s = 128000,
     .sample_rate = 48000,
     .channels = 2,
     .language = "de"},
};

static struct mpd_live live_of(const struct mpd_live_period *periods, size_t count)
{
    return (struct mpd_live){.available_ms = 1795348800100,
                             .published_ms = 1795348860300,
                             .depth_ms = 30000,
                             .part_us = 200200,
                             .latency_ms = 1500,
                             .clock_uri = "time?a=1&b=\"2\"",
                             .is_independent = true,
                             .periods = periods,
                             .period_count = count};
}

#define XML                                                                                        \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                 \
    "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "                                                \
    "profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" "
#define MADE                                                                                       \
    " availabilityStartTime=\"2026-11-22T12:00:00.100Z\" publishTime=\"2026-11-22T12:01:00.300Z\""
#define DYNAMIC                                                                                    \
    XML "type=\"dynamic\"" MADE " minimumUpdatePeriod=\"PT2.002000S\""                             \
        " timeShiftBufferDepth=\"PT30.000000S\" suggestedPresentationDelay=\"PT1.500000S\""        \
        " minBufferTime=\"PT0.750000S\">\n"                                                        \
        "  <ServiceDescription id=\"0\">\n"                                                        \
        "    <Latency referenceId=\"0\" target=\"1500\"/>\n"                                       \
        "    <PlaybackRate min=\"0.96\" max=\"1.04\"/>\n"                                          \
        "  </ServiceDescription>\n"
#define CLOCK                                                                                      \
    "<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\""                                   \
    " value=\"time?a=1&amp;b=&quot;2&quot;\"/>\n"
#define VIDEO_SET                                                                                  \
    "    <AdaptationSet id=\"0\" contentType=\"video\" mimeType=\"video/mp4\" par=\"16:9\""        \
    " segmentAlignment=\"true\" startWithSAP=\"1\">\n"
#define AUDIO_SET                                                                                  \
    "    <AdaptationSet id=\"1\" contentType=\"audio\" mimeType=\"audio/mp4\" lang=\"de\""         \
    " segmentAlignment=\"true\" startWithSAP=\"1\">\n"
#define LATENCY(id, wall, time)                                                                    \
    "      <ProducerReferenceTime id=\"" id "\" type=\"encoder\""                                  \
    " wallClockTime=\"2026-11-22T12:" wall "Z\" presentationTime=\"" time "\">\n"                  \
    "        " CLOCK "      </ProducerReferenceTime>\n"                                            \
    "      <Resync type=\"0\" dT=\"200200\"/>\n"
#define TEMPLATE(numbers, early, stream, init)                                                     \
    "      <SegmentTemplate timescale=\"1000000\" duration=\"2002000\"" numbers early              \
    " initialization=\"" stream "/init-" init ".mp4\" media=\"" stream "/$Number$.m4s\"/>\n"
#define EARLY " availabilityTimeOffset=\"1.801800\" availabilityTimeComplete=\"false\""
#define VIDEO                                                                                      \
    "      <Representation id=\"video\" bandwidth=\"2000000\" codecs=\"avc1.64001f\""              \
    " width=\"1280\" height=\"720\" frameRate=\"30000/1001\">\n"                                   \
    "      </Representation>\n"                                                                    \
    "    </AdaptationSet>\n"
#define AUDIO                                                                                      \
    "      <Representation id=\"audio-1\" bandwidth=\"128000\" codecs=\"mp4a.40.2\""               \
    " audioSamplingRate=\"48000\">\n"                                                              \
    "        <AudioChannelConfiguration"                                                           \
    " schemeIdUri=\"urn:mpeg:mpegB:cicp:ChannelConfiguration\" value=\"2\"/>\n"                    \
    "      </Representation>\n"                                                                    \
    "    </AdaptationSet>\n"

static void writes_a_channel(void **state)
{
    const struct mpd_live_period period = {
        .begin_us = 0, .end_us = -1, .segment_us = 2002000, .tracks = tracks, .track_count = 2};
    const struct mpd_live live = live_of(&period, 1);
    struct text text = {0};
    mpd_live_write(&text, &live);
#define NUMBERS " startNumber=\"0\" presentationTimeOffset=\"0\""
    assert_text(
        &text, DYNAMIC
        "  <Period id=\"0\" start=\"PT0.000000S\">\n" VIDEO_SET LATENCY("0", "00:00.100", "0")
            TEMPLATE(NUMBERS, EARLY, "video", "0") VIDEO AUDIO_SET LATENCY("1", "00:00.100", "0")
                TEMPLATE(NUMBERS, EARLY, "audio-1", "0") AUDIO "  </Period>\n"
                                                               "  " CLOCK "</MPD>\n");
#undef NUMBERS
}

/* A gap, then a new init; then segments that have drifted, of the same. */
static const struct mpd_live_period three[] = {
    {.id = 4,
     .init = 2,
     .begin_us = 10010000,
     .end_us = 14014000,
     .first_number = 5,
     .last_number = 6,
     .segment_us = 2002000,
     .tracks = tracks,
     .track_count = 1},
    {.id = 5,
     .init = 3,
     .begin_us = 20000500,
     .end_us = 24004500,
     .first_number = 7,
     .last_number = 8,
     .segment_us = 2002000,
     .tracks = tracks,
     .track_count = 1},
    {.id = 6,
     .init = 3,
     .is_continuous = true,
     .begin_us = 24004500,
     .end_us = -1,
     .first_number = 9,
     .segment_us = 2002000,
     .tracks = tracks,
     .track_count = 1},
};

#define FIRST " startNumber=\"5\" endNumber=\"6\" presentationTimeOffset=\"10010000\""
#define SECOND " startNumber=\"7\" endNumber=\"8\" presentationTimeOffset=\"20000500\""
#define PERIOD(id, start) "  <Period id=\"" id "\" start=\"PT" start "S\""
#define CONTINUES                                                                                  \
    "      <SupplementalProperty schemeIdUri=\"urn:mpeg:dash:period-continuity:2015\""             \
    " value=\"5\"/>\n"

static void writes_periods(void **state)
{
    const struct mpd_live live = live_of(three, 3);
    struct text text = {0};
    mpd_live_write(&text, &live);
    /* What is said of a moment is exact: both times of it are of a whole millisecond. */
    assert_text(
        &text, DYNAMIC PERIOD("4", "10.010000") " duration=\"PT4.004000S\">\n" VIDEO_SET TEMPLATE(
                   FIRST, "", "video", "2") VIDEO
        "  </Period>\n" PERIOD("5", "20.000500") " duration=\"PT4.004000S\">\n" VIDEO_SET TEMPLATE(
            SECOND, "", "video", "3") VIDEO
        "  </Period>\n" PERIOD("6", "24.004500") ">\n" VIDEO_SET CONTINUES LATENCY("0", "00:24.104",
                                                                                   "24004000")
            TEMPLATE(" startNumber=\"9\" presentationTimeOffset=\"24004500\"", EARLY, "video", "3")
                VIDEO "  </Period>\n  " CLOCK "</MPD>\n");
}

static void ends(void **state)
{
    struct mpd_live_period periods[3];
    memcpy(periods, three, sizeof periods);
    periods[2].end_us = 25005500;
    periods[2].last_number = 9;
    struct mpd_live live = live_of(periods, 3);
    live.is_ended = true;
    struct text text = {0};
    mpd_live_write(&text, &live);
    assert_text(
        &text, XML
        "type=\"static\"" MADE " mediaPresentationDuration=\"PT25.005500S\""
        " minBufferTime=\"PT0.750000S\">\n" PERIOD(
            "4", "10.010000") " duration=\"PT4.004000S\">\n" VIDEO_SET TEMPLATE(FIRST, "", "video",
                                                                                "2") VIDEO
        "  </Period>\n" PERIOD("5", "20.000500") " duration=\"PT4.004000S\">\n" VIDEO_SET TEMPLATE(
            SECOND, "", "video", "3") VIDEO
        "  </Period>\n" PERIOD("6", "24.004500") " duration=\"PT1.001000S\">\n" VIDEO_SET CONTINUES
            TEMPLATE(" startNumber=\"9\" endNumber=\"9\" presentationTimeOffset=\"24004500\"", "",
                     "video", "3") VIDEO "  </Period>\n"
                                         "</MPD>\n");
}

/* Nothing is said that is not known; and a segment that is one part is there when it is whole. */
static void leaves_out_what_is_not_known(void **state)
{
    const struct mpd_live_track sound = {.stream = "audio-1"};
    const struct mpd_live_track picture = {.stream = "video", .width = 320, .height = 180};
    const struct mpd_live_track both[] = {picture, sound};
    const struct mpd_live_period period = {
        .end_us = -1, .segment_us = 200200, .tracks = both, .track_count = 2};
    struct mpd_live live = live_of(&period, 1);
    live.clock_uri = NULL;
    live.is_independent = false;
    struct text text = {0};
    mpd_live_write(&text, &live);
    text_add(&text, slice_of("", 1));
    assert_non_null(strstr(text.data, "par=\"16:9\" segmentAlignment=\"true\">\n"));
    assert_non_null(strstr(text.data, "\"audio/mp4\" segmentAlignment=\"true\" startWithSAP"));
    assert_non_null(strstr(text.data, "<Representation id=\"audio-1\" bandwidth=\"1\">\n"));
    assert_null(strstr(text.data, "UTCTiming"));
    assert_null(strstr(text.data, "availabilityTime"));
    text_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_channel),
        cmocka_unit_test(writes_periods),
        cmocka_unit_test(ends),
        cmocka_unit_test(leaves_out_what_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
