/* SPDX-License-Identifier: MIT */
/*
 * A request's body without its content coding (RFC 9110, section 8.4): for a handler that has asked
 * for it, between reading.c, which has the bytes as they were sent, and leat_http_read.
 *
 *            first byte          end of the coded text
 *   BETWEEN ------------> WITHIN ---------------------> BETWEEN ---> DONE: the body ends here
 *                           |       malformed, too much, or the body
 *                           +------ ends: FAILED, and stays so
 *
 * Bombs: nothing is decoded before there is room for it; what is more than `size_max`, or more than
 * DECODING_RATIO_MAX times its coded bytes, is refused.
 */
#ifndef HTTP_DECODING_H
#define HTTP_DECODING_H

#include <stdint.h>
#include <sys/types.h>

struct decoding;
struct leat_http_request;

enum {
    DECODING_BUFFER_SIZE = 16 * 1024, /* of coded bytes */
    DECODING_STEP = 64 * 1024,        /* decoded at a time, at most */
    DECODING_TURN = 256 * 1024,       /* coded and decoded, then it is the other fibers' turn */
    DECODING_RATIO_MAX = 200,         /* beyond the first */
    DECODING_RATIO_FREE = 1 << 20,    /* bytes */
};

/* As leat_http_read, which has seen that the body is being decoded. */
ssize_t decoding_read(struct leat_http_request *request, void *data, size_t size,
                      int64_t deadline_ns);
/* NULL is fine. Its memory is the request's. */
void decoding_fini(struct decoding *decoding);

#endif
