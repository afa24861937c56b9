/* SPDX-License-Identifier: MIT */
/*
 * A packet of MoldUDP64: what is taken is made of just these bytes again; its messages are those
 * that a walk, one by one, finds; and however it is cut, it is refused, unless padding alone is
 * missing. The same bytes as a request, and as a session's name.
 */
#include "leat/feed.h"
#include "fuzz.h"
#include "wire/moldudp64.h"

/* Header, messages one by one, padding: the packet again. */
static void check_rebuilt(struct leat_slice input, const struct mold_packet *packet)
{
    uint8_t *const copy = (uint8_t *)fuzz_copy(input.data, input.size);
    memset(copy, 0xa5, input.size - packet->padding);
    ASSERT((const char *)packet->session == input.data);
    ASSERT(!packet->is_end || packet->count == 0);
    mold_write_header(copy, packet->session, packet->sequence,
                      packet->is_end ? MOLD_END_OF_SESSION : packet->count);
    size_t size = MOLD_HEADER_SIZE, count = 0;
    struct leat_slice blocks = packet->blocks, message;
    for (; leat_feed_next(&blocks, &message); count++) {
        copy[size] = (uint8_t)(message.size >> 8);
        copy[size + 1] = (uint8_t)message.size;
        memcpy(copy + size + 2, message.data, message.size);
        size += 2 + message.size;
        ASSERT(mold_blocks_skip(packet->blocks, count + 1) == size - MOLD_HEADER_SIZE);
    }
    ASSERT(count == packet->count && size + packet->padding == input.size);
    ASSERT(slice_equal(slice_of(copy, input.size), input));
    free(copy);
}

static void check_cuts(struct leat_slice input, const struct mold_packet *packet)
{
    const size_t stride = fuzz_stride(input.size);
    for (size_t size = 0; size < input.size; size += stride) {
        char *const exact = fuzz_copy(input.data, size);
        struct mold_packet cut;
        const enum mold_fault fault = mold_parse(slice_of(exact, size), &cut);
        if (size < MOLD_HEADER_SIZE)
            ASSERT(fault == MOLD_SHORT);
        else if (size < input.size - packet->padding)
            ASSERT(fault == MOLD_CUT);
        else
            ASSERT(fault == MOLD_FINE && cut.count == packet->count &&
                   cut.padding == packet->padding - (input.size - size));
        free(exact);
    }
}

/* Any bytes as blocks, against the plainest walk there is. */
static void check_blocks(struct leat_slice blocks)
{
    size_t offset = 0, count = 0, size;
    while (blocks.size - offset >= 2) {
        const uint8_t *const at = (const uint8_t *)blocks.data + offset;
        const size_t end = offset + 2 + (size_t)(at[0] << 8 | at[1]);
        if (end > blocks.size)
            break;
        if (count % 8 == 0) {
            ASSERT(mold_blocks_check(blocks, count, &size) == count && size == offset);
        }
        offset = end;
        count++;
    }
    ASSERT(mold_blocks_check(blocks, SIZE_MAX, &size) == count && size == offset);
}

static void check_request(struct leat_slice input)
{
    struct mold_packet request;
    uint16_t count;
    if (mold_parse_request(input, &request, &count) != MOLD_FINE)
        return;
    uint8_t header[MOLD_HEADER_SIZE];
    mold_write_header(header, request.session, request.sequence, count);
    ASSERT(slice_equal(slice_of(header, sizeof header), input));
    ASSERT(request.sequence > 0 && request.sequence + count >= request.sequence);
}

static void check_session(const uint8_t session[MOLD_SESSION_SIZE])
{
    char text[MOLD_SESSION_SIZE + 1];
    mold_session_to_text(session, text);
    uint8_t again[MOLD_SESSION_SIZE];
    if (text[0] == '\0')
        return;
    ASSERT(mold_session_from_text(text, again) == 0);
    for (size_t i = 0; i < MOLD_SESSION_SIZE; i++)
        ASSERT(again[i] == session[i] || again[i] == '?');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *const exact = fuzz_copy(data, size);
    const struct leat_slice input = slice_of(exact, size);
    struct mold_packet packet;
    if (mold_parse(input, &packet) == MOLD_FINE) {
        check_rebuilt(input, &packet);
        check_cuts(input, &packet);
    }
    check_blocks(input);
    check_request(input);
    if (size >= MOLD_SESSION_SIZE)
        check_session((const uint8_t *)exact);
    free(exact);
    return 0;
}
