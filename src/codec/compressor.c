/* SPDX-License-Identifier: MIT */
/*
 * The sender's side of a link between nodes: frames (frame.h). Its blocks follow each other, one
 * being sent while the next is coded, so the best setting is the one whose slower half, the core's
 * or the link's, is done first; http's single texts are weighed by choice.h. A block that is like
 * those before goes by the decision that was made for them (SAME_FRAMES): a sample takes 10 us or
 * so, and fast links have a block every 50. What a codec does not make smaller goes as it is,
 * whatever the policy.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "codec/frame.h"
#include "codec/workshop.h"
#include "leat/error.h"

enum { SAME_FRAMES = 8 }; /* of about the same size may go by one decision */

static const double RATE_UNKNOWN = 125e6; /* bytes/s: a gigabit */
static const double RATIO_MOST = 0.97;    /* what gets no smaller than that is left alone */
/* Of the faster half: between settings that are as good the cheaper one, and who waits for a single
 * block waits for both. */
static const double FASTER_WEIGHT = 0.1;
static const double COPY_NS_A_BYTE = 0.3; /* what a block costs that is left as it is */

struct leat_compressor {
    struct workshop *workshop; /* of its loop: knows how busy the core is */
    const struct backend_sys *sys;
    struct model model; /* of this link's bytes */
    struct leat_compress_policy policy;
    double rate_bytes_per_s;
    unsigned setting;     /* of the model's: the last decision */
    double ratio;         /* that was expected of it */
    struct sample sample; /* that it was made by */
    unsigned same_left;   /* blocks that may still go by it */
    struct leat_compressor_counters counters;
};

static bool is_policy(const struct leat_compress_policy *policy)
{
    const struct codec_setting fixed = {.codec = policy->codec, .level = policy->level};
    switch (policy->mode) {
    case LEAT_COMPRESS_OFF: return true;
    case LEAT_COMPRESS_UNSET:
    case LEAT_COMPRESS_AUTO: return (unsigned)policy->codec < LEAT_CODECS && policy->level == 0;
    case LEAT_COMPRESS_FIXED: return codec_setting_is_valid(fixed);
    }
    return false;
}

int leat_compressor_create(const struct leat_compress_policy *policy,
                           struct leat_compressor **ret_compressor)
{
    ASSERT(loop_current != NULL);
    if (!is_policy(policy))
        return -EINVAL;
    struct workshop *workshop = workshop_of(loop_current);
    struct leat_compressor *compressor = workshop ? calloc(1, sizeof *compressor) : NULL;
    if (!compressor)
        return -ENOMEM;
    compressor->workshop = workshop;
    compressor->sys = loop_current->sys;
    compressor->policy = *policy;
    model_init(&compressor->model);
    *ret_compressor = compressor;
    return 0;
}

void leat_compressor_destroy(struct leat_compressor *compressor)
{
    free(compressor);
}

void leat_compressor_set_rate(struct leat_compressor *compressor, uint64_t rate_bytes_per_s)
{
    const double rate = (double)rate_bytes_per_s, last = compressor->rate_bytes_per_s;
    if (rate < last * 0.75 || rate > last * 1.25)
        compressor->same_left = 0;
    compressor->rate_bytes_per_s = rate;
}

void leat_compressor_counters(const struct leat_compressor *compressor,
                              struct leat_compressor_counters *ret_counters)
{
    *ret_counters = compressor->counters;
}

/* ---- The decision ---------------------------------------------------------------------------- */

static bool may_be(const struct leat_compressor *compressor, struct codec_setting setting)
{
    const enum leat_codec only = compressor->policy.codec;
    return only == LEAT_CODEC_NONE || only == setting.codec;
}

static double time_ns(const struct leat_compressor *compressor, double coded_size, double core_ns)
{
    const double rate =
        compressor->rate_bytes_per_s > 0 ? compressor->rate_bytes_per_s : RATE_UNKNOWN;
    const double link_ns = coded_size / rate * 1e9;
    return link_ns > core_ns ? link_ns + core_ns * FASTER_WEIGHT
                             : core_ns + link_ns * FASTER_WEIGHT;
}

