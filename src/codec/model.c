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
/* What one text teaches of all texts: little, for the next may be of another kind; of its own kind:
 * much. A piece that took longer was perhaps disturbed, or had cold tables; one that took less time
 * can do with less. */
static const float SHARE_ALL = 1.0f / 32, SHARE_KIND = 1.0f / 2, SHARE_SLOWER = 1.0f / 4;
static const float FADE = 1.0f / 64;        /* of what other settings have told of this kind */
static const float FADE_PASSED = 1.0f / 32; /* and of all, each time that nothing was coded */
static const float SLOWER_FIRST = 1.5f, SLOWER_AT_ONCE = 4; /* more is not believed */
static const struct model_factors all_least = {0.8f, 0.1f}, all_most = {1.25f, 10};
static const struct model_factors kind_least = {0.5f, 0.05f}, kind_most = {2.5f, 20};
static const double LEARN_CPU_MIN_NS = 50e3;           /* less is mostly cold tables and clocks */
static const double SPEAKS_NS = 100e3, TELLS_NS = 1e6; /* of the machine: something, and all */
static const double LEARN_RATIO_MAX = 0.9;             /* the logarithm of more is mostly error */

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
    *model = (struct model){.all = {1, 1}};
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

/* Never 0. Half octaves of the size, and steps of the figures that the same text never crosses. */
static uint32_t key_of(const struct sample *sample)
{
    const unsigned octave = 63 - (unsigned)__builtin_clzll(sample->size | 1);
    const unsigned half = octave > 0 ? (unsigned)(sample->size >> (octave - 1)) & 1 : 0;
    const unsigned entropy = (unsigned)(sample->entropy * 8);
    const unsigned left = (unsigned)(sample->lz4_ratio * 32);
    const unsigned later = (unsigned)(sample->lz4_later * 32);
    return 1 + (octave * 2 + half) + (entropy << 7) + (left << 14) + (later << 20);
}

static unsigned place_of(uint32_t key)
{
    return (key * UINT32_C(2654435761)) >> 24; /* Knuth's, and eight bits of it */
}
static_assert(MODEL_KINDS == 1 << 8, "as many as place_of has");

static struct model_factors factors_for(const struct model *model, unsigned setting,
                                        const struct sample *sample)
{
    const uint32_t key = key_of(sample);
    const struct model_kind *kind = &model->kinds[place_of(key)];
    if (kind->key != key)
        return model->all;
    struct model_factors factors = kind->tried[setting];
    if (factors.ratio == 0)
        factors.ratio = kind->all.ratio;
    if (factors.speed == 0)
        factors.speed = kind->all.speed;
    return factors;
}

/* What the table says, times what was learned. */
static void forecast(unsigned setting, const struct sample *sample, struct model_factors factors,
                     struct model_forecast *ret_forecast)
{
    const struct model_row *row = &model_table[setting];
    const uint64_t size = sample->size;
    float terms[MODEL_TERMS];
    terms_of(sample, terms);
    const float ratio = expf(sum_of(row->ratio, terms) * factors.ratio);
    const double cpu_ns = (double)size * expf(sum_of(row->cpu, terms)) * factors.speed;
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
    ASSERT(setting < TABLE_SIZE);
    if (setting == 0)
        *ret_forecast = (struct model_forecast){.ratio = 1};
    else
        forecast(setting, sample, factors_for(model, setting, sample), ret_forecast);
}

/* ---- Learning -------------------------------------------------------------------------------- */

static float between(float value, float least, float most)
{
    return value < least ? least : value > most ? most : value;
}

static void move(float *value, float to, float share)
{
    *value += (to - *value) * share;
}

static struct model_kind *kind_for(struct model *model, const struct sample *sample)
{
    const uint32_t key = key_of(sample);
    struct model_kind *kind = &model->kinds[place_of(key)];
    if (kind->key != key)
        *kind = (struct model_kind){.key = key, .all = model->all};
    return kind;
}

static void learn_ratio(struct model *model, struct model_kind *kind, unsigned setting, float seen)
{
    float *const tried = &kind->tried[setting].ratio;
    seen = between(seen, kind_least.ratio, kind_most.ratio);
    if (*tried == 0)
        *tried = seen;
    move(tried, seen, SHARE_KIND);
    move(&kind->all.ratio, seen, SHARE_KIND);
    move(&model->all.ratio, between(seen, all_least.ratio, all_most.ratio), SHARE_ALL);
}

/* Small texts say little of the machine: half their time is what is done once a text. */
static void learn_speed(struct model *model, struct model_kind *kind, unsigned setting, float seen,
                        double cpu_ns)
{
    const float weight = cpu_ns < SPEAKS_NS  ? 0
                         : cpu_ns < TELLS_NS ? (float)(cpu_ns / TELLS_NS)
                                             : 1;
    float *const tried = &kind->tried[setting].speed;
    seen = between(seen, kind_least.speed, kind_most.speed);
    if (*tried == 0)
        *tried = between(seen, kind_least.speed, kind->all.speed * SLOWER_FIRST);
    move(tried, between(seen, kind_least.speed, *tried * SLOWER_AT_ONCE),
         seen < *tried ? SHARE_KIND : SHARE_SLOWER);
    move(&kind->all.speed, seen, SHARE_SLOWER);
    move(&model->all.speed, between(seen, all_least.speed, all_most.speed), SHARE_ALL * weight);
}

/* Nothing is believed for ever: settings that were not taken for long get another chance. */
static void fade_others(struct model_kind *kind, unsigned setting)
{
    for (unsigned other = 1; other < TABLE_SIZE; other++) {
        struct model_factors *const tried = &kind->tried[other];
        if (other == setting)
            continue;
        if (tried->ratio > 0)
            move(&tried->ratio, kind->all.ratio, FADE);
        if (tried->speed > 0)
            move(&tried->speed, kind->all.speed, FADE);
    }
}

void model_learn(struct model *model, unsigned setting, const struct sample *sample,
                 uint64_t coded_size, int64_t cpu_ns)
{
    struct model_kind *const kind = kind_for(model, sample);
    struct model_forecast told;
    ASSERT(setting > 0 && setting < TABLE_SIZE);
    forecast(setting, sample, (struct model_factors){1, 1}, &told);
    if (coded_size > 0 && coded_size < sample->size && told.ratio < LEARN_RATIO_MAX)
        learn_ratio(model, kind, setting,
                    (float)(log((double)coded_size / (double)sample->size) / log(told.ratio)));
    if ((double)cpu_ns >= LEARN_CPU_MIN_NS && told.cpu_ns >= LEARN_CPU_MIN_NS)
        learn_speed(model, kind, setting, (float)((double)cpu_ns / told.cpu_ns), told.cpu_ns);
    fade_others(kind, setting);
}

static void fade(struct model_factors *factors, const struct model_factors *to)
{
    if (factors->ratio > 0)
        move(&factors->ratio, to->ratio, FADE_PASSED);
    if (factors->speed > 0)
        move(&factors->speed, to->speed, FADE_PASSED);
}

void model_pass(struct model *model, const struct sample *sample)
{
    const uint32_t key = key_of(sample);
    struct model_kind *const kind = &model->kinds[place_of(key)];
    if (kind->key != key)
        return;
    fade(&kind->all, &model->all);
    for (unsigned setting = 1; setting < TABLE_SIZE; setting++)
        fade(&kind->tried[setting], &model->all);
}
