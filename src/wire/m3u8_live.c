/* SPDX-License-Identifier: MIT */
/*
 * See m3u8_live.h. Sections are those of draft-pantos-hls-rfc8216bis-22. A window of two hours has
 * 3,600 segments, and its playlist is written for each part while all who watch wait for it: lines
 * are put into memory that is reserved for them as a whole.
 */
#include "wire/m3u8_live.h"

#include "base/assert.h"
#include "wire/date.h"
#include "wire/m3u8_text.h"

enum {
    VERSION_OF_MAP = 6,  /* EXT-X-MAP (section 8); no more is said than is needed (section 6.2.1) */
    VERSION_OF_SKIP = 9, /* EXT-X-SKIP */
    PART_TARGETS_BACK = 3,
    TARGETS_WITH_PARTS = 3,
    TARGETS_UNTIL_SKIP = 6,
    SEGMENT_SIZE_MAX = 256, /* of all its tags but the parts, and its URI */
    PART_SIZE_MAX = 128,
};

static char *put(char *at, struct leat_slice piece)
{
    memcpy(at, piece.data, piece.size);
    return at + piece.size;
}

static void add_seconds(struct text *text, uint64_t duration_us)
{
    char *place = text_reserve(text, M3U8_SECONDS_SIZE_MAX);
    if (place)
        text->size = (size_t)(m3u8_put_seconds(place, duration_us) - text->data);
}

/* The first segment that begins within so many target durations of the end of what there is. */
static size_t first_within(const struct m3u8_live *playlist, uint32_t targets)
{
    const uint64_t reach_us = (uint64_t)targets * playlist->target_s * M3U8_US_PER_S;
    size_t index = playlist->segment_count;
    uint64_t distance_us = 0;
    while (index > 0 && distance_us + playlist->segments[index - 1].duration_us <= reach_us)
        distance_us += playlist->segments[--index].duration_us;
    return index;
}

size_t m3u8_live_skippable(const struct m3u8_live *playlist)
{
    /* The one before it begins further back, but ends where it begins. */
    const size_t first = first_within(playlist, TARGETS_UNTIL_SKIP);
    return playlist->is_ended || first == 0 ? 0 : first - 1;
}

/* ---- Tags of the playlist -------------------------------------------------------------------- */

/* EXT-X-SERVER-CONTROL (section 4.4.3.8). Without HOLD-BACK, that is three target durations. */
static void add_server_control(struct text *text, const struct m3u8_live *playlist)
{
    text_add_literal(text, "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=");
    text_add_number(text, (uint64_t)TARGETS_UNTIL_SKIP * playlist->target_s);
    if (playlist->part_target_us > 0) {
        const uint64_t least_us = (uint64_t)PART_TARGETS_BACK * playlist->part_target_us;
        const uint64_t wanted_us = playlist->part_hold_back_us;
        text_add_literal(text, ",CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=");
        add_seconds(text, wanted_us > least_us ? wanted_us : least_us);
        text_add_literal(text, "\n#EXT-X-PART-INF:PART-TARGET=");
        add_seconds(text, playlist->part_target_us);
    }
    text_add_literal(text, "\n");
}

static void add_head(struct text *text, const struct m3u8_live *playlist)
{
    text_add_literal(text, "#EXTM3U\n#EXT-X-VERSION:");
    text_add_number(text, playlist->skipped > 0 ? VERSION_OF_SKIP : VERSION_OF_MAP);
    text_add_literal(text, "\n#EXT-X-TARGETDURATION:");
    text_add_number(text, playlist->target_s);
    text_add_literal(text, "\n");
    add_server_control(text, playlist);
    if (playlist->is_independent)
        text_add_literal(text, "#EXT-X-INDEPENDENT-SEGMENTS\n");
    text_add_literal(text, "#EXT-X-MEDIA-SEQUENCE:");
    text_add_number(text, playlist->segments[0].number);
    text_add_literal(text, "\n#EXT-X-DISCONTINUITY-SEQUENCE:");
    text_add_number(text, playlist->discontinuity_sequence);
    if (playlist->skipped > 0) {
        text_add_literal(text, "\n#EXT-X-SKIP:SKIPPED-SEGMENTS=");
        text_add_number(text, playlist->skipped);
    }
    text_add_literal(text, "\n");
}

/* ---- Segments -------------------------------------------------------------------------------- */

static char *put_part_uri(char *at, uint64_t number, unsigned part)
{
    at = put(at, SLICE(",URI=\""));
    at = put(decimal_put(at, number), SLICE("."));
    return put(decimal_put(at, part), SLICE(".m4s\""));
}

