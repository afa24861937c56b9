/* SPDX-License-Identifier: MIT */
/*
 * A track fragment may say where its data begins, or leave it to the one before it: so those of
 * tracks that nobody wants are gone through as well, without a word. What a header leaves out is
 * taken from tfhd, and then from trex.
 */
#include "wire/mp4_fragments.h"

#include "base/assert.h"
#include "leat/error.h"

#define BOX MP4_FOURCC

/* Section 8.8.7. */
enum {
    TFHD_BASE = 0x1,
    TFHD_ENTRY = 0x2,
    TFHD_DURATION = 0x8,
    TFHD_SIZE = 0x10,
    TFHD_FLAGS = 0x20,
    TFHD_BASE_IS_MOOF = 0x20000,
};

/* Section 8.8.8. */
enum {
    TRUN_DATA_OFFSET = 0x1,
    TRUN_FIRST_FLAGS = 0x4,
    TRUN_DURATION = 0x100,
    TRUN_SIZE = 0x200,
    TRUN_FLAGS = 0x400,
    TRUN_OFFSET = 0x800,
};

/* Section 8.8.3.1: a sample that is no sync sample, or that depends on others. */
enum { IS_NON_SYNC = 0x10000, DEPENDS_ON_OTHERS = 0x1000000 };

enum { FLAGS_MASK = 0xffffff };

struct traf {
    struct mp4_moov *moov;
    struct mp4_table *table;
    uint64_t moof_offset;
    uint64_t data_end; /* of the track fragment before, or the moof: the default base */
    /* of the present one */
    struct mp4_trak *trak; /* NULL: the index does not know it */
    struct mp4_defaults defaults;
    uint64_t base, place; /* place: where the next run begins if it does not say */
    uint64_t dts;
    bool has_header;
};

/* A run as its header has it. */
struct run {
    uint32_t flags, count;
    uint32_t first_flags;
    unsigned entry_size;
};

static int too_short(struct mp4_reader *reader, const struct mp4_box *box)
{
    return mp4_damaged(reader, box->offset, "its box '%s' is too short",
                       mp4_name_of(box->type).text);
}

/* ---- The headers of a track fragment --------------------------------------------------------- */

static int read_tfhd(struct mp4_reader *reader, const struct mp4_box *box, struct traf *traf)
{
    struct cursor cursor;
    const int error = mp4_payload(reader, box, 32, &cursor);
    if (error)
        return error;
    const uint32_t flags = cursor_u32be(&cursor) & FLAGS_MASK;
    const uint32_t id = cursor_u32be(&cursor);
    for (unsigned i = 0; i < traf->moov->trak_count; i++)
        if (traf->moov->traks[i].track.id == id)
            traf->trak = &traf->moov->traks[i];
    if (traf->trak) {
        traf->defaults = traf->trak->defaults;
        traf->dts = traf->trak->next_dts;
    }
    traf->base = flags & TFHD_BASE_IS_MOOF ? traf->moof_offset : traf->data_end;
    if (flags & TFHD_BASE)
        traf->base = cursor_u64be(&cursor);
    if (flags & TFHD_ENTRY)
        traf->defaults.entry = cursor_u32be(&cursor);
    if (flags & TFHD_DURATION)
        traf->defaults.duration = cursor_u32be(&cursor);
    if (flags & TFHD_SIZE)
        traf->defaults.size = cursor_u32be(&cursor);
    if (flags & TFHD_FLAGS)
        traf->defaults.flags = cursor_u32be(&cursor);
    traf->place = traf->base;
    traf->has_header = true;
    return cursor.failed ? too_short(reader, box) : 0;
}

/* Section 8.8.12. */
static int read_tfdt(struct mp4_reader *reader, const struct mp4_box *box, struct traf *traf)
{
    struct cursor cursor;
    const int error = mp4_payload(reader, box, 12, &cursor);
    if (error)
        return error;
    const bool is_long = cursor_u32be(&cursor) >> 24 == 1;
    traf->dts = is_long ? cursor_u64be(&cursor) : cursor_u32be(&cursor);
    return cursor.failed ? too_short(reader, box) : 0;
}

static int visit_headers(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    struct traf *const traf = user;
    switch (box->type) {
    case BOX('t', 'f', 'h', 'd'): return read_tfhd(reader, box, traf);
    case BOX('t', 'f', 'd', 't'): return read_tfdt(reader, box, traf);
    default: return 0;
    }
}

/* ---- The runs of a track fragment ------------------------------------------------------------ */

static int open_run(struct mp4_reader *reader, const struct mp4_box *box, struct traf *traf,
                    struct run *ret_run)
{
    struct cursor cursor;
    const int error = mp4_payload(reader, box, 16, &cursor);
    if (error)
        return error;
    struct run run = {.flags = cursor_u32be(&cursor) & FLAGS_MASK};
    run.count = cursor_u32be(&cursor);
    if (run.flags & TRUN_DATA_OFFSET)
        traf->place = traf->base + (uint64_t)(int64_t)(int32_t)cursor_u32be(&cursor);
    run.first_flags = run.flags & TRUN_FIRST_FLAGS ? cursor_u32be(&cursor) : traf->defaults.flags;
    if (cursor.failed)
        return too_short(reader, box);
    const uint32_t fields = run.flags & (TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS | TRUN_OFFSET);
    run.entry_size = 4 * (unsigned)__builtin_popcount(fields);
    const uint64_t start = box->payload + cursor.offset, room = box->end - start;
    if (run.entry_size > 0 && run.count > room / run.entry_size)
        return mp4_damaged(reader, box->offset,
                           "a run of track %u claims %u samples, and has room for %llu",
                           traf->trak ? traf->trak->track.id : 0, run.count,
                           (unsigned long long)(room / run.entry_size));
    const int refused = mp4_claim_samples(reader, box->offset, run.count);
    if (refused)
        return refused;
    mp4_table_init(traf->table, reader, start, run.entry_size > 0 ? run.count : 0,
                   run.entry_size > 0 ? run.entry_size : 4);
    *ret_run = run;
    return 0;
}

