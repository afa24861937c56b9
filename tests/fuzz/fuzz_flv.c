/* SPDX-License-Identifier: MIT */
/*
 * Bodies of FLV tags, one behind the other: each with its kind, its time and its size before it, as
 * in a file (annex E.4.1), but without the rest. Whatever the bytes: tracks are told before their
 * samples, within limits; what a sample has lies within its message; sound never overlaps itself;
 * and who stops it is told so.
 */
#include <errno.h>

#include "base/cursor.h"
#include "fuzz.h"
#include "leat/error.h"
#include "wire/flv.h"

struct told {
    struct leat_slice message;
    unsigned track_count, sample_count, event_count, stop_at;
    uint32_t timescales[2];
    int64_t sound_until;
    bool is_counting;
};

static int answer(struct told *told)
{
    return ++told->event_count == told->stop_at ? -ECANCELED : 0;
}

static int on_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct told *const told = user;
    ASSERT(index <= told->track_count && index < 2);
    told->track_count += index == told->track_count;
    ASSERT(track->id == index + 1 && track->entry_count == 1);
    ASSERT(track->stsd.size > 8 && track->stsd.size <= MP4_STSD_MAX);
    ASSERT(track->timescale > 0 && track->timescale <= INT32_MAX);
    ASSERT(strlen(track->language) == 3 && track->codec.text[0] != '\0');
    told->timescales[index] = track->timescale;
    if (track->handler == MP4_FOURCC('s', 'o', 'u', 'n'))
        told->is_counting = false;
    return answer(told);
}

static int on_sample(unsigned index, const struct media_sample *sample, void *user)
{
    struct told *const told = user;
    ASSERT(index < told->track_count);
    ASSERT(sample->data.size > 0 && sample->data.size <= told->message.size);
    const size_t at = (size_t)(sample->data.data - told->message.data);
    ASSERT(at <= told->message.size - sample->data.size);
    if (sample->duration > 0) {
        const int64_t jump = sample->dts - told->sound_until;
        const int64_t least = (int64_t)told->timescales[index] * FLV_AUDIO_DRIFT_MS / 1000;
        ASSERT(sample->is_sync && sample->cto == 0);
        ASSERT(!told->is_counting || jump == 0 || jump > least || jump < -least);
        told->sound_until = sample->dts + sample->duration;
        told->is_counting = true;
    }
    told->sample_count++;
    return answer(told);
}

/* How many events there were. */
static unsigned tell(struct leat_slice input, unsigned stop_at)
{
    struct told told = {.stop_at = stop_at};
    const struct media_events events = {
        .on_track = on_track, .on_sample = on_sample, .user = &told};
    struct flv *flv;
    ASSERT(flv_create(&events, &flv) == 0);
    struct cursor cursor = cursor_over(input);
    int result = 0;
    while (result == 0 && cursor_left(&cursor) > 0) {
        const bool is_video = cursor_u8(&cursor) & 1;
        const int32_t time_ms = (int32_t)cursor_u32be(&cursor);
        const uint16_t size = cursor_u16be(&cursor);
        const size_t left = cursor_left(&cursor);
        const struct leat_slice body = cursor_bytes(&cursor, size < left ? size : left);
        char *const exact = fuzz_copy(body.data, body.size);
        told.message = slice_of(exact, body.size);
        result = is_video ? flv_video(flv, time_ms, told.message)
                          : flv_audio(flv, time_ms, told.message);
        free(exact);
    }
    ASSERT(result == 0 || result == -LEAT_E_MALFORMED || result == -LEAT_E_LIMIT ||
           result == -EOPNOTSUPP || result == -ECANCELED);
    const bool is_stopped = stop_at > 0 && told.event_count == stop_at;
    ASSERT(is_stopped == (result == -ECANCELED));
    const size_t size = strnlen(flv_reason(flv), MEDIA_REASON_SIZE);
    ASSERT(size < MEDIA_REASON_SIZE && (size > 0) == (result != 0 && !is_stopped));
    flv_destroy(flv);
    return told.event_count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct leat_slice input = slice_of(data, size);
    const unsigned count = tell(input, 0);
    for (unsigned i = 1; i <= count; i += count / 8 + 1)
        ASSERT(tell(input, i) == i);
    return 0;
}
