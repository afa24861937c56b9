/* SPDX-License-Identifier: MIT */
/*
 * See ladder.h.
 */
#include "media/ladder.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"

/* ---- Names ----------------------------------------------------------------------------------- */

bool ladder_stem(struct leat_slice name, struct leat_slice *ret_stem)
{
    const char *dot = name.size ? memrchr(name.data, '.', name.size) : NULL;
    size_t end = dot ? (size_t)(dot - name.data) : 0;
    if (end > 0 && name.data[end - 1] == 'p')
        end--;
    size_t begin = end;
    while (begin > 0 && name.data[begin - 1] >= '0' && name.data[begin - 1] <= '9')
        begin--;
    if (end - begin < 3 || end - begin > 4 || begin < 2 || name.data[begin - 1] != '-')
        return false;
    *ret_stem = slice_of(name.data, begin - 1);
    return true;
}

int ladder_add(struct ladder_names *names, struct leat_slice name)
{
    if (name.size == 0 || name.data[0] == '.' || memchr(name.data, '/', name.size) ||
        memchr(name.data, '\0', name.size))
        return -EINVAL;
    if (name.size >= LADDER_NAME_SIZE)
        return -LEAT_E_LIMIT;
    for (unsigned index = 0; index < names->count; index++)
        if (slice_equal(slice_from_text(names->names[index]), name))
            return 0;
    if (names->count == LADDER_RUNGS_MAX)
        return -LEAT_E_LIMIT;
    memcpy(names->names[names->count], name.data, name.size);
    names->names[names->count++][name.size] = '\0';
    return 0;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

enum { DEPTH_MAX = 8 };

/* The parser calls itself for each level, and a fiber's stack is small. */
static bool is_too_deep(struct leat_slice json)
{
    unsigned depth = 0;
    bool is_in_string = false;
    for (size_t at = 0; at < json.size; at++) {
        const char c = json.data[at];
        if (is_in_string && c == '\\')
            at++;
        else if (c == '"')
            is_in_string = !is_in_string;
        else if (!is_in_string && (c == '[' || c == '{') && ++depth > DEPTH_MAX)
            return true;
        else if (!is_in_string && (c == ']' || c == '}') && depth > 0)
            depth--;
    }
    return false;
}

static int refuse(char *ret_reason, int error, const char *what)
{
    snprintf(ret_reason, FILM_REASON_SIZE, "%s", what);
    return error;
}

static int read_rungs(const json_t *rungs, struct ladder_names *names, char *ret_reason)
{
    for (size_t index = 0; index < json_array_size(rungs); index++) {
        const json_t *rung = json_array_get(rungs, index);
        if (!json_is_string(rung))
            return refuse(ret_reason, -LEAT_E_MALFORMED, "a rung in its list is no name");
        const int error =
            ladder_add(names, slice_of(json_string_value(rung), json_string_length(rung)));
        if (error == -EINVAL)
            return refuse(ret_reason, -LEAT_E_MALFORMED,
                          "a rung in its list is no name in the same folder");
        if (error)
            return refuse(ret_reason, error, "its list is too long: 16 rungs are a ladder");
    }
    return names->count > 0 ? 0 : refuse(ret_reason, -LEAT_E_MALFORMED, "its list has no rungs");
}

int ladder_read(struct leat_slice json, struct ladder_names *ret_names, char *ret_reason)
{
    json_error_t problem;
    if (json.size > LADDER_FILE_MAX)
        return refuse(ret_reason, -LEAT_E_LIMIT, "its list is too large");
    if (is_too_deep(json))
        return refuse(ret_reason, -LEAT_E_MALFORMED, "its list nests too deep");
    json_t *root = json_loadb(json.data, json.size, JSON_REJECT_DUPLICATES, &problem);
    if (!root) {
        snprintf(ret_reason, FILM_REASON_SIZE, "its list is no JSON: line %d, column %d",
                 problem.line, problem.column);
        return -LEAT_E_MALFORMED;
    }
    const json_t *rungs = json_object_get(root, "rungs");
    struct ladder_names names = {.count = 0};
    const int error = json_is_array(rungs)
                          ? read_rungs(rungs, &names, ret_reason)
                          : refuse(ret_reason, -LEAT_E_MALFORMED,
                                   "its list is not like {\"rungs\": [\"a.mp4\", \"b.mp4\"]}");
    json_decref(root);
    if (!error)
        *ret_names = names;
    return error;
}

/* ---- Rates ----------------------------------------------------------------------------------- */

/* Around a sample a trun has up to 16 bytes, around the samples of a segment stand some hundred;
 * and up to 1 % of a segment's bytes may be slack, mostly. */
uint64_t ladder_track_bits_per_s(const struct film *film, unsigned index, bool is_peak)
{
    const struct film_track *track = film_track(film, index);
    const uint64_t media = is_peak ? track->peak_bits_per_s : track->average_bits_per_s;
    const double duration_s = film_duration_s(film);
    const double samples_per_s = duration_s > 0 ? (double)track->sample_count / duration_s : 0;
    return media + media / 100 + (uint64_t)(samples_per_s * 16 * 8) + 1600;
}

uint64_t ladder_bits_per_s(const struct film *film, bool is_peak)
{
    uint64_t sum = 0;
    bool has_audio = false;
    const int video = film_video(film);
    for (unsigned index = 0; index < film_track_count(film); index++) {
        const struct film_track *track = film_track(film, index);
        const bool is_first_audio = track->kind == FILM_AUDIO && !has_audio;
        if (!track->is_streamed || (!is_first_audio && (int)index != video))
            continue;
        has_audio |= is_first_audio;
        sum += ladder_track_bits_per_s(film, index, is_peak);
    }
    return sum;
}

static int compare_rungs(const void *a, const void *b)
{
    const struct ladder_rung *one = a, *other = b;
    const uint64_t rate = ladder_bits_per_s(one->film, true),
                   other_rate = ladder_bits_per_s(other->film, true);
    if (rate != other_rate)
        return rate > other_rate ? -1 : 1;
    return strcmp(one->name, other->name);
}

void ladder_sort(struct ladder_rung *rungs, unsigned count)
{
    qsort(rungs, count, sizeof *rungs, compare_rungs);
}

/* ---- Alignment ------------------------------------------------------------------------------- */

/* The track by which a film is cut: its video, or the first that is streamed. */
static unsigned cutting_track(const struct film *film)
{
    const int video = film_video(film);
    unsigned index = 0;
    if (video >= 0)
        return (unsigned)video;
    while (index + 1 < film_track_count(film) && !film_track(film, index)->is_streamed)
        index++;
    return index;
}

/* Half a picture; where there is none, half of what a frame of audio lasts. */
static double tolerance_s(const struct film_track *track)
{
    return track->frame_rate_milli > 0 ? 500.0 / track->frame_rate_milli : 0.0125;
}

static bool is_aligned(const struct film *one, const struct film *other)
{
    const unsigned count = film_segment_count(one);
    const unsigned track = cutting_track(one), other_track = cutting_track(other);
    const struct film_track *info = film_track(one, track);
    const struct film_track *other_info = film_track(other, other_track);
    const double slack_s = fmin(tolerance_s(info), tolerance_s(other_info));
    if (film_segment_count(other) != count || (film_video(one) < 0) != (film_video(other) < 0))
        return false;
    for (unsigned index = 0; index < count; index++) {
        const double begin_s = (double)film_segment_begin(one, track, index) / info->timescale;
        const double other_s =
            (double)film_segment_begin(other, other_track, index) / other_info->timescale;
        if (fabs(begin_s - other_s) > slack_s)
            return false;
    }
    return true;
}

static unsigned count_aligned(const struct ladder_rung *rungs, unsigned count, unsigned index)
{
    unsigned aligned = 0;
    for (unsigned other = 0; other < count; other++)
        aligned += other == index || is_aligned(rungs[index].film, rungs[other].film);
    return aligned;
}

int ladder_check(const struct ladder_rung *rungs, unsigned count, char *ret_reason)
{
    unsigned best = 0, most = 0;
    ASSERT(count > 0 && count <= LADDER_RUNGS_MAX);
    for (unsigned index = 0; index < count && most <= count / 2; index++) {
        const unsigned aligned = count_aligned(rungs, count, index);
        if (aligned > most) {
            most = aligned;
            best = index;
        }
    }
    if (most == count)
        return 0;
    int size = snprintf(ret_reason, FILM_REASON_SIZE, "its keyframes do not align:");
    for (unsigned index = 0; index < count && size < FILM_REASON_SIZE; index++)
        if (!is_aligned(rungs[best].film, rungs[index].film))
            size += snprintf(ret_reason + size, (size_t)(FILM_REASON_SIZE - size), " %s",
                             rungs[index].name);
    return -EXDEV;
}
