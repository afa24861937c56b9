/* SPDX-License-Identifier: MIT */
/*
 * A film of two hours has half a million samples, and somebody waits: so the way of a sample is a
 * few comparisons and loads. Each table stands at an entry that holds for a number of samples, and
 * is asked for its next one only when these are through.
 */
#include "wire/mp4_tables.h"

#include "base/assert.h"
#include "leat/error.h"

struct pass {
    struct mp4_reader *reader;
    struct mp4_trak *trak;
    struct mp4_tables *tables;
    uint32_t sample_count;
    /* stsz, stz2 */
    uint32_t fixed_size; /* of every sample; 0: the table says */
    unsigned size_bits;
    /* stts, ctts: what holds for the next `..._left` samples */
    uint32_t duration, duration_left;
    int32_t offset;
    uint32_t offset_left;
    /* stsc, stco, co64 */
    uint32_t chunk, chunk_count; /* chunk: from 1; the one that was entered last */
    uint32_t run_size, run_entry;
    uint32_t next_run; /* the chunk with which the next run begins; UINT32_MAX: there is none */
    uint32_t next_run_size, next_run_entry;
    bool has_long_chunks;
    bool has_offsets, has_syncs;
    uint32_t next_sync; /* from 1; UINT32_MAX: there is none */
};