/* What the run says of its next sample. */
static int next_sample(struct traf *traf, const struct run *run, uint32_t index,
                       struct mp4_sample *sample)
{
    uint32_t flags = index == 0 ? run->first_flags : traf->defaults.flags;
    if (run->entry_size > 0) {
        const unsigned char *at = mp4_table_next(traf->table);
        if (!at)
            return traf->table->error;
        if (run->flags & TRUN_DURATION) {
            sample->duration = mp4_be32(at);
            at += 4;
        }
        if (run->flags & TRUN_SIZE) {
            sample->size = mp4_be32(at);
            at += 4;
        }
        if (run->flags & TRUN_FLAGS) {
            flags = mp4_be32(at);
            at += 4;
        }
        if (run->flags & TRUN_OFFSET) /* signed in both versions, as in ctts */
            sample->cto = (int32_t)mp4_be32(at);
    }
    sample->is_sync = !(flags & (IS_NON_SYNC | DEPENDS_ON_OTHERS));
    return 0;
}

/* Is the sample one that may be told of? */
static int check_sample(struct mp4_reader *reader, const struct traf *traf,
                        const struct mp4_sample *sample)
{
    const uint64_t file_size = reader->source->size;
    const struct mp4_trak *const trak = traf->trak;
    const bool is_inside = sample->size <= file_size && sample->offset <= file_size - sample->size;
    if (!is_inside && !reader->is_stream)
        return mp4_damaged(reader, sample->offset,
                           "the file ends before its media: %llu samples of track %u are there",
                           (unsigned long long)trak->sample_count, trak->track.id);
    if (sample->dts < trak->last_dts || sample->dts > INT64_MAX / 2)
        return mp4_damaged(reader, traf->moof_offset,
                           "a fragment of track %u begins before the one it follows ends",
                           trak->track.id);
    if (sample->duration > INT32_MAX)
        return mp4_damaged(reader, traf->moof_offset,
                           "a sample of track %u has a negative duration", trak->track.id);
    if (trak->sample_count == MP4_SAMPLES_MAX)
        return mp4_too_large(reader, traf->moof_offset, "track %u has more than %d samples",
                             trak->track.id, MP4_SAMPLES_MAX);
    return 0;
}

static int read_trun(struct mp4_reader *reader, const struct mp4_box *box, struct traf *traf)
{
    struct run run = {0};
    int error = open_run(reader, box, traf, &run);
    if (error)
        return error;
    struct mp4_trak *const trak = traf->trak && traf->trak->is_wanted ? traf->trak : NULL;
    struct mp4_sample sample = {
        .offset = traf->place,
        .dts = traf->dts,
        .size = traf->defaults.size,
        .duration = traf->defaults.duration,
        .entry = traf->defaults.entry - 1,
    };
    if (trak && run.count > 0 && sample.entry >= trak->track.entry_count)
        return mp4_damaged(reader, box->offset, "a fragment speaks of sample entry %u of %u",
                           traf->defaults.entry, trak->track.entry_count);
    for (uint32_t index = 0; index < run.count; index++) {
        error = next_sample(traf, &run, index, &sample);
        if (error == 0 && trak)
            error = check_sample(reader, traf, &sample);
        if (error == 0 && trak)
            error = reader->events->on_sample(trak->index, &sample, reader->events->user);
        if (error)
            return error;
        if (trak) {
            trak->last_dts = sample.dts;
            trak->sample_count++;
        }
        sample.offset += sample.size;
        sample.dts += sample.duration;
    }
    traf->place = sample.offset;
    traf->dts = sample.dts;
    if (trak && run.count > 0)
        trak->next_dts = sample.dts;
    return 0;
}

static int visit_runs(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    if (box->type == BOX('t', 'r', 'u', 'n'))
        return read_trun(reader, box, user);
    return 0;
}

/* ---- The fragment ---------------------------------------------------------------------------- */

static int visit_moof(struct mp4_reader *reader, const struct mp4_box *box, void *user)
{
    struct traf *const traf = user;
    if (box->type != BOX('t', 'r', 'a', 'f'))
        return 0;
    traf->trak = NULL;
    traf->defaults = (struct mp4_defaults){0};
    traf->dts = 0;
    traf->has_header = false;
    int error = mp4_walk(reader, box, box->payload, visit_headers, traf);
    if (error)
        return error;
    if (!traf->has_header)
        return mp4_damaged(reader, box->offset, "a track fragment has no header (tfhd)");
    error = mp4_walk(reader, box, box->payload, visit_runs, traf);
    traf->data_end = traf->place;
    return error;
}

int mp4_read_fragment(struct mp4_reader *reader, const struct mp4_box *moof, struct mp4_moov *moov,
                      struct mp4_table *table)
{
    ASSERT(moof->end <= reader->source->size);
    struct traf traf = {
        .moov = moov, .table = table, .moof_offset = moof->offset, .data_end = moof->offset};
    return mp4_walk(reader, moof, moof->payload, visit_moof, &traf);
}
