/* SPDX-License-Identifier: MIT */
/*
 * LZ4 by liblz4, in its frame format, which is what the lz4 command reads: blocks of 64 KiB that
 * know the one before them. The library wants room for all that may come of a call: where the
 * caller has less, the stash has it.
 */
#include <errno.h>
#include <lz4frame.h>
#include <stdlib.h>

#include "codec/codec_ops.h"
#include "leat/error.h"

enum { PIECE_SIZE = 32 * 1024 };

static LZ4F_preferences_t preferences(int level, int64_t size)
{
    return (LZ4F_preferences_t){
        .frameInfo = {.blockSizeID = LZ4F_max64KB,
                      .blockMode = LZ4F_blockLinked,
                      .contentSize = size > 0 ? (unsigned long long)size : 0},
        .compressionLevel = level,
    };
}

struct lz4_encoder {
    LZ4F_cctx *context;
    LZ4F_preferences_t preferences;
    bool has_begun, is_reached;
    struct codec_stash stash;
    size_t room_size; /* of `bytes` */
    uint8_t bytes[];
};

/* A frame's header, or what comes of a piece, a flush or the end. */
static size_t room_size(void)
{
    const LZ4F_preferences_t any = preferences(0, -1);
    const size_t size = LZ4F_compressBound(PIECE_SIZE, &any);
    return size > LZ4F_HEADER_SIZE_MAX ? size : LZ4F_HEADER_SIZE_MAX;
}

static size_t lz4_encoder_memory(int level, int64_t size)
{
    enum { FAST = 16 * 1024, HIGH = 256 * 1024, HISTORY = 128 * 1024 + 64 * 1024 };
    return sizeof(struct lz4_encoder) + room_size() + HISTORY + (level < 3 ? FAST : HIGH);
}

static int lz4_encoder_open(void **ret_state)
{
    const size_t size = room_size();
    struct lz4_encoder *encoder = calloc(1, sizeof(*encoder) + size);
    if (!encoder)
        return -ENOMEM;
    encoder->room_size = size;
    if (LZ4F_isError(LZ4F_createCompressionContext(&encoder->context, LZ4F_VERSION))) {
        free(encoder);
        return -ENOMEM;
    }
    *ret_state = encoder;
    return 0;
}

static int lz4_encoder_begin(void *state, int level, int64_t size)
{
    struct lz4_encoder *encoder = state;
    encoder->preferences = preferences(level, size);
    encoder->has_begun = encoder->is_reached = false;
    encoder->stash = (struct codec_stash){.data = encoder->bytes};
    return 0;
}

/* One call of the library: the header, a piece, or what the goal takes. */
static size_t lz4_step(struct lz4_encoder *encoder, struct leat_slice *input,
                       enum encoder_goal goal, uint8_t *out, size_t out_size)
{
    if (!encoder->has_begun) {
        encoder->has_begun = true;
        return LZ4F_compressBegin(encoder->context, out, out_size, &encoder->preferences);
    }
    if (input->size > 0) {
        const size_t size = input->size < PIECE_SIZE ? input->size : PIECE_SIZE;
        const char *data = input->data;
        *input = slice_after(*input, size);
        encoder->is_reached = input->size == 0 && goal == ENCODER_GO_ON;
        return LZ4F_compressUpdate(encoder->context, out, out_size, data, size, NULL);
    }
    encoder->is_reached = true;
    if (goal == ENCODER_FLUSH)
        return LZ4F_flush(encoder->context, out, out_size, NULL);
    return goal == ENCODER_END ? LZ4F_compressEnd(encoder->context, out, out_size, NULL) : 0;
}

static int lz4_encoder_run(void *state, struct leat_slice *input, enum encoder_goal goal,
                           struct codec_room *room)
{
    struct lz4_encoder *encoder = state;
    for (;;) {
        if (!codec_stash_give(&encoder->stash, room))
            return 1;
        if (encoder->is_reached && input->size == 0)
            break;
        const size_t left = codec_room_left(room);
        const bool is_direct = left >= encoder->room_size;
        const size_t size =
            lz4_step(encoder, input, goal, is_direct ? room->data + room->used : encoder->bytes,
                     is_direct ? left : encoder->room_size);
        if (LZ4F_isError(size))
            return -ENOMEM; /* the one thing that may fail */
        if (is_direct)
            room->used += size;
        else
            encoder->stash = (struct codec_stash){.data = encoder->bytes, .size = size};
    }
    encoder->is_reached = false;
    return 0;
}

