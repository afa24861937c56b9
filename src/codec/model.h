/* SPDX-License-Identifier: MIT */
/*
 * What a setting will make of a text, told from its sample: ratio and CPU time. The table was
 * fitted to texts of all kinds (bench/ has what fits it); a loop corrects it by what it sees: the
 * speed of its machine, and of the content that it has lately had.
 */
#ifndef CODEC_MODEL_H
#define CODEC_MODEL_H

#include "codec/sample.h"

/* The settings that are chosen from; the first is none. */
enum {
    MODEL_SETTINGS_MAX = 24,
    MODEL_KINDS = 256, /* that are remembered; the last of two that want the same place */
    /* How texts are coded is part of what it takes: a stream's first block, which is flushed, and
     * the gzip texts that libdeflate takes as a whole. */
    MODEL_BLOCK_SIZE = 32 * 1024,
    MODEL_GZIP_WHOLE_SIZE = 1024 * 1024,
};
unsigned model_setting_count(void);
struct codec_setting model_setting(unsigned index);

/* What is learned is a factor of what the table tells: of the ratio's logarithm (so that noise
 * stays noise) and of the time. */
struct model_factors {
    float ratio, speed;
};

/* Texts whose samples look alike: mostly the same text again, or the same handler's. */
struct model_kind {
    uint32_t key; /* of size and sample, roughly; 0: none yet */
    struct model_factors all;
    struct model_factors tried[MODEL_SETTINGS_MAX]; /* by setting; 0: never */
};

struct model {
    struct model_factors all; /* for kinds that are not known yet */
    struct model_kind kinds[MODEL_KINDS];
};

struct model_forecast {
    double ratio;    /* coded to plain bytes; 1: none */
    double cpu_ns;   /* for the whole text */
    double first_ns; /* of these, until the first block is out */
};

void model_init(struct model *model);
void model_forecast(const struct model *model, unsigned setting, const struct sample *sample,
                    struct model_forecast *ret_forecast);
/* What became of it. */
void model_learn(struct model *model, unsigned setting, const struct sample *sample,
                 uint64_t coded_size, int64_t cpu_ns);

/* It was left as it is, for no setting would gain: what was learned of its kind is believed a
 * little less, so that it is tried again some day. */
void model_pass(struct model *model, const struct sample *sample);

#endif
