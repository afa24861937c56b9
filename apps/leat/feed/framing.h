/* SPDX-License-Identifier: MIT */
/*
 * Messages in files, pipes and local sockets: a big-endian u16 length before each, as in packets.
 * What comes from outside is looked through here before it goes to the publisher: a message has at
 * least one byte, and no more than a packet can carry.
 */
#ifndef LEAT_FEED_FRAMING_H
#define LEAT_FEED_FRAMING_H

#include <stddef.h>
#include <stdint.h>

#include "leat/slice.h"

enum { FRAMING_LENGTH_SIZE = 2, FRAMING_MESSAGE_MAX = UINT16_MAX };

enum framing_fault {
    FRAMING_FINE,
    FRAMING_EMPTY, /* a length of 0 */
    FRAMING_LONG,  /* a length above the limit */
};

struct framing_scan {
    size_t count, size;       /* of whole messages in front, and their bytes */
    enum framing_fault fault; /* of the one behind them, as far as it is there */
    unsigned length;          /* that one's, with a fault */
};

/* Of at most `count_max` messages. */
static inline struct framing_scan framing_scan(struct leat_slice blocks, size_t count_max,
                                               size_t message_size_max)
{
    struct framing_scan scan = {0};
    const unsigned char *data = (const unsigned char *)blocks.data;
    while (scan.count < count_max && blocks.size - scan.size >= FRAMING_LENGTH_SIZE) {
        const unsigned length = (unsigned)data[scan.size] << 8 | data[scan.size + 1];
        if (length == 0 || length > message_size_max) {
            scan.fault = length == 0 ? FRAMING_EMPTY : FRAMING_LONG;
            scan.length = length;
            break;
        }
        if (blocks.size - scan.size - FRAMING_LENGTH_SIZE < length)
            break;
        scan.size += FRAMING_LENGTH_SIZE + length;
        scan.count++;
    }
    return scan;
}

#endif
