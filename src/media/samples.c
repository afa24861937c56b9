/* SPDX-License-Identifier: MIT */
/*
 * See samples.h.
 */
#include "media/samples.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"

enum {
    NUMBER_SIZE_MAX = 10, /* of 64 bits */
    TOKEN_SIZE_MAX = 4 * NUMBER_SIZE_MAX,
    HAS_GAP = 1,
    HAS_DURATION = 2,
    HAS_CTO = 4,      /* without codes */
    CTO_SHIFT = 2,    /* with codes */
    CTO_FOLLOWS = 15, /* the code that says so */
    VIDEO_SHIFT = 6,  /* below the size */
    OTHER_SHIFT = 3,
};

static_assert((int)SAMPLES_CTOS == (int)CTO_FOLLOWS, "the codes below it have an entry each");

/* ---- Numbers --------------------------------------------------------------------------------- */

static unsigned char *put_number(unsigned char *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    *at++ = (unsigned char)value;
    return at;
}

static inline uint64_t get_number(const unsigned char **at)
{
    const unsigned char *byte = *at;
    uint64_t value = *byte & 0x7f;
    for (unsigned shift = 7; *byte++ & 0x80; shift += 7)
        value |= (uint64_t)(*byte & 0x7f) << shift;
    *at = byte;
    return value;
}

