/* SPDX-License-Identifier: MIT */
/*
 * Accept-Encoding (RFC 9110, section 12.5.3): which content codings a client takes, and which it
 * likes best. Sans-I/O; the numbers are those of enum leat_codec.
 */
#ifndef WIRE_ACCEPT_ENCODING_H
#define WIRE_ACCEPT_ENCODING_H

#include "base/slice.h"

enum accept_coding {
    ACCEPT_IDENTITY,
    ACCEPT_ZSTD,
    ACCEPT_GZIP, /* and x-gzip (section 8.4.1.3) */
    ACCEPT_BR,
    ACCEPT_CODINGS,
};

enum { ACCEPT_WEIGHT_MAX = 1000, ACCEPT_UNSAID = -1 };

/* Thousandths by coding; ACCEPT_UNSAID where neither it nor "*" was named. */
struct accept_encoding {
    int16_t weights[ACCEPT_CODINGS];
    int16_t any; /* of "*" */
};

void accept_encoding_init(struct accept_encoding *accept);
/* A field line's value; several lines are one list. What is no coding with its weight counts
 * nothing. */
void accept_encoding_add(struct accept_encoding *accept, struct leat_slice value);
/* The codings that may be used, as a set (1u << coding), identity where it is not refused: of those
 * that compress the ones that the client likes best, equally well. Without a field: identity. */
unsigned accept_encoding_best(const struct accept_encoding *accept);
/* All that may be used, liked or less so. */
unsigned accept_encoding_all(const struct accept_encoding *accept);

#endif
