/* SPDX-License-Identifier: MIT */
/*
 * See mpd.h. Sections are those of ISO/IEC 23009-1, whose schema also says in which order elements
 * stand. A film of ten hours has 18,000 segments, and its manifest is written while somebody waits:
 * the lines of a timeline are made of numbers alone, without printf.
 */
#include "wire/mpd.h"

#include <inttypes.h>
#include <math.h>

#include "base/assert.h"
#include "wire/html.h"
#include "wire/mpd_text.h"
#include "wire/utf8.h"

/* ---- XML (mpd_text.h) ------------------------------------------------------------------------ */

/* What stands for itself neither in content nor in a quoted attribute is escaped as HTML does it;
 * what is no character of XML 1.0 (section 2.2) is replaced. */
static void add_escaped(struct text *text, const char *value)
{
    struct leat_slice left = slice_from_text(value);
    while (left.size > 0) {
        struct leat_slice character = utf8_take(&left);
        if ((unsigned char)character.data[0] < ' ')
            character = SLICE(" ");
        else if (slice_equal(character, SLICE("\xef\xbf\xbe")) ||
                 slice_equal(character, SLICE("\xef\xbf\xbf")))
            character = SLICE("\xef\xbf\xbd");
        char escaped[8];
        const long size = html_escape(character, escaped, sizeof escaped);
        ASSERT(size > 0);
        text_add(text, slice_of(escaped, (size_t)size));
    }
}

void mpd_add_attribute(struct text *text, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    text_add_format(text, " %s=\"", name);
    add_escaped(text, value);
    text_add_literal(text, "\"");
}

void mpd_add_number(struct text *text, const char *name, uint64_t value)
{
    text_add_literal(text, " ");
    text_add_literal(text, name);
    text_add_literal(text, "=\"");
    text_add_number(text, value);
    text_add_literal(text, "\"");
}

void mpd_add_duration(struct text *text, const char *name, uint64_t duration_us)
{
    enum { US_PER_S = 1000 * 1000 };
    text_add_format(text, " %s=\"PT%" PRIu64 ".%06" PRIu64 "S\"", name, duration_us / US_PER_S,
                    duration_us % US_PER_S);
}

/* To the nearest microsecond. */
static void add_duration(struct text *text, const char *name, double duration_s)
{
    const double longest_s = 1e12; /* in microseconds it is still a number */
    ASSERT(duration_s >= 0);
    mpd_add_duration(text, name,
                     (uint64_t)llround((duration_s < longest_s ? duration_s : longest_s) * 1e6));
}

static void add_element(struct text *text, const char *indent, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    text_add_format(text, "%s<%s>", indent, name);
    add_escaped(text, value);
    text_add_format(text, "</%s>\n", name);
}

/* ---- Segments -------------------------------------------------------------------------------- */

static uint64_t begin_of(const struct mpd_segments *segments, unsigned index)
{
    const int64_t ticks = segments->begin(segments->user, index);
    ASSERT(ticks >= 0);
    return (uint64_t)ticks;
}

/* S elements (section 5.3.9.6): a run of segments of one duration is one element. */
static void add_timeline(struct text *text, const struct mpd_segments *segments, unsigned first,
                         unsigned last, const char *indent)
{
    uint64_t begin = begin_of(segments, first);
    text_add_format(text, "%s  <SegmentTimeline>\n", indent);
    for (unsigned index = first; index < last;) {
        const bool is_first = index == first;
        const uint64_t run_begin = begin, duration = begin_of(segments, index + 1) - begin;
        ASSERT(duration <= INT64_MAX); /* it does not fall */
        uint64_t repeats = 0;
        for (begin += duration; ++index < last; begin += duration, repeats++)
            if (begin_of(segments, index + 1) - begin != duration)
                break;
        text_add_literal(text, indent);
        text_add_literal(text, "    <S");
        if (is_first)
            mpd_add_number(text, "t", run_begin);
        mpd_add_number(text, "d", duration);
        if (repeats > 0)
            mpd_add_number(text, "r", repeats);
        text_add_literal(text, "/>\n");
    }
    text_add_format(text, "%s  </SegmentTimeline>\n", indent);
}

static void add_segments(struct text *text, const struct mpd_segments *segments, const char *indent)
{
    ASSERT(segments->timescale > 0 && segments->begin);
    /* Numbers count on along the timeline, so only at its ends can segments be left out. */
    unsigned first = 0, last = segments->count;
    while (last > 0 && begin_of(segments, last - 1) == begin_of(segments, last))
        last--;
    while (first < last && begin_of(segments, first) == begin_of(segments, first + 1))
        first++;
    text_add_format(text, "%s<SegmentTemplate timescale=\"%u\"", indent, segments->timescale);
    mpd_add_attribute(text, "initialization", segments->initialization);
    mpd_add_attribute(text, "media", segments->media);
    text_add_format(text, " startNumber=\"%u\">\n", first);
    add_timeline(text, segments, first, last, indent);
    text_add_format(text, "%s</SegmentTemplate>\n", indent);
}

/* ---- Sets and their representations ---------------------------------------------------------- */

/* Where the loudspeakers of so many channels usually stand. For most codecs that is a
 * ChannelConfiguration (ISO/IEC 23091-3, table 10); for Dolby's a mask, which ETSI TS 102 366 has
 * in annex I.1.2.1: from the most significant bit on L, C, R, Ls, Rs, Lc/Rc, Lrs/Rrs, Cs, …,
 * LFE. */
