/* SPDX-License-Identifier: MIT */
/*
 * The manifest of DASH, letter by letter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "wire/mpd.h"

static void assert_text(struct text *text, const char *wanted)
{
    assert_false(text->has_failed);
    text_add(text, slice_of("", 1));
    assert_string_equal(text->data, wanted);
    text_fini(text);
}

static int64_t begin_in_table(void *user, unsigned index)
{
    return ((const int64_t *)user)[index];
}

#define HEAD                                                                                       \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                 \
    "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "                                                \
    "profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\" "                          \
    "mediaPresentationDuration=\"PT7.007000S\" minBufferTime=\"PT2.000000S\">\n"                   \
    "  <Period id=\"0\" start=\"PT0S\">\n"
#define TAIL                                                                                       \
    "  </Period>\n"                                                                                \
    "</MPD>\n"

static void writes_a_film(void **state)
{
    int64_t video_begins[] = {0, 60060, 120120, 180180, 210210};
    int64_t audio_begins[] = {1024, 97280, 193536, 289792, 289792};
    const struct mpd_segments video = {.timescale = 30000,
                                       .initialization = "video/init.mp4",
                                       .media = "video/$Number$.m4s",
                                       .count = 4,
                                       .begin = begin_in_table,
                                       .user = video_begins};
    struct mpd_segments audio = video;
    audio.timescale = 48000;
    audio.initialization = "audio-1/init.mp4";
    audio.media = "audio-1/$Number$.m4s";
    audio.user = audio_begins;
    const struct mpd_representation pictures[] = {
        {.id = "video-360",
         .bits_per_s = 800000,
         .codecs = "avc1.64001e",
         .width = 640,
         .height = 360,
         .frame_rate_milli = 29970,
         .base_url = "../film-360.mp4/"},
        {.id = "video-1080",
         .bits_per_s = 5000000,
         .codecs = "avc1.640028",
         .width = 1920,
         .height = 1080,
         .frame_rate_milli = 29970,
         .base_url = "../film-1080.mp4/"},
    };
    const struct mpd_representation sound = {.id = "audio-1",
                                             .bits_per_s = 128000,
                                             .codecs = "mp4a.40.2",
                                             .sample_rate = 48000,
                                             .channels = 2,
                                             .segments = &audio};
    const struct mpd_representation text_track = {
        .id = "subtitles-en", .bits_per_s = 1000, .base_url = "subtitles-en.vtt"};
    const struct mpd_set sets[] = {
        {.content = MPD_VIDEO,
         .mime_type = "video/mp4",
         .role = "main",
         .start_with_sap = 1,
         .segments = &video,
         .representations = pictures,
         .representation_count = 2},
        {.content = MPD_AUDIO,
         .mime_type = "audio/mp4",
         .language = "en",
         .role = "main",
         .label = "English",
         .start_with_sap = 1,
         .representations = &sound,
         .representation_count = 1},
        {.content = MPD_TEXT,
         .mime_type = "text/vtt",
         .language = "en",
         .role = "subtitle",
         .representations = &text_track,
         .representation_count = 1},
    };
    struct text text = {0};
    mpd_write(&text,
              &(struct mpd){.duration_s = 7.007, .min_buffer_s = 2, .sets = sets, .set_count = 3});
    assert_text(
        &text, HEAD
        "    <AdaptationSet id=\"0\" contentType=\"video\" mimeType=\"video/mp4\" par=\"16:9\" "
        "segmentAlignment=\"true\" startWithSAP=\"1\">\n"
        "      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>\n"
        "      <SegmentTemplate timescale=\"30000\" initialization=\"video/init.mp4\" "
        "media=\"video/$Number$.m4s\" startNumber=\"0\">\n"
        "        <SegmentTimeline>\n"
        "          <S t=\"0\" d=\"60060\" r=\"2\"/>\n"
        "          <S d=\"30030\"/>\n"
        "        </SegmentTimeline>\n"
        "      </SegmentTemplate>\n"
        "      <Representation id=\"video-360\" bandwidth=\"800000\" codecs=\"avc1.64001e\" "
        "width=\"640\" height=\"360\" frameRate=\"30000/1001\">\n"
        "        <BaseURL>../film-360.mp4/</BaseURL>\n"
        "      </Representation>\n"
        "      <Representation id=\"video-1080\" bandwidth=\"5000000\" codecs=\"avc1.640028\" "
        "width=\"1920\" height=\"1080\" frameRate=\"30000/1001\">\n"
        "        <BaseURL>../film-1080.mp4/</BaseURL>\n"
        "      </Representation>\n"
        "    </AdaptationSet>\n"
        "    <AdaptationSet id=\"1\" contentType=\"audio\" mimeType=\"audio/mp4\" lang=\"en\" "
        "segmentAlignment=\"true\" startWithSAP=\"1\">\n"
        "      <Label>English</Label>\n"
        "      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>\n"
        "      <Representation id=\"audio-1\" bandwidth=\"128000\" codecs=\"mp4a.40.2\" "
        "audioSamplingRate=\"48000\">\n"
        "        <AudioChannelConfiguration "
        "schemeIdUri=\"urn:mpeg:mpegB:cicp:ChannelConfiguration\" value=\"2\"/>\n"
        "        <SegmentTemplate timescale=\"48000\" initialization=\"audio-1/init.mp4\" "
        "media=\"audio-1/$Number$.m4s\" startNumber=\"0\">\n"
        "          <SegmentTimeline>\n"
        "            <S t=\"1024\" d=\"96256\" r=\"2\"/>\n"
        "          </SegmentTimeline>\n"
        "        </SegmentTemplate>\n"
        "      </Representation>\n"
        "    </AdaptationSet>\n"
        "    <AdaptationSet id=\"2\" contentType=\"text\" mimeType=\"text/vtt\" lang=\"en\">\n"
        "      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"subtitle\"/>\n"
        "      <Representation id=\"subtitles-en\" bandwidth=\"1000\">\n"
        "        <BaseURL>subtitles-en.vtt</BaseURL>\n"
        "      </Representation>\n"
        "    </AdaptationSet>\n" TAIL);
}

/* What a manifest says of one representation, for what is asked piece by piece. */
static struct text of_one(const struct mpd_set *set, const struct mpd_representation *one)
{
    struct mpd_representation representation = *one;
    representation.id = "r";
    representation.bits_per_s = 1;
    struct mpd_set whole = *set;
    whole.representations = &representation;
    whole.representation_count = 1;
    struct text text = {0};
    mpd_write(&text, &(struct mpd){.duration_s = 1, .sets = &whole, .set_count = 1});
    text_add(&text, slice_of("", 1));
    assert_false(text.has_failed);
    return text;
}

