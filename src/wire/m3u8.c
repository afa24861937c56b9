/* SPDX-License-Identifier: MIT */
/*
 * See m3u8.h. Sections are those of RFC 8216. A film of ten hours has 18,000 segments, and its
 * playlist is written while somebody waits: a segment's line is made of numbers alone, without
 * printf.
 */
#include "wire/m3u8.h"

#include "base/assert.h"
#include "wire/m3u8_text.h"
#include "wire/utf8.h"

/* Control characters may not be in a playlist (section 4.1): C0, DEL and C1, which is 0xc2 and
 * 0x80 … 0x9f. */
static bool is_control(struct leat_slice character)
{
    const unsigned char first = (unsigned char)character.data[0];
    return first < ' ' || first == 0x7f ||
           (first == 0xc2 && (unsigned char)character.data[1] < 0xa0);
}

/* NAME="value", after a comma; nothing without a value. A quoted string has no way to escape
 * (section 4.2): '"' becomes a typographic one. */
static void add_quoted(struct text *text, const char *name, const char *value)
{
    struct leat_slice left = slice_from_text(value);
    if (left.size == 0)
        return;
    text_add_literal(text, ",");
    text_add_literal(text, name);
    text_add_literal(text, "=\"");
    while (left.size > 0) {
        const struct leat_slice character = utf8_take(&left);
        if (is_control(character))
            text_add_literal(text, " ");
        else if (character.data[0] == '"')
            text_add_literal(text, "”");
        else
            text_add(text, character);
    }
    text_add_literal(text, "\"");
}

static void add_head(struct text *text, bool is_independent)
{
    /* Of what is written, fragmented MP4 asks for most: 6, and 7 is what Apple says for it. */
    text_add_literal(text, "#EXTM3U\n#EXT-X-VERSION:7\n");
    if (is_independent)
        text_add_literal(text, "#EXT-X-INDEPENDENT-SEGMENTS\n");
}

static void add_rendition(struct text *text, const struct m3u8_rendition *rendition)
{
    ASSERT(m3u8_is_uri(rendition->uri));
    ASSERT(rendition->group && *rendition->group && rendition->name && *rendition->name);
    const bool is_audio = rendition->type == M3U8_AUDIO;
    text_add_format(text, "#EXT-X-MEDIA:TYPE=%s", is_audio ? "AUDIO" : "SUBTITLES");
    add_quoted(text, "GROUP-ID", rendition->group);
    add_quoted(text, "NAME", rendition->name);
    add_quoted(text, "LANGUAGE", rendition->language);
    text_add_format(text, ",DEFAULT=%s,AUTOSELECT=%s", rendition->is_default ? "YES" : "NO",
                    rendition->is_default || rendition->is_autoselect ? "YES" : "NO");
    if (is_audio && rendition->channels > 0)
        text_add_format(text, ",CHANNELS=\"%u\"", rendition->channels);
    add_quoted(text, "URI", rendition->uri);
    text_add_literal(text, "\n");
}

static void add_variant(struct text *text, const struct m3u8_variant *variant)
{
    ASSERT(m3u8_is_uri(variant->uri));
    /* Both were rounded: the peak is not below the average, nor 0, which players divide by. */
    const uint64_t average = variant->average_bits_per_s;
    const uint64_t peak = variant->peak_bits_per_s > average ? variant->peak_bits_per_s : average;
    text_add_literal(text, "#EXT-X-STREAM-INF:BANDWIDTH=");
    text_add_number(text, peak > 0 ? peak : 1);
    if (average > 0) {
        text_add_literal(text, ",AVERAGE-BANDWIDTH=");
        text_add_number(text, average);
    }
    add_quoted(text, "CODECS", variant->codecs);
    if (variant->width > 0 && variant->height > 0)
        text_add_format(text, ",RESOLUTION=%ux%u", variant->width, variant->height);
    if (variant->frame_rate_milli > 0)
        text_add_format(text, ",FRAME-RATE=%u.%03u", variant->frame_rate_milli / 1000,
                        variant->frame_rate_milli % 1000);
    add_quoted(text, "AUDIO", variant->audio);
    add_quoted(text, "SUBTITLES", variant->subtitles);
    text_add_literal(text, "\n");
    text_add_literal(text, variant->uri);
    text_add_literal(text, "\n");
}

