/* SPDX-License-Identifier: MIT */
/*
 * gzip (RFC 1952): whole texts by libdeflate, which needs half of zlib's time; streams by zlib.
 * Several members one behind the other are one text (section 2.2).
 */
#include <errno.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec/codec_ops.h"
#include "leat/error.h"

enum {
    STREAM_LEVEL_MAX = 9,
    KEPT_LEVEL_MAX = 9, /* of libdeflate: 0.7 MiB; beyond that some 9 */
    GZIP_FORMAT = 16,   /* added to zlib's window bits */
    MEMORY_LEVEL = 8,   /* zlib's default */
    /* zlib takes room that is just enough for a flush's mark for too little, and makes another:
     * it always gets more than that. */
    ROOM_MIN = 64,
};

/* A compressor of libdeflate is of one level. */
struct whole {
    struct libdeflate_compressor *compressor;
    int level;
};

static void close_whole(void *item)
{
    struct whole *whole = item;
    libdeflate_free_compressor(whole->compressor);
    free(whole);
}

static struct whole *open_whole(int level)
{
    struct whole *whole = codec_kept_take(CODEC_KEPT_GZIP_ENCODER);
    if (whole && whole->level == level)
        return whole;
    if (whole)
        close_whole(whole);
    whole = malloc(sizeof(*whole));
    if (!whole)
        return NULL;
    *whole = (struct whole){.compressor = libdeflate_alloc_compressor(level), .level = level};
    if (!whole->compressor) {
        free(whole);
        return NULL;
    }
    return whole;
}

static size_t gzip_bound(size_t size)
{
    return libdeflate_gzip_compress_bound(NULL, size);
}

static ssize_t gzip_encode(int level, struct leat_slice text, void *out, size_t out_size)
{
    struct whole *whole = open_whole(level);
    if (!whole)
        return -ENOMEM;
    const size_t size =
        libdeflate_gzip_compress(whole->compressor, text.data, text.size, out, out_size);
    if (level <= KEPT_LEVEL_MAX)
        codec_kept_give(CODEC_KEPT_GZIP_ENCODER, whole, close_whole);
    else
        close_whole(whole);
    return size > 0 ? (ssize_t)size : -LEAT_E_LIMIT;
}

static void close_decompressor(void *item)
{
    libdeflate_free_decompressor(item);
}

static ssize_t gzip_decode(struct leat_slice coded, void *out, size_t out_size)
{
    struct libdeflate_decompressor *decompressor = codec_kept_take(CODEC_KEPT_GZIP_DECODER);
    if (!decompressor)
        decompressor = libdeflate_alloc_decompressor();
    if (!decompressor)
        return -ENOMEM;
    size_t taken, size;
    const enum libdeflate_result result = libdeflate_gzip_decompress_ex(
        decompressor, coded.data, coded.size, out, out_size, &taken, &size);
    codec_kept_give(CODEC_KEPT_GZIP_DECODER, decompressor, close_decompressor);
    if (result != LIBDEFLATE_SUCCESS || taken != coded.size)
        return -LEAT_E_MALFORMED; /* perhaps: zlib will tell */
    return (ssize_t)size;
}

struct gzip_encoder {
    z_stream stream;
    bool is_reached; /* what the goal takes is in the stash */
    struct codec_stash stash;
    uint8_t small[ROOM_MIN];
};

/* Window, its chains and heads, and the symbols of a block: whatever the level and the text. */
static size_t gzip_encoder_memory(int level, int64_t size)
{
    return sizeof(struct gzip_encoder) + (1u << (MAX_WBITS + 2)) + (1u << (MEMORY_LEVEL + 9)) +
           6 * 1024;
}

