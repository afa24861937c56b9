/* SPDX-License-Identifier: MIT */
/*
 * What a connection keeps from one request to the next, if a handler asks for it: memory of the
 * handlers' own, and the rate its socket is paced to. Few connections have it, so it is apart: an
 * idle connection pays for a pointer.
 */
#ifndef HTTP_KEEP_H
#define HTTP_KEEP_H

#include <stddef.h>
#include <stdint.h>

struct conn;

struct keep {
    /* Bytes a second: what the socket is set to, and what it had from its listener, above which no
     * response may be. UINT64_MAX: as fast as may be. */
    uint64_t pace, pace_max;
    void *memory; /* NULL: not asked for yet */
    size_t memory_size;
};

/* A response of this rate begins, 0: as fast as may be. With conn->keep alone: no other connection
 * has ever been paced. */
void keep_set_pace(struct conn *conn, uint64_t rate_bytes_per_s);

/* NULL is fine. */
void keep_destroy(struct keep *keep);

#endif