static void add_channels(struct text *text, const struct mpd_representation *representation,
                         const char *indent)
{
    static const struct {
        const char *cicp, *dolby;
    } layouts[] = {
        [1] = {"1", "4000"}, [2] = {"2", "A000"}, [3] = {"3", "E000"},  [4] = {"4", "E100"},
        [5] = {"5", "F800"}, [6] = {"6", "F801"}, [7] = {"11", "F901"}, [8] = {"12", "FA01"},
    };
    const unsigned channels = representation->channels;
    if (channels == 0 || channels >= sizeof layouts / sizeof *layouts)
        return;
    const struct leat_slice codecs = slice_from_text(representation->codecs);
    const bool is_dolby = slice_equal(codecs, SLICE("ac-3")) || slice_equal(codecs, SLICE("ec-3"));
    text_add_format(text, "%s<AudioChannelConfiguration schemeIdUri=\"%s\" value=\"%s\"/>\n",
                    indent,
                    is_dolby ? "tag:dolby.com,2014:dash:audio_channel_configuration:2011"
                             : "urn:mpeg:mpegB:cicp:ChannelConfiguration",
                    is_dolby ? layouts[channels].dolby : layouts[channels].cicp);
}

/* @frameRate is a ratio: the rates of television, which are none in thousandths, get their own. */
static void add_frame_rate(struct text *text, uint32_t rate_milli)
{
    const uint32_t rounded = (rate_milli + 999) / 1000;
    const uint64_t television_milli = (uint64_t)rounded * 1000 * 1000 / 1001;
    if (rate_milli % 1000 == 0)
        text_add_format(text, " frameRate=\"%u\"", rounded);
    else if (rate_milli == television_milli || rate_milli == television_milli + 1)
        text_add_format(text, " frameRate=\"%u/1001\"", rounded * 1000);
    else
        text_add_format(text, " frameRate=\"%u/1000\"", rate_milli);
}

void mpd_add_representation(struct text *text, const struct mpd_representation *representation)
{
    static const char indent[] = "        ";
    ASSERT(representation->id && *representation->id);
    text_add_literal(text, "      <Representation");
    mpd_add_attribute(text, "id", representation->id);
    /* Players divide by it. */
    mpd_add_number(text, "bandwidth",
                   representation->bits_per_s > 0 ? representation->bits_per_s : 1);
    mpd_add_attribute(text, "codecs", representation->codecs);
    if (representation->width > 0 && representation->height > 0) {
        mpd_add_number(text, "width", representation->width);
        mpd_add_number(text, "height", representation->height);
    }
    if (representation->frame_rate_milli > 0)
        add_frame_rate(text, representation->frame_rate_milli);
    if (representation->sample_rate > 0)
        mpd_add_number(text, "audioSamplingRate", representation->sample_rate);
    text_add_literal(text, ">\n");
    add_channels(text, representation, indent);
    add_element(text, indent, "BaseURL", representation->base_url);
    if (representation->segments)
        add_segments(text, representation->segments, indent);
    text_add_literal(text, "      </Representation>\n");
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b > 0) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* @par, of the largest picture, which has been rounded least. */
static void add_aspect_ratio(struct text *text, const struct mpd_set *set)
{
    const struct mpd_representation *largest = set->representations;
    for (size_t index = 1; index < set->representation_count; index++)
        if (set->representations[index].width > largest->width)
            largest = &set->representations[index];
    if (largest->width == 0 || largest->height == 0)
        return;
    const uint32_t divisor = common_divisor(largest->width, largest->height);
    ASSERT(divisor > 0);
    text_add_format(text, " par=\"%u:%u\"", largest->width / divisor, largest->height / divisor);
}

void mpd_begin_set(struct text *text, const struct mpd_set *set, size_t id, bool has_segments)
{
    static const char *const contents[] = {
        [MPD_VIDEO] = "video", [MPD_AUDIO] = "audio", [MPD_TEXT] = "text"};
    ASSERT(set->representation_count > 0);
    text_add_literal(text, "    <AdaptationSet");
    mpd_add_number(text, "id", id);
    mpd_add_attribute(text, "contentType", contents[set->content]);
    mpd_add_attribute(text, "mimeType", set->mime_type);
    mpd_add_attribute(text, "lang", set->language);
    if (set->content == MPD_VIDEO)
        add_aspect_ratio(text, set);
    if (has_segments)
        mpd_add_attribute(text, "segmentAlignment", "true");
    if (set->start_with_sap > 0)
        mpd_add_number(text, "startWithSAP", set->start_with_sap);
    text_add_literal(text, ">\n");
}

static void add_set(struct text *text, const struct mpd_set *set, size_t id)
{
    static const char indent[] = "      ";
    mpd_begin_set(text, set, id, set->segments || set->representations[0].segments);
    add_element(text, indent, "Label", set->label);
    if (set->role) {
        text_add_format(text, "%s<Role schemeIdUri=\"urn:mpeg:dash:role:2011\"", indent);
        mpd_add_attribute(text, "value", set->role);
        text_add_literal(text, "/>\n");
    }
    if (set->segments)
        add_segments(text, set->segments, indent);
    for (size_t index = 0; index < set->representation_count; index++)
        mpd_add_representation(text, &set->representations[index]);
    text_add_literal(text, "    </AdaptationSet>\n");
}

void mpd_write(struct text *text, const struct mpd *mpd)
{
    text_add_literal(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                           "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\""
                           " profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\"");
    add_duration(text, "mediaPresentationDuration", mpd->duration_s);
    add_duration(text, "minBufferTime", mpd->min_buffer_s);
    text_add_literal(text, ">\n  <Period id=\"0\" start=\"PT0S\">\n");
    for (size_t index = 0; index < mpd->set_count; index++)
        add_set(text, &mpd->sets[index], index);
    text_add_literal(text, "  </Period>\n</MPD>\n");
}
