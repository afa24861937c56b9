/* SPDX-License-Identifier: MIT */
/*
 * See mp4_push.h. A moov or a moof is gathered whole, and then read by what reads them in files:
 * through a source that has this one box, at its place in the stream.
 *
 *     HEADER --moov, moof--> INDEX --whole: read--------> HEADER
 *        |---mdat of a fragment--> MEDIA --whole: told--> HEADER
 *        |---any other box-------> SKIPPED -------------> HEADER
 *     any --error--> DEAD
 *
 * A fragment's samples are known when its moof has been read, and wait for the mdat.
 */
#include "wire/mp4_push.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "leat/error.h"
#include "wire/mp4_fragments.h"
#include "wire/mp4_header.h"

#define BOX MP4_FOURCC

enum {
    HEADER_MIN = 8,
    HEADER_MAX = 16,
    BUFFER_AT_FIRST = 64 * 1024,
    BUFFER_KEPT = 4 * 1024 * 1024, /* between two fragments */
    SAMPLES_AT_FIRST = 64,
    NONE = UINT32_MAX,
};
static const int64_t SHIFT_MAX = INT64_MAX / 4; /* so that with it no time overflows */

enum state { HEADER, INDEX, MEDIA, SKIPPED, DEAD };

struct buffer {
    unsigned char *data;
    size_t size, capacity;
};

/* A sample of the present fragment. */
struct sample {
    uint64_t offset; /* in the stream */
    int64_t dts;
    int32_t cto;
    uint32_t size, duration;
    bool is_sync;
    uint32_t next; /* of its track; NONE: it is the last */
};

/* A track of the present moov, at the same index as there. */
struct lane {
    unsigned index; /* as it is told of */
    int64_t shift;  /* of the edit list */
    uint32_t first, last;
};

struct mp4_push {
    struct media_events events;
    enum state state;
    uint64_t offset;    /* of the next byte, in the stream */
    struct mp4_box box; /* that is being read */
    unsigned char header[HEADER_MAX];
    unsigned header_size;
    struct buffer index; /* the moov or moof, with its header */
    struct buffer media; /* what has come of an mdat */
    struct sample *samples;
    uint32_t sample_count, sample_capacity;
    uint64_t fragment_offset; /* of the moof that told of them */
    bool has_moov, has_begun;
    struct lane lanes[MP4_TRACKS_MAX];
    uint32_t ids[MP4_TRACKS_MAX]; /* of tracks, by the indexes that they are told of with */
    unsigned id_count;
    int event_error; /* of on_track */
    char reason[MP4_REASON_SIZE + 32];
    struct mp4_source source;
    struct mp4_events reader_events;
    struct mp4_reader reader;
    struct mp4_table table;
    struct mp4_moov moov;
};

/* ---- What is wrong --------------------------------------------------------------------------- */

/* A damage that is none: what is there is nothing of ours. For what mp4_damaged returned. */
static int unsupported(int damage)
{
    ASSERT(damage == -LEAT_E_MALFORMED);
    return -EOPNOTSUPP;
}

static int die(struct mp4_push *push, int error)
{
    const struct mp4_problem *const problem = &push->reader.problem;
    ASSERT(error != 0 && push->state != DEAD);
    if (problem->reason[0] != '\0')
        snprintf(push->reason, sizeof(push->reason), "%s, at byte %llu", problem->reason,
                 (unsigned long long)problem->offset);
    push->state = DEAD;
    return error;
}

/* ---- Buffers --------------------------------------------------------------------------------- */

/* Appends what has come; never more room than twice that. */
static int append(struct buffer *buffer, struct leat_slice bytes)
{
    if (bytes.size > buffer->capacity - buffer->size) {
        size_t capacity = buffer->capacity > 0 ? buffer->capacity : BUFFER_AT_FIRST;
        while (capacity - buffer->size < bytes.size)
            capacity *= 2;
        unsigned char *const data = realloc(buffer->data, capacity);
        if (!data)
            return -ENOMEM;
        buffer->data = data;
        buffer->capacity = capacity;
    }
    ASSERT(buffer->size + bytes.size <= buffer->capacity);
    memcpy(buffer->data + buffer->size, bytes.data, bytes.size);
    buffer->size += bytes.size;
    return 0;
}