static void decide(struct leat_compressor *compressor, struct leat_slice block)
{
    struct sample_range ranges[SAMPLE_PIECES_MAX];
    struct leat_slice pieces[SAMPLE_PIECES_MAX];
    const unsigned count = sample_ranges(block.size, ranges);
    for (unsigned index = 0; index < count; index++)
        pieces[index] = slice_of(block.data + ranges[index].offset, ranges[index].size);
    sample_take(block.size, pieces, count, &compressor->sample);
    const double slowdown = headroom_slowdown(&compressor->workshop->headroom, compressor->sys,
                                              compressor->workshop->active);
    const double size = (double)block.size;
    double least_ns = time_ns(compressor, size, COPY_NS_A_BYTE * size * slowdown);
    compressor->setting = 0;
    compressor->ratio = 1;
    for (unsigned index = 1; index < model_setting_count(); index++) {
        struct model_forecast forecast;
        if (!may_be(compressor, model_setting(index)) || compressor->sample.is_compressed)
            continue;
        model_forecast(&compressor->model, index, &compressor->sample, &forecast);
        const double ns = time_ns(compressor, size * forecast.ratio, forecast.cpu_ns * slowdown);
        if (ns >= least_ns || forecast.ratio > RATIO_MOST)
            continue;
        least_ns = ns;
        compressor->setting = index;
        compressor->ratio = forecast.ratio;
    }
}

static bool is_like_the_last(const struct leat_compressor *compressor, size_t size)
{
    const uint64_t last = compressor->sample.size;
    return compressor->same_left > 0 && size >= last - last / 4 && size <= last + last / 4;
}

static struct codec_setting setting_for(struct leat_compressor *compressor, struct leat_slice block)
{
    const struct leat_compress_policy *policy = &compressor->policy;
    if (policy->mode == LEAT_COMPRESS_FIXED)
        return (struct codec_setting){.codec = policy->codec, .level = policy->level};
    if (policy->mode != LEAT_COMPRESS_AUTO || block.size == 0)
        return (struct codec_setting){.codec = LEAT_CODEC_NONE};
    if (is_like_the_last(compressor, block.size)) {
        compressor->same_left--;
    } else {
        decide(compressor, block);
        compressor->same_left = SAME_FRAMES - 1;
    }
    return model_setting(compressor->setting);
}

/* ---- Frames ---------------------------------------------------------------------------------- */

/* What was told of this block, and what became of it: a surprise ends what went by one decision. */
static void learn(struct leat_compressor *compressor, size_t plain_size, size_t coded_size,
                  int64_t cpu_ns)
{
    const double ratio = (double)coded_size / (double)plain_size;
    const double told = compressor->ratio;
    struct sample sample = compressor->sample;
    sample.size = plain_size;
    model_learn(&compressor->model, compressor->setting, &sample, coded_size, cpu_ns);
    if (ratio > told * 1.25 || ratio < told * 0.8)
        compressor->same_left = 0;
}

/* The block as it is coded, or as it is: the codec that it was, or an error. */
static int code(struct leat_compressor *compressor, struct leat_slice block, char *out,
                size_t *ret_size)
{
    const struct codec_setting setting = setting_for(compressor, block);
    *ret_size = block.size;
    if (setting.codec == LEAT_CODEC_NONE || block.size < 2)
        return LEAT_CODEC_NONE;
    struct headroom_watch watch;
    headroom_begin(compressor->sys, &watch);
    const ssize_t size = codec_encode(setting, block.data, block.size, out, block.size - 1);
    const int64_t cpu_ns = headroom_end(&compressor->workshop->headroom, compressor->sys, &watch);
    compressor->counters.cpu_ns += (uint64_t)cpu_ns;
    if (size < 0 && size != -LEAT_E_LIMIT)
        return (int)size;
    ASSERT(size < (ssize_t)block.size);
    if (compressor->policy.mode != LEAT_COMPRESS_FIXED)
        learn(compressor, block.size, size > 0 ? (size_t)size : block.size, cpu_ns);
    if (size < 0)
        return LEAT_CODEC_NONE;
    *ret_size = (size_t)size;
    return (int)setting.codec;
}

ssize_t leat_compress(struct leat_compressor *compressor, const void *data, size_t size, void *out,
                      size_t out_size)
{
    ASSERT(loop_current && workshop_of(loop_current) == compressor->workshop);
    if (size > LEAT_FRAME_SIZE_MAX || out_size < LEAT_FRAME_HEAD_SIZE + size)
        return -LEAT_E_LIMIT;
    const struct leat_slice block = slice_of(data, size);
    char *const coded = (char *)out + LEAT_FRAME_HEAD_SIZE;
    size_t coded_size;
    const int codec = code(compressor, block, coded, &coded_size);
    if (codec < 0)
        return codec;
    if (codec == LEAT_CODEC_NONE && size > 0)
        memcpy(coded, data, size);
    frame_put_head((enum leat_codec)codec, block, coded_size, out);
    const size_t frame_size = LEAT_FRAME_HEAD_SIZE + coded_size;
    compressor->counters.frames[codec]++;
    compressor->counters.plain_bytes[codec] += size;
    compressor->counters.frame_bytes[codec] += frame_size;
    return (ssize_t)frame_size;
}
