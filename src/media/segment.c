/* SPDX-License-Identifier: MIT */
/*
 * Segments of a film (film.h): which bytes of the file they need, which of these are worth jumping
 * over, and the head that makes a movie fragment of them.
 *
 *     samples, in decoding order    V V V V V V | A A A A A A A
 *     ranges, in the file's order   [V A V A V A]  V  [A]  V  [A]    two gaps: the next segment's V
 *     the segment                   moof mdat{ V A V A V A A A }
 *
 * The exact ranges hold nothing but the segment's samples. Gaps between them are sent along while
 * they stay below a hundredth of the segment; more of them when there would be more ranges than
 * FILM_RANGES_GOOD. The movie fragment does not speak of what lies in them (ISO/IEC 14496-12,
 * section 8.1.1, allows it). Where even that leaves too many ranges, the samples are packed.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "media/film_parts.h"
#include "wire/mp4_writer.h"

enum {
    FILM_RANGES_GOOD = 6,     /* of a segment: nearly as cheap as one */
    SLACK_FREE_PERCENT = 1,   /* of a segment, sent along without a second thought, */
    SLACK_MOST_PERCENT = 12,  /* and at most; */
    SLACK_VIDEO_PERCENT = 25, /* of video alone, whose holes are its sound */
};

/* In work; all its memory is the request's. */
struct plan {
    film_alloc_fn alloc;
    void *user;
    const struct film *film;
    struct mp4_fragment_sample *samples; /* position: in the file, then in the body */
    struct mp4_fragment fragment;
    uint32_t count;            /* of the samples */
    struct film_range *ranges; /* in the order of the file; they neither overlap nor touch */
    uint32_t range_count;
    uint64_t used; /* their bytes */
};

/* ---- Samples --------------------------------------------------------------------------------- */

static void read_samples(struct plan *plan, const struct track *track, unsigned index)
{
    const struct track_cut *cut = &track->cuts[index];
    const uint32_t first = cut[0].at.index, end = cut[1].at.index;
    struct mp4_fragment_track *fragment = &plan->fragment.tracks[plan->fragment.track_count++];
    struct samples_cursor cursor;
    struct mp4_sample sample;
    ASSERT(first <= end);
    *fragment = (struct mp4_fragment_track){
        .id = track->mp4.id,
        .is_all_sync = !track->samples.syncs,
        .samples = plan->samples + plan->count,
        .count = end - first,
    };
    samples_start(&cursor, &track->samples, &cut->at);
    fragment->dts = (uint64_t)((int64_t)cut->at.dts + track->shift);
    while (cursor.next.index < end && samples_next(&cursor, &sample))
        plan->samples[plan->count++] = (struct mp4_fragment_sample){
            .position = sample.offset,
            .size = sample.size,
            .duration = sample.duration,
            .cto = (int32_t)sample.cto,
            .is_sync = sample.is_sync,
        };
}

static int collect_samples(struct plan *plan, const struct film_stream *stream, unsigned index)
{
    size_t count = 0;
    for (unsigned at = 0; at < stream->track_count; at++) {
        const struct track_cut *cut = &plan->film->tracks[stream->tracks[at]].cuts[index];
        count += cut[1].at.index - cut[0].at.index;
    }
    ASSERT(count <= FILM_SEGMENT_SAMPLES_MAX);
    plan->samples = plan->alloc(plan->user, (count + 1) * sizeof *plan->samples);
    if (!plan->samples)
        return -ENOMEM;
    for (unsigned at = 0; at < stream->track_count; at++) {
        const struct track *track = &plan->film->tracks[stream->tracks[at]];
        /* A silent track says so when it is alone; beside another it just is not there. */
        if (stream->track_count == 1 ||
            track->cuts[index].at.index < track->cuts[index + 1].at.index)
            read_samples(plan, track, index);
    }
    return 0;
}

/* ---- Ranges ---------------------------------------------------------------------------------- */

