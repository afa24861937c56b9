/* SPDX-License-Identifier: MIT */
/*
 * The boxes that are read here have a known place in the tree, and there is one function a level:
 * so the depth of a file's nesting is never ours. Of boxes that may stand only once the first
 * counts.
 */
#include "wire/mp4_header.h"

#include "base/assert.h"
#include "leat/error.h"

#define BOX MP4_FOURCC

enum {
    VIDE = BOX('v', 'i', 'd', 'e'),
    SOUN = BOX('s', 'o', 'u', 'n'),
    LANGUAGE_NONE = 0x7fff, /* QuickTime's "unspecified" */
    LANGUAGE_MAC_END = 0x400,
};

/* A FullBox's version and flags (section 4.2.2). */
static unsigned version_of(struct cursor *cursor, uint32_t *ret_flags)
{
    const uint32_t word = cursor_u32be(cursor);
    *ret_flags = word & 0xffffff;
    return word >> 24;
}

/* A FullBox's beginning, for what has times of 32 bits in version 0 and of 64 in version 1. */
static int open_header(struct mp4_reader *reader, const struct mp4_box *box, struct cursor *cursor,
                       bool *ret_is_long, uint32_t *ret_flags)
{
    enum { SIZE_MOST = 128 };
    const int error = mp4_payload(reader, box, SIZE_MOST, cursor);
    if (error)
        return error;
    *ret_is_long = version_of(cursor, ret_flags) == 1;
    return 0;
}

static int too_short(struct mp4_reader *reader, const struct mp4_box *box)
{
    return mp4_damaged(reader, box->offset, "its box '%s' is too short",
                       mp4_name_of(box->type).text);
}

/* ---- The headers of a track ------------------------------------------------------------------ */

/* Section 8.3.2. */
static int read_tkhd(struct mp4_reader *reader, const struct mp4_box *box, struct mp4_track *track)
{
    struct cursor cursor;
    bool is_long = false;
    uint32_t flags = 0;
    const int error = open_header(reader, box, &cursor, &is_long, &flags);
    if (error)
        return error;
    cursor_skip(&cursor, is_long ? 16 : 8); /* creation and modification */
    track->id = cursor_u32be(&cursor);
    cursor_skip(&cursor, is_long ? 12 : 8); /* reserved, duration */
    cursor_skip(&cursor, 16);               /* reserved, layer, group, volume */
    const unsigned char *const matrix = cursor_take(&cursor, sizeof(track->matrix));
    track->width = cursor_u32be(&cursor);
    track->height = cursor_u32be(&cursor);
    if (cursor.failed)
        return too_short(reader, box);
    memcpy(track->matrix, matrix, sizeof(track->matrix));
    track->is_enabled = flags & 1;
    return 0;
}

/* Five bits a letter (section 8.4.2.3); small numbers are QuickTime's own (QTFF, "Language Code
 * Values"), of which the first few are given. */
static void set_language(struct mp4_reader *reader, uint16_t code, char *ret_language)
{
    static const char mac[][4] = {
        "eng", "fra", "deu", "ita", "nld", "swe", "spa", "dan", "por", "nor", "heb", "jpn",
        "ara", "fin", "ell", "isl", "mlt", "tur", "hrv", "zho", "urd", "hin", "tha", "kor",
        "lit", "pol", "hun", "est", "lav", "sme", "fao", "fas", "rus", "zho", "nld", "gle",
        "sqi", "ron", "ces", "slk", "slv", "yid", "srp", "mkd", "bul", "ukr", "bel"};
    memcpy(ret_language, "und", 4);
    if (code < LANGUAGE_MAC_END) {
        if (reader->is_quicktime && code < sizeof(mac) / sizeof(mac[0]))
            memcpy(ret_language, mac[code], 4);
        return;
    }
    char text[4] = {0};
    for (unsigned i = 0; i < 3; i++) {
        text[i] = (char)(0x60 + (code >> (10 - 5 * i) & 31));
        if (text[i] < 'a' || text[i] > 'z')
            return;
    }
    memcpy(ret_language, text, sizeof(text));
}