static void empty(struct buffer *buffer)
{
    buffer->size = 0;
    if (buffer->capacity > BUFFER_KEPT) {
        free(buffer->data);
        *buffer = (struct buffer){0};
    }
}

/* ---- The index: moov ------------------------------------------------------------------------- */

/* The box that was gathered, where it stood in the stream. */
static int read_index(void *user, uint64_t offset, void *data, size_t size)
{
    const struct mp4_push *const push = user;
    ASSERT(offset >= push->box.offset && offset + size <= push->box.offset + push->index.size);
    memcpy(data, push->index.data + (offset - push->box.offset), size);
    return 0;
}

/* A reader for the box that was gathered. */
static void open_index(struct mp4_push *push)
{
    ASSERT(push->index.size == push->box.end - push->box.offset);
    push->source = (struct mp4_source){.read = read_index, .user = push, .size = push->box.end};
    mp4_reader_init(&push->reader, &push->source, &push->reader_events);
    push->reader.is_stream = true;
    push->reader.samples_left = MP4_PUSH_SAMPLES_MAX;
}

/* The time by which the edit list of a track moves it, in its ticks (section 8.6.6): empty edits
 * put it off, and the first that is none says which moment of the media is then there. What may
 * follow, or the edit's end, has no meaning for a stream that goes on. */
static int read_shift(struct mp4_push *push, const struct mp4_track *track, int64_t *ret_shift)
{
    __int128 shift = 0;
    for (unsigned i = 0; i < track->edit_count; i++) {
        const struct mp4_edit *const edit = &track->edits[i];
        if (edit->media_time >= 0) {
            shift -= edit->media_time;
            break;
        }
        shift += (__int128)edit->duration * track->timescale / push->moov.timescale;
    }
    if (shift > SHIFT_MAX || shift < -SHIFT_MAX)
        return mp4_damaged(&push->reader, push->box.offset,
                           "the edit list of track %u moves it by ages", track->id);
    *ret_shift = (int64_t)shift;
    return 0;
}

/* The index that a track is told of with: for an id always the same one. */
static int find_index(struct mp4_push *push, uint32_t id, unsigned *ret_index)
{
    unsigned index = 0;
    while (index < push->id_count && push->ids[index] != id)
        index++;
    if (index == MP4_TRACKS_MAX)
        return mp4_too_large(&push->reader, push->box.offset,
                             "it has had more than %d tracks, one after the other", MP4_TRACKS_MAX);
    if (index == push->id_count)
        push->ids[push->id_count++] = id;
    *ret_index = index;
    return 0;
}

static int tell_track(struct mp4_push *push, unsigned position, const struct mp4_track *track)
{
    struct lane *const lane = &push->lanes[position];
    if (track->codec.is_encrypted)
        return unsupported(mp4_damaged(&push->reader, push->moov.traks[position].offset,
                                       "track %u is encrypted", track->id));
    int error = read_shift(push, track, &lane->shift);
    if (error == 0)
        error = find_index(push, track->id, &lane->index);
    return error ? error : push->events.on_track(lane->index, track, push->events.user);
}

static bool on_track(unsigned position, const struct mp4_track *track, void *user)
{
    struct mp4_push *const push = user;
    if (push->event_error == 0)
        push->event_error = tell_track(push, position, track);
    return true;
}

/* Does a moov describe samples itself? Those of a stream come in fragments. */
static int check_tables(struct mp4_push *push, const struct mp4_trak *trak)
{
    enum { HEADER_SIZE = 12 };
    const bool is_compact = trak->tables[MP4_STSZ].type == 0;
    const struct mp4_box *const box = &trak->tables[is_compact ? MP4_STZ2 : MP4_STSZ];
    struct cursor cursor;
    if (box->type == 0)
        return 0;
    const int error = mp4_payload(&push->reader, box, HEADER_SIZE, &cursor);
    if (error)
        return error;
    cursor_skip(&cursor, 8);
    if (cursor_u32be(&cursor) == 0)
        return 0;
    return unsupported(mp4_damaged(&push->reader, box->offset,
                                   "samples of track %u stand in its index (moov), not in "
                                   "fragments: ffmpeg's empty_moov does otherwise",
                                   trak->track.id));
}

