/* SPDX-License-Identifier: MIT */
/*
 * What a connection has received and nobody has used yet: first what is left in the exchange's
 * input, then the overflow, which takes what there is no room for while a request is in work.
 *
 *     exchange->input:  | answered | head | body ... | next request ... |   overflow: | ... |
 *                       input_begin       rest                  input_end
 *
 * The input does not move while a request is in work, for the request points into it.
 */
#ifndef HTTP_INTAKE_H
#define HTTP_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct exchange;

enum {
    /* Bytes that wait for their turn; above it nothing more is received. */
    INTAKE_OVERFLOW_MAX = 64 * 1024,
};

struct intake {
    char *data;
    uint32_t begin, end, capacity;
};

void intake_fini(struct intake *intake);

/* Keeps bytes: in the exchange while `may_fill_input` and it has room, else in the overflow. False:
 * no memory. */
bool intake_append(struct intake *intake, struct exchange *exchange, struct leat_slice data,
                   bool may_fill_input);
/* For a head: moves the input to its front and as much of the overflow into it as fits. No request
 * may be in work. */
void intake_pull(struct intake *intake, struct exchange *exchange);

/* The next bytes behind the head, in one piece; empty: there are none. */
struct leat_slice intake_next(const struct intake *intake, const struct exchange *exchange);
/* The first `size` of them are used. */
void intake_consume(struct intake *intake, struct exchange *exchange, size_t size);

static inline size_t intake_overflow(const struct intake *intake)
{
    return intake->end - intake->begin;
}

static inline bool intake_is_full(const struct intake *intake)
{
    return intake_overflow(intake) >= INTAKE_OVERFLOW_MAX;
}

#endif
