/* SPDX-License-Identifier: MIT */
/*
 * Films for tests, in memory: ftyp, moov and mdat of tracks that the test describes sample by
 * sample. The bytes of a sample are made of its track and number, so that they are known again
 * wherever they turn up.
 */
#ifndef TESTS_MEDIA_MOVIE_H
#define TESTS_MEDIA_MOVIE_H

#include <stdlib.h>

#include "base/cursor.h"
#include "wire/mp4.h"

enum { MOVIE_SAMPLES_MAX = 4096, MOVIE_TIMESCALE = 1000 };

struct movie_sample {
    uint32_t size, duration;
    int32_t cto;
    bool is_sync;
    uint64_t offset; /* movie_make finds it */
};

struct movie_track {
    const char *handler; /* "vide", "soun", "text" */
    const char *entry;   /* "avc1", "mp4a", … */
    uint32_t timescale;
    struct movie_sample samples[MOVIE_SAMPLES_MAX];
    unsigned count;
    unsigned chunk; /* samples in a chunk; chunks of the tracks take turns by time */
    /* An edit list, in MOVIE_TIMESCALE and the track's. */
    unsigned edit_count;
    struct mp4_edit edits[4];
    unsigned placed; /* movie_make's */
    uint64_t placed_ticks;
};

struct movie {
    unsigned char *data;
    size_t size;
    struct movie_track *tracks;
    unsigned track_count;
};

static inline size_t movie_box(struct writer *out, const char *type)
{
    const size_t begin = out->size;
    writer_u32be(out, 0);
    writer_bytes(out, slice_of(type, 4));
    return begin;
}

static inline void movie_end(struct writer *out, size_t begin)
{
    const uint32_t size = htobe32((uint32_t)(out->size - begin));
    memcpy(out->data + begin, &size, 4);
}

static inline void movie_zeros(struct writer *out, size_t count)
{
    unsigned char *at = writer_take(out, count);
    if (at)
        memset(at, 0, count);
}

static inline unsigned char movie_byte(unsigned track, unsigned sample, size_t at)
{
    return (unsigned char)(track * 101 + sample * 7 + at);
}

/* The sample entry, with what mp4_codec_of wants to see. */
static inline void movie_entry(struct writer *out, const struct movie_track *track)
{
    const size_t entry = movie_box(out, track->entry);
    const bool is_video = strcmp(track->handler, "vide") == 0;
    movie_zeros(out, 6);
    writer_u16be(out, 1);
    if (is_video) {
        movie_zeros(out, 16);
        writer_u16be(out, 640);
        writer_u16be(out, 360);
        movie_zeros(out, 50);
        const size_t avcc = movie_box(out, "avcC");
        writer_bytes(out, SLICE("\1\x64\0\x1f\xff\xe1\0\4\x67\x64\0\x1f\1\0\4\x68\0\0\0"));
        movie_end(out, avcc);
    } else {
        movie_zeros(out, 8);
        writer_u16be(out, 2);
        writer_u16be(out, 16);
        movie_zeros(out, 4);
        writer_u32be(out, track->timescale << 16);
        const size_t esds = movie_box(out, "esds");
        movie_zeros(out, 4);
        writer_bytes(out, SLICE("\3\x19\0\1\0\4\x11\x40\x15\0\0\0\0\0\0\0\0\0\0\0\5\2\x11\x90"
                                "\6\1\2"));
        movie_end(out, esds);
    }
    movie_end(out, entry);
}

static inline size_t movie_table(struct writer *out, const char *type, uint32_t count)
{
    const size_t begin = movie_box(out, type);
    writer_u32be(out, 0);
    writer_u32be(out, count);
    return begin;
}

static inline void movie_tables(struct writer *out, const struct movie_track *track)
{
    const unsigned chunks = (track->count + track->chunk - 1) / track->chunk;
    size_t box = movie_table(out, "stts", track->count);
    for (unsigned index = 0; index < track->count; index++) {
        writer_u32be(out, 1);
        writer_u32be(out, track->samples[index].duration);
    }
    movie_end(out, box);
    box = movie_table(out, "ctts", track->count);
    for (unsigned index = 0; index < track->count; index++) {
        writer_u32be(out, 1);
        writer_u32be(out, (uint32_t)track->samples[index].cto);
    }
    movie_end(out, box);
    box = movie_box(out, "stsz");
    movie_zeros(out, 8);
    writer_u32be(out, track->count);
    for (unsigned index = 0; index < track->count; index++)
        writer_u32be(out, track->samples[index].size);
    movie_end(out, box);
    const unsigned rest = track->count % track->chunk;
    box = movie_table(out, "stsc", rest && chunks > 1 ? 2 : 1);
    writer_u32be(out, 1);
    writer_u32be(out, rest && chunks == 1 ? rest : track->chunk);
    writer_u32be(out, 1);
    if (rest && chunks > 1) {
        writer_u32be(out, chunks);
        writer_u32be(out, rest);
        writer_u32be(out, 1);
    }
    movie_end(out, box);
    box = movie_table(out, "co64", chunks);
    for (unsigned index = 0; index < chunks; index++)
        writer_u64be(out, track->samples[index * track->chunk].offset);
    movie_end(out, box);
    unsigned syncs = 0;
    for (unsigned index = 0; index < track->count; index++)
        syncs += track->samples[index].is_sync;
    if (syncs == track->count)
        return;
    box = movie_table(out, "stss", syncs);
    for (unsigned index = 0; index < track->count; index++)
        if (track->samples[index].is_sync)
            writer_u32be(out, index + 1);
    movie_end(out, box);
}