static int read_moov(struct mp4_push *push)
{
    struct mp4_moov *const moov = &push->moov;
    open_index(push);
    int error = mp4_read_moov(&push->reader, &push->box, moov);
    if (error)
        return error;
    if (!moov->has_fragments)
        return unsupported(mp4_damaged(&push->reader, push->box.offset,
                                       "it is no fragmented MP4 (moov without mvex): ffmpeg "
                                       "makes one with -movflags frag_keyframe+empty_moov"));
    for (unsigned i = 0; i < moov->trak_count && error == 0; i++)
        error = check_tables(push, &moov->traks[i]);
    if (error)
        return error;
    push->has_moov = true;
    error = mp4_tell_tracks(&push->reader, moov);
    return push->event_error ? push->event_error : error;
}

/* ---- The index: moof ------------------------------------------------------------------------- */

static int on_sample(unsigned position, const struct mp4_sample *told, void *user)
{
    struct mp4_push *const push = user;
    const struct mp4_trak *const trak = &push->moov.traks[position];
    struct lane *const lane = &push->lanes[position];
    if (told->size > MEDIA_SAMPLE_MAX)
        return mp4_too_large(&push->reader, push->box.offset,
                             "a sample of track %u has %u bytes, %d are taken", trak->track.id,
                             told->size, MEDIA_SAMPLE_MAX);
    if (told->entry != 0)
        return unsupported(mp4_damaged(&push->reader, push->box.offset,
                                       "track %u goes over to its sample entry %u", trak->track.id,
                                       told->entry + 1));
    if (push->sample_count == push->sample_capacity) {
        const uint32_t capacity =
            push->sample_capacity > 0 ? 2 * push->sample_capacity : SAMPLES_AT_FIRST;
        struct sample *const samples = realloc(push->samples, capacity * sizeof(*samples));
        if (!samples)
            return -ENOMEM;
        push->samples = samples;
        push->sample_capacity = capacity;
    }
    ASSERT(told->dts <= INT64_MAX / 2 && push->sample_count < MP4_PUSH_SAMPLES_MAX);
    const uint32_t at = push->sample_count++;
    push->samples[at] = (struct sample){
        .offset = told->offset,
        .dts = (int64_t)told->dts + lane->shift,
        .cto = (int32_t)told->cto,
        .size = told->size,
        .duration = told->duration,
        .is_sync = told->is_sync,
        .next = NONE,
    };
    *(lane->first == NONE ? &lane->first : &push->samples[lane->last].next) = at;
    lane->last = at;
    return 0;
}

/* That times fall between fragments, and that there is no end to them, is as it may be: the reader
 * knows of no fragment before this one but where it ended. */
static int read_moof(struct mp4_push *push)
{
    struct mp4_moov *const moov = &push->moov;
    for (unsigned i = 0; i < moov->trak_count; i++) {
        moov->traks[i].last_dts = moov->traks[i].sample_count = 0;
        push->lanes[i].first = push->lanes[i].last = NONE;
    }
    ASSERT(push->sample_count == 0);
    push->fragment_offset = push->box.offset;
    open_index(push);
    return mp4_read_fragment(&push->reader, &push->box, moov, &push->table);
}

/* ---- The media ------------------------------------------------------------------------------- */

/* Do all samples of the fragment lie in the mdat that begins? */
static int check_samples(struct mp4_push *push)
{
    for (uint32_t i = 0; i < push->sample_count; i++) {
        const struct sample *const sample = &push->samples[i];
        if (sample->offset < push->box.payload || sample->offset > push->box.end ||
            sample->size > push->box.end - sample->offset)
            return mp4_damaged(&push->reader, push->fragment_offset,
                               "sample %u of a fragment does not lie in the mdat that follows it",
                               i);
    }
    return 0;
}

/* Is `a`, in ticks of `a_scale`, earlier? */
static bool is_earlier(int64_t a, uint32_t a_scale, int64_t b, uint32_t b_scale)
{
    return (__int128)a * b_scale < (__int128)b * a_scale;
}