static void lz4_encoder_close(void *state)
{
    struct lz4_encoder *encoder = state;
    LZ4F_freeCompressionContext(encoder->context);
    free(encoder);
}

static size_t lz4_bound(size_t size)
{
    const LZ4F_preferences_t any = preferences(0, (int64_t)size);
    return LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(size, &any);
}

static ssize_t lz4_encode(int level, struct leat_slice text, void *out, size_t out_size)
{
    void *state = codec_kept_take(CODEC_KEPT_LZ4_ENCODER);
    if (!state && lz4_encoder_open(&state) != 0)
        return -ENOMEM;
    struct codec_room room = {.data = out, .size = out_size};
    int result = lz4_encoder_begin(state, level, (int64_t)text.size);
    if (result == 0)
        result = lz4_encoder_run(state, &text, ENCODER_END, &room);
    codec_kept_give(CODEC_KEPT_LZ4_ENCODER, state, lz4_encoder_close);
    if (result < 0)
        return result;
    return result == 0 ? (ssize_t)room.used : -LEAT_E_LIMIT;
}

static void close_dctx(void *context)
{
    LZ4F_freeDecompressionContext(context);
}

/* Of frames whose blocks are small: the library takes memory for whole blocks. */
static ssize_t lz4_decode(struct leat_slice coded, void *out, size_t out_size)
{
    LZ4F_dctx *context = codec_kept_take(CODEC_KEPT_LZ4_DECODER);
    if (!context && LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return -ENOMEM;
    LZ4F_resetDecompressionContext(context);
    LZ4F_frameInfo_t info = {0};
    size_t head = coded.size, size = out_size, wanted;
    wanted = LZ4F_getFrameInfo(context, &info, coded.data, &head);
    if (!LZ4F_isError(wanted) && info.blockSizeID == LZ4F_max64KB) {
        const LZ4F_decompressOptions_t options = {.stableDst = 1};
        coded = slice_after(coded, head);
        head = coded.size;
        wanted = LZ4F_decompress(context, out, &size, coded.data, &head, &options);
    } else {
        wanted = 1;
    }
    codec_kept_give(CODEC_KEPT_LZ4_DECODER, context, close_dctx);
    return wanted == 0 && head == coded.size ? (ssize_t)size : -LEAT_E_MALFORMED;
}

static int lz4_decoder_open(void **ret_state)
{
    LZ4F_dctx *context;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return -ENOMEM;
    *ret_state = context;
    return 0;
}

static int lz4_decoder_begin(void *state)
{
    LZ4F_resetDecompressionContext(state);
    return 0;
}

static int lz4_error(size_t result)
{
    const char *name = LZ4F_getErrorName(result);
    return strcmp(name, "ERROR_allocation_failed") == 0 ? -ENOMEM : -LEAT_E_MALFORMED;
}

static int lz4_decoder_run(void *state, struct leat_slice *input, struct codec_room *room)
{
    size_t wanted;
    do {
        size_t taken = input->size, size = codec_room_left(room);
        wanted = LZ4F_decompress(state, room->data + room->used, &size, input->data, &taken, NULL);
        if (LZ4F_isError(wanted))
            return lz4_error(wanted);
        *input = slice_after(*input, taken);
        room->used += size;
        if (taken == 0 && size == 0)
            break;
    } while (wanted > 0 && codec_room_left(room) > 0);
    if (wanted == 0)
        return 2;
    return codec_room_left(room) == 0;
}

/* Frames begin with 0x184D2204, those to be skipped with 0x184D2A5?, least byte first. */
static bool lz4_is_next(uint8_t byte)
{
    return byte == 0x04 || (byte & 0xf0) == 0x50;
}

const struct codec_ops codec_ops_lz4 = {
    .bound = lz4_bound,
    .encode = lz4_encode,
    .decode = lz4_decode,
    .encoder_memory = lz4_encoder_memory,
    .encoder_open = lz4_encoder_open,
    .encoder_begin = lz4_encoder_begin,
    .encoder_run = lz4_encoder_run,
    .encoder_close = lz4_encoder_close,
    .decoder_open = lz4_decoder_open,
    .decoder_begin = lz4_decoder_begin,
    .decoder_run = lz4_decoder_run,
    .decoder_close = close_dctx,
    .is_next = lz4_is_next,
};