static void assert_says(const struct mpd_set *set, const struct mpd_representation *representation,
                        const char *wanted)
{
    struct text text = of_one(set, representation);
    if (!strstr(text.data, wanted))
        fail_msg("%s is not in\n%s", wanted, text.data);
    text_fini(&text);
}

static void says_numbers_that_players_can_use(void **state)
{
    const struct mpd_representation one = {.id = "r"};
    const struct mpd_set set = {.representations = &one, .representation_count = 1};
    struct text text = {0};
    mpd_write(&text, &(struct mpd){.duration_s = 1e300, .sets = &set, .set_count = 1});
    text_add(&text, slice_of("", 1));
    assert_non_null(strstr(text.data, "mediaPresentationDuration=\"PT1000000000000.000000S\""));
    assert_non_null(strstr(text.data, "<Representation id=\"r\" bandwidth=\"1\">"));
    text_fini(&text);
}

static void escapes_everything(void **state)
{
    const struct mpd_set set = {
        .mime_type = "a\"b", .label = "<&>'\"\n\x01\xff\xef\xbf\xbf\xc3\xa9", .language = "\t<"};
    const struct mpd_representation one = {.codecs = "\"/>", .base_url = "a&b"};
    assert_says(&set, &one, " mimeType=\"a&quot;b\" lang=\" &lt;\"");
    assert_says(&set, &one,
                "<Label>&lt;&amp;&gt;&#39;&quot;  \xef\xbf\xbd\xef\xbf\xbd\xc3\xa9</Label>");
    assert_says(&set, &one, " codecs=\"&quot;/&gt;\"");
    assert_says(&set, &one, "<BaseURL>a&amp;b</BaseURL>");
}

