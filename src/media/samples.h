/* SPDX-License-Identifier: MIT */
/*
 * The samples of a track, packed: three to five bytes each instead of the thirty-odd that
 * struct mp4_sample has, for a film of two hours has half a million of them and a server many
 * films. They are added in decoding order, and read again from any of them on.
 *
 * A sample is a token, a number of as many bytes as it needs (LEB128): its size, and in the low
 * bits what else differs from the sample before:
 *
 *     video   size | cto code: 4 | duration follows: 1 | gap follows: 1
 *     others  size | cto follows: 1 | duration follows: 1 | gap follows: 1
 *
 * The code is an index into the few composition offsets a film has; the last one says that the
 * offset follows. A gap is what lies between the sample before and this one. Reading starts at a
 * mark: there is one each SAMPLES_BLOCK samples, and whoever reads can take more.
 */
#ifndef MEDIA_SAMPLES_H
#define MEDIA_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/mp4.h"

enum { SAMPLES_BLOCK = 128, SAMPLES_CTOS = 15 };

/* A place between two samples. */
struct samples_mark {
    uint64_t offset; /* where the sample before ends in the file */
    uint64_t dts;    /* of the next, like all below */
    uint32_t index;
    uint32_t position;  /* in bytes, of its token */
    uint32_t duration;  /* of the sample before */
    uint32_t next_sync; /* in syncs: the first that is not before it */
};

struct samples {
    bool has_cto_codes; /* video */
    uint32_t count;
    unsigned char *bytes;
    size_t size, capacity;
    struct samples_mark *marks; /* NULL once they are dropped */
    uint32_t mark_count, mark_capacity;
    /* Which are sync samples; NULL: all are. */
    uint32_t *syncs;
    uint32_t sync_count, sync_capacity;
    int64_t ctos[SAMPLES_CTOS];
    unsigned cto_count;
    uint64_t byte_count; /* of media */
    /* The last that was added waits here until it is known how long it lasts. */
    struct mp4_sample last;
    bool has_last;
    uint32_t duration;   /* of the one before it, */
    uint64_t end_offset; /* which ended here */
};

void samples_init(struct samples *samples, bool is_video);
void samples_fini(struct samples *samples);
/* 0, -ENOMEM, or -LEAT_E_MALFORMED when time goes backwards, or too far for 32 bits. */
int samples_add(struct samples *samples, const struct mp4_sample *sample);
/* After the last: what they do not need is given back. */
int samples_finish(struct samples *samples);
/* Afterwards nothing but the begin can be sought: for who has marks of his own. */
void samples_drop_marks(struct samples *samples);
size_t samples_memory(const struct samples *samples);

/* Reads on from a mark; valid while the samples are there. */
struct samples_cursor {
    const struct samples *samples;
    struct samples_mark next;
};

void samples_start(struct samples_cursor *cursor, const struct samples *samples,
                   const struct samples_mark *mark);
/* `index` may be the count: then there is no next. */
void samples_seek(struct samples_cursor *cursor, const struct samples *samples, uint32_t index);
bool samples_next(struct samples_cursor *cursor, struct mp4_sample *ret_sample);

/* The mark before the sample that was just read, whose token stood at `position`. */
struct samples_mark samples_mark_before(const struct samples_cursor *cursor, uint32_t position,
                                        const struct mp4_sample *sample);

/* When sample `index` is decoded; for the count: when the last one has been. */
uint64_t samples_time(const struct samples *samples, uint32_t index);

#endif