/* Section 8.4.2. */
static int read_mdhd(struct mp4_reader *reader, const struct mp4_box *box, struct mp4_track *track)
{
    struct cursor cursor;
    bool is_long = false;
    uint32_t flags;
    const int error = open_header(reader, box, &cursor, &is_long, &flags);
    if (error)
        return error;
    cursor_skip(&cursor, is_long ? 16 : 8);
    track->timescale = cursor_u32be(&cursor);
    cursor_skip(&cursor, is_long ? 8 : 4);
    set_language(reader, cursor_u16be(&cursor), track->language);
    return cursor.failed ? too_short(reader, box) : 0;
}

/* Section 8.4.3. */
static int read_hdlr(struct mp4_reader *reader, const struct mp4_box *box, struct mp4_track *track)
{
    struct cursor cursor;
    const int error = mp4_payload(reader, box, 12, &cursor);
    if (error)
        return error;
    cursor_skip(&cursor, 8);
    const uint32_t handler = cursor_u32be(&cursor);
    if (cursor.failed)
        return too_short(reader, box);
    track->handler = handler;
    return 0;
}

/* Section 8.6.6. */
static int read_elst(struct mp4_reader *reader, const struct mp4_box *box, struct mp4_track *track)
{
    enum { HEADER_SIZE = 8, PLAIN_RATE = 0x10000 };
    struct cursor cursor;
    uint32_t flags;
    const int error = mp4_payload(reader, box, HEADER_SIZE + MP4_EDITS_MAX * 20, &cursor);
    if (error)
        return error;
    const bool is_long = version_of(&cursor, &flags) == 1;
    const uint32_t count = cursor_u32be(&cursor);
    if (cursor.failed || count > (box->end - box->payload - HEADER_SIZE) / (is_long ? 20 : 12))
        return too_short(reader, box);
    if (count > MP4_EDITS_MAX)
        return mp4_too_large(reader, box->offset, "track %u has %u edits, %d are read", track->id,
                             count, MP4_EDITS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct mp4_edit *const edit = &track->edits[i];
        edit->duration = is_long ? cursor_u64be(&cursor) : cursor_u32be(&cursor);
        edit->media_time =
            is_long ? (int64_t)cursor_u64be(&cursor) : (int32_t)cursor_u32be(&cursor);
        edit->is_plain = cursor_u32be(&cursor) == PLAIN_RATE;
        if (edit->media_time < -1)
            return mp4_damaged(reader, box->offset, "an edit of track %u begins before its media",
                               track->id);
    }
    ASSERT(!cursor.failed);
    track->edit_count = count;
    return 0;
}

/* ---- Sample entries -------------------------------------------------------------------------- */

/* Loads the sample entries (section 8.5.2) and counts them. */
static int load_stsd(struct mp4_reader *reader, struct mp4_moov *moov, struct mp4_trak *trak)
{
    enum { HEADER_SIZE = 8 };
    const struct mp4_box *const box = &trak->tables[MP4_STSD];
    struct mp4_track *const track = &trak->track;
    struct cursor cursor;
    int error = mp4_payload(reader, box, HEADER_SIZE, &cursor);
    if (error)
        return error;
    cursor_skip(&cursor, 4);
    const uint32_t claimed = cursor_u32be(&cursor);
    if (cursor.failed)
        return too_short(reader, box);
    const uint64_t size = box->end - box->payload - HEADER_SIZE;
    if (size > sizeof(moov->stsd))
        return mp4_too_large(reader, box->offset, "the sample entries of track %u are too large",
                             track->id);
    error = reader->source->read(reader->source->user, box->payload + HEADER_SIZE, moov->stsd,
                                 (size_t)size);
    if (error)
        return error;
    size_t at = 0;
    unsigned count = 0;
    while (count < claimed && size - at >= 8) {
        const uint32_t entry_size = mp4_be32(moov->stsd + at);
        if (entry_size < 16 || entry_size > size - at)
            break;
        if (count == 0)
            mp4_codec_of(slice_of(moov->stsd, entry_size), track->handler, &track->codec);
        at += entry_size;
        count++;
    }
    if (count < claimed || count == 0)
        return mp4_damaged(reader, box->offset, "the sample entries (stsd) of track %u are damaged",
                           track->id);
    track->stsd = slice_of(moov->stsd, at);
    track->entry_count = count;
    return 0;
}

