/* SPDX-License-Identifier: MIT */
/*
 * See frame.h.
 */
#include "codec/frame.h"

#include <errno.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/cursor.h"
#include "leat/error.h"

enum {
    SUM_OFFSET = 16,
    MAGIC = 0x1ea7,
};

static_assert(SUM_OFFSET + 4 == LEAT_FRAME_HEAD_SIZE, "the sum is the head's last");
/* They are on the wire. */
static_assert(LEAT_CODEC_NONE == 0 && LEAT_CODEC_ZSTD == 1 && LEAT_CODEC_GZIP == 2 &&
                  LEAT_CODEC_BROTLI == 3 && LEAT_CODEC_LZ4 == 4,
              "codecs keep their numbers");

struct head {
    enum leat_codec codec;
    uint32_t plain_size, coded_size, plain_sum, frame_sum;
};

static uint32_t sum_of_frame(const char *frame, size_t coded_size)
{
    const uint32_t sum = crc32c(0, frame, SUM_OFFSET);
    return crc32c(sum, frame + LEAT_FRAME_HEAD_SIZE, coded_size);
}

static void put_u32(char *at, uint32_t value)
{
    const uint32_t wire = htole32(value);
    memcpy(at, &wire, sizeof wire);
}

void frame_put_head(enum leat_codec codec, struct leat_slice plain, size_t coded_size, char *frame)
{
    ASSERT(plain.size <= LEAT_FRAME_SIZE_MAX && coded_size <= plain.size);
    ASSERT(codec == LEAT_CODEC_NONE ? coded_size == plain.size : coded_size < plain.size);
    const unsigned char start[] = {MAGIC >> 8, MAGIC & 0xff, FRAME_VERSION, (unsigned char)codec};
    memcpy(frame, start, sizeof start);
    put_u32(frame + 4, (uint32_t)plain.size);
    put_u32(frame + 8, (uint32_t)coded_size);
    put_u32(frame + 12, crc32c(0, plain.data, plain.size));
    put_u32(frame + SUM_OFFSET, sum_of_frame(frame, coded_size));
}

static int parse_head(const void *data, struct head *ret_head)
{
    struct cursor cursor = cursor_over(slice_of(data, LEAT_FRAME_HEAD_SIZE));
    const uint16_t magic = cursor_u16be(&cursor);
    const uint8_t version = cursor_u8(&cursor), codec = cursor_u8(&cursor);
    const struct head head = {
        .codec = (enum leat_codec)codec,
        .plain_size = cursor_u32le(&cursor),
        .coded_size = cursor_u32le(&cursor),
        .plain_sum = cursor_u32le(&cursor),
        .frame_sum = cursor_u32le(&cursor),
    };
    ASSERT(!cursor.failed);
    const bool is_plain = codec == LEAT_CODEC_NONE;
    if (magic != MAGIC || version != FRAME_VERSION || codec >= LEAT_CODECS ||
        head.plain_size > LEAT_FRAME_SIZE_MAX ||
        (is_plain ? head.coded_size != head.plain_size : head.coded_size >= head.plain_size))
        return -LEAT_E_MALFORMED;
    *ret_head = head;
    return 0;
}

int leat_frame_parse(const void *data, struct leat_frame *ret_frame)
{
    struct head head;
    const int error = parse_head(data, &head);
    if (!error)
        *ret_frame = (struct leat_frame){
            .codec = head.codec,
            .size = LEAT_FRAME_HEAD_SIZE + (size_t)head.coded_size,
            .plain_size = head.plain_size,
        };
    return error;
}

ssize_t leat_decompress(const void *frame, size_t frame_size, void *out, size_t out_size)
{
    struct head head;
    const char *const coded = (const char *)frame + LEAT_FRAME_HEAD_SIZE;
    if (frame_size < LEAT_FRAME_HEAD_SIZE)
        return -LEAT_E_TRUNCATED;
    const int error = parse_head(frame, &head);
    if (error)
        return error;
    const size_t coded_size = frame_size - LEAT_FRAME_HEAD_SIZE;
    if (coded_size != head.coded_size)
        return coded_size < head.coded_size ? -LEAT_E_TRUNCATED : -LEAT_E_MALFORMED;
    if (head.plain_size > out_size)
        return -LEAT_E_LIMIT;
    if (sum_of_frame(frame, coded_size) != head.frame_sum)
        return -LEAT_E_MALFORMED;
    if (head.codec == LEAT_CODEC_NONE) {
        if (coded_size > 0)
            memcpy(out, coded, coded_size);
    } else {
        const ssize_t size = codec_decode(head.codec, coded, coded_size, out, head.plain_size);
        if (size == -ENOMEM)
            return -ENOMEM;
        if (size != (ssize_t)head.plain_size)
            return -LEAT_E_MALFORMED;
    }
    const bool is_whole = crc32c(0, out, head.plain_size) == head.plain_sum;
    return is_whole ? (ssize_t)head.plain_size : -LEAT_E_MALFORMED;
}