/* Small ones of either sign have few bytes: 0, -1, 1, -2, … */
static uint64_t from_signed(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t to_signed(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* ---- Adding ---------------------------------------------------------------------------------- */

void samples_init(struct samples *samples, bool is_video)
{
    *samples = (struct samples){.has_cto_codes = is_video};
}

void samples_fini(struct samples *samples)
{
    free(samples->bytes);
    free(samples->marks);
    free(samples->syncs);
    *samples = (struct samples){0};
}

/* Room for one more of `size` bytes each. */
static int reserve(void **array, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return 0;
    const uint32_t wanted = *capacity ? *capacity + *capacity / 2 : 64;
    void *grown = wanted > *capacity ? realloc(*array, wanted * size) : NULL;
    if (!grown)
        return -ENOMEM;
    *array = grown;
    *capacity = wanted;
    return 0;
}

static int reserve_bytes(struct samples *samples)
{
    if (samples->capacity - samples->size >= TOKEN_SIZE_MAX)
        return 0;
    const size_t wanted = samples->capacity + samples->capacity / 2 + 4096;
    unsigned char *grown = wanted <= UINT32_MAX ? realloc(samples->bytes, wanted) : NULL;
    if (!grown)
        return -ENOMEM;
    samples->bytes = grown;
    samples->capacity = wanted;
    return 0;
}

/* Those so far have all been sync samples, and none was listed. */
static int list_syncs(struct samples *samples)
{
    const uint32_t capacity = samples->count + 64;
    samples->syncs = malloc(capacity * sizeof *samples->syncs);
    if (!samples->syncs)
        return -ENOMEM;
    samples->sync_capacity = capacity;
    samples->sync_count = samples->count;
    for (uint32_t index = 0; index < samples->count; index++)
        samples->syncs[index] = index;
    for (uint32_t index = 0; index < samples->mark_count; index++)
        samples->marks[index].next_sync = samples->marks[index].index;
    return 0;
}

/* Of the sample that is about to be the next. */
static int note_sync(struct samples *samples, bool is_sync)
{
    if (!samples->syncs)
        return is_sync ? 0 : list_syncs(samples);
    if (!is_sync)
        return 0;
    if (reserve((void **)&samples->syncs, samples->sync_count, &samples->sync_capacity,
                sizeof *samples->syncs) != 0)
        return -ENOMEM;
    samples->syncs[samples->sync_count++] = samples->count;
    return 0;
}

static unsigned cto_code(struct samples *samples, int64_t cto)
{
    for (unsigned code = 0; code < samples->cto_count; code++)
        if (samples->ctos[code] == cto)
            return code;
    if (samples->cto_count == SAMPLES_CTOS)
        return CTO_FOLLOWS;
    samples->ctos[samples->cto_count] = cto;
    return samples->cto_count++;
}

static int put_mark(struct samples *samples, uint64_t dts)
{
    if (reserve((void **)&samples->marks, samples->mark_count, &samples->mark_capacity,
                sizeof *samples->marks) != 0)
        return -ENOMEM;
    samples->marks[samples->mark_count++] = (struct samples_mark){
        .offset = samples->end_offset,
        .dts = dts,
        .index = samples->count,
        .position = (uint32_t)samples->size,
        .duration = samples->duration,
        .next_sync = samples->sync_count, /* none, as long as all are */
    };
    return 0;
}

static int put_sample(struct samples *samples, const struct mp4_sample *sample)
{
    if (samples->count % SAMPLES_BLOCK == 0 && put_mark(samples, sample->dts) != 0)
        return -ENOMEM;
    if (reserve_bytes(samples) != 0 || note_sync(samples, sample->is_sync) != 0)
        return -ENOMEM;
    const bool has_gap = sample->offset != samples->end_offset;
    const bool has_duration = sample->duration != samples->duration;
    uint64_t token = (has_gap ? HAS_GAP : 0) | (has_duration ? HAS_DURATION : 0);
    bool has_cto = sample->cto != 0;
    if (samples->has_cto_codes) {
        const unsigned code = cto_code(samples, sample->cto);
        has_cto = code == CTO_FOLLOWS;
        token |= (uint64_t)sample->size << VIDEO_SHIFT | code << CTO_SHIFT;
    } else {
        token |= (uint64_t)sample->size << OTHER_SHIFT | (has_cto ? HAS_CTO : 0);
    }
    unsigned char *at = put_number(samples->bytes + samples->size, token);
    if (has_gap)
        at = put_number(at, from_signed((int64_t)(sample->offset - samples->end_offset)));
    if (has_duration)
        at = put_number(at, sample->duration);
    if (has_cto)
        at = put_number(at, from_signed(sample->cto));
    samples->size = (size_t)(at - samples->bytes);
    ASSERT(samples->size <= samples->capacity);
    samples->duration = sample->duration;
    samples->end_offset = sample->offset + sample->size;
    samples->byte_count += sample->size;
    samples->count++;
    return 0;
}

/* The last one lasts until the next begins: fragments need not begin where the one before ended. */
static int put_last(struct samples *samples, uint64_t next_dts)
{
    struct mp4_sample *last = &samples->last;
    if (next_dts < last->dts || next_dts - last->dts > UINT32_MAX)
        return -LEAT_E_MALFORMED;
    last->duration = (uint32_t)(next_dts - last->dts);
    return put_sample(samples, last);
}

int samples_add(struct samples *samples, const struct mp4_sample *sample)
{
    const int error = samples->has_last ? put_last(samples, sample->dts) : 0;
    samples->last = *sample;
    samples->has_last = true;
    return error;
}

static void shrink(void **array, size_t size)
{
    void *smaller = size > 0 ? realloc(*array, size) : NULL;
    if (smaller)
        *array = smaller;
}

int samples_finish(struct samples *samples)
{
    const int error = samples->has_last ? put_sample(samples, &samples->last) : 0;
    samples->has_last = false;
    shrink((void **)&samples->bytes, samples->size);
    shrink((void **)&samples->marks, samples->mark_count * sizeof *samples->marks);
    shrink((void **)&samples->syncs, samples->sync_count * sizeof *samples->syncs);
    return error;
}

void samples_drop_marks(struct samples *samples)
{
    free(samples->marks);
    samples->marks = NULL;
    samples->mark_count = samples->mark_capacity = 0;
}

size_t samples_memory(const struct samples *samples)
{
    return samples->size + samples->mark_count * sizeof *samples->marks +
           samples->sync_count * sizeof *samples->syncs;
}

/* ---- Reading --------------------------------------------------------------------------------- */

void samples_start(struct samples_cursor *cursor, const struct samples *samples,
                   const struct samples_mark *mark)
{
    ASSERT(mark->index <= samples->count && mark->position <= samples->size);
    *cursor = (struct samples_cursor){samples, *mark};
}

void samples_seek(struct samples_cursor *cursor, const struct samples *samples, uint32_t index)
{
    ASSERT(index <= samples->count && !samples->has_last);
    ASSERT(index == 0 || samples->marks != NULL);
    struct samples_mark mark = {0};
    if (samples->count > 0)
        mark =
            samples->marks[(index < samples->count ? index : samples->count - 1) / SAMPLES_BLOCK];
    samples_start(cursor, samples, &mark);
    struct mp4_sample skipped;
    while (cursor->next.index < index)
        (void)samples_next(cursor, &skipped);
}

static inline bool take_sync(struct samples_cursor *cursor)
{
    const struct samples *samples = cursor->samples;
    struct samples_mark *next = &cursor->next;
    if (!samples->syncs)
        return true;
    if (next->next_sync == samples->sync_count || samples->syncs[next->next_sync] != next->index)
        return false;
    next->next_sync++;
    return true;
}

bool samples_next(struct samples_cursor *cursor, struct mp4_sample *ret_sample)
{
    const struct samples *samples = cursor->samples;
    struct samples_mark *next = &cursor->next;
    if (next->index == samples->count)
        return false;
    const unsigned char *at = samples->bytes + next->position;
    const uint64_t token = get_number(&at);
    if (token & HAS_GAP)
        next->offset += (uint64_t)to_signed(get_number(&at));
    if (token & HAS_DURATION)
        next->duration = (uint32_t)get_number(&at);
    *ret_sample =
        (struct mp4_sample){.offset = next->offset, .dts = next->dts, .duration = next->duration};
    if (samples->has_cto_codes) {
        const unsigned code = (unsigned)(token >> CTO_SHIFT) & CTO_FOLLOWS;
        ret_sample->size = (uint32_t)(token >> VIDEO_SHIFT);
        ret_sample->cto = code == CTO_FOLLOWS ? to_signed(get_number(&at)) : samples->ctos[code];
    } else {
        ret_sample->size = (uint32_t)(token >> OTHER_SHIFT);
        ret_sample->cto = token & HAS_CTO ? to_signed(get_number(&at)) : 0;
    }
    ret_sample->is_sync = take_sync(cursor);
    next->offset += ret_sample->size;
    next->dts += ret_sample->duration;
    next->position = (uint32_t)(at - samples->bytes);
    next->index++;
    return true;
}

/* To keep a whole mark with each sample costs as much as reading it. */
struct samples_mark samples_mark_before(const struct samples_cursor *cursor, uint32_t position,
                                        const struct mp4_sample *sample)
{
    const struct samples *samples = cursor->samples;
    const unsigned char *at = samples->bytes + position;
    struct samples_mark mark = {
        .offset = sample->offset,
        .dts = sample->dts,
        .index = cursor->next.index - 1,
        .position = position,
        .duration = sample->duration, /* the token says so, or the one before had it */
        .next_sync = cursor->next.next_sync - (samples->syncs && sample->is_sync),
    };
    ASSERT(position < cursor->next.position);
    if (get_number(&at) & HAS_GAP)
        mark.offset -= (uint64_t)to_signed(get_number(&at));
    return mark;
}

uint64_t samples_time(const struct samples *samples, uint32_t index)
{
    struct samples_cursor cursor;
    samples_seek(&cursor, samples, index);
    return cursor.next.dts;
}
