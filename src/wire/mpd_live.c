/* SPDX-License-Identifier: MIT */
/*
 * See mpd_live.h. Sections are those of ISO/IEC 23009-1, whose schema also says in which order
 * elements stand. All times are in microseconds, a Period's begin as well as its place on the time
 * line of its segments: that what they are moved by is 0, in whatever arithmetic.
 */
#include "wire/mpd_live.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "wire/date.h"
#include "wire/mpd_text.h"

enum { US_PER_MS = 1000, US_PER_S = 1000 * 1000, TIMESCALE = US_PER_S };

static void add_date(struct text *text, const char *name, int64_t unix_ms)
{
    char date[DATE_ISO_SIZE + 1] = {0};
    date_format_iso(unix_ms, date);
    mpd_add_attribute(text, name, date);
}

/* Section 5.8.4.11. */
static void add_clock(struct text *text, const char *indent, const struct mpd_live *mpd)
{
    if (!mpd->clock_uri)
        return;
    text_add_format(text, "%s<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\"", indent);
    mpd_add_attribute(text, "value", mpd->clock_uri);
    text_add_literal(text, "/>\n");
}

/* ---- Sets ------------------------------------------------------------------------------------ */

/* Period continuity (section 5.3.2.4): buffers may go on. */
static void add_continuity(struct text *text, const struct mpd_live_period *before)
{
    text_add_format(
        text,
        "      <SupplementalProperty schemeIdUri=\"urn:mpeg:dash:period-continuity:2015\""
        " value=\"%u\"/>\n",
        before->id);
}

/* Of the Period that goes on. ProducerReferenceTime (section 5.12): which moment a media time is,
 * for the latency of ServiceDescription. Resync (section 5.3.13): a segment can be entered at each
 * of its parts. */
static void add_latency(struct text *text, const struct mpd_live *mpd,
                        const struct mpd_live_period *period, size_t id)
{
    text_add_literal(text, "      <ProducerReferenceTime");
    mpd_add_number(text, "id", id);
    mpd_add_attribute(text, "type", "encoder");
    add_date(text, "wallClockTime", mpd->available_ms + period->begin_us / US_PER_MS);
    mpd_add_number(text, "presentationTime",
                   (uint64_t)(period->begin_us - period->begin_us % US_PER_MS));
    text_add_literal(text, ">\n");
    add_clock(text, "        ", mpd);
    text_add_literal(text, "      </ProducerReferenceTime>\n      <Resync type=\"0\"");
    mpd_add_number(text, "dT", mpd->part_us);
    text_add_literal(text, "/>\n");
}

/* SegmentTemplate (section 5.3.9.4). While a Period goes on, a segment can be asked for when its
 * first part is there, and comes as it is made (section 5.3.9.5.3). */
static void add_template(struct text *text, const struct mpd_live *mpd,
                         const struct mpd_live_period *period, const struct mpd_live_track *track)
{
    ASSERT(!strchr(track->stream, '$')); /* it would be a template's */
    char uri[96];
    text_add_literal(text, "      <SegmentTemplate");
    mpd_add_number(text, "timescale", TIMESCALE);
    mpd_add_number(text, "duration", period->segment_us);
    mpd_add_number(text, "startNumber", period->first_number);
    if (period->end_us >= 0)
        mpd_add_number(text, "endNumber", period->last_number);
    mpd_add_number(text, "presentationTimeOffset", (uint64_t)period->begin_us);
    if (period->end_us < 0 && mpd->part_us < period->segment_us) {
        const uint32_t early_us = period->segment_us - mpd->part_us;
        text_add_format(text, " availabilityTimeOffset=\"%u.%06u\"", early_us / US_PER_S,
                        early_us % US_PER_S);
        mpd_add_attribute(text, "availabilityTimeComplete", "false");
    }
    ASSERT(strlen(track->stream) < sizeof uri - sizeof "/init-18446744073709551615.mp4");
    snprintf(uri, sizeof uri, "%s/init-%" PRIu64 ".mp4", track->stream, period->init);
    mpd_add_attribute(text, "initialization", uri);
    snprintf(uri, sizeof uri, "%s/$Number$.m4s", track->stream);
    mpd_add_attribute(text, "media", uri);
    text_add_literal(text, "/>\n");
}