/* The track whose next sample is the earliest; of equal ones the first. */
static struct lane *earliest_lane(struct mp4_push *push)
{
    unsigned best = NONE;
    for (unsigned i = 0; i < push->moov.trak_count; i++) {
        if (push->lanes[i].first == NONE)
            continue;
        if (best == NONE ||
            is_earlier(push->samples[push->lanes[i].first].dts, push->moov.traks[i].track.timescale,
                       push->samples[push->lanes[best].first].dts,
                       push->moov.traks[best].track.timescale))
            best = i;
    }
    return best == NONE ? NULL : &push->lanes[best];
}

/* The mdat is whole: here is its body. */
static int tell_samples(struct mp4_push *push, const unsigned char *body)
{
    uint32_t told = 0;
    for (struct lane *lane; (lane = earliest_lane(push)) != NULL; told++) {
        const struct sample *const sample = &push->samples[lane->first];
        const struct media_sample media = {
            .dts = sample->dts,
            .cto = sample->cto,
            .duration = sample->duration,
            .is_sync = sample->is_sync,
            .data = sample->size == 0
                        ? slice_of(NULL, 0)
                        : slice_of(body + (sample->offset - push->box.payload), sample->size),
        };
        lane->first = sample->next;
        const int error = push->events.on_sample(lane->index, &media, push->events.user);
        if (error)
            return error;
    }
    ASSERT(told == push->sample_count);
    push->sample_count = 0;
    return 0;
}

/* ---- Boxes ----------------------------------------------------------------------------------- */

/* A fragment whose mdat never came. */
static int check_pending(struct mp4_push *push)
{
    if (push->sample_count == 0)
        return 0;
    return mp4_damaged(&push->reader, push->fragment_offset,
                       "behind a fragment comes '%s', and not its mdat",
                       mp4_name_of(push->box.type).text);
}

static int begin_index(struct mp4_push *push)
{
    const struct mp4_box *const box = &push->box;
    if (box->end - box->offset > MP4_PUSH_INDEX_MAX)
        return mp4_too_large(&push->reader, box->offset, "its '%s' has %llu bytes, %d are taken",
                             mp4_name_of(box->type).text,
                             (unsigned long long)(box->end - box->offset), MP4_PUSH_INDEX_MAX);
    if (box->type == BOX('m', 'o', 'o', 'f') && !push->has_moov)
        return mp4_damaged(&push->reader, box->offset,
                           "a fragment comes before the init segment (moov)");
    push->state = INDEX;
    const int error = check_pending(push);
    return error ? error : append(&push->index, slice_of(push->header, push->header_size));
}

static int begin_media(struct mp4_push *push)
{
    const struct mp4_box *const box = &push->box;
    if (push->sample_count == 0) {
        push->state = SKIPPED;
        return 0;
    }
    if (box->end - box->payload > MP4_PUSH_FRAGMENT_MAX)
        return mp4_too_large(&push->reader, box->offset,
                             "the mdat of a fragment has %llu bytes, %d are taken",
                             (unsigned long long)(box->end - box->payload), MP4_PUSH_FRAGMENT_MAX);
    push->state = MEDIA;
    return check_samples(push);
}

/* Four letters, as all that are registered are, and QuickTime's copyright sign. */
static bool is_type(const unsigned char *type)
{
    for (unsigned i = 0; i < 4; i++)
        if ((type[i] < 0x20 || type[i] > 0x7e) && type[i] != 0xa9)
            return false;
    return true;
}

/* The header is whole (section 4.2). */
static int begin_box(struct mp4_push *push)
{
    const uint64_t begin = push->offset - push->header_size;
    const bool is_long = push->header_size == HEADER_MAX;
    const uint64_t size = is_long ? mp4_be64(push->header + 8) : mp4_be32(push->header);
    const uint32_t type = mp4_be32(push->header + 4);
    if (!push->has_begun && !mp4_is_known_box(type))
        return mp4_damaged(&push->reader, begin,
                           "it is no MP4: it begins with no box that is "
                           "known");
    if (!is_type(push->header + 4) || (size != 0 && size < push->header_size) ||
        size > INT64_MAX - begin)
        return mp4_damaged(&push->reader, begin, "there is no box where one must begin");
    if (size == 0)
        return unsupported(mp4_damaged(&push->reader, begin,
                                       "its box '%s' has no size, and so no end",
                                       mp4_name_of(type).text));
    push->has_begun = true;
    push->box = (struct mp4_box){
        .type = type, .offset = begin, .payload = push->offset, .end = begin + size};
    switch (type) {
    case BOX('m', 'o', 'o', 'v'):
    case BOX('m', 'o', 'o', 'f'): return begin_index(push);
    case BOX('m', 'd', 'a', 't'): return begin_media(push);
    default: push->state = SKIPPED; return 0;
    }
}