static void says_rates_as_ratios(void **state)
{
    static const struct {
        uint32_t rate_milli;
        const char *wanted;
    } rows[] = {{25000, "25"},           {23976, "24000/1001"}, {23977, "24000/1001"},
                {29970, "30000/1001"},   {59940, "60000/1001"}, {59941, "60000/1001"},
                {119880, "120000/1001"}, {12500, "12500/1000"}, {29971, "30000/1001"},
                {29968, "29968/1000"},   {500, "500/1000"}};
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, " frameRate=\"%s\">", rows[row].wanted);
        assert_says(&(struct mpd_set){0},
                    &(struct mpd_representation){.frame_rate_milli = rows[row].rate_milli}, wanted);
    }
}

static void says_channels_as_the_codec_does(void **state)
{
    static const struct {
        const char *codecs;
        unsigned channels;
        const char *wanted;
    } rows[] = {
        {"mp4a.40.2", 1, "\"urn:mpeg:mpegB:cicp:ChannelConfiguration\" value=\"1\""},
        {"mp4a.40.2", 6, "\"urn:mpeg:mpegB:cicp:ChannelConfiguration\" value=\"6\""},
        {"opus", 8, "\"urn:mpeg:mpegB:cicp:ChannelConfiguration\" value=\"12\""},
        {"ec-3", 6, "\"tag:dolby.com,2014:dash:audio_channel_configuration:2011\" value=\"F801\""},
        {"ac-3", 2, "\"tag:dolby.com,2014:dash:audio_channel_configuration:2011\" value=\"A000\""},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        assert_says(&(struct mpd_set){.content = MPD_AUDIO},
                    &(struct mpd_representation){.codecs = rows[row].codecs,
                                                 .channels = rows[row].channels},
                    rows[row].wanted);
    /* Nobody knows where ten of them stand. */
    struct text text = of_one(&(struct mpd_set){.content = MPD_AUDIO},
                              &(struct mpd_representation){.channels = 10});
    assert_null(strstr(text.data, "AudioChannelConfiguration"));
    text_fini(&text);
}

/* Numbers count on along the timeline, so segments are left out at its ends alone. */
static void leaves_empty_segments_out(void **state)
{
    int64_t begins[] = {500, 500, 500, 1000, 1500, 1500, 2500, 3500, 4500, 4500};
    struct mpd_segments segments = {.timescale = 1000,
                                    .media = "$Number$",
                                    .count = 9,
                                    .begin = begin_in_table,
                                    .user = begins};
    const struct mpd_representation one = {.segments = &segments};
    assert_says(&(struct mpd_set){0}, &one,
                "startNumber=\"2\">\n"
                "          <SegmentTimeline>\n"
                "            <S t=\"500\" d=\"500\" r=\"1\"/>\n"
                "            <S d=\"0\"/>\n"
                "            <S d=\"1000\" r=\"2\"/>\n"
                "          </SegmentTimeline>\n");
    segments.count = 2;
    assert_says(&(struct mpd_set){0}, &one, "<SegmentTimeline>\n          </SegmentTimeline>\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_film),
        cmocka_unit_test(says_numbers_that_players_can_use),
        cmocka_unit_test(escapes_everything),
        cmocka_unit_test(says_rates_as_ratios),
        cmocka_unit_test(says_channels_as_the_codec_does),
        cmocka_unit_test(leaves_empty_segments_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