/* One behind the other as they are decoded; returns their number. */
static uint32_t runs_of(const struct mp4_fragment_track *track, struct film_range *runs)
{
    uint32_t count = 0;
    uint64_t end = UINT64_MAX;
    for (uint32_t index = 0; index < track->count; index++) {
        const struct mp4_fragment_sample *sample = &track->samples[index];
        if (sample->position != end)
            runs[count++] = (struct film_range){.offset = sample->position};
        runs[count - 1].size += sample->size;
        end = sample->position + sample->size;
    }
    return count;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct film_range *left = a, *right = b;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

static bool is_sorted(const struct film_range *ranges, uint32_t count)
{
    for (uint32_t index = 1; index < count; index++)
        if (ranges[index].offset < ranges[index - 1].offset)
            return false;
    return true;
}

/* Two lists, mostly sorted as films lie on disks, become one. */
static void merge_runs(struct film_range *out, const struct film_range *left, uint32_t left_count,
                       const struct film_range *right, uint32_t right_count)
{
    while (left_count > 0 || right_count > 0) {
        if (right_count == 0 || (left_count > 0 && left->offset <= right->offset)) {
            *out++ = *left++;
            left_count--;
        } else {
            *out++ = *right++;
            right_count--;
        }
    }
}

/* Those that touch, or overlap as no film's should, become one. */
static void join_ranges(struct plan *plan)
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < plan->range_count; index++) {
        const struct film_range *range = &plan->ranges[index];
        struct film_range *last = count > 0 ? &plan->ranges[count - 1] : NULL;
        const uint64_t end = range->offset + range->size;
        if (last && range->offset <= last->offset + last->size) {
            if (end > last->offset + last->size)
                last->size = end - last->offset;
        } else if (range->size > 0) {
            plan->ranges[count++] = *range;
        }
    }
    plan->range_count = count;
    for (uint32_t index = 0; index < count; index++)
        plan->used += plan->ranges[index].size;
}

/* What the samples need and nothing else. */
static int find_exact_ranges(struct plan *plan)
{
    struct film_range *runs = plan->alloc(plan->user, (plan->count + 1) * 2 * sizeof *runs);
    if (!runs)
        return -ENOMEM;
    struct film_range *const ranges = runs + plan->count + 1;
    const uint32_t left =
        plan->fragment.track_count > 0 ? runs_of(&plan->fragment.tracks[0], runs) : 0;
    const uint32_t right =
        plan->fragment.track_count > 1 ? runs_of(&plan->fragment.tracks[1], runs + left) : 0;
    merge_runs(ranges, runs, left, runs + left, right);
    plan->ranges = ranges;
    plan->range_count = left + right;
    if (!is_sorted(ranges, plan->range_count))
        qsort(ranges, plan->range_count, sizeof *ranges, compare_ranges);
    join_ranges(plan);
    return 0;
}

/* ---- Gaps ------------------------------------------------------------------------------------ */

static uint64_t gap_behind(const struct film_range *range)
{
    return range[1].offset - range[0].offset - range[0].size;
}

/* Which gaps are sent along: the smallest go first. They are counted by powers of two, which needs
 * no sorting; of the class that does not fit whole, those that come first in the file go. */
struct closing {
    uint64_t limit;      /* gaps up to it all go, */
    uint64_t some_limit; /* up to this as long as they fit */
    uint64_t budget;     /* bytes of these */
    uint32_t some;       /* and so many */
};

/* Until `wanted` ranges are left or `budget` bytes are slack. */
static struct closing choose_gaps(const struct plan *plan, uint32_t wanted, uint64_t budget)
{
    uint32_t numbers[64] = {0}, left = plan->range_count;
    uint64_t sums[64] = {0};
    struct closing closing = {.budget = budget};
    for (uint32_t index = 0; index + 1 < plan->range_count; index++) {
        const uint64_t gap = gap_behind(&plan->ranges[index]);
        const unsigned class = 63 - (unsigned)__builtin_clzll(gap);
        numbers[class]++;
        sums[class] += gap;
    }
    for (unsigned class = 0; class < 63 && left > wanted; class ++) {
        const uint64_t class_limit = ((uint64_t)2 << class) - 1;
        if (numbers[class] > left - wanted || sums[class] > closing.budget) {
            closing.some_limit = class_limit;
            closing.some = left - wanted;
            break;
        }
        closing.budget -= sums[class];
        closing.limit = class_limit;
        left -= numbers[class];
    }
    return closing;
}

