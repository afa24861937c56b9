/* SPDX-License-Identifier: MIT */
/*
 * RTMP sessions. The first byte of the input says whether it is all that the client sends, or what
 * comes behind the handshake; and whether the owner accepts, refuses, or has enough of the media
 * after a while. Whatever the bytes, and wherever they are cut: the owner is told the same, and
 * what goes out is whole messages, the same but for acknowledgements, which go by the pieces.
 *
 * The chunk streams are read for themselves as well: within their limits of memory.
 */
#include <errno.h>

#include "base/cursor.h"
#include "fuzz.h"
#include "leat/error.h"
#include "wire/rtmp.h"

enum { MEDIA_MAX = 20, MESSAGE_MAX = 3000, BUFFERED_MAX = 9000, HANDSHAKE = 1 + 2 * 1536 };

struct told {
    uint8_t mode;
    uint64_t hash; /* of what the owner was told */
    uint64_t output_hash;
    unsigned media_count, unpublish_count;
    bool is_publishing;
    int result;
    char reason[RTMP_REASON_SIZE];
    bool is_flooded;
    size_t handshake_left;
};

static void mix(uint64_t *hash, struct leat_slice bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        *hash = (*hash ^ (unsigned char)bytes.data[i]) * UINT64_C(0x100000001b3);
    *hash = *hash * 31 + bytes.size;
}

static enum rtmp_answer on_connect(const char *app, char *ret_reason, void *user)
{
    struct told *const told = user;
    ASSERT(strnlen(app, RTMP_APP_SIZE) < RTMP_APP_SIZE);
    mix(&told->hash, slice_from_text(app));
    strcpy(ret_reason, "no");
    return (told->mode & 6) == 6 ? RTMP_DENIED : RTMP_ACCEPT;
}

static enum rtmp_answer on_publish(const struct rtmp_publish *publish, char *ret_reason, void *user)
{
    struct told *const told = user;
    ASSERT(!told->is_publishing);
    mix(&told->hash, publish->name);
    mix(&told->hash, publish->query);
    strcpy(ret_reason, "no");
    told->is_publishing = (told->mode & 6) != 4;
    return told->is_publishing ? RTMP_ACCEPT : RTMP_BAD_NAME;
}

static int on_media(enum rtmp_type type, int64_t time_ms, struct leat_slice body, void *user)
{
    struct told *const told = user;
    ASSERT(told->is_publishing && (type == RTMP_AUDIO || type == RTMP_VIDEO));
    ASSERT(body.size <= RTMP_MESSAGE_MAX);
    mix(&told->hash, slice_of(&time_ms, sizeof time_ms));
    mix(&told->hash, body);
    return ++told->media_count == MEDIA_MAX && (told->mode & 6) == 2 ? -ENOSPC : 0;
}

static void on_unpublish(void *user)
{
    struct told *const told = user;
    ASSERT(told->is_publishing);
    told->is_publishing = false;
    told->unpublish_count++;
    mix(&told->hash, SLICE("unpublish"));
}

/* S0 to S2, then messages in one chunk each. */
static void take_output(struct told *told, struct rtmp *rtmp)
{
    enum { HEADER_SIZE = 12, SIZE_AT = 4, TYPE_AT = 7 };
    struct leat_slice output = rtmp_output(rtmp);
    ASSERT(output.size <= RTMP_OUTPUT_MAX);
    if (output.size > 0 && told->handshake_left > 0) {
        ASSERT(output.size >= HANDSHAKE && output.data[0] == 3);
        mix(&told->output_hash, slice_of(output.data, HANDSHAKE));
        output = slice_after(output, HANDSHAKE);
        told->handshake_left = 0;
    }
    while (output.size > 0) {
        ASSERT(output.size > HEADER_SIZE);
        struct cursor cursor = cursor_over(slice_after(output, SIZE_AT));
        const size_t size = HEADER_SIZE + (cursor_u32be(&cursor) >> 8);
        ASSERT(size <= output.size);
        if (output.data[TYPE_AT] != RTMP_ACKNOWLEDGEMENT)
            mix(&told->output_hash, slice_of(output.data, size));
        output = slice_after(output, size);
    }
    rtmp_output_clear(rtmp);
}

