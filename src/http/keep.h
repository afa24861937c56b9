/* SPDX-License-Identifier: MIT */
/*
 * What a connection keeps from one request to the next, if a handler asks for it: memory of the
 * handlers' own, the rate its socket is paced to, its peer's address. Few connections have it, so
 * it is apart: an idle connection pays for a pointer.
 */
#ifndef HTTP_KEEP_H
#define HTTP_KEEP_H

#include <stddef.h>
#include <stdint.h>

#include "leat/address.h"

struct conn;

struct keep {
    /* Bytes a second: what the socket is set to, and what it had from its listener, above which no
     * response may be. UINT64_MAX: as fast as may be. */
    uint64_t pace, pace_max;
    void *memory; /* NULL: not asked for yet */
    size_t memory_size;
    struct leat_address peer; /* of size 0: nobody has asked yet */
};

/* A response of this rate begins, 0: as fast as may be. With conn->keep alone: no other connection
 * has ever been paced. */
void keep_set_pace(struct conn *conn, uint64_t rate_bytes_per_s);

/* Who is at the other end: the kernel is asked once a connection. 0 or -errno. */
int keep_peer(struct conn *conn, struct leat_address *ret_peer);

/* NULL is fine. */
void keep_destroy(struct keep *keep);

#endif
