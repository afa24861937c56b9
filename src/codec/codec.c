/* SPDX-License-Identifier: MIT */
/*
 * The codecs' names and scales.
 */
#include "codec/codec.h"

#include "base/assert.h"

struct scale {
    struct leat_slice name;
    int min, max;
};

static const struct scale scales[LEAT_CODECS] = {
    [LEAT_CODEC_NONE] = {SLICE("identity"), 0, 0}, [LEAT_CODEC_ZSTD] = {SLICE("zstd"), 1, 19},
    [LEAT_CODEC_GZIP] = {SLICE("gzip"), 1, 12},    [LEAT_CODEC_BROTLI] = {SLICE("br"), 0, 11},
    [LEAT_CODEC_LZ4] = {SLICE("lz4"), 0, 12},
};

static const struct scale *scale_of(enum leat_codec codec)
{
    ASSERT((unsigned)codec < LEAT_CODECS);
    return &scales[codec];
}

struct leat_slice codec_name(enum leat_codec codec)
{
    return scale_of(codec)->name;
}

int codec_level_min(enum leat_codec codec)
{
    return scale_of(codec)->min;
}

int codec_level_max(enum leat_codec codec)
{
    return scale_of(codec)->max;
}

bool codec_setting_is_valid(struct codec_setting setting)
{
    return (unsigned)setting.codec < LEAT_CODECS && setting.level >= scales[setting.codec].min &&
           setting.level <= scales[setting.codec].max;
}
