/* SPDX-License-Identifier: MIT */
/*
 * Zstandard (RFC 8878) by libzstd. A stream's window is at most 512 KiB, for an encoder holds all
 * of it; that of a whole text is what its level has, 8 MiB at most (RFC 9659). Frames carry no
 * checksum of their own: what carries them has one.
 */
#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "codec/codec_ops.h"
#include "codec/decoder.h"
#include "leat/error.h"

enum {
    STREAM_WINDOW_LOG = 19,
    STREAM_WINDOW_LOG_MIN = 10,
    /* From level 5 on the library's own tables are 2 to 40 times as large: 1 % better in so small a
     * window, and slower, for they leave the caches. */
    STREAM_HASH_LOG = 18,
    DECODER_WINDOW_LOG = 23,
};
static_assert(1 << DECODER_WINDOW_LOG == DECODER_WINDOW_MAX, "the largest window");

static size_t zstd_bound(size_t size)
{
    return ZSTD_compressBound(size);
}

static void close_cctx(void *context)
{
    ZSTD_freeCCtx(context);
}

static ssize_t zstd_encode(int level, struct leat_slice text, void *out, size_t out_size)
{
    ZSTD_CCtx *context = codec_kept_take(CODEC_KEPT_ZSTD_ENCODER);
    if (!context)
        context = ZSTD_createCCtx();
    if (!context)
        return -ENOMEM;
    const size_t size = ZSTD_compressCCtx(context, out, out_size, text.data, text.size, level);
    if (ZSTD_sizeof_CCtx(context) <= CODEC_KEPT_MAX)
        codec_kept_give(CODEC_KEPT_ZSTD_ENCODER, context, close_cctx);
    else
        close_cctx(context);
    if (!ZSTD_isError(size))
        return (ssize_t)size;
    if (ZSTD_getErrorCode(size) == ZSTD_error_memory_allocation)
        return -ENOMEM;
    ASSERT(ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall);
    return -LEAT_E_LIMIT;
}

static void close_dctx(void *context)
{
    ZSTD_freeDCtx(context);
}

/* Needs no window: `out` is one. */
static ssize_t zstd_decode(struct leat_slice coded, void *out, size_t out_size)
{
    ZSTD_DCtx *context = codec_kept_take(CODEC_KEPT_ZSTD_DECODER);
    if (!context)
        context = ZSTD_createDCtx();
    if (!context)
        return -ENOMEM;
    const size_t size = ZSTD_decompressDCtx(context, out, out_size, coded.data, coded.size);
    codec_kept_give(CODEC_KEPT_ZSTD_DECODER, context, close_dctx);
    return ZSTD_isError(size) || coded.size == 0 ? -LEAT_E_MALFORMED : (ssize_t)size;
}

static unsigned window_log(int64_t size)
{
    unsigned log = STREAM_WINDOW_LOG_MIN;
    while (log < STREAM_WINDOW_LOG && (size < 0 || size > 1 << log))
        log++;
    return log;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* What libzstd 1.5.4 was seen to take: window, a block's bytes and sequences in and out, and the
 * tables that find what repeats. */
static size_t zstd_encoder_memory(int level, int64_t size)
{
    enum { KIB = 1024, BLOCK = 128 * KIB };
    const size_t window = (size_t)1 << window_log(size);
    const size_t blocks = window + smaller(window, BLOCK) * 23 / 4 + 20 * KIB;
    if (level <= 2)
        return blocks + smaller(8 * window, 128 * KIB);
    if (level <= 4)
        return blocks + smaller(12 * window, (level == 3 ? 768 : 2048) * KIB);
    if (level <= 12)
        return blocks + smaller(12 * window, 1536 * KIB);
    return blocks + 180 * KIB + smaller(16 * window, 3072 * KIB);
}

static int zstd_encoder_open(void **ret_state)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (!context)
        return -ENOMEM;
    *ret_state = context;
    return 0;
}

/* What cannot fail: parameters within their bounds, of a context at rest. */
static void must(size_t result)
{
    ASSERT(!ZSTD_isError(result));
}

