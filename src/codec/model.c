/* SPDX-License-Identifier: MIT */
/*
 * See model.h. The logarithms of ratio and of time a byte are sums of eight terms made of three
 * figures: how large the text is, how much of the sample LZ4 has left, and its entropy. (Logarithms,
 * because an error of a tenth is as bad for a small figure as for a large one.) The weights of the
 * terms, setting by setting, are in model_table.h.
 */
#include "codec/model.h"

#include <math.h>

#include "base/assert.h"
#include "codec/model_table.h"

enum {
    TABLE_SIZE = sizeof model_table / sizeof *model_table,
    SIZE_LEAST = 1024, /* of the texts that the table was fitted to */
    SIZE_MOST = 1024 * 1024,
    BLOCK_SIZE = 32 * 1024,        /* a stream's first block */
    GZIP_WHOLE_SIZE = 1024 * 1024, /* up to here libdeflate takes gzip's texts as a whole */
};
static_assert(sizeof model_table / sizeof *model_table <= MODEL_SETTINGS_MAX, "as the header says");

static const float RATIO_MAX = 1.02f; /* no codec makes more of a text */
static const double LEARN_SHARE = 1.0 / 32, LEARN_CPU_MIN_NS = 20e3;
static const double RATIO_BOUND = 0.2, SPEED_BOUND = 2; /* of what is learned: e^0.2, e^2 */

unsigned model_setting_count(void)
{
    return TABLE_SIZE;
}

struct codec_setting model_setting(unsigned index)
{
    ASSERT(index < TABLE_SIZE);
    return model_table[index].setting;
}

void model_init(struct model *model)
{
    *model = (struct model){0};
}

static void terms_of(const struct sample *sample, float ret_terms[MODEL_TERMS])
{
    const float bytes = sample->size < SIZE_LEAST  ? SIZE_LEAST
                        : sample->size > SIZE_MOST ? SIZE_MOST
                                                   : (float)sample->size;
    const float size = log2f(bytes) - 16;
    const float left = logf(sample->lz4_ratio > 0.01f ? sample->lz4_ratio : 0.01f);
    const float entropy = sample->entropy / 8;
    const float terms[MODEL_TERMS] = {1,           size,        left,        entropy,
                                      size * left, left * left, size * size, size * entropy};
    for (unsigned index = 0; index < MODEL_TERMS; index++)
        ret_terms[index] = terms[index];
}

static float sum_of(const float weights[MODEL_TERMS], const float terms[MODEL_TERMS])
{
    float sum = 0;
    for (unsigned index = 0; index < MODEL_TERMS; index++)
        sum += weights[index] * terms[index];
    return sum;
}

static void forecast(const struct model *model, unsigned setting, const float terms[MODEL_TERMS],
                     uint64_t size, struct model_forecast *ret_forecast)
{
    const struct model_row *row = &model_table[setting];
    const float ratio = expf(sum_of(row->ratio, terms) + model->ratio);
    const double cpu_ns = (double)size * expf(sum_of(row->cpu, terms) + model->speed);
    const uint64_t first =
        row->setting.codec == LEAT_CODEC_GZIP && size <= GZIP_WHOLE_SIZE ? size : BLOCK_SIZE;
    ret_forecast->ratio = ratio < RATIO_MAX ? ratio : RATIO_MAX;
    ret_forecast->cpu_ns = cpu_ns;
    ret_forecast->first_ns = size <= first ? cpu_ns : cpu_ns * (double)first / (double)size;
}

void model_forecast(const struct model *model, unsigned setting, const struct sample *sample,
                    struct model_forecast *ret_forecast)
{
    float terms[MODEL_TERMS];
    ASSERT(setting < TABLE_SIZE);
    if (setting == 0) {
        *ret_forecast = (struct model_forecast){.ratio = 1};
        return;
    }
    terms_of(sample, terms);
    forecast(model, setting, terms, sample->size, ret_forecast);
}

static float learn(float known, double seen, double told, double bound)
{
    double now = known + log(seen / told) * LEARN_SHARE;
    now = now < -bound ? -bound : now > bound ? bound : now;
    return (float)now;
}

void model_learn(struct model *model, unsigned setting, const struct sample *sample,
                 uint64_t coded_size, int64_t cpu_ns)
{
    struct model_forecast told;
    ASSERT(setting > 0 && setting < TABLE_SIZE);
    model_forecast(model, setting, sample, &told);
    if (coded_size > 0 && sample->size > 0)
        model->ratio =
            learn(model->ratio, (double)coded_size / (double)sample->size, told.ratio, RATIO_BOUND);
    if ((double)cpu_ns >= LEARN_CPU_MIN_NS)
        model->speed = learn(model->speed, (double)cpu_ns, told.cpu_ns, SPEED_BOUND);
}