static bool takes_gap(struct closing *closing, uint64_t gap)
{
    if (gap <= closing->limit)
        return true;
    if (gap > closing->some_limit || gap > closing->budget || closing->some == 0)
        return false;
    closing->budget -= gap;
    closing->some--;
    return true;
}

static void close_gaps(struct plan *plan, uint32_t wanted, uint64_t budget)
{
    struct closing closing = choose_gaps(plan, wanted, budget);
    uint32_t count = plan->range_count > 0 ? 1 : 0;
    for (uint32_t index = 1; index < plan->range_count; index++) {
        struct film_range *last = &plan->ranges[count - 1];
        const struct film_range range = plan->ranges[index];
        if (takes_gap(&closing, range.offset - last->offset - last->size))
            last->size = range.offset + range.size - last->offset;
        else
            plan->ranges[count++] = range;
    }
    plan->range_count = count;
}

static uint64_t total(const struct plan *plan)
{
    uint64_t size = 0;
    for (uint32_t index = 0; index < plan->range_count; index++)
        size += plan->ranges[index].size;
    return size;
}

static uint64_t extent_of(const struct plan *plan)
{
    const struct film_range *last = &plan->ranges[plan->range_count - 1];
    return last->offset + last->size - plan->ranges[0].offset;
}

/* From the exact ranges to those that are sent. False: there are still too many. */
static bool choose_ranges(struct plan *plan)
{
    const struct mp4_fragment_track *track = &plan->fragment.tracks[0];
    const bool has_holes = plan->fragment.track_count == 1 && !track->is_all_sync;
    const uint64_t most = plan->used * (has_holes ? SLACK_VIDEO_PERCENT : SLACK_MOST_PERCENT) / 100;
    if (plan->range_count < 2)
        return true;
    close_gaps(plan, 1, plan->used * SLACK_FREE_PERCENT / 100);
    if (plan->range_count <= FILM_RANGES_GOOD)
        return true;
    if (extent_of(plan) - plan->used <= most) {
        close_gaps(plan, 1, UINT64_MAX);
        return true;
    }
    close_gaps(plan, FILM_RANGES_GOOD, most - (total(plan) - plan->used));
    return plan->range_count <= FILM_RANGES_MAX;
}

/* The ranges that are sent, or the exact ones when they are to be packed. */
static int plan_ranges(struct plan *plan, struct film_segment *segment)
{
    const uint32_t exact_count = plan->range_count;
    const bool may_pack = exact_count > FILM_RANGES_MAX && plan->used <= FILM_PACKED_MAX;
    struct film_range *exact =
        may_pack ? plan->alloc(plan->user, exact_count * sizeof *exact) : NULL;
    if (may_pack && !exact)
        return -ENOMEM;
    for (uint32_t index = 0; exact && index < exact_count; index++)
        exact[index] = plan->ranges[index];
    segment->exact_count = exact_count;
    segment->media_size = plan->used;
    if (!choose_ranges(plan)) {
        if (exact) {
            segment->runs = plan->ranges = exact;
            segment->run_count = plan->range_count = exact_count;
            return 0;
        }
        close_gaps(plan, FILM_RANGES_MAX, UINT64_MAX);
    }
    segment->range_count = plan->range_count;
    for (uint32_t index = 0; index < plan->range_count; index++)
        segment->ranges[index] = plan->ranges[index];
    return 0;
}

/* ---- The body -------------------------------------------------------------------------------- */

