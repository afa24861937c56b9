/* SPDX-License-Identifier: MIT */
/*
 * Streams: connected, ordered, reliable bytes (TCP and unix sockets; TLS later behind the same
 * calls). A stream belongs to the loop it was made on. At any time one fiber may read and another
 * may send. Blocking calls take an absolute deadline.
 */
#ifndef LEAT_STREAM_H
#define LEAT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "leat/address.h"
#include "leat/file.h"
#include "leat/tuning.h"

#ifdef __cplusplus
extern "C" {
#endif

struct leat_stream;

/* ---- Send vectors --------------------------------------------------------------------------- */

/* What is sent: a piece of memory (file NULL), or a range of a file, which is never copied in user
 * space (sendfile). Both must stay as they are until the call that sends them returns. */
struct leat_vector {
    struct leat_file *file;
    const void *data; /* memory */
    uint64_t offset;  /* file */
    uint64_t size;    /* either; empty vectors are allowed */
};

/* ---- Connecting ------------------------------------------------------------------------------ */

/* `tuning` may be NULL: the defaults. -ECONNREFUSED, -ENETUNREACH, -ETIMEDOUT … */
int leat_connect(const struct leat_address *address, const struct leat_tuning *tuning,
                 int64_t deadline_ns, struct leat_stream **ret_stream);

/* ---- Bytes ---------------------------------------------------------------------------------- */

/* At least one byte, 0 at the end of the stream, or an error. */
ssize_t leat_stream_read(struct leat_stream *stream, void *data, size_t size, int64_t deadline_ns);
/* Exactly `size` bytes: 0, or -LEAT_E_TRUNCATED when the stream ends before. */
int leat_stream_read_exactly(struct leat_stream *stream, void *data, size_t size,
                             int64_t deadline_ns);
/* All of the bytes: 0 or an error; after an error the stream is good for closing only. */
int leat_stream_write(struct leat_stream *stream, const void *data, size_t size,
                      int64_t deadline_ns);
/* All of the vectors. -LEAT_E_TRUNCATED: a file has become shorter; nothing was made up for it. */
int leat_stream_send(struct leat_stream *stream, const struct leat_vector *vectors, size_t count,
                     int64_t deadline_ns);

/* No more will be sent; the peer reads the end of the stream. */
int leat_stream_finish(struct leat_stream *stream);
/* Closes and frees it. No fiber may be in a call on it. NULL is fine. */
void leat_stream_close(struct leat_stream *stream);

int leat_stream_peer(const struct leat_stream *stream, struct leat_address *ret_address);

/* The kernel spreads what is sent evenly at this rate (SO_MAX_PACING_RATE; it needs no queueing
 * discipline). 0: as fast as may be. */
int leat_stream_set_pacing(struct leat_stream *stream, uint64_t rate_bytes_per_s);

/* What the kernel has measured on the way to the peer; 0 where it has not yet. */
struct leat_delivery {
    uint64_t rate_bytes_per_s; /* at which what was sent last was acknowledged, */
    bool is_limited;           /* there being too little to send: the way may take more */
    int64_t rtt_ns;
    uint64_t window; /* bytes that may be on their way unacknowledged */
    unsigned mss;    /* bytes in a segment */
};
/* 0 or -errno: on a unix socket nothing is measured. */
int leat_stream_delivery(const struct leat_stream *stream, struct leat_delivery *ret_delivery);

#ifdef __cplusplus
}
#endif
#endif