static inline void movie_trak(struct writer *out, const struct movie_track *track, unsigned id)
{
    const size_t trak = movie_box(out, "trak");
    const size_t tkhd = movie_box(out, "tkhd");
    writer_u32be(out, 7);
    movie_zeros(out, 8);
    writer_u32be(out, id);
    movie_zeros(out, 24);
    writer_u32be(out, 0x10000);
    movie_zeros(out, 12);
    writer_u32be(out, 0x10000);
    movie_zeros(out, 12);
    writer_u32be(out, 0x40000000);
    writer_u32be(out, 640 << 16);
    writer_u32be(out, 360 << 16);
    movie_end(out, tkhd);
    if (track->edit_count > 0) {
        const size_t edts = movie_box(out, "edts");
        const size_t elst = movie_table(out, "elst", track->edit_count);
        for (unsigned index = 0; index < track->edit_count; index++) {
            writer_u32be(out, (uint32_t)track->edits[index].duration);
            writer_u32be(out, (uint32_t)track->edits[index].media_time);
            writer_u32be(out, track->edits[index].is_plain ? 0x10000 : 0x20000);
        }
        movie_end(out, elst);
        movie_end(out, edts);
    }
    const size_t mdia = movie_box(out, "mdia");
    const size_t mdhd = movie_box(out, "mdhd");
    movie_zeros(out, 12);
    writer_u32be(out, track->timescale);
    writer_u32be(out, 0);
    writer_u32be(out, 0x15c70000); /* eng */
    movie_end(out, mdhd);
    const size_t hdlr = movie_box(out, "hdlr");
    movie_zeros(out, 8);
    writer_bytes(out, slice_of(track->handler, 4));
    movie_zeros(out, 13);
    movie_end(out, hdlr);
    const size_t minf = movie_box(out, "minf");
    const size_t stbl = movie_box(out, "stbl");
    const size_t stsd = movie_table(out, "stsd", 1);
    movie_entry(out, track);
    movie_end(out, stsd);
    movie_tables(out, track);
    movie_end(out, stbl);
    movie_end(out, minf);
    movie_end(out, mdia);
    movie_end(out, trak);
}

/* The track whose next chunk begins first. */
static inline struct movie_track *movie_next(const struct movie *movie)
{
    struct movie_track *next = NULL;
    for (unsigned index = 0; index < movie->track_count; index++) {
        struct movie_track *track = &movie->tracks[index];
        if (track->placed < track->count && (!next || track->placed_ticks * next->timescale <
                                                          next->placed_ticks * track->timescale))
            next = track;
    }
    return next;
}

static inline uint64_t movie_place(struct movie *movie, uint64_t offset)
{
    for (unsigned index = 0; index < movie->track_count; index++)
        movie->tracks[index].placed = 0, movie->tracks[index].placed_ticks = 0;
    for (struct movie_track *track; (track = movie_next(movie));)
        for (unsigned in = 0; in < track->chunk && track->placed < track->count; in++) {
            struct movie_sample *sample = &track->samples[track->placed++];
            sample->offset = offset;
            offset += sample->size;
            track->placed_ticks += sample->duration;
        }
    return offset;
}

/* data is the caller's to free. */
static inline struct movie movie_make(struct movie_track *tracks, unsigned track_count)
{
    struct movie movie = {.tracks = tracks, .track_count = track_count};
    const uint64_t media = movie_place(&movie, 0);
    const size_t capacity = media + track_count * (size_t)MOVIE_SAMPLES_MAX * 48 + 8192;
    movie.data = malloc(capacity);
    struct writer out = writer_over(movie.data, capacity);
    const size_t ftyp = movie_box(&out, "ftyp");
    writer_bytes(&out, SLICE("isom\0\0\0\0isom"));
    movie_end(&out, ftyp);
    const size_t mdat = movie_box(&out, "mdat");
    movie_place(&movie, out.size);
    unsigned char *const body = writer_take(&out, media);
    for (unsigned index = 0; index < track_count; index++)
        for (unsigned at = 0; at < tracks[index].count; at++)
            for (uint32_t byte = 0; byte < tracks[index].samples[at].size; byte++)
                body[tracks[index].samples[at].offset - mdat - 8 + byte] =
                    movie_byte(index, at, byte);
    movie_end(&out, mdat);
    const size_t moov = movie_box(&out, "moov");
    const size_t mvhd = movie_box(&out, "mvhd");
    movie_zeros(&out, 12);
    writer_u32be(&out, MOVIE_TIMESCALE);
    movie_zeros(&out, 84);
    movie_end(&out, mvhd);
    for (unsigned index = 0; index < track_count; index++)
        movie_trak(&out, &tracks[index], index + 1);
    movie_end(&out, moov);
    movie.size = out.size;
    return movie;
}

/* A source over it; `user` is the movie. */
static inline int movie_read(void *user, uint64_t offset, void *data, size_t size)
{
    const struct movie *movie = user;
    memcpy(data, movie->data + offset, size);
    return 0;
}

static inline struct mp4_source movie_source(struct movie *movie)
{
    return (struct mp4_source){.read = movie_read, .user = movie, .size = movie->size};
}

#endif
