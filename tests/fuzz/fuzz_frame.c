/* SPDX-License-Identifier: MIT */
/*
 * Frames between nodes. Any bytes are taken for one, for the coded part of one whose sums are
 * right, so that every decoder sees them, and for a block, which comes out as it went in; what was
 * changed or cut off on its way never does.
 */
#include "codec/codec.h"
#include "codec/frame.h"
#include "fuzz.h"
#include "leat/error.h"

enum { ROOM = 64 * 1024 };

static void check_any(const char *bytes, size_t size)
{
    struct leat_frame frame;
    char *out = malloc(ROOM);
    ASSERT(out != NULL);
    if (size >= LEAT_FRAME_HEAD_SIZE && leat_frame_parse(bytes, &frame) == 0)
        ASSERT(frame.size >= LEAT_FRAME_HEAD_SIZE && frame.plain_size <= LEAT_FRAME_SIZE_MAX);
    ASSERT(leat_decompress(bytes, size, out, ROOM) <= ROOM);
    free(out);
}

/* The bytes as what a decoder gets: the head promises the sum of nothing at all, but each size. */
static void check_as_coded(struct leat_slice coded, enum leat_codec codec)
{
    const size_t plain_size = coded.size + 1 + coded.size * 3 / 2;
    char *frame = malloc(LEAT_FRAME_HEAD_SIZE + coded.size), *plain = calloc(1, plain_size);
    ASSERT(frame != NULL && plain != NULL);
    memcpy(frame + LEAT_FRAME_HEAD_SIZE, coded.data, coded.size);
    frame_put_head(codec, slice_of(plain, plain_size), coded.size, frame);
    const size_t size = LEAT_FRAME_HEAD_SIZE + coded.size;
    const ssize_t result = leat_decompress(frame, size, plain, plain_size);
    ASSERT(result == (ssize_t)plain_size || result == -LEAT_E_MALFORMED);
    free(frame);
    free(plain);
}

/* A frame of the block in memory of exactly its size. */
static char *make_frame(struct leat_slice block, struct codec_setting setting, size_t *ret_size)
{
    char *frame = malloc(LEAT_FRAME_HEAD_SIZE + block.size);
    ASSERT(frame != NULL);
    ssize_t coded = -LEAT_E_LIMIT;
    if (setting.codec != LEAT_CODEC_NONE && block.size > 1)
        coded = codec_encode(setting, block.data, block.size, frame + LEAT_FRAME_HEAD_SIZE,
                             block.size - 1);
    if (coded < 0) {
        setting.codec = LEAT_CODEC_NONE;
        coded = (ssize_t)block.size;
        if (block.size > 0)
            memcpy(frame + LEAT_FRAME_HEAD_SIZE, block.data, block.size);
    }
    frame_put_head(setting.codec, block, (size_t)coded, frame);
    *ret_size = LEAT_FRAME_HEAD_SIZE + (size_t)coded;
    frame = realloc(frame, *ret_size);
    ASSERT(frame != NULL);
    return frame;
}

static void check_block(struct leat_slice block, struct codec_setting setting, unsigned seed)
{
    size_t size;
    char *frame = make_frame(block, setting, &size), *out = malloc(block.size + 1);
    ASSERT(out != NULL);
    ASSERT(leat_decompress(frame, size, out, block.size) == (ssize_t)block.size);
    ASSERT(block.size == 0 || memcmp(out, block.data, block.size) == 0);
    if (block.size > 0)
        ASSERT(leat_decompress(frame, size, out, block.size - 1) == -LEAT_E_LIMIT);
    for (size_t at = seed % fuzz_stride(size); at < size; at += fuzz_stride(size)) {
        const char change = (char)(1u << (seed + at) % 8);
        frame[at] ^= change;
        ASSERT(leat_decompress(frame, size, out, block.size) < 0);
        frame[at] ^= change;
        char *cut = fuzz_copy(frame, at);
        ASSERT(leat_decompress(cut, at, out, block.size) == -LEAT_E_TRUNCATED);
        free(cut);
    }
    free(frame);
    free(out);
}

/* The first byte says how the rest is coded. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct codec_setting settings[] = {
        {LEAT_CODEC_NONE, 0}, {LEAT_CODEC_ZSTD, 1}, {LEAT_CODEC_GZIP, 6}, {LEAT_CODEC_BROTLI, 4},
        {LEAT_CODEC_LZ4, 0},  {LEAT_CODEC_ZSTD, 9}, {LEAT_CODEC_GZIP, 1}, {LEAT_CODEC_LZ4, 9}};
    check_any((const char *)data, size);
    if (size == 0)
        return 0;
    const struct leat_slice block = slice_of(data + 1, size - 1);
    const struct codec_setting setting = settings[data[0] % 8];
    if (setting.codec != LEAT_CODEC_NONE)
        check_as_coded(block, setting.codec);
    check_block(block, setting, data[0]);
    return 0;
}
