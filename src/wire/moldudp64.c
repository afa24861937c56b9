/* SPDX-License-Identifier: MIT */
/*
 * See moldudp64.h. The walk over the blocks is the only loop over messages that every packet goes
 * through on its way in; whoever walks them afterwards (leat_feed_next) relies on what it found.
 */
#include "wire/moldudp64.h"

#include <errno.h>

#include "base/assert.h"

enum {
    SEQUENCE_OFFSET = MOLD_SESSION_SIZE,
    COUNT_OFFSET = SEQUENCE_OFFSET + sizeof(uint64_t),
    LENGTH_SIZE = sizeof(uint16_t), /* before each message */
};
static_assert(COUNT_OFFSET + sizeof(uint16_t) == MOLD_HEADER_SIZE, "the header has no gaps");

static uint16_t load_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return be16toh(value);
}

static uint64_t load_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return be64toh(value);
}

/* Whether `count` messages from `sequence` on can be. */
static bool is_possible(uint64_t sequence, uint16_t count)
{
    return sequence > 0 && count <= MOLD_SEQUENCE_END - sequence;
}

/* How many messages, of those that fit, are of the size of the first. In a chain of lengths each is
 * to be had only when the one before it is; here they are compared side by side, which takes a
 * third of the time for the many feeds whose packets are of one kind. */
static size_t count_alike(struct leat_slice blocks, size_t count_max)
{
    const uint8_t *const data = (const uint8_t *)blocks.data;
    const uint16_t length = load_u16(data);
    const size_t size = LENGTH_SIZE + length, fitting = blocks.size / size;
    const size_t end = fitting < count_max ? fitting : count_max;
    size_t count = 0;
    while (count < end && load_u16(data + count * size) == length)
        count++;
    return count;
}

size_t mold_blocks_check(struct leat_slice blocks, size_t count_max, size_t *ret_size)
{
    const uint8_t *const data = (const uint8_t *)blocks.data;
    size_t offset = 0, count = 0;
    if (blocks.size >= LENGTH_SIZE) {
        count = count_alike(blocks, count_max);
        offset = count * (LENGTH_SIZE + load_u16(data));
    }
    while (count < count_max && blocks.size - offset >= LENGTH_SIZE) {
        const size_t size = LENGTH_SIZE + load_u16(data + offset);
        if (size > blocks.size - offset)
            break;
        offset += size;
        count++;
    }
    ASSERT(offset <= blocks.size && count <= count_max);
    *ret_size = offset;
    return count;
}

size_t mold_blocks_skip(struct leat_slice blocks, size_t count)
{
    const uint8_t *const data = (const uint8_t *)blocks.data;
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        DEBUG_ASSERT(blocks.size - offset >= LENGTH_SIZE);
        offset += LENGTH_SIZE + load_u16(data + offset);
        DEBUG_ASSERT(offset <= blocks.size);
    }
    ASSERT(offset <= blocks.size);
    return offset;
}

enum mold_fault mold_parse(struct leat_slice packet, struct mold_packet *ret_packet)
{
    if (packet.size < MOLD_HEADER_SIZE)
        return MOLD_SHORT;
    const uint8_t *const data = (const uint8_t *)packet.data;
    const uint64_t sequence = load_u64(data + SEQUENCE_OFFSET);
    const uint16_t wire_count = load_u16(data + COUNT_OFFSET);
    const bool is_end = wire_count == MOLD_END_OF_SESSION;
    const uint16_t count = is_end ? 0 : wire_count;
    if (!is_possible(sequence, count))
        return MOLD_SEQUENCE;

    const struct leat_slice rest = slice_after(packet, MOLD_HEADER_SIZE);
    size_t size;
    if (mold_blocks_check(rest, count, &size) < count)
        return MOLD_CUT;
    ASSERT(size <= rest.size);
    *ret_packet = (struct mold_packet){
        .session = data,
        .sequence = sequence,
        .count = count,
        .is_end = is_end,
        .blocks = slice_of(rest.data, size),
        .padding = rest.size - size,
    };
    return MOLD_FINE;
}

enum mold_fault mold_parse_request(struct leat_slice packet, struct mold_packet *ret_request,
                                   uint16_t *ret_count)
{
    if (packet.size < MOLD_HEADER_SIZE)
        return MOLD_SHORT;
    if (packet.size > MOLD_HEADER_SIZE)
        return MOLD_LONG;
    const uint8_t *const data = (const uint8_t *)packet.data;
    const uint64_t sequence = load_u64(data + SEQUENCE_OFFSET);
    const uint16_t count = load_u16(data + COUNT_OFFSET);
    if (!is_possible(sequence, count))
        return MOLD_SEQUENCE;
    *ret_request = (struct mold_packet){
        .session = data,
        .sequence = sequence,
        .blocks = slice_of(data + MOLD_HEADER_SIZE, 0),
    };
    *ret_count = count;
    return MOLD_FINE;
}

const char *mold_fault_text(enum mold_fault fault)
{
    switch (fault) {
    case MOLD_FINE: return "fine";
    case MOLD_SHORT: return "shorter than a header";
    case MOLD_LONG: return "longer than a request";
    case MOLD_CUT: return "its messages reach beyond its end";
    case MOLD_SEQUENCE: return "a sequence that cannot be";
    }
    return "unknown";
}

static bool is_printable(uint8_t byte)
{
    return byte >= ' ' && byte <= '~';
}

int mold_session_from_text(const char *text, uint8_t ret_session[MOLD_SESSION_SIZE])
{
    const size_t size = strnlen(text, MOLD_SESSION_SIZE + 1);
    if (size == 0 || size > MOLD_SESSION_SIZE)
        return -EINVAL;
    for (size_t i = 0; i < size; i++)
        if (!is_printable((uint8_t)text[i]))
            return -EINVAL;
    memset(ret_session, ' ', MOLD_SESSION_SIZE);
    memcpy(ret_session, text, size);
    return 0;
}

void mold_session_to_text(const uint8_t session[MOLD_SESSION_SIZE],
                          char ret_text[MOLD_SESSION_SIZE + 1])
{
    size_t size = MOLD_SESSION_SIZE;
    while (size > 0 && session[size - 1] == ' ')
        size--;
    for (size_t i = 0; i < size; i++)
        ret_text[i] = is_printable(session[i]) ? (char)session[i] : '?';
    ret_text[size] = '\0';
}
