/* SPDX-License-Identifier: MIT */
/*
 * A message's body (RFC 9112, section 6): where it ends, how much of it there has been. Sans-I/O:
 * it is fed the connection's bytes and says which of them are the body's data.
 *
 *   BODY_SIZED, BODY_CHUNKED, BODY_TO_THE_END -- last byte --> BODY_DONE  (no body: at once)
 *            |
 *            +---- malformed, too large ----> BODY_BROKEN: what follows is nobody's message
 */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mem/arena.h"
#include "wire/http1.h"
#include "wire/http1_chunked.h"

enum body_state {
    BODY_DONE,
    BODY_SIZED,
    BODY_CHUNKED,
    BODY_TO_THE_END, /* of the connection: of responses alone; its owner says when it is done */
    BODY_BROKEN,
};

struct body {
    enum body_state state;
    bool awaits_continue; /* the client sends nothing before it has its 100 (RFC 9110, 10.1.1) */
    int error;            /* of BODY_BROKEN: -LEAT_E_LIMIT, -LEAT_E_MALFORMED, -ENOMEM */
    uint64_t left;        /* of BODY_SIZED */
    uint64_t received;    /* bytes of data so far */
    uint64_t size_max;
    struct http1_chunked chunked;
    struct arena *arena;
    char *trailer; /* its lines so far, in the arena; NULL: none */
    size_t trailer_size;
};

/* Of the request whose head this is. `arena` is for the trailer, and outlives the body. */
void body_init(struct body *body, const struct http1_request *head, uint64_t size_max,
               struct arena *arena);
/* The same of a final response; HEAD was asked for, when `is_head` (RFC 9112, section 6.3). */
void body_init_of_response(struct body *body, const struct http1_response *head, bool is_head,
                           struct arena *arena);

/* Takes what is the body's off the start of `*input`, up to a piece of data. Returns 1: `*ret_data`
 * is that piece, 0: all of the input is used up or the body is done (body->state tells), or
 * body->error. */
int body_next(struct body *body, struct leat_slice *input, struct leat_slice *ret_data);

/* So many bytes of data have gone another way: of the open body, or of the chunk in work. */
void body_skip(struct body *body, uint64_t size);

/* Received bytes, in place: the body's data moves to their front, and what follows the body is
 * *ret_rest. Returns the data's size, or body->error when there is none before what is wrong. */
ssize_t body_decode(struct body *body, char *data, size_t size, struct leat_slice *ret_rest);

/* The value of a field of the trailer; data is NULL when there is none. */
struct leat_slice body_trailer(const struct body *body, struct leat_slice name);

static inline bool body_is_open(const struct body *body)
{
    return body->state != BODY_DONE && body->state != BODY_BROKEN;
}

#endif
