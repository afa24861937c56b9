/* SPDX-License-Identifier: MIT */
/*
 * For the tests of wire/mp4_push: what is told of a stream, fed in pieces of any size, of which
 * nothing is left once they were fed.
 */
#ifndef TEST_MP4_PUSH_H
#define TEST_MP4_PUSH_H

#include "test_mp4_file.h"
#include "wire/mp4_push.h"

struct told_sample {
    unsigned index;
    struct media_sample sample;
    uint64_t hash; /* of its bytes */
};

struct telling {
    struct mp4_push *push;
    struct mp4_track tracks[MP4_TRACKS_MAX]; /* by index; id 0: it was not told of */
    unsigned track_count;                    /* that were told of, those told of again included */
    struct told_sample *samples;
    size_t sample_count, sample_capacity;
    size_t fail_at; /* the event that fails, from 1; 0: none */
    size_t event_count;
    int result;
    char reason[512];
    bool is_idle;
};

static inline uint64_t hash_of(const void *data, size_t size)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    return hash ^ size;
}

static inline int told_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct telling *const telling = user;
    assert_true(index < MP4_TRACKS_MAX);
    assert_true(telling->tracks[index].id == 0 || telling->tracks[index].id == track->id);
    assert_true(track->stsd.size > 0 && track->entry_count > 0 && track->timescale > 0);
    if (++telling->event_count == telling->fail_at)
        return -ECANCELED;
    telling->tracks[index] = *track;
    telling->tracks[index].stsd = slice_of(NULL, 0);
    telling->track_count++;
    return 0;
}

static inline int told_sample(unsigned index, const struct media_sample *sample, void *user)
{
    struct telling *const telling = user;
    assert_true(index < MP4_TRACKS_MAX && telling->tracks[index].id != 0);
    if (++telling->event_count == telling->fail_at)
        return -ECANCELED;
    if (telling->sample_count == telling->sample_capacity) {
        telling->sample_capacity = telling->sample_capacity * 2 + 64;
        telling->samples =
            realloc(telling->samples, telling->sample_capacity * sizeof(*telling->samples));
        assert_non_null(telling->samples);
    }
    telling->samples[telling->sample_count++] = (struct told_sample){
        .index = index,
        .sample = *sample,
        .hash = hash_of(sample->data.data, sample->data.size),
    };
    return 0;
}

static inline void begin_telling(struct telling *telling)
{
    const struct media_events events = {
        .on_track = told_track, .on_sample = told_sample, .user = telling};
    assert_int_equal(mp4_push_create(&events, &telling->push), 0);
    assert_true(mp4_push_is_idle(telling->push));
    assert_string_equal(mp4_push_reason(telling->push), "");
}

static inline void end_telling(struct telling *telling)
{
    snprintf(telling->reason, sizeof(telling->reason), "%s", mp4_push_reason(telling->push));
    telling->is_idle = telling->result == 0 && mp4_push_is_idle(telling->push);
    mp4_push_destroy(telling->push);
    telling->push = NULL;
}

/* Each piece in memory of exactly its size, so that a sanitizer sees what is kept of it. */
static inline void feed_piece(struct telling *telling, const unsigned char *data, size_t size)
{
    char *const piece = malloc(size + !size);
    assert_non_null(piece);
    memcpy(piece, data, size);
    telling->result = mp4_push_feed(telling->push, slice_of(piece, size));
    free(piece);
}

enum { WHOLE = 0, RANDOM = -1 };

/* In pieces of `piece` bytes. */
static inline void feed(struct telling *telling, const unsigned char *data, size_t size, int piece)
{
    static uint32_t seed = 1;
    for (size_t at = 0; at < size && telling->result == 0;) {
        seed = seed * 1664525 + 1013904223;
        const size_t left = size - at;
        const size_t most = piece == WHOLE    ? left
                            : piece == RANDOM ? 1 + (seed >> 8) % (seed >> 31 ? 20000 : 40)
                                              : (size_t)piece;
        feed_piece(telling, data + at, most < left ? most : left);
        at += most < left ? most : left;
    }
}

static inline struct telling tell(const void *data, size_t size, int piece)
{
    struct telling telling = {0};
    begin_telling(&telling);
    feed(&telling, data, size, piece);
    end_telling(&telling);
    return telling;
}

static inline void expect_same(const struct telling *a, const struct telling *b)
{
    assert_int_equal(a->result, b->result);
    assert_string_equal(a->reason, b->reason);
    assert_int_equal(a->is_idle, b->is_idle);
    assert_int_equal(a->track_count, b->track_count);
    assert_int_equal(a->sample_count, b->sample_count);
    for (size_t i = 0; i < a->sample_count; i++) {
        const struct media_sample *const left = &a->samples[i].sample;
        const struct media_sample *const right = &b->samples[i].sample;
        assert_int_equal(a->samples[i].index, b->samples[i].index);
        assert_int_equal(a->samples[i].hash, b->samples[i].hash);
        assert_true(left->dts == right->dts && left->cto == right->cto &&
                    left->duration == right->duration && left->is_sync == right->is_sync);
    }
}

/* Whole; after it was told in other pieces too, with the same result. */
static inline struct telling tell_in_pieces(const void *data, size_t size)
{
    static const int pieces[] = {1, 7, RANDOM, RANDOM};
    const struct telling whole = tell(data, size, WHOLE);
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        const struct telling other = tell(data, size, pieces[i]);
        expect_same(&whole, &other);
        free(other.samples);
    }
    return whole;
}

#endif
