/* SPDX-License-Identifier: MIT */
/*
 * The chunked transfer coding (RFC 9112, section 7.1), strictly, in both directions. The decoder is
 * fed any pieces of the body and hands its data on in place: nothing is copied, nothing is kept but
 * a few counters. Extensions are checked and dropped, and so is the trailer unless it is asked for.
 *
 *   SIZE -> DIGITS -> [SPACE | EXTENSION] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *   and behind the chunk of size 0:
 *   SIZE_LF -> LINE -> [NAME -> VALUE -> VALUE_LF -> LINE ...] -> END_LF -> DONE
 */
#ifndef WIRE_HTTP1_CHUNKED_H
#define WIRE_HTTP1_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    /* Bytes of framing beyond what the data pays for (16 and twice its size, a chunk): so that
     * nobody sends megabytes of extensions around single bytes. */
    HTTP1_CHUNKED_OVERHEAD_MAX = 16 * 1024,
    HTTP1_CHUNKED_TRAILER_MAX = 8 * 1024,
    HTTP1_CHUNK_HEAD_SIZE = 18, /* sixteen digits, CR LF */
};

enum http1_chunked_event {
    HTTP1_CHUNKED_MORE,    /* the input is used up */
    HTTP1_CHUNKED_DATA,    /* a piece of the body, at least one byte */
    HTTP1_CHUNKED_TRAILER, /* a piece of the trailer's lines, with wants_trailer alone */
    HTTP1_CHUNKED_END,     /* the body is over; what is left of the input is the next message's */
};

struct http1_chunked {
    enum {
        CHUNKED_SIZE,
        CHUNKED_DIGITS,
        CHUNKED_SPACE,
        CHUNKED_EXTENSION,
        CHUNKED_SIZE_LF,
        CHUNKED_DATA,
        CHUNKED_DATA_CR,
        CHUNKED_DATA_LF,
        CHUNKED_LINE,
        CHUNKED_NAME,
        CHUNKED_VALUE,
        CHUNKED_VALUE_LF,
        CHUNKED_END_LF,
        CHUNKED_DONE,
        CHUNKED_BROKEN,
    } state;
    bool
        wants_trailer; /* the owner's, to set after init: hand the trailer on, line ends included */
    unsigned digits;
    uint64_t left;     /* of this chunk's data; while its size is read: the size so far */
    uint64_t overhead; /* see HTTP1_CHUNKED_OVERHEAD_MAX */
    size_t trailer;    /* bytes of it so far */
};

void http1_chunked_init(struct http1_chunked *decoder);

/* The next event of the body, taken off the start of `*input`; `*ret_data` (set by DATA
 * and TRAILER alone) is part of it. Or minus the status that answers it: -400 malformed, -431 the
 * trailer is too large; then `input->data` is at the byte that decided it, and the decoder stays
 * broken. */
int http1_chunked_next(struct http1_chunked *decoder, struct leat_slice *input,
                       struct leat_slice *ret_data);

/* So many bytes of data come next as they are: what is left of the chunk in work, 0 between two. */
static inline uint64_t http1_chunked_plain(const struct http1_chunked *decoder)
{
    return decoder->state == CHUNKED_DATA ? decoder->left : 0;
}

/* So many of them have gone another way. */
void http1_chunked_skip(struct http1_chunked *decoder, uint64_t size);

/* Writes what stands before `size` bytes of data, in hexadecimal: returns its size. Behind the data
 * goes "\r\n", and behind the last chunk "0\r\n\r\n". `size` is not 0. */
size_t http1_chunk_head(uint64_t size, char ret_text[HTTP1_CHUNK_HEAD_SIZE]);

#endif