void m3u8_write_multivariant(struct text *text, const struct m3u8_multivariant *playlist)
{
    add_head(text, playlist->is_independent);
    for (size_t index = 0; index < playlist->rendition_count; index++)
        add_rendition(text, &playlist->renditions[index]);
    for (size_t index = 0; index < playlist->variant_count; index++)
        add_variant(text, &playlist->variants[index]);
}

/* ---- Media playlists ------------------------------------------------------------------------- */

/* To the nearest microsecond. */
static uint64_t begin_us(const struct m3u8_media *playlist, unsigned index)
{
    const int64_t ticks = playlist->begin(playlist->user, index);
    ASSERT(ticks >= 0);
    const uint64_t whole_s = (uint64_t)ticks / playlist->timescale;
    const uint64_t rest = (uint64_t)ticks % playlist->timescale;
    return whole_s * M3U8_US_PER_S +
           (rest * M3U8_US_PER_S + playlist->timescale / 2) / playlist->timescale;
}

/* EXT-X-TARGETDURATION: no EXTINF is larger, rounded to the nearest integer (section 4.3.3.1). */
static uint64_t target_duration_s(const struct m3u8_media *playlist)
{
    uint64_t longest_us = 0, begin = begin_us(playlist, 0);
    for (unsigned index = 0; index < playlist->segment_count; index++) {
        const uint64_t end = begin_us(playlist, index + 1);
        ASSERT(end >= begin);
        if (end - begin > longest_us)
            longest_us = end - begin;
        begin = end;
    }
    const uint64_t rounded_s = (longest_us + M3U8_US_PER_S / 2) / M3U8_US_PER_S;
    return rounded_s > 0 ? rounded_s : 1; /* players take 0 for a mistake */
}

static void add_seconds(struct text *text, uint64_t duration_us)
{
    char *place = text_reserve(text, M3U8_SECONDS_SIZE_MAX);
    if (place)
        text->size = (size_t)(m3u8_put_seconds(place, duration_us) - text->data);
}

/* Cuts a template at "$Number$". False: it has none, and all of it is in `ret_before`. */
static bool split_template(const char *uri, struct leat_slice *ret_before,
                           struct leat_slice *ret_after)
{
    const struct leat_slice number = SLICE("$Number$");
    const char *found = strstr(uri, number.data);
    *ret_before = found ? slice_of(uri, (size_t)(found - uri)) : slice_from_text(uri);
    *ret_after = found ? slice_from_text(found + number.size) : slice_of(NULL, 0);
    return found != NULL;
}

static void add_segments(struct text *text, const struct m3u8_media *playlist)
{
    struct leat_slice before, after;
    const bool has_number = split_template(playlist->segment_uri, &before, &after);
    uint64_t begin = begin_us(playlist, 0);
    for (unsigned index = 0; index < playlist->segment_count; index++) {
        const uint64_t end = begin_us(playlist, index + 1);
        if (end == begin)
            continue;
        text_add(text, SLICE("#EXTINF:"));
        add_seconds(text, end - begin);
        text_add(text, SLICE(",\n"));
        text_add(text, before);
        if (has_number)
            text_add_number(text, index);
        text_add(text, after);
        text_add(text, SLICE("\n"));
        begin = end;
    }
}

void m3u8_write_media(struct text *text, const struct m3u8_media *playlist)
{
    ASSERT(playlist->timescale > 0 && playlist->begin);
    ASSERT(m3u8_is_uri(playlist->segment_uri) &&
           (!playlist->map_uri || m3u8_is_uri(playlist->map_uri)));
    add_head(text, playlist->is_independent);
    text_add_literal(text, "#EXT-X-TARGETDURATION:");
    text_add_number(text, target_duration_s(playlist));
    text_add_literal(text, "\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n");
    if (playlist->map_uri)
        text_add_format(text, "#EXT-X-MAP:URI=\"%s\"\n", playlist->map_uri);
    add_segments(text, playlist);
    text_add_literal(text, "#EXT-X-ENDLIST\n");
}
