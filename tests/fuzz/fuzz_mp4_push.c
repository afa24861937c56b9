/* SPDX-License-Identifier: MIT */
/*
 * Fragmented MP4 as it is pushed. Whatever the bytes and the pieces they come in: the same is told,
 * or refused for the same reason; an event that fails ends it with its error, behind a part of the
 * same events; and where a file of the same bytes can be read, it has the same samples.
 */
#include <errno.h>
#include <stdint.h>

#include "fuzz.h"
#include "leat/error.h"
#include "wire/mp4_push.h"

enum { CUTS = 16 };

/* Of a track's samples: how many, and what they are. */
struct track {
    uint32_t id;
    uint64_t count, hash;
};

struct told {
    const uint8_t *data;
    size_t size;
    struct track tracks[MP4_TRACKS_MAX];
    uint64_t event_count, fail_event;
    uint64_t hash; /* of all events in their order */
    unsigned description_count;
    int result;
    bool is_idle;
    char reason[512];
};

static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * 0x9e3779b97f4a7c15;
    *hash ^= *hash >> 29;
}

/* A sample's times and flags, and a few of its bytes: there may be many that are the same. */
static void mix_sample(uint64_t *hash, int64_t dts, int64_t cto, uint32_t duration, bool is_sync,
                       struct leat_slice data)
{
    mix(hash, (uint64_t)dts);
    mix(hash, (uint64_t)cto);
    mix(hash, (uint64_t)duration << 1 | is_sync);
    mix(hash, data.size);
    for (size_t i = 0; i < data.size; i += data.size / 4 + 1)
        mix(hash, (unsigned char)data.data[i]);
    if (data.size > 0)
        mix(hash, (unsigned char)data.data[data.size - 1]);
}

static int on_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct told *const told = user;
    ASSERT(index < MP4_TRACKS_MAX && track->id != 0 && track->timescale > 0);
    ASSERT(told->tracks[index].id == 0 || told->tracks[index].id == track->id);
    ASSERT(track->stsd.size > 0 && track->stsd.size <= MP4_STSD_MAX && track->entry_count > 0);
    ASSERT(!track->codec.is_encrypted);
    if (++told->event_count == told->fail_event)
        return -ECANCELED;
    told->tracks[index].id = track->id;
    told->description_count++;
    mix(&told->hash, index);
    mix(&told->hash, track->timescale);
    mix_sample(&told->hash, track->handler, track->width, track->height, false, track->stsd);
    return 0;
}

static int on_sample(unsigned index, const struct media_sample *sample, void *user)
{
    struct told *const told = user;
    ASSERT(index < MP4_TRACKS_MAX && told->tracks[index].id != 0);
    ASSERT(sample->data.size <= told->size && sample->data.size <= MEDIA_SAMPLE_MAX);
    ASSERT(sample->duration <= INT32_MAX);
    if (++told->event_count == told->fail_event)
        return -ECANCELED;
    told->tracks[index].count++;
    mix(&told->hash, index);
    mix_sample(&told->hash, sample->dts, sample->cto, sample->duration, sample->is_sync,
               sample->data);
    mix_sample(&told->tracks[index].hash, 0, sample->cto, sample->duration, sample->is_sync,
               sample->data);
    return 0;
}

/* Feeds it up to `cut` and from there on, each in memory of its own; in pieces of `piece` bytes. */
static void tell(struct told *told, const uint8_t *data, size_t size, size_t cut, size_t piece,
                 uint64_t fail_event)
{
    const struct media_events events = {.on_track = on_track, .on_sample = on_sample, .user = told};
    struct mp4_push *push = NULL;
    *told = (struct told){.data = data, .size = size, .fail_event = fail_event};
    ASSERT(mp4_push_create(&events, &push) == 0);
    for (size_t at = 0; at < size && told->result == 0;) {
        const size_t left = (at < cut ? cut : size) - at;
        const size_t taken = piece > 0 && piece < left ? piece : left;
        char *const copy = fuzz_copy(data + at, taken);
        told->result = mp4_push_feed(push, slice_of(copy, taken));
        free(copy);
        at += taken;
    }
    const char *const reason = mp4_push_reason(push);
    ASSERT(strlen(reason) < sizeof(told->reason));
    strcpy(told->reason, reason);
    for (const char *at = reason; *at; at++)
        ASSERT(*at >= ' ' && *at < 0x7f);
    told->is_idle = told->result == 0 && mp4_push_is_idle(push);
    mp4_push_destroy(push);
    ASSERT(told->result <= 0);
    const bool is_refused = told->result == -LEAT_E_MALFORMED || told->result == -LEAT_E_LIMIT ||
                            told->result == -EOPNOTSUPP;
    ASSERT(is_refused == (told->reason[0] != '\0'));
}

static void expect_same(const struct told *a, const struct told *b)
{
    ASSERT(a->result == b->result && a->is_idle == b->is_idle);
    ASSERT(a->event_count == b->event_count && a->hash == b->hash);
    ASSERT(strcmp(a->reason, b->reason) == 0);
}

/* ---- The same bytes as a file ---------------------------------------------------------------- */

struct found {
    struct told *told;
    struct track tracks[MP4_TRACKS_MAX];
};

static int read_bytes(void *user, uint64_t offset, void *data, size_t size)
{
    const struct found *const found = user;
    ASSERT(offset <= found->told->size && size <= found->told->size - offset);
    memcpy(data, found->told->data + offset, size);
    return 0;
}

static bool found_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct found *const found = user;
    found->tracks[index].id = track->id;
    return true;
}

static int found_sample(unsigned index, const struct mp4_sample *sample, void *user)
{
    struct found *const found = user;
    found->tracks[index].count++;
    mix_sample(&found->tracks[index].hash, 0, sample->cto, sample->duration, sample->is_sync,
               slice_of(found->told->data + sample->offset, sample->size));
    return 0;
}

/* A file has one moov, and what comes behind the last whole box is let pass there. */
static void expect_as_in_file(struct told *told)
{
    struct found found = {.told = told};
    const struct mp4_source source = {.read = read_bytes, .user = &found, .size = told->size};
    const struct mp4_events events = {
        .on_track = found_track, .on_sample = found_sample, .user = &found};
    struct mp4_movie movie;
    struct mp4_problem problem;
    if (mp4_read(&source, &events, &movie, &problem) != 0)
        return;
    if (movie.track_count != told->description_count) /* another moov came */
        return;
    for (unsigned i = 0; i < movie.track_count; i++) {
        ASSERT(found.tracks[i].id == told->tracks[i].id);
        ASSERT(found.tracks[i].count == told->tracks[i].count);
        ASSERT(found.tracks[i].hash == told->tracks[i].hash);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct told whole, other;
    tell(&whole, data, size, 0, 0, 0);
    tell(&other, data, size, 0, 1, 0);
    expect_same(&whole, &other);
    for (size_t cut = 1; cut < size; cut += size / CUTS + 1) {
        tell(&other, data, size, cut, 0, 0);
        expect_same(&whole, &other);
    }
    for (uint64_t event = 1; event <= whole.event_count; event += whole.event_count / 4 + 1) {
        tell(&other, data, size, 0, 0, event);
        ASSERT(other.result == -ECANCELED && other.event_count == event);
    }
    if (whole.is_idle)
        expect_as_in_file(&whole);
    return 0;
}
