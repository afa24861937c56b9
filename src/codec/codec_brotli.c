/* SPDX-License-Identifier: MIT */
/*
 * Brotli (RFC 7932) by libbrotli. Its encoder is made anew for each text and takes large blocks of
 * memory each time: they are kept from one text to the next here, for fresh pages would cost more
 * than a small text does. A stream's window is at most 512 KiB; that of a whole text 4 MiB.
 */
#include <brotli/decode.h>
#include <brotli/encode.h>
#include <errno.h>
#include <stdlib.h>

#include "codec/codec_ops.h"
#include "leat/error.h"

enum {
    STREAM_WINDOW_LOG = 19,
    WHOLE_WINDOW_LOG = 22,
    WHOLE_HINT_MAX = 1 << 30,
    /* Told of more, the library takes tables of many MiB: fit for windows that a stream has not. */
    STREAM_HINT_MAX = (1 << 20) - 1,
    BLOCK_KEPT_MIN = 16 * 1024, /* what is smaller comes from malloc, which is quick at it */
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Stands before each block. */
struct block {
    struct block *next;
    size_t size;
};
static_assert(sizeof(struct block) % 16 == 0, "what follows it is aligned as malloc's");

/* The blocks that one encoder has or had. */
struct store {
    struct block *kept;
    size_t held, held_max; /* by both; above the second what is kept goes back to malloc */
};

struct brotli_encoder {
    BrotliEncoderState *state;
    struct store store;
};

/* The smallest that does; NULL: none is large enough, or it would be a waste. */
static struct block *store_find(struct store *store, size_t size)
{
    struct block **best = NULL;
    for (struct block **link = &store->kept; *link; link = &(*link)->next)
        if ((*link)->size >= size && (!best || (*link)->size < (*best)->size))
            best = link;
    if (!best || (*best)->size / 2 > size)
        return NULL;
    struct block *block = *best;
    *best = block->next;
    return block;
}

static void store_release(struct store *store)
{
    struct block *block = store->kept;
    ASSERT(block && store->held >= block->size);
    store->kept = block->next;
    store->held -= block->size;
    free(block);
}

static void *store_alloc(void *opaque, size_t size)
{
    struct store *store = opaque;
    struct block *block = size >= BLOCK_KEPT_MIN ? store_find(store, size) : NULL;
    while (!block && store->kept && store->held + size > store->held_max)
        store_release(store);
    if (!block) {
        if (size > SIZE_MAX - sizeof(*block) || !(block = malloc(sizeof(*block) + size)))
            return NULL;
        block->size = size;
        store->held += size;
    }
    block->next = NULL;
    return block + 1;
}

static void store_free(void *opaque, void *address)
{
    struct store *store = opaque;
    if (!address)
        return;
    struct block *block = (struct block *)address - 1;
    block->next = store->kept;
    store->kept = block;
    if (block->size < BLOCK_KEPT_MIN || store->held > store->held_max)
        store_release(store);
}

/* The smallest window that has all of the text (section 9.1), up to the largest. */
static unsigned window_log(int64_t size, unsigned largest)
{
    unsigned log = BROTLI_MIN_WINDOW_BITS;
    while (log < largest && (size < 0 || size > (1 << log) - 16))
        log++;
    return log;
}

static void set(BrotliEncoderState *state, BrotliEncoderParameter parameter, uint32_t value)
{
    const BROTLI_BOOL is_set = BrotliEncoderSetParameter(state, parameter, value);
    ASSERT(is_set);
}

static void brotli_end(struct brotli_encoder *encoder)
{
    if (encoder->state)
        BrotliEncoderDestroyInstance(encoder->state);
    encoder->state = NULL;
}

static int brotli_begin(struct brotli_encoder *encoder, int level, unsigned window, int64_t hint)
{
    brotli_end(encoder);
    encoder->state = BrotliEncoderCreateInstance(store_alloc, store_free, &encoder->store);
    if (!encoder->state)
        return -ENOMEM;
    set(encoder->state, BROTLI_PARAM_QUALITY, (uint32_t)level);
    set(encoder->state, BROTLI_PARAM_LGWIN, window);
    if (hint >= 0)
        set(encoder->state, BROTLI_PARAM_SIZE_HINT, (uint32_t)hint);
    return 0;
}

static void brotli_encoder_close(void *state)
{
    struct brotli_encoder *encoder = state;
    brotli_end(encoder);
    while (encoder->store.kept)
        store_release(&encoder->store);
    ASSERT(encoder->store.held == 0);
    free(encoder);
}

static int brotli_encoder_open(void **ret_state)
{
    struct brotli_encoder *encoder = calloc(1, sizeof(*encoder));
    if (!encoder)
        return -ENOMEM;
    *ret_state = encoder;
    return 0;
}

/* What libbrotli 1.0.9 was seen to take: the text's blocks as they come, window, and the tables
 * that find what repeats, which beyond 64 KiB of window grow with each level from 5 to 9. */
static size_t brotli_encoder_memory(int level, int64_t size)
{
    enum { KIB = 1024 };
    static const size_t large[] = {
        [5] = 1440 * KIB, [6] = 2750 * KIB, [7] = 8700 * KIB, [8] = 16900 * KIB, [9] = 33500 * KIB};
    const size_t log = window_log(size, STREAM_WINDOW_LOG), window = (size_t)1 << log;
    if (level == 0)
        return smaller(8 * window, 256 * KIB) + 16 * KIB;
    if (level == 1)
        return smaller(14 * window, 840 * KIB) + 16 * KIB;
    const size_t blocks = smaller(28 * window, 640 * KIB) + 2 * window;
    if (level <= 3)
        return blocks + 262 * KIB;
    if (level >= 10)
        return blocks + 1000 * KIB + 8 * window;
    if (level == 4 || log <= 16)
        return blocks + (level == 9 ? 1540 : 790) * KIB;
    return blocks + large[level];
}

static int brotli_encoder_begin(void *state, int level, int64_t size)
{
    struct brotli_encoder *encoder = state;
    encoder->store.held_max = brotli_encoder_memory(level, size);
    return brotli_begin(encoder, level, window_log(size, STREAM_WINDOW_LOG),
                        size < STREAM_HINT_MAX ? size : STREAM_HINT_MAX);
}

static int brotli_encoder_run(void *state, struct leat_slice *input, enum encoder_goal goal,
                              struct codec_room *room)
{
    static const BrotliEncoderOperation operations[] = {[ENCODER_GO_ON] = BROTLI_OPERATION_PROCESS,
                                                        [ENCODER_FLUSH] = BROTLI_OPERATION_FLUSH,
                                                        [ENCODER_END] = BROTLI_OPERATION_FINISH};
    struct brotli_encoder *encoder = state;
    size_t left = codec_room_left(room), in_left = input->size;
    const uint8_t *in = (const uint8_t *)input->data;
    uint8_t *out = room->data + room->used;
    const BROTLI_BOOL is_done = BrotliEncoderCompressStream(encoder->state, operations[goal],
                                                            &in_left, &in, &left, &out, NULL);
    *input = slice_after(*input, input->size - in_left);
    room->used = room->size - left;
    if (!is_done)
        return -ENOMEM;
    const bool is_reached = goal != ENCODER_END || BrotliEncoderIsFinished(encoder->state);
    return input->size > 0 || BrotliEncoderHasMoreOutput(encoder->state) || !is_reached;
}

/* What BrotliEncoderMaxCompressedSize tells holds from level 2 on, for large windows. */
static size_t brotli_bound(size_t size)
{
    return BrotliEncoderMaxCompressedSize(size) + size / 1024 + 64;
}

static ssize_t brotli_encode(int level, struct leat_slice text, void *out, size_t out_size)
{
    void *state = codec_kept_take(CODEC_KEPT_BROTLI_ENCODER);
    if (!state && brotli_encoder_open(&state) != 0)
        return -ENOMEM;
    struct brotli_encoder *encoder = state;
    encoder->store.held_max = CODEC_KEPT_MAX;
    struct codec_room room = {.data = out, .size = out_size};
    int result = brotli_begin(encoder, level, window_log((int64_t)text.size, WHOLE_WINDOW_LOG),
                              (int64_t)smaller(text.size, WHOLE_HINT_MAX));
    if (result == 0)
        result = brotli_encoder_run(encoder, &text, ENCODER_END, &room);
    brotli_end(encoder);
    codec_kept_give(CODEC_KEPT_BROTLI_ENCODER, encoder, brotli_encoder_close);
    if (result < 0)
        return result;
    return result == 0 ? (ssize_t)room.used : -LEAT_E_LIMIT;
}

/* A decoder of libbrotli is of one text. */
struct brotli_decoder {
    BrotliDecoderState *state;
};

static int brotli_decoder_open(void **ret_state)
{
    struct brotli_decoder *decoder = calloc(1, sizeof(*decoder));
    if (!decoder)
        return -ENOMEM;
    *ret_state = decoder;
    return 0;
}

static int brotli_decoder_begin(void *state)
{
    struct brotli_decoder *decoder = state;
    if (decoder->state)
        BrotliDecoderDestroyInstance(decoder->state);
    decoder->state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    return decoder->state ? 0 : -ENOMEM;
}

static int brotli_error(BrotliDecoderErrorCode code)
{
    /* The codes of memory stand together in the library's list. */
    if (code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
        code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES)
        return -ENOMEM;
    return -LEAT_E_MALFORMED;
}

static int brotli_decoder_run(void *state, struct leat_slice *input, struct codec_room *room)
{
    struct brotli_decoder *decoder = state;
    size_t left = codec_room_left(room), in_left = input->size;
    const uint8_t *in = (const uint8_t *)input->data;
    uint8_t *out = room->data + room->used;
    const BrotliDecoderResult result =
        BrotliDecoderDecompressStream(decoder->state, &in_left, &in, &left, &out, NULL);
    *input = slice_after(*input, input->size - in_left);
    room->used = room->size - left;
    switch (result) {
    case BROTLI_DECODER_RESULT_SUCCESS: return 2;
    /* It may have kept back what did not fit. */
    case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
        return BrotliDecoderHasMoreOutput(decoder->state) ? 1 : 0;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT: return 1;
    default: return brotli_error(BrotliDecoderGetErrorCode(decoder->state));
    }
}

static void brotli_decoder_close(void *state)
{
    struct brotli_decoder *decoder = state;
    if (decoder->state)
        BrotliDecoderDestroyInstance(decoder->state);
    free(decoder);
}

const struct codec_ops codec_ops_brotli = {
    .bound = brotli_bound,
    .encode = brotli_encode,
    .encoder_memory = brotli_encoder_memory,
    .encoder_open = brotli_encoder_open,
    .encoder_begin = brotli_encoder_begin,
    .encoder_run = brotli_encoder_run,
    .encoder_close = brotli_encoder_close,
    .decoder_open = brotli_decoder_open,
    .decoder_begin = brotli_decoder_begin,
    .decoder_run = brotli_decoder_run,
    .decoder_close = brotli_decoder_close,
};
