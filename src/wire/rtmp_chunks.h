/* SPDX-License-Identifier: MIT */
/*
 * RTMP's chunk streams, of the side that reads (Adobe, "Real Time Messaging Protocol (RTMP)
 * specification 1.0", section 5.3): bytes in pieces of any size become whole messages again. Set
 * Chunk Size and Abort Message (sections 5.4.1 and 5.4.2) are for this layer alone and are obeyed
 * here.
 *
 * A claim costs nothing: a message has as much memory as has come of it, or twice that; all of them
 * together have a limit, and there are RTMP_CHUNK_STREAMS_MAX chunk streams at most.
 */
#ifndef WIRE_RTMP_CHUNKS_H
#define WIRE_RTMP_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    RTMP_CHUNK_STREAMS_MAX = 64,
    RTMP_CHUNK_SIZE = 128, /* until one side says otherwise, section 5.4.1 */
    RTMP_CHUNK_SIZE_MAX = 0xffffff,
    RTMP_CHUNK_HEADER_MAX = 3 + 11 + 4,
};

/* Message types (sections 5.4, 6.2 and 7.1). */
enum rtmp_type {
    RTMP_SET_CHUNK_SIZE = 1,
    RTMP_ABORT = 2,
    RTMP_ACKNOWLEDGEMENT = 3,
    RTMP_USER_CONTROL = 4,
    RTMP_WINDOW_SIZE = 5,
    RTMP_PEER_BANDWIDTH = 6,
    RTMP_AUDIO = 8,
    RTMP_VIDEO = 9,
    RTMP_COMMAND_AMF3 = 17,
    RTMP_DATA = 18,
    RTMP_COMMAND = 20,
    RTMP_AGGREGATE = 22,
};

struct rtmp_message {
    uint8_t type;
    uint32_t stream_id;
    uint32_t time_ms; /* modulo 2^32 */
    struct leat_slice body;
};

struct rtmp_chunk_stream {
    uint32_t id; /* 0: not in use */
    /* Of the last header, for those that leave it out. */
    uint8_t type;
    uint32_t message_size, stream_id;
    uint32_t time_ms, delta_ms;
    uint32_t extended;   /* the extended timestamp as it stood in the header */
    bool has_extended;   /* type 3 chunks have it again */
    bool is_in_message;  /* its first chunk has begun, its last has not ended */
    uint32_t received;   /* of the message's bytes */
    uint32_t chunk_left; /* of the chunk's */
    unsigned char *data;
    size_t capacity;
};

struct rtmp_chunks {
    /* The owner's, to change at any time. */
    size_t message_max;  /* bytes of a message */
    size_t buffered_max; /* bytes of memory, for all */

    uint32_t chunk_size;
    size_t buffered;
    struct rtmp_chunk_stream *current; /* whose chunk is being read; NULL: a header is */
    unsigned header_size;
    unsigned char header[RTMP_CHUNK_HEADER_MAX]; /* as much as has come of it */
    unsigned again_size, again_at;
    unsigned char again[4]; /* was taken for a part of the header, and is none */
    struct rtmp_chunk_stream streams[RTMP_CHUNK_STREAMS_MAX];
    const char *reason; /* of the error, for people */
};

/* Takes no memory. */
void rtmp_chunks_init(struct rtmp_chunks *chunks, size_t message_max, size_t buffered_max);
void rtmp_chunks_fini(struct rtmp_chunks *chunks);

/* The next message, its bytes taken off the start of `*input`: 1, and it is valid until the next
 * call; 0: more input is needed, and all of this was taken; -LEAT_E_MALFORMED, -LEAT_E_LIMIT (with
 * chunks->reason), -ENOMEM: only rtmp_chunks_fini is left. */
int rtmp_chunks_next(struct rtmp_chunks *chunks, struct leat_slice *input,
                     struct rtmp_message *ret_message);

#endif
