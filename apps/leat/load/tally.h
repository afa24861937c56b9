/* SPDX-License-Identifier: MIT */
/*
 * What a load has counted: by one client, by all of them in a second, or in all. Tallies are added
 * up. A request ends in exactly one way: answered, or one of the errors, or unfinished at the end.
 */
#ifndef LOAD_TALLY_H
#define LOAD_TALLY_H

#include <stdint.h>

#include "base/histogram.h"

enum load_error {
    LOAD_REFUSED,   /* no connection could be made */
    LOAD_CUT,       /* closed or reset before the response was whole */
    LOAD_MALFORMED, /* what came is no response, or more than was asked for */
    LOAD_TIMEOUT,   /* the response was not there in time */
    LOAD_ERRORS,
};

enum { LOAD_STATUSES = 1000 };

/* Zeroed memory is an empty one. */
struct load_tally {
    uint64_t answered;   /* responses that came whole, whatever their status */
    uint64_t unfinished; /* had been due when the load ended and were not answered */
    uint64_t errors[LOAD_ERRORS];
    uint64_t connects, closes; /* connections made; closed by the server between two requests */
    uint64_t bytes_received, body_bytes, bytes_sent;
    uint64_t statuses[LOAD_STATUSES];
    struct histogram latency; /* of answered requests, and how long unfinished ones had waited */
};

void load_tally_add(struct load_tally *tally, const struct load_tally *other);
void load_tally_clear(struct load_tally *tally);
uint64_t load_tally_errors(const struct load_tally *tally); /* of all kinds */
/* Answered with a status of 400 or above. */
uint64_t load_tally_failures(const struct load_tally *tally);

/* "refused", "cut", "malformed", "timeout" */
const char *load_error_name(enum load_error error);

#endif