/* What a table that ended too early means: its source failed, or it is too short. */
static int ended(struct pass *pass, const struct mp4_table *table, enum mp4_table_kind kind,
                 uint32_t sample)
{
    if (table->error)
        return table->error;
    const struct mp4_box *const box = &pass->trak->tables[kind];
    return mp4_damaged(
        pass->reader, box->offset, "the table '%s' of track %u ends at sample %u of %u",
        mp4_name_of(box->type).text, pass->trak->track.id, sample, pass->sample_count);
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* ISO/IEC 14496-12, section 8.7.3. */
static int open_sizes(struct pass *pass)
{
    enum { HEADER_SIZE = 12 };
    struct mp4_trak *const trak = pass->trak;
    const bool is_compact = trak->tables[MP4_STSZ].type == 0;
    const struct mp4_box *const box = &trak->tables[is_compact ? MP4_STZ2 : MP4_STSZ];
    struct cursor cursor;
    const int error = mp4_payload(pass->reader, box, HEADER_SIZE, &cursor);
    if (error)
        return error;
    cursor_skip(&cursor, 4);
    const uint32_t word = cursor_u32be(&cursor), count = cursor_u32be(&cursor);
    const struct mp4_name name = mp4_name_of(box->type);
    if (cursor.failed)
        return mp4_damaged(pass->reader, box->offset, "its table '%s' is too short", name.text);
    pass->fixed_size = is_compact ? 0 : word;
    pass->size_bits = is_compact ? word & 0xff : 32;
    if (is_compact && pass->size_bits != 4 && pass->size_bits != 8 && pass->size_bits != 16)
        return mp4_damaged(pass->reader, box->offset, "its table 'stz2' has sizes of %u bits",
                           pass->size_bits);
    const uint64_t room = (box->end - box->payload - HEADER_SIZE) * 8 / pass->size_bits;
    if (pass->fixed_size == 0 && count > room)
        return mp4_damaged(pass->reader, box->offset,
                           "its table '%s' claims %u entries, and has room for %llu", name.text,
                           count, (unsigned long long)room);
    if (count > MP4_SAMPLES_MAX)
        return mp4_too_large(pass->reader, box->offset, "track %u has %u samples, %d are read",
                             trak->track.id, count, MP4_SAMPLES_MAX);
    const int refused = mp4_claim_samples(pass->reader, box->offset, count);
    if (refused)
        return refused;
    pass->sample_count = count;
    const unsigned entry_size = pass->size_bits == 32 ? 4 : pass->size_bits == 16 ? 2 : 1;
    const uint64_t entries = pass->size_bits == 4 ? ((uint64_t)count + 1) / 2 : count;
    mp4_table_init(&pass->tables->sizes, pass->reader, box->payload + HEADER_SIZE,
                   pass->fixed_size == 0 ? entries : 0, entry_size);
    return 0;
}

static int open_table(struct pass *pass, enum mp4_table_kind kind, unsigned entry_size,
                      struct mp4_table *table, uint32_t *ret_count)
{
    static const char *const names[] = {
        [MP4_STTS] = "durations (stts)",      [MP4_CTTS] = "composition offsets (ctts)",
        [MP4_STSC] = "chunks (stsc)",         [MP4_STCO] = "chunks' places (stco)",
        [MP4_CO64] = "chunks' places (co64)", [MP4_STSS] = "sync samples (stss)",
    };
    const struct mp4_box *const box = &pass->trak->tables[kind];
    if (box->type == 0)
        return mp4_damaged(pass->reader, pass->trak->offset, "track %u has no table of its %s",
                           pass->trak->track.id, names[kind]);
    return mp4_table_open(table, pass->reader, box, entry_size, ret_count);
}

/* Reads the run behind the present one ahead (section 8.7.4). */
static int next_run(struct pass *pass, uint32_t after)
{
    struct mp4_table *const runs = &pass->tables->runs;
    const struct mp4_box *const box = &pass->trak->tables[MP4_STSC];
    const unsigned char *const entry = mp4_table_next(runs);
    pass->next_run = UINT32_MAX;
    if (!entry)
        return runs->error;
    const uint32_t chunk = mp4_be32(entry), number = mp4_be32(entry + 8);
    if (chunk <= after || chunk > pass->chunk_count)
        return mp4_damaged(pass->reader, box->offset,
                           "the table 'stsc' of track %u speaks of chunk %u, behind %u and of %u",
                           pass->trak->track.id, chunk, after, pass->chunk_count);
    if (number == 0 || number > pass->trak->track.entry_count)
        return mp4_damaged(pass->reader, box->offset,
                           "the table 'stsc' of track %u speaks of sample entry %u of %u",
                           pass->trak->track.id, number, pass->trak->track.entry_count);
    pass->next_run = chunk;
    pass->next_run_size = mp4_be32(entry + 4);
    pass->next_run_entry = number - 1;
    return 0;
}

static int open_chunks(struct pass *pass)
{
    uint32_t run_count = 0;
    pass->has_long_chunks = pass->trak->tables[MP4_STCO].type == 0;
    int error = pass->has_long_chunks && pass->trak->tables[MP4_CO64].type != 0
                    ? open_table(pass, MP4_CO64, 8, &pass->tables->chunks, &pass->chunk_count)
                    : open_table(pass, MP4_STCO, 4, &pass->tables->chunks, &pass->chunk_count);
    if (error == 0)
        error = open_table(pass, MP4_STSC, 12, &pass->tables->runs, &run_count);
    if (error == 0)
        error = next_run(pass, 0);
    if (error == 0 && pass->next_run != 1)
        error = mp4_damaged(pass->reader, pass->trak->tables[MP4_STSC].offset,
                            "the table 'stsc' of track %u does not begin with the first chunk",
                            pass->trak->track.id);
    return error;
}

static int open_all(struct pass *pass)
{
    struct mp4_trak *const trak = pass->trak;
    uint32_t count;
    int error = open_table(pass, MP4_STTS, 8, &pass->tables->durations, &count);
    pass->has_offsets = trak->tables[MP4_CTTS].type != 0;
    if (error == 0 && pass->has_offsets) {
        error = open_table(pass, MP4_CTTS, 8, &pass->tables->offsets, &count);
        pass->has_offsets = count > 0;
    }
    pass->has_syncs = trak->tables[MP4_STSS].type != 0;
    if (error == 0 && pass->has_syncs)
        error = open_table(pass, MP4_STSS, 4, &pass->tables->syncs, &count);
    return error ? error : open_chunks(pass);
}

/* ---- Going through --------------------------------------------------------------------------- */

/* Enters the next chunk: where it begins, and how many samples it has, which may be none. */
static int next_chunk(struct pass *pass, struct mp4_sample *sample, uint32_t index,
                      uint32_t *ret_count)
{
    struct mp4_table *const chunks = &pass->tables->chunks;
    const unsigned char *const entry = mp4_table_next(chunks);
    if (!entry)
        return ended(pass, chunks, pass->has_long_chunks ? MP4_CO64 : MP4_STCO, index);
    pass->chunk++;
    if (pass->chunk == pass->next_run) {
        pass->run_size = pass->next_run_size;
        pass->run_entry = pass->next_run_entry;
        const int error = next_run(pass, pass->chunk);
        if (error)
            return error;
    }
    sample->offset = pass->has_long_chunks ? mp4_be64(entry) : mp4_be32(entry);
    sample->entry = pass->run_entry;
    *ret_count = pass->run_size;
    return 0;
}

/* Section 8.6.1.2. Where the durations end before the samples do, the last one goes on: so it is
 * with films that were mended, and their pictures still come in step. */
static int next_duration(struct pass *pass, uint32_t index)
{
    struct mp4_table *const durations = &pass->tables->durations;
    do {
        const unsigned char *const entry = mp4_table_next(durations);
        if (!entry && (durations->error || index == 0))
            return ended(pass, durations, MP4_STTS, index);
        pass->duration_left = entry ? mp4_be32(entry) : UINT32_MAX;
        pass->duration = entry ? mp4_be32(entry + 4) : pass->duration;
    } while (pass->duration_left == 0);
    if (pass->duration > INT32_MAX)
        return mp4_damaged(pass->reader, pass->trak->tables[MP4_STTS].offset,
                           "sample %u of track %u has a negative duration", index,
                           pass->trak->track.id);
    return 0;
}

/* Section 8.6.1.3. Those of version 0 are signed too: many write negative ones there. */
static int next_offset(struct pass *pass, uint32_t index)
{
    do {
        const unsigned char *const entry = mp4_table_next(&pass->tables->offsets);
        if (!entry)
            return ended(pass, &pass->tables->offsets, MP4_CTTS, index);
        pass->offset_left = mp4_be32(entry);
        pass->offset = (int32_t)mp4_be32(entry + 4);
    } while (pass->offset_left == 0);
    return 0;
}

/* The next sync sample from sample `number` on (section 8.6.2). What is twice in the table counts
 * once; but where it is out of order nobody knows what it means. */
static int next_sync(struct pass *pass, uint32_t number)
{
    struct mp4_table *const syncs = &pass->tables->syncs;
    do {
        const unsigned char *const entry = mp4_table_next(syncs);
        if (!entry && syncs->error)
            return syncs->error;
        const uint32_t sync = entry ? mp4_be32(entry) : UINT32_MAX;
        if (sync < pass->next_sync || sync == 0)
            return mp4_damaged(pass->reader, pass->trak->tables[MP4_STSS].offset,
                               "the table 'stss' of track %u speaks of sample %u behind %u",
                               pass->trak->track.id, sync, pass->next_sync);
        pass->next_sync = sync;
    } while (pass->next_sync < number);
    return 0;
}

static int next_size(struct pass *pass, uint32_t index, uint32_t *ret_size)
{
    struct mp4_table *const sizes = &pass->tables->sizes;
    const bool is_second_half = pass->size_bits == 4 && index % 2 == 1;
    const unsigned char *const entry = is_second_half ? sizes->at - 1 : mp4_table_next(sizes);
    if (!entry)
        return ended(pass, sizes, pass->size_bits == 32 ? MP4_STSZ : MP4_STZ2, index);
    switch (pass->size_bits) {
    case 4: *ret_size = is_second_half ? *entry & 15 : *entry >> 4; break;
    case 8: *ret_size = *entry; break;
    case 16: *ret_size = (uint32_t)entry[0] << 8 | entry[1]; break;
    default: *ret_size = mp4_be32(entry); break;
    }
    return 0;
}

/* What the tables say of sample `index`, apart from its place. */
static inline int next_sample(struct pass *pass, uint32_t index, struct mp4_sample *sample)
{
    int error = 0;
    if (pass->duration_left == 0)
        error = next_duration(pass, index);
    if (pass->has_offsets && pass->offset_left == 0 && error == 0)
        error = next_offset(pass, index);
    if (pass->has_syncs && pass->next_sync <= index && error == 0)
        error = next_sync(pass, index + 1);
    if (pass->fixed_size == 0 && error == 0)
        error = next_size(pass, index, &sample->size);
    pass->duration_left--;
    pass->offset_left--;
    sample->duration = pass->duration;
    sample->cto = pass->offset;
    sample->is_sync = !pass->has_syncs || pass->next_sync == index + 1;
    return error;
}

static int go_through(struct pass *pass, struct mp4_sample *sample)
{
    const uint64_t file_size = pass->reader->source->size;
    const struct mp4_events *const events = pass->reader->events;
    const unsigned track = pass->trak->index;
    uint32_t index = 0;
    while (index < pass->sample_count) {
        uint32_t count = 0;
        int error = next_chunk(pass, sample, index, &count);
        if (error)
            return error;
        if (count > pass->sample_count - index)
            count = pass->sample_count - index;
        for (const uint32_t end = index + count; index < end; index++) {
            error = next_sample(pass, index, sample);
            if (error)
                return error;
            if (sample->size > file_size || sample->offset > file_size - sample->size)
                return mp4_damaged(pass->reader, sample->offset,
                                   "the file ends before its media: %u of %u samples of track %u "
                                   "are there",
                                   index, pass->sample_count, pass->trak->track.id);
            error = events->on_sample(track, sample, events->user);
            if (error)
                return error;
            pass->trak->last_dts = sample->dts;
            sample->offset += sample->size;
            sample->dts += sample->duration;
        }
    }
    return 0;
}

int mp4_read_tables(struct mp4_reader *reader, struct mp4_moov *moov, struct mp4_trak *trak,
                    struct mp4_tables *tables)
{
    struct pass pass = {.reader = reader, .trak = trak, .tables = tables};
    ASSERT(trak->is_wanted);
    if (trak->tables[MP4_STSZ].type == 0 && trak->tables[MP4_STZ2].type == 0)
        return moov->has_fragments
                   ? 0
                   : mp4_damaged(reader, trak->offset,
                                 "track %u has no table of its samples' sizes (stsz)",
                                 trak->track.id);
    int error = open_sizes(&pass);
    if (error || pass.sample_count == 0)
        return error;
    error = open_all(&pass);
    if (error)
        return error;
    struct mp4_sample sample = {.size = pass.fixed_size};
    error = go_through(&pass, &sample);
    if (error)
        return error;
    trak->sample_count = pass.sample_count;
    trak->next_dts = sample.dts;
    return 0;
}
