/* SPDX-License-Identifier: MIT */
/*
 * Responses that handlers write piece by piece. Public half: leat/http.h.
 */
#ifndef HTTP_WRITING_H
#define HTTP_WRITING_H

#include <stdbool.h>

#include "leat/http.h"

/* Sends the head, unless it is out, and so many bytes in a few pieces, as a chunk if the response
 * is chunked: 0, or an error and the response is broken. */
int writing_send_pieces(struct leat_http_response *response, const struct leat_vector *pieces,
                        size_t count, uint64_t size, int64_t deadline_ns);

/* The handler has returned: makes the vectors of what is still to be sent, which may be none.
 * False: the response is not whole, and the connection is to be broken off. */
bool writing_end(struct leat_http_response *response);

#endif
