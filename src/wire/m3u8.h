/* SPDX-License-Identifier: MIT */
/*
 * Writing playlists of HTTP Live Streaming (RFC 8216, and draft-pantos-hls-rfc8216bis for version
 * 7): the multivariant playlist, and media playlists of films with fragmented MP4 or WebVTT
 * segments. Sans I/O; memory is the text's, whose `has_failed` says in the end whether there was
 * enough.
 *
 * Strings are zero-terminated. URIs are percent-encoded by the caller, and not empty. Names may be
 * anything: what a quoted string may not hold (section 4.2) is replaced, and what is no UTF-8
 * becomes U+FFFD.
 */
#ifndef WIRE_M3U8_H
#define WIRE_M3U8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/text.h"

/* ---- The multivariant playlist --------------------------------------------------------------- */

/* EXT-X-STREAM-INF (section 4.3.4.2). */
struct m3u8_variant {
    const char *uri;
    /* Of it and the largest of each group it plays with: of the largest segment (BANDWIDTH), and on
     * average (AVERAGE-BANDWIDTH; 0: not known). */
    uint64_t peak_bits_per_s, average_bits_per_s;
    /* Of all that plays with it, such as "avc1.64001f,mp4a.40.2"; NULL: not known. */
    const char *codecs;
    uint32_t width, height;        /* as shown; 0: no video */
    uint32_t frame_rate_milli;     /* pictures in 1,000 s; 0: no video, or not known */
    const char *audio, *subtitles; /* groups of renditions; NULL: none */
};

enum m3u8_rendition_type { M3U8_AUDIO, M3U8_SUBTITLES };

/* EXT-X-MEDIA (section 4.3.4.1). */
struct m3u8_rendition {
    enum m3u8_rendition_type type;
    const char *group;    /* GROUP-ID, which variants name */
    const char *name;     /* for people; of its own within the group */
    const char *language; /* BCP 47; NULL or "": not known */
    const char *uri;
    unsigned channels;  /* of audio; 0: not known */
    bool is_default;    /* of a group, one at most */
    bool is_autoselect; /* may be chosen by the language the user prefers; a default always may */
};

struct m3u8_multivariant {
    const struct m3u8_variant *variants; /* the first is what a player begins with */
    size_t variant_count;
    const struct m3u8_rendition *renditions;
    size_t rendition_count;
    bool is_independent; /* no segment of any needs another's pictures */
};

void m3u8_write_multivariant(struct text *text, const struct m3u8_multivariant *playlist);

/* ---- Media playlists ------------------------------------------------------------------------- */

/* When segment `index` begins, in ticks; for index == segment_count: where the last one ends. Does
 * not fall. Called before the writer returns. */
typedef int64_t (*m3u8_begin_fn)(void *user, unsigned index);

/* A film's: VOD, from beginning to end. */
struct m3u8_media {
    const char *map_uri;     /* EXT-X-MAP, the init segment; NULL: none, as of WebVTT */
    const char *segment_uri; /* of each segment; "$Number$" in it stands for its index */
    unsigned segment_count;
    uint32_t timescale; /* ticks a second, not 0 */
    bool is_independent;
    m3u8_begin_fn begin;
    void *user;
};

/* Segments without duration, as a track has them that ends before the others, are left out. A
 * duration is the difference of two times that were rounded, so that sums do not drift. */
void m3u8_write_media(struct text *text, const struct m3u8_media *playlist);

#endif