/* ---- The tree -------------------------------------------------------------------------------- */

static int visit_stbl(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    static const uint32_t types[] = {
#define X(name, a, b, c, d) [MP4_##name] = BOX(a, b, c, d),
        MP4_TABLES(X)
#undef X
    };
    struct mp4_trak *const trak = user;
    (void)reader;
    for (unsigned kind = 0; kind < MP4_TABLE_KINDS; kind++)
        if (box->type == types[kind] && trak->tables[kind].type == 0)
            trak->tables[kind] = *box;
    return 0;
}

/* Section 8.7.2: data is in this file when a flag says so, and also where no place is given. */
static int visit_dref(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    enum { SELF_CONTAINED = 1, SIZE_WITHOUT_PLACE = 5 };
    struct mp4_trak *const trak = user;
    struct cursor cursor;
    uint32_t flags;
    const int error = mp4_payload(reader, box, 4, &cursor);
    if (error)
        return error;
    (void)version_of(&cursor, &flags);
    if (!(flags & SELF_CONTAINED) && box->end - box->payload > SIZE_WITHOUT_PLACE)
        trak->is_elsewhere = true;
    return 0;
}

static int visit_dinf(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    if (box->type == BOX('d', 'r', 'e', 'f'))
        return mp4_walk(reader, box, box->payload + 8, visit_dref, user);
    return 0;
}

static int visit_minf(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    switch (box->type) {
    case BOX('d', 'i', 'n', 'f'): return mp4_walk(reader, box, box->payload, visit_dinf, user);
    case BOX('s', 't', 'b', 'l'): return mp4_walk(reader, box, box->payload, visit_stbl, user);
    default: return 0;
    }
}

static int visit_mdia(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    struct mp4_trak *const trak = user;
    switch (box->type) {
    case BOX('m', 'd', 'h', 'd'): return read_mdhd(reader, box, &trak->track);
    case BOX('h', 'd', 'l', 'r'): return read_hdlr(reader, box, &trak->track);
    case BOX('m', 'i', 'n', 'f'): return mp4_walk(reader, box, box->payload, visit_minf, trak);
    default: return 0;
    }
}

static int visit_edts(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    struct mp4_trak *const trak = user;
    if (box->type == BOX('e', 'l', 's', 't'))
        return read_elst(reader, box, &trak->track);
    return 0;
}

static int visit_trak(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    struct mp4_trak *const trak = user;
    switch (box->type) {
    case BOX('t', 'k', 'h', 'd'): return read_tkhd(reader, box, &trak->track);
    case BOX('e', 'd', 't', 's'): return mp4_walk(reader, box, box->payload, visit_edts, trak);
    case BOX('m', 'd', 'i', 'a'): return mp4_walk(reader, box, box->payload, visit_mdia, trak);
    default: return 0;
    }
}

/* Does it have what a track cannot do without? */
static int check_trak(struct mp4_reader *reader, struct mp4_moov *moov, struct mp4_trak *trak)
{
    const struct mp4_track *const track = &trak->track;
    if (track->id == 0)
        return mp4_damaged(reader, trak->offset, "a track has no number (tkhd)");
    for (unsigned i = 0; i < moov->trak_count; i++)
        if (moov->traks[i].track.id == track->id)
            return mp4_damaged(reader, trak->offset, "two tracks have the number %u", track->id);
    if (track->handler == 0)
        return mp4_damaged(reader, trak->offset, "track %u does not say what it is (hdlr)",
                           track->id);
    if (track->timescale == 0 || track->timescale > INT32_MAX)
        return mp4_damaged(reader, trak->offset, "track %u has no usable timescale (mdhd)",
                           track->id);
    if (trak->is_elsewhere)
        return mp4_damaged(reader, trak->offset, "the media of track %u is in another file (dref)",
                           track->id);
    if (trak->tables[MP4_STSD].type == 0)
        return mp4_damaged(reader, trak->offset, "track %u has no sample entries (stsd)",
                           track->id);
    return load_stsd(reader, moov, trak);
}

