/* SPDX-License-Identifier: MIT */
/*
 * See model.h. The logarithms of ratio and of time a byte are sums of terms made of three figures:
 * how large the text is, how much of the sample LZ4 has left (and how much less of its later half:
 * what repeats itself over far distances), and its entropy. Logarithms, because an error of a tenth
 * is as bad for a small figure as for a large one. The weights of the terms, setting by setting,
 * are in model_table.h.
 */
#include "codec/model.h"

#include <math.h>

#include "base/assert.h"
#include "codec/model_table.h"

enum {
    TABLE_SIZE = sizeof model_table / sizeof *model_table,
    SIZE_LEAST = 1024, /* of the texts that the table was fitted to */
    SIZE_MOST = 1024 * 1024,
};
static_assert(sizeof model_table / sizeof *model_table <= MODEL_SETTINGS_MAX, "as the header says");

static const float RATIO_MAX = 1.02f; /* no codec makes more of a text */
/* What one text teaches: little, for the next may be of another kind; and what all together can. */
static const double LEARN_SHARE = 1.0 / 32;
static const double RATIO_LEAST = 0.8, RATIO_MOST = 1.25, SPEED_LEAST = 0.1, SPEED_MOST = 10;
static const double LEARN_CPU_MIN_NS = 20e3; /* less is mostly the clocks' own */
static const double LEARN_RATIO_MAX = 0.8;   /* the logarithm of more is mostly error */

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
    *model = (struct model){.ratio = 1, .speed = 1};
}

static void terms_of(const struct sample *sample, float ret_terms[MODEL_TERMS])
{
    const float bytes = sample->size < SIZE_LEAST  ? SIZE_LEAST
                        : sample->size > SIZE_MOST ? SIZE_MOST
                                                   : (float)sample->size;
    const float size = log2f(bytes) - 16;
    const float left = logf(sample->lz4_ratio > 0.01f ? sample->lz4_ratio : 0.01f);
    const float entropy = sample->entropy / 8;
    const float later = logf(sample->lz4_later > 0.01f ? sample->lz4_later : 0.01f) - left;
    const float terms[MODEL_TERMS] = {1,           size,        left,        entropy,
                                      size * left, left * left, size * size, size * entropy,
                                      later,       size * later};
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
    const float ratio = expf(sum_of(row->ratio, terms) * model->ratio);
    const double cpu_ns = (double)size * expf(sum_of(row->cpu, terms)) * model->speed;
    const uint64_t first = row->setting.codec == LEAT_CODEC_GZIP && size <= MODEL_GZIP_WHOLE_SIZE
                               ? size
                               : MODEL_BLOCK_SIZE;
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

static float learn(float known, double factor, double least, double most)
{
    const double seen = factor < least ? least : factor > most ? most : factor;
    const double now = known * (1 + (seen - 1) * LEARN_SHARE);
    return (float)(now < least ? least : now > most ? most : now);
}

void model_learn(struct model *model, unsigned setting, const struct sample *sample,
                 uint64_t coded_size, int64_t cpu_ns)
{
    struct model_forecast told;
    ASSERT(setting > 0 && setting < TABLE_SIZE);
    model_forecast(model, setting, sample, &told);
    if (coded_size > 0 && coded_size < sample->size && told.ratio < LEARN_RATIO_MAX)
        model->ratio =
            learn(model->ratio, log((double)coded_size / (double)sample->size) / log(told.ratio),
                  RATIO_LEAST, RATIO_MOST);
    if ((double)cpu_ns >= LEARN_CPU_MIN_NS)
        model->speed = learn(model->speed, (double)cpu_ns / told.cpu_ns, SPEED_LEAST, SPEED_MOST);
}