/* `body`: of an mdat that has come as a whole; NULL: it was gathered. */
static int end_box(struct mp4_push *push, const unsigned char *body)
{
    int error = 0;
    ASSERT(push->offset == push->box.end);
    if (push->state == INDEX)
        error = push->box.type == BOX('m', 'o', 'o', 'v') ? read_moov(push) : read_moof(push);
    else if (push->state == MEDIA)
        error = tell_samples(push, body ? body : push->media.data);
    empty(&push->index);
    empty(&push->media);
    push->header_size = 0;
    if (error == 0)
        push->state = HEADER;
    return error;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* Takes at most `most` off the bytes. */
static struct leat_slice take(struct mp4_push *push, struct leat_slice *bytes, uint64_t most)
{
    const size_t size = bytes->size < most ? bytes->size : (size_t)most;
    const struct leat_slice taken = slice_of(bytes->data, size);
    *bytes = slice_after(*bytes, size);
    push->offset += size;
    return taken;
}

static int feed_header(struct mp4_push *push, struct leat_slice *bytes)
{
    const bool is_long = push->header_size >= HEADER_MIN;
    const unsigned wanted = (is_long ? HEADER_MAX : HEADER_MIN) - push->header_size;
    const struct leat_slice taken = take(push, bytes, wanted);
    memcpy(push->header + push->header_size, taken.data, taken.size);
    push->header_size += (unsigned)taken.size;
    if (taken.size < wanted || (push->header_size == HEADER_MIN && mp4_be32(push->header) == 1))
        return 0;
    return begin_box(push);
}

/* The next bytes of the present box; at its end, which may be at once, it is done. */
static int feed_payload(struct mp4_push *push, struct leat_slice *bytes)
{
    const uint64_t left = push->box.end - push->offset;
    const bool is_begun = push->offset > push->box.payload;
    const struct leat_slice taken = take(push, bytes, left);
    const bool is_whole = taken.size == left;
    int error = 0;
    if (push->state == MEDIA && is_whole && !is_begun) /* no need to copy it */
        return end_box(push, (const unsigned char *)taken.data);
    if (push->state == INDEX)
        error = append(&push->index, taken);
    else if (push->state == MEDIA)
        error = append(&push->media, taken);
    return error || !is_whole ? error : end_box(push, NULL);
}

int mp4_push_feed(struct mp4_push *push, struct leat_slice bytes)
{
    ASSERT(push->state != DEAD);
    int error = 0;
    while (error == 0) {
        const bool is_at_end = push->state != HEADER && push->offset == push->box.end;
        if (bytes.size == 0 && !is_at_end)
            return 0;
        error = push->state == HEADER ? feed_header(push, &bytes) : feed_payload(push, &bytes);
    }
    return die(push, error);
}

/* ---- The whole ------------------------------------------------------------------------------- */

int mp4_push_create(const struct media_events *events, struct mp4_push **ret_push)
{
    ASSERT(events && events->on_track && events->on_sample);
    struct mp4_push *const push = calloc(1, sizeof(*push));
    if (!push)
        return -ENOMEM;
    push->events = *events;
    push->reader_events =
        (struct mp4_events){.on_track = on_track, .on_sample = on_sample, .user = push};
    ASSERT(push->state == HEADER);
    *ret_push = push;
    return 0;
}

void mp4_push_destroy(struct mp4_push *push)
{
    if (!push)
        return;
    free(push->index.data);
    free(push->media.data);
    free(push->samples);
    free(push);
}

bool mp4_push_is_idle(const struct mp4_push *push)
{
    return push->state == HEADER && push->header_size == 0 && push->sample_count == 0;
}

void mp4_push_next_file(struct mp4_push *push)
{
    ASSERT(push->state != DEAD);
    push->state = HEADER;
    push->header_size = 0;
    push->sample_count = 0;
    push->offset = 0;
    empty(&push->index);
    empty(&push->media);
}

const char *mp4_push_reason(const struct mp4_push *push)
{
    return push->reason;
}
