/* SPDX-License-Identifier: MIT */
/*
 * MoldUDP64 (Nasdaq, specification 1.00): the packets of a sequenced feed. Sans I/O.
 *
 *     0 session (10, ASCII)   10 sequence of the first message (u64)   18 count (u16)   20 messages
 *     a message: u16 length, then so many bytes; all integers big-endian
 *
 * Count 0 is a heartbeat, 0xFFFF the end of the session; both carry the next sequence number and no
 * message. A request is a header alone: the first message wanted, and how many. Sequences begin
 * with 1. What a packet says of itself is checked once, here; what lies behind its last message
 * (some feeds pad) is counted, not refused.
 */
#ifndef WIRE_MOLDUDP64_H
#define WIRE_MOLDUDP64_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/cursor.h"
#include "base/slice.h"

enum {
    MOLD_SESSION_SIZE = 10,
    MOLD_HEADER_SIZE = 20,
    MOLD_COUNT_MAX = 0xFFFE,
    MOLD_END_OF_SESSION = 0xFFFF,
};

/* The sequence after the last possible message: nothing may reach beyond it. */
#define MOLD_SEQUENCE_END UINT64_MAX

struct mold_packet {
    const uint8_t *session; /* MOLD_SESSION_SIZE bytes, in the packet */
    uint64_t sequence;
    uint16_t count;           /* of messages; 0 for a heartbeat and at the end */
    bool is_end;              /* of the session */
    struct leat_slice blocks; /* the messages, each with its length: whole, and `count` of them */
    size_t padding;           /* bytes behind them */
};

/* Why a packet is refused. */
enum mold_fault {
    MOLD_FINE,
    MOLD_SHORT,    /* no header */
    MOLD_LONG,     /* a request, and something behind it */
    MOLD_CUT,      /* a length or the count reaches beyond the packet's end */
    MOLD_SEQUENCE, /* 0, or the sequence wraps */
};

/* Fills in ret_packet when it returns MOLD_FINE, else leaves it as it is. */
enum mold_fault mold_parse(struct leat_slice packet, struct mold_packet *ret_packet);
const char *mold_fault_text(enum mold_fault fault);

/* A request is a header: `count` messages from `sequence` on. Trailing bytes are no request. */
enum mold_fault mold_parse_request(struct leat_slice packet, struct mold_packet *ret_request,
                                   uint16_t *ret_count);

/* MOLD_HEADER_SIZE bytes to `data`. */
static inline void mold_write_header(uint8_t *data, const uint8_t session[MOLD_SESSION_SIZE],
                                     uint64_t sequence, uint16_t count)
{
    const uint64_t wire_sequence = htobe64(sequence);
    const uint16_t wire_count = htobe16(count);
    memcpy(data, session, MOLD_SESSION_SIZE);
    memcpy(data + MOLD_SESSION_SIZE, &wire_sequence, sizeof wire_sequence);
    memcpy(data + MOLD_SESSION_SIZE + sizeof wire_sequence, &wire_count, sizeof wire_count);
}

/* A session's name as the wire has it: 1 to 10 printable characters, padded with spaces. 0 or
 * -EINVAL. */
int mold_session_from_text(const char *text, uint8_t ret_session[MOLD_SESSION_SIZE]);
/* And back, for people: without the spaces, what is not printable as '?'; terminated. */
void mold_session_to_text(const uint8_t session[MOLD_SESSION_SIZE],
                          char ret_text[MOLD_SESSION_SIZE + 1]);

/* How many whole messages, at most `count_max`, `blocks` begins with, and their bytes. */
size_t mold_blocks_check(struct leat_slice blocks, size_t count_max, size_t *ret_size);
/* The bytes of the first `count` messages, which are there. */
size_t mold_blocks_skip(struct leat_slice blocks, size_t count);

#endif