static void add_set(struct text *text, const struct mpd_live *mpd, size_t period_index, size_t id)
{
    const struct mpd_live_period *period = &mpd->periods[period_index];
    const struct mpd_live_track *track = &period->tracks[id];
    const bool is_video = track->width > 0;
    const struct mpd_representation representation = {
        .id = track->stream,
        .bits_per_s = track->bits_per_s,
        .codecs = track->codecs,
        .width = track->width,
        .height = track->height,
        .frame_rate_milli = is_video ? track->frame_rate_milli : 0,
        .sample_rate = is_video ? 0 : track->sample_rate,
        .channels = is_video ? 0 : track->channels,
    };
    const struct mpd_set set = {
        .content = is_video ? MPD_VIDEO : MPD_AUDIO,
        .mime_type = is_video ? "video/mp4" : "audio/mp4",
        .language = track->language,
        .start_with_sap = mpd->is_independent || !is_video ? 1 : 0,
        .representations = &representation,
        .representation_count = 1,
    };
    mpd_begin_set(text, &set, id, true);
    if (period->is_continuous && period_index > 0)
        add_continuity(text, period - 1);
    if (period->end_us < 0)
        add_latency(text, mpd, period, id);
    add_template(text, mpd, period, track);
    mpd_add_representation(text, &representation);
    text_add_literal(text, "    </AdaptationSet>\n");
}

/* ---- Periods and the whole ------------------------------------------------------------------- */

static void add_period(struct text *text, const struct mpd_live *mpd, size_t index)
{
    const struct mpd_live_period *period = &mpd->periods[index];
    ASSERT(period->begin_us >= 0 && period->segment_us > 0 && period->track_count > 0);
    ASSERT(period->end_us < 0 || period->end_us >= period->begin_us);
    text_add_literal(text, "  <Period");
    mpd_add_number(text, "id", period->id);
    mpd_add_duration(text, "start", (uint64_t)period->begin_us);
    if (period->end_us >= 0) /* the next one may begin later: there are gaps between epochs */
        mpd_add_duration(text, "duration", (uint64_t)(period->end_us - period->begin_us));
    text_add_literal(text, ">\n");
    for (size_t id = 0; id < period->track_count; id++)
        add_set(text, mpd, index, id);
    text_add_literal(text, "  </Period>\n");
}

/* A live channel's: a client looks again after each segment, for a Period that begins or ends. */
static void add_dynamic(struct text *text, const struct mpd_live *mpd)
{
    mpd_add_duration(text, "minimumUpdatePeriod", mpd->periods[mpd->period_count - 1].segment_us);
    mpd_add_duration(text, "timeShiftBufferDepth", mpd->depth_ms * US_PER_MS);
    mpd_add_duration(text, "suggestedPresentationDelay", (uint64_t)mpd->latency_ms * US_PER_MS);
}

/* ServiceDescription (annex K): how a client keeps to the latency. */
static void add_service(struct text *text, const struct mpd_live *mpd)
{
    text_add_format(text,
                    "  <ServiceDescription id=\"0\">\n"
                    "    <Latency referenceId=\"0\" target=\"%u\"/>\n"
                    "    <PlaybackRate min=\"0.96\" max=\"1.04\"/>\n"
                    "  </ServiceDescription>\n",
                    mpd->latency_ms);
}

void mpd_live_write(struct text *text, const struct mpd_live *mpd)
{
    ASSERT(mpd->period_count > 0);
    const struct mpd_live_period *last = &mpd->periods[mpd->period_count - 1];
    ASSERT(!mpd->is_ended || last->end_us >= 0);
    text_add_format(text,
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                    "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\""
                    " profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"%s\"",
                    mpd->is_ended ? "static" : "dynamic");
    add_date(text, "availabilityStartTime", mpd->available_ms);
    add_date(text, "publishTime", mpd->published_ms);
    if (mpd->is_ended)
        mpd_add_duration(text, "mediaPresentationDuration", (uint64_t)last->end_us);
    else
        add_dynamic(text, mpd);
    /* Half of what a player is behind may be in its buffer. */
    mpd_add_duration(text, "minBufferTime", (uint64_t)mpd->latency_ms * US_PER_MS / 2);
    text_add_literal(text, ">\n");
    if (!mpd->is_ended)
        add_service(text, mpd);
    for (size_t index = 0; index < mpd->period_count; index++)
        add_period(text, mpd, index);
    if (!mpd->is_ended)
        add_clock(text, "  ", mpd);
    text_add_literal(text, "</MPD>\n");
}
