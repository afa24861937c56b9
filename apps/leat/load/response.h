/* SPDX-License-Identifier: MIT */
/*
 * One response as it comes in, in any pieces: its head is parsed (strictly, by wire/http1), its
 * body is counted and dropped, chunk by chunk where it is chunked. Interim responses (1xx) are
 * passed over. Pieces of a head are kept; a head in one piece, as nearly all are, is parsed where
 * it lies.
 */
#ifndef LOAD_RESPONSE_H
#define LOAD_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "wire/http1_chunked.h"

enum response_event {
    RESPONSE_MORE,  /* all was taken; there is more to come */
    RESPONSE_WHOLE, /* what is left of the data is not this response's */
    RESPONSE_MALFORMED,
};

/* Zeroed memory is a fresh one. */
struct response {
    bool is_head; /* it answers HEAD: there is no body, whatever it says */
    bool is_last; /* once whole: the connection ends with it */
    enum { RESPONSE_HEAD, RESPONSE_SIZED, RESPONSE_CHUNKED, RESPONSE_TO_THE_END } part;
    uint16_t status;
    uint32_t held_size; /* of `held` */
    char *held;         /* a head in pieces; NULL: none */
    uint64_t body_bytes, body_left;
    struct http1_chunked chunked;
};

/* Before a request is sent. */
void response_begin(struct response *response, bool is_head);
/* Takes what is its own off the start of `*data`. */
enum response_event response_take(struct response *response, struct leat_slice *data);
/* The connection has ended: is the response whole by that (RFC 9112, section 6.3)? */
bool response_ends_here(const struct response *response);
void response_fini(struct response *response);

#endif
