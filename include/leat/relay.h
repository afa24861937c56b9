/* SPDX-License-Identifier: MIT */
/*
 * Relaying: bytes from one socket to another.
 */
#ifndef LEAT_RELAY_H
#define LEAT_RELAY_H

#include <stdint.h>

#include "leat/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Moves bytes from one stream to another until the first ends, then finishes the second, by splice
 * through a pooled pipe: no byte is copied in user space. Where pipes run out it copies instead.
 * For both directions run two (leat_gather). Returns the number of bytes moved, or an error. */
int64_t leat_relay(struct leat_stream *from, struct leat_stream *to, int64_t deadline_ns);

#ifdef __cplusplus
}
#endif
#endif