static int gzip_encoder_open(void **ret_state)
{
    struct gzip_encoder *encoder = calloc(1, sizeof(*encoder));
    if (!encoder)
        return -ENOMEM;
    const int error = deflateInit2(&encoder->stream, STREAM_LEVEL_MAX, Z_DEFLATED,
                                   MAX_WBITS + GZIP_FORMAT, MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    if (error != Z_OK) {
        ASSERT(error == Z_MEM_ERROR);
        free(encoder);
        return -ENOMEM;
    }
    *ret_state = encoder;
    return 0;
}

static int gzip_encoder_begin(void *state, int level, int64_t size)
{
    struct gzip_encoder *encoder = state;
    const int stream_level = level < STREAM_LEVEL_MAX ? level : STREAM_LEVEL_MAX;
    ASSERT(deflateReset(&encoder->stream) == Z_OK);
    ASSERT(deflateParams(&encoder->stream, stream_level, Z_DEFAULT_STRATEGY) == Z_OK);
    encoder->is_reached = false;
    encoder->stash = (struct codec_stash){.data = encoder->small};
    return 0;
}

/* zlib counts in unsigned int. */
static unsigned clamped(size_t size)
{
    return size < UINT32_MAX ? (unsigned)size : UINT32_MAX;
}

static void deflate_some(struct gzip_encoder *encoder, struct leat_slice *input,
                         enum encoder_goal goal, uint8_t *out, size_t out_size, size_t *ret_size)
{
    static const int flushes[] = {
        [ENCODER_GO_ON] = Z_NO_FLUSH, [ENCODER_FLUSH] = Z_SYNC_FLUSH, [ENCODER_END] = Z_FINISH};
    z_stream *stream = &encoder->stream;
    const unsigned taken = clamped(input->size), room = clamped(out_size);
    stream->next_in = (Bytef *)(uintptr_t)input->data;
    stream->avail_in = taken;
    stream->next_out = out;
    stream->avail_out = room;
    const int result = deflate(stream, taken == input->size ? flushes[goal] : Z_NO_FLUSH);
    ASSERT(result == Z_OK || result == Z_BUF_ERROR || result == Z_STREAM_END);
    *input = slice_after(*input, taken - stream->avail_in);
    *ret_size = room - stream->avail_out;
    encoder->is_reached =
        input->size == 0 && (goal == ENCODER_END ? result == Z_STREAM_END : stream->avail_out > 0);
}

static int gzip_encoder_run(void *state, struct leat_slice *input, enum encoder_goal goal,
                            struct codec_room *room)
{
    struct gzip_encoder *encoder = state;
    for (;;) {
        if (!codec_stash_give(&encoder->stash, room))
            return 1;
        if (encoder->is_reached && input->size == 0)
            break;
        const size_t left = codec_room_left(room);
        if (left == 0)
            return 1;
        size_t size;
        if (left >= ROOM_MIN) {
            deflate_some(encoder, input, goal, room->data + room->used, left, &size);
            room->used += size;
        } else {
            deflate_some(encoder, input, goal, encoder->small, ROOM_MIN, &size);
            encoder->stash = (struct codec_stash){.data = encoder->small, .size = size};
        }
    }
    encoder->is_reached = false;
    return 0;
}

static void gzip_encoder_close(void *state)
{
    struct gzip_encoder *encoder = state;
    deflateEnd(&encoder->stream);
    free(encoder);
}

static int gzip_decoder_open(void **ret_state)
{
    z_stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return -ENOMEM;
    const int error = inflateInit2(stream, MAX_WBITS + GZIP_FORMAT);
    if (error != Z_OK) {
        ASSERT(error == Z_MEM_ERROR);
        free(stream);
        return -ENOMEM;
    }
    *ret_state = stream;
    return 0;
}

static int gzip_decoder_begin(void *state)
{
    ASSERT(inflateReset(state) == Z_OK);
    return 0;
}

static int gzip_decoder_run(void *state, struct leat_slice *input, struct codec_room *room)
{
    z_stream *stream = state;
    const unsigned taken = clamped(input->size), left = clamped(codec_room_left(room));
    stream->next_in = (Bytef *)(uintptr_t)input->data;
    stream->avail_in = taken;
    stream->next_out = room->data + room->used;
    stream->avail_out = left;
    const int result = inflate(stream, Z_NO_FLUSH);
    *input = slice_after(*input, taken - stream->avail_in);
    room->used += left - stream->avail_out;
    switch (result) {
    case Z_STREAM_END: return 2;
    case Z_OK:
    case Z_BUF_ERROR: /* nothing could be done: not an error */
        return stream->avail_out == 0 || input->size > 0;
    case Z_MEM_ERROR: return -ENOMEM;
    default: return -LEAT_E_MALFORMED;
    }
}

static void gzip_decoder_close(void *state)
{
    inflateEnd(state);
    free(state);
}

/* ID1 (section 2.3.1). */
static bool gzip_is_next(uint8_t byte)
{
    return byte == 0x1f;
}

const struct codec_ops codec_ops_gzip = {
    .bound = gzip_bound,
    .encode = gzip_encode,
    .decode = gzip_decode,
    .encoder_memory = gzip_encoder_memory,
    .encoder_open = gzip_encoder_open,
    .encoder_begin = gzip_encoder_begin,
    .encoder_run = gzip_encoder_run,
    .encoder_close = gzip_encoder_close,
    .decoder_open = gzip_decoder_open,
    .decoder_begin = gzip_decoder_begin,
    .decoder_run = gzip_decoder_run,
    .decoder_close = gzip_decoder_close,
    .is_next = gzip_is_next,
};