static int zstd_encoder_begin(void *state, int level, int64_t size)
{
    const int window = (int)window_log(size);
    must(ZSTD_CCtx_reset(state, ZSTD_reset_session_and_parameters));
    must(ZSTD_CCtx_setParameter(state, ZSTD_c_compressionLevel, level));
    must(ZSTD_CCtx_setPledgedSrcSize(state, size < 0 ? ZSTD_CONTENTSIZE_UNKNOWN
                                                     : (unsigned long long)size));
    /* For what is smaller the library's own choice is good. */
    if (window == STREAM_WINDOW_LOG)
        must(ZSTD_CCtx_setParameter(state, ZSTD_c_windowLog, window));
    if (window >= STREAM_HASH_LOG && level >= 5)
        must(ZSTD_CCtx_setParameter(state, ZSTD_c_hashLog, STREAM_HASH_LOG));
    if (window >= STREAM_HASH_LOG && level >= 13)
        must(ZSTD_CCtx_setParameter(state, ZSTD_c_chainLog, STREAM_HASH_LOG + 1));
    return 0;
}

static int zstd_encoder_run(void *state, struct leat_slice *input, enum encoder_goal goal,
                            struct codec_room *room)
{
    static const ZSTD_EndDirective ends[] = {[ENCODER_GO_ON] = ZSTD_e_continue,
                                             [ENCODER_FLUSH] = ZSTD_e_flush,
                                             [ENCODER_END] = ZSTD_e_end};
    ZSTD_inBuffer in = {.src = input->data, .size = input->size};
    ZSTD_outBuffer out = {.dst = room->data, .size = room->size, .pos = room->used};
    size_t rest;
    do {
        rest = ZSTD_compressStream2(state, &out, &in, ends[goal]);
        if (ZSTD_isError(rest)) {
            ASSERT(ZSTD_getErrorCode(rest) == ZSTD_error_memory_allocation);
            return -ENOMEM;
        }
    } while (out.pos < out.size && (in.pos < in.size || (rest > 0 && goal != ENCODER_GO_ON)));
    room->used = out.pos;
    *input = slice_after(*input, in.pos);
    return input->size > 0 || (rest > 0 && goal != ENCODER_GO_ON);
}

static int zstd_error(size_t result)
{
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_frameParameter_windowTooLarge: return -LEAT_E_LIMIT;
    case ZSTD_error_memory_allocation: return -ENOMEM;
    default: return -LEAT_E_MALFORMED;
    }
}

static int zstd_decoder_open(void **ret_state)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!context)
        return -ENOMEM;
    *ret_state = context;
    return 0;
}

static int zstd_decoder_begin(void *state)
{
    must(ZSTD_DCtx_reset(state, ZSTD_reset_session_and_parameters));
    must(ZSTD_DCtx_setParameter(state, ZSTD_d_windowLogMax, DECODER_WINDOW_LOG));
    return 0;
}

static int zstd_decoder_run(void *state, struct leat_slice *input, struct codec_room *room)
{
    ZSTD_inBuffer in = {.src = input->data, .size = input->size};
    ZSTD_outBuffer out = {.dst = room->data, .size = room->size, .pos = room->used};
    size_t rest;
    do {
        rest = ZSTD_decompressStream(state, &out, &in);
        if (ZSTD_isError(rest))
            return zstd_error(rest);
    } while (rest > 0 && in.pos < in.size && out.pos < out.size);
    room->used = out.pos;
    *input = slice_after(*input, in.pos);
    if (rest == 0)
        return 2;
    return out.pos == out.size;
}

/* A frame's magic number is 0xFD2FB528, a skippable one's 0x184D2A5?, least byte first (sections
 * 3.1.1 and 3.1.2). */
static bool zstd_is_next(uint8_t byte)
{
    return byte == 0x28 || (byte & 0xf0) == 0x50;
}

const struct codec_ops codec_ops_zstd = {
    .bound = zstd_bound,
    .encode = zstd_encode,
    .decode = zstd_decode,
    .encoder_memory = zstd_encoder_memory,
    .encoder_open = zstd_encoder_open,
    .encoder_begin = zstd_encoder_begin,
    .encoder_run = zstd_encoder_run,
    .encoder_close = close_cctx,
    .decoder_open = zstd_decoder_open,
    .decoder_begin = zstd_decoder_begin,
    .decoder_run = zstd_decoder_run,
    .decoder_close = close_dctx,
    .is_next = zstd_is_next,
};