/* Section 8.3.1. */
static int read_trak(struct mp4_reader *reader, const struct mp4_box *box, struct mp4_moov *moov)
{
    if (moov->trak_count == MP4_TRACKS_MAX)
        return mp4_too_large(reader, box->offset, "it has more than %d tracks", MP4_TRACKS_MAX);
    struct mp4_trak *const trak = &moov->traks[moov->trak_count];
    *trak = (struct mp4_trak){.offset = box->offset, .track.language = "und", .defaults.entry = 1};
    int error = mp4_walk(reader, box, box->payload, visit_trak, trak);
    if (error == 0)
        error = check_trak(reader, moov, trak);
    const uint32_t handler = trak->track.handler;
    if (error && mp4_is_damage(error) && handler != 0 && handler != VIDE && handler != SOUN) {
        reader->problem.reason[0] = '\0';
        return 0; /* it is left out */
    }
    moov->trak_count += error == 0;
    return error;
}

/* Section 8.8.3. Where it stands before the tracks it would be lost; but nobody writes that. */
static int visit_mvex(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    struct mp4_moov *const moov = user;
    struct cursor cursor;
    if (box->type != BOX('t', 'r', 'e', 'x'))
        return 0;
    const int error = mp4_payload(reader, box, 24, &cursor);
    if (error)
        return error;
    cursor_skip(&cursor, 4);
    const uint32_t id = cursor_u32be(&cursor);
    struct mp4_defaults defaults;
    defaults.entry = cursor_u32be(&cursor);
    defaults.duration = cursor_u32be(&cursor);
    defaults.size = cursor_u32be(&cursor);
    defaults.flags = cursor_u32be(&cursor);
    if (cursor.failed)
        return too_short(reader, box);
    for (unsigned i = 0; i < moov->trak_count; i++)
        if (moov->traks[i].track.id == id)
            moov->traks[i].defaults = defaults;
    return 0;
}

/* Section 8.2.2. */
static int read_mvhd(struct mp4_reader *reader, const struct mp4_box *box, struct mp4_moov *moov)
{
    struct cursor cursor;
    bool is_long = false;
    uint32_t flags;
    const int error = open_header(reader, box, &cursor, &is_long, &flags);
    if (error)
        return error;
    cursor_skip(&cursor, is_long ? 16 : 8);
    const uint32_t timescale = cursor_u32be(&cursor);
    if (cursor.failed)
        return too_short(reader, box);
    moov->timescale = timescale;
    return 0;
}

/* First the tracks, then what is said of them. */
static int visit_moov(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    struct mp4_moov *const moov = user;
    switch (box->type) {
    case BOX('m', 'v', 'h', 'd'): return read_mvhd(reader, box, moov);
    case BOX('t', 'r', 'a', 'k'): return read_trak(reader, box, moov);
    case BOX('c', 'm', 'o', 'v'):
        return mp4_damaged(reader, box->offset, "its index is compressed (cmov)");
    default: return 0;
    }
}

static int visit_moov_again(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    struct mp4_moov *const moov = user;
    if (box->type != BOX('m', 'v', 'e', 'x'))
        return 0;
    moov->has_fragments = true;
    return mp4_walk(reader, box, box->payload, visit_mvex, moov);
}

int mp4_read_moov(struct mp4_reader *reader, const struct mp4_box *box, struct mp4_moov *ret_moov)
{
    ret_moov->timescale = 0;
    ret_moov->has_fragments = false;
    ret_moov->trak_count = 0;
    int error = mp4_walk(reader, box, box->payload, visit_moov, ret_moov);
    if (error == 0)
        error = mp4_walk(reader, box, box->payload, visit_moov_again, ret_moov);
    if (error)
        return error;
    if (ret_moov->timescale == 0)
        return mp4_damaged(reader, box->offset, "its index has no usable timescale (mvhd)");
    ASSERT(ret_moov->trak_count <= MP4_TRACKS_MAX);
    return 0;
}

int mp4_tell_tracks(struct mp4_reader *reader, struct mp4_moov *moov)
{
    for (unsigned i = 0; i < moov->trak_count; i++) {
        struct mp4_trak *const trak = &moov->traks[i];
        const int error = load_stsd(reader, moov, trak);
        if (error)
            return error;
        trak->index = i;
        trak->is_wanted = reader->events->on_track(i, &trak->track, reader->events->user);
        trak->track.stsd = slice_of(NULL, 0);
    }
    return 0;
}