/* From places in the file to places in the body, which is the ranges one behind the other. */
static int place_samples(struct plan *plan)
{
    uint64_t *const begins = plan->alloc(plan->user, (plan->range_count + 1) * sizeof *begins);
    if (!begins)
        return -ENOMEM;
    begins[0] = 0;
    for (uint32_t index = 0; index < plan->range_count; index++)
        begins[index + 1] = begins[index] + plan->ranges[index].size;
    uint32_t at = 0; /* the range of the sample before, which is mostly this one's */
    uint64_t end = 0;
    for (uint32_t index = 0; index < plan->count; index++) {
        struct mp4_fragment_sample *sample = &plan->samples[index];
        if (sample->size == 0) {
            sample->position = end;
            continue;
        }
        if (sample->position < plan->ranges[at].offset)
            at = 0;
        while (at + 1 < plan->range_count &&
               sample->position >= plan->ranges[at].offset + plan->ranges[at].size)
            at++;
        ASSERT(sample->position - plan->ranges[at].offset < plan->ranges[at].size);
        sample->position += begins[at] - plan->ranges[at].offset;
        end = sample->position + sample->size;
    }
    return 0;
}

static int write_head(struct plan *plan, unsigned index, struct film_segment *segment)
{
    struct mp4_fragment *fragment = &plan->fragment;
    fragment->sequence_number = index + 1;
    fragment->body_size = segment->body_size;
    mp4_fragment_measure(fragment);
    if (fragment->body_size > INT32_MAX - fragment->head_size)
        return -EFBIG;
    segment->head_size = fragment->head_size;
    segment->head = plan->alloc(plan->user, segment->head_size);
    if (!segment->head)
        return -ENOMEM;
    struct writer writer = writer_over(segment->head, segment->head_size);
    mp4_write_fragment(&writer, fragment);
    ASSERT(!writer.failed && writer.size == segment->head_size);
    return 0;
}

int film_segment(const struct film *film, const struct film_stream *stream, unsigned index,
                 film_alloc_fn alloc, void *user, struct film_segment *ret_segment)
{
    struct plan plan = {.alloc = alloc, .user = user, .film = film};
    struct film_segment segment = {0};
    if (index >= film_stream_segment_count(film, stream))
        return -ENOENT;
    int error = collect_samples(&plan, stream, index);
    if (!error)
        error = find_exact_ranges(&plan);
    if (error)
        return error;
    error = plan_ranges(&plan, &segment);
    if (error)
        return error;
    segment.body_size = total(&plan);
    const int64_t lasts =
        film_stream_begin(film, stream, index + 1) - film_stream_begin(film, stream, index);
    segment.duration_s = (double)lasts / film->tracks[stream->tracks[0]].mp4.timescale;
    error = place_samples(&plan);
    if (!error)
        error = write_head(&plan, index, &segment);
    if (!error)
        *ret_segment = segment;
    return error;
}

/* ---- Reading ahead --------------------------------------------------------------------------- */

/* Films lie on disks in about the order in which they are shown: where the first sample of each
 * track begins and its last one ends tells enough for a hint. */
int film_segment_extent(const struct film *film, const struct film_stream *stream, unsigned index,
                        struct film_range *ret_extent)
{
    uint64_t begin = UINT64_MAX, end = 0;
    if (index >= film_stream_segment_count(film, stream))
        return -ENOENT;
    for (unsigned at = 0; at < stream->track_count; at++) {
        const struct track *track = &film->tracks[stream->tracks[at]];
        const struct track_cut *cut = &track->cuts[index];
        struct samples_cursor cursor;
        struct mp4_sample sample;
        samples_start(&cursor, &track->samples, &cut->at);
        if (cut[0].at.index == cut[1].at.index || !samples_next(&cursor, &sample))
            continue;
        begin = sample.offset < begin ? sample.offset : begin;
        end = cut[1].at.offset > end ? cut[1].at.offset : end;
    }
    *ret_extent = (struct film_range){begin < end ? begin : 0, begin < end ? end - begin : 0};
    return 0;
}