static void feed(struct told *told, struct rtmp *rtmp, struct leat_slice piece)
{
    char *const exact = fuzz_copy(piece.data, piece.size);
    if (told->result == 0) {
        told->result = rtmp_feed(rtmp, slice_of(exact, piece.size));
        take_output(told, rtmp);
    }
    free(exact);
}

/* In two pieces, and the first of them byte by byte when it is short. */
static void tell(struct told *told, uint8_t mode, struct leat_slice input, size_t cut)
{
    const struct rtmp_events events = {.on_connect = on_connect,
                                       .on_publish = on_publish,
                                       .on_media = on_media,
                                       .on_unpublish = on_unpublish,
                                       .user = told};
    static const char handshake[HANDSHAKE] = {3};
    struct rtmp *rtmp;
    *told = (struct told){.mode = mode, .handshake_left = HANDSHAKE};
    ASSERT(rtmp_create(&events, 1, &rtmp) == 0);
    if (mode & 1)
        feed(told, rtmp, slice_of(handshake, sizeof handshake));
    for (size_t at = 0; cut <= 256 && at < cut; at++)
        feed(told, rtmp, slice_of(input.data + at, 1));
    if (cut > 256)
        feed(told, rtmp, slice_of(input.data, cut));
    feed(told, rtmp, slice_after(input, cut));
    ASSERT(told->result == 0 || told->result == -LEAT_E_MALFORMED ||
           told->result == -LEAT_E_LIMIT || told->result == -ENOSPC);
    strcpy(told->reason, rtmp_reason(rtmp));
    ASSERT((told->result == 0 || told->result == -ENOSPC) == (told->reason[0] == '\0'));
    ASSERT(rtmp_is_publishing(rtmp) == told->is_publishing);
    told->is_flooded = strstr(told->reason, "more answers") != NULL;
    rtmp_give_up(rtmp, "enough");
    take_output(told, rtmp);
    ASSERT(rtmp_is_over(rtmp) && rtmp_feed(rtmp, input) == 0);
    rtmp_destroy(rtmp);
}

static void read_chunks(struct leat_slice input)
{
    struct rtmp_chunks chunks;
    struct rtmp_message message;
    int result;
    rtmp_chunks_init(&chunks, MESSAGE_MAX, BUFFERED_MAX);
    while ((result = rtmp_chunks_next(&chunks, &input, &message)) > 0) {
        ASSERT(message.body.size <= MESSAGE_MAX && chunks.buffered <= BUFFERED_MAX);
        uint64_t hash = 0;
        mix(&hash, message.body); /* a sanitizer sees whether it is all there */
    }
    ASSERT(chunks.buffered <= BUFFERED_MAX && (result < 0) == (chunks.reason != NULL));
    ASSERT(result < 0 || input.size == 0);
    rtmp_chunks_fini(&chunks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    static struct told whole, cut;
    const struct leat_slice input = slice_of(data + 1, size - 1);
    read_chunks(input);
    tell(&whole, data[0], input, 0);
    for (size_t at = 1; at < input.size; at += fuzz_stride(input.size)) {
        tell(&cut, data[0], input, at);
        if (whole.is_flooded || cut.is_flooded)
            continue; /* how much is kept depends on when it is taken */
        ASSERT(cut.result == whole.result && strcmp(cut.reason, whole.reason) == 0);
        ASSERT(cut.hash == whole.hash && cut.output_hash == whole.output_hash);
        ASSERT(cut.media_count == whole.media_count);
        ASSERT(cut.unpublish_count == whole.unpublish_count);
    }
    return 0;
}
