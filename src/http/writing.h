/* SPDX-License-Identifier: MIT */
/*
 * Responses that handlers write piece by piece. Public half: leat/http.h.
 */
#ifndef HTTP_WRITING_H
#define HTTP_WRITING_H

#include <stdbool.h>

struct leat_http_response;

/* The handler has returned: makes the vectors of what is still to be sent, which may be none.
 * False: the response is not whole, and the connection is to be broken off. */
bool writing_end(struct leat_http_response *response);

#endif
