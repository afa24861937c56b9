/* SPDX-License-Identifier: MIT */
/*
 * Accept-Encoding (RFC 9110, section 12.5.3): which content codings a client takes, and which it
 * likes best. Sans-I/O; the numbers are those of enum leat_codec. Neither the order of what was
 * said nor how it was cut into lines counts for anything; what was said twice has the lower weight,
 * so that a refusal stays one.
 */
#ifndef WIRE_ACCEPT_ENCODING_H
#define WIRE_ACCEPT_ENCODING_H

#include <stdint.h>

#include "base/slice.h"

enum accept_coding {
    ACCEPT_IDENTITY,
    ACCEPT_ZSTD,
    ACCEPT_GZIP, /* and x-gzip (section 8.4.1.3) */
    ACCEPT_BR,
    ACCEPT_CODINGS,
};

enum { ACCEPT_WEIGHT_MAX = 1000, ACCEPT_UNSAID = -1 };

/* Thousandths, or ACCEPT_UNSAID. */
struct accept_encoding {
    int16_t weights[ACCEPT_CODINGS]; /* by coding, of those that were named */
    int16_t any;                     /* of "*": of all the others, identity among them */
};

void accept_encoding_init(struct accept_encoding *accept);
/* A field line's value; several lines are one list. What is no coding with its weight counts
 * nothing. */
void accept_encoding_add(struct accept_encoding *accept, struct leat_slice value);
/* The codings to choose from, as a set (1u << coding): of those that compress the ones that the
 * client likes best, equally well, and identity where it is not refused; identity alone where that
 * is liked better, or nothing was said. Empty when all that we have is refused: answer 406, or in
 * identity all the same (section 12.5.3 leaves the choice). */
unsigned accept_encoding_best(const struct accept_encoding *accept);
/* The same where there are these codings alone (and identity): what is liked best of them. */
unsigned accept_encoding_best_of(const struct accept_encoding *accept, unsigned offered);
/* All that may be used, liked or less so. */
unsigned accept_encoding_all(const struct accept_encoding *accept);

#endif
