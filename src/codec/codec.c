/* SPDX-License-Identifier: MIT */
/*
 * The codecs' names and scales, and whole texts.
 */
#include "codec/codec.h"

#include "base/assert.h"
#include "codec/codec_ops.h"
#include "codec/decoder.h"
#include "leat/error.h"

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

size_t codec_bound(enum leat_codec codec, size_t size)
{
    return codec_ops_of(codec)->bound(size);
}

ssize_t codec_encode(struct codec_setting setting, const void *data, size_t size, void *out,
                     size_t out_size)
{
    ASSERT(codec_setting_is_valid(setting));
    ASSERT(data || size == 0);
    return codec_ops_of(setting.codec)->encode(setting.level, slice_of(data, size), out, out_size);
}

/* Is there more than the room had place for? */
static int find_end(struct decoder *decoder, struct leat_slice *input)
{
    char byte;
    size_t size;
    const int result = decoder_run(decoder, input, &byte, 1, &size);
    return result >= 0 && size > 0 ? -LEAT_E_LIMIT : result;
}

static ssize_t decode_by(struct decoder *decoder, struct leat_slice input, void *out,
                         size_t out_size)
{
    size_t size = 0;
    int result = 1;
    if (out_size > 0)
        result = decoder_run(decoder, &input, out, out_size, &size);
    if (result == 1)
        result = find_end(decoder, &input);
    if (result < 0)
        return result;
    if (result != 2)
        return -LEAT_E_TRUNCATED;
    return input.size == 0 ? (ssize_t)size : -LEAT_E_MALFORMED;
}

ssize_t codec_decode(enum leat_codec codec, const void *data, size_t size, void *out,
                     size_t out_size)
{
    ASSERT(data || size == 0);
    const struct codec_ops *ops = codec_ops_of(codec);
    const struct leat_slice input = slice_of(data, size);
    if (ops->decode) {
        const ssize_t quick = ops->decode(input, out, out_size);
        if (quick != -LEAT_E_MALFORMED)
            return quick;
    }
    struct decoder *decoder;
    const int error = decoder_create(codec, &decoder);
    if (error != 0)
        return error;
    const ssize_t result = decode_by(decoder, input, out, out_size);
    decoder_destroy(decoder);
    return result;
}