static void add_parts(struct text *text, const struct m3u8_live_segment *segment, bool is_sound)
{
    for (unsigned index = 0; index < segment->part_count; index++) {
        char *at = text_reserve(text, PART_SIZE_MAX);
        if (!at)
            return;
        at = put(at, SLICE("#EXT-X-PART:DURATION="));
        at = m3u8_put_seconds(at, segment->parts[index].duration_us);
        at = put_part_uri(at, segment->number, index);
        if (is_sound || segment->parts[index].is_independent)
            at = put(at, SLICE(",INDEPENDENT=YES"));
        at = put(at, SLICE("\n"));
        text->size = (size_t)(at - text->data);
    }
}

/* What applies to a segment stands before its first part (section 4.4.4.9). */
static void add_segment_tags(struct text *text, const struct m3u8_live_segment *segment,
                             bool has_new_init)
{
    char *at = text_reserve(text, SEGMENT_SIZE_MAX);
    if (!at)
        return;
    if (segment->is_discontinuity)
        at = put(at, SLICE("#EXT-X-DISCONTINUITY\n"));
    if (has_new_init) {
        at = decimal_put(put(at, SLICE("#EXT-X-MAP:URI=\"init-")), segment->init);
        at = put(at, SLICE(".mp4\"\n"));
    }
    at = put(at, SLICE("#EXT-X-PROGRAM-DATE-TIME:"));
    date_format_iso(segment->wall_ms, at);
    at = put(at + DATE_ISO_SIZE, SLICE("\n"));
    if (segment->is_gap)
        at = put(at, SLICE("#EXT-X-GAP\n"));
    text->size = (size_t)(at - text->data);
}

static void add_segment_uri(struct text *text, const struct m3u8_live_segment *segment)
{
    char *at = text_reserve(text, SEGMENT_SIZE_MAX);
    if (!at)
        return;
    at = m3u8_put_seconds(put(at, SLICE("#EXTINF:")), segment->duration_us);
    at = decimal_put(put(at, SLICE(",\n")), segment->number);
    at = put(at, SLICE(".m4s\n"));
    text->size = (size_t)(at - text->data);
}

static void add_segments(struct text *text, const struct m3u8_live *playlist)
{
    const struct m3u8_live_segment *segments = playlist->segments;
    const size_t first_with_parts = first_within(playlist, TARGETS_WITH_PARTS);
    for (size_t index = playlist->skipped; index < playlist->segment_count; index++) {
        const struct m3u8_live_segment *segment = &segments[index];
        const bool is_last = index + 1 == playlist->segment_count;
        ASSERT(segment->number == segments[0].number + index);
        ASSERT(segment->is_whole || is_last);
        const bool has_parts =
            playlist->part_target_us > 0 && (index >= first_with_parts || !segment->is_whole);
        if (!segment->is_whole && !(has_parts && segment->part_count > 0))
            continue; /* tags would have nothing to apply to */
        /* What the client has of the skipped ones tells it the init of the one before. */
        add_segment_tags(text, segment, index == 0 || segments[index - 1].init != segment->init);
        if (has_parts)
            add_parts(text, segment, playlist->is_sound);
        if (segment->is_whole)
            add_segment_uri(text, segment);
    }
}

/* EXT-X-PRELOAD-HINT (section 4.4.5.3) of the next part. */
static void add_hint(struct text *text, const struct m3u8_live *playlist)
{
    const struct m3u8_live_segment *last = &playlist->segments[playlist->segment_count - 1];
    text_add_literal(text, "#EXT-X-PRELOAD-HINT:TYPE=PART");
    char *at = text_reserve(text, PART_SIZE_MAX);
    if (!at)
        return;
    const bool is_next = last->is_whole || playlist->hints_next_segment;
    at = is_next ? put_part_uri(at, last->number + 1, 0)
                 : put_part_uri(at, last->number, last->part_count);
    at = put(at, SLICE("\n"));
    text->size = (size_t)(at - text->data);
}

static void add_report(struct text *text, const struct m3u8_live_report *report, bool has_parts)
{
    ASSERT(m3u8_is_uri(report->uri));
    text_add_format(text, "#EXT-X-RENDITION-REPORT:URI=\"%s\",LAST-MSN=", report->uri);
    text_add_number(text, report->last_msn);
    if (has_parts) {
        text_add_literal(text, ",LAST-PART=");
        text_add_number(text, report->last_part);
    }
    text_add_literal(text, "\n");
}

void m3u8_live_write(struct text *text, const struct m3u8_live *playlist)
{
    const bool has_parts = playlist->part_target_us > 0;
    ASSERT(playlist->segment_count > 0 && playlist->target_s > 0);
    ASSERT(playlist->skipped <= m3u8_live_skippable(playlist));
    add_head(text, playlist);
    add_segments(text, playlist);
    if (has_parts && !playlist->is_ended)
        add_hint(text, playlist);
    for (size_t index = 0; index < playlist->report_count; index++)
        add_report(text, &playlist->reports[index], has_parts);
    if (playlist->is_ended)
        text_add_literal(text, "#EXT-X-ENDLIST\n");
}
