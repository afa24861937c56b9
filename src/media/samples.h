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
 * offset follows. A gap is what lies between the sample before and this one. Every
 * SAMPLES_BLOCK samples a block begins, from which reading can start.
 */
#ifndef MEDIA_SAMPLES_H
#define MEDIA_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/mp4.h"

enum { SAMPLES_BLOCK = 128, SAMPLES_CTOS = 15 };

struct samples_block {
    uint64_t offset, dts; /* of its first sample */
    uint32_t position;    /* in bytes, of its first token */
    uint32_t duration;    /* of the sample before */
};

struct samples {
    bool has_cto_codes; /* video */
    uint32_t count;
    unsigned char *bytes;
    size_t size, capacity;
    struct samples_block *blocks;
    uint32_t block_count, block_capacity;
    /* Which are sync samples; NULL: all are. */
    uint32_t *syncs;
    uint32_t sync_count, sync_capacity;
    int64_t ctos[SAMPLES_CTOS];
    unsigned cto_count;
    uint64_t byte_count; /* of media */
    uint64_t end_dts;
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
size_t samples_memory(const struct samples *samples);

/* Reads on from a sample; valid while the samples are there. */
struct samples_cursor {
    const struct samples *samples;
    uint32_t index;     /* of the next */
    uint32_t next_sync; /* in syncs: the first that is not before it */
    const unsigned char *at;
    uint64_t offset, dts; /* of the next, save a gap */
    uint32_t duration;
};

/* `index` may be the count: then there is no next. */
void samples_seek(struct samples_cursor *cursor, const struct samples *samples, uint32_t index);
bool samples_next(struct samples_cursor *cursor, struct mp4_sample *ret_sample);

/* When sample `index` is decoded; for the count: when the last one has been. */
uint64_t samples_time(const struct samples *samples, uint32_t index);

#endif
