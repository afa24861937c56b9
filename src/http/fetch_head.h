/* SPDX-License-Identifier: MIT */
/*
 * What a client says in the head of a request, and which request follows from an answer: decisions
 * of RFC 9110 that need neither a connection nor a clock.
 */
#ifndef HTTP_FETCH_HEAD_H
#define HTTP_FETCH_HEAD_H

#include <stdbool.h>

#include "base/slice.h"
#include "leat/fetch.h"
#include "mem/text.h"
#include "wire/url.h"

/* What changes from one request of a fetch to the next. */
struct fetch_turn {
    struct leat_slice method;
    bool has_body, expects_continue;
    bool has_lost_body; /* a redirect has turned it into a GET */
    bool is_elsewhere;  /* it has left the host that was asked first, for good, and does not get
                           what was meant for that one alone */
};

/* May this be the value of a field? */
bool fetch_head_is_value(struct leat_slice value);

/* 0 and the first turn, or -EINVAL: the request cannot be. Its URL is not looked at. */
int fetch_head_check(const struct leat_fetch_request *request, struct fetch_turn *ret_turn);

/* Writes the head of the request. The text fails when there is no memory. */
void fetch_head_write(const struct leat_fetch_request *request, const struct fetch_turn *turn,
                      const struct url *url, struct leat_slice user_agent, struct text *out);

/* May a request of this method be sent again when nobody knows what came of it (RFC 9110, section
 * 9.2.2)? */
bool fetch_head_is_idempotent(struct leat_slice method);

/* Is this status one that sends elsewhere, if there is a Location? */
bool fetch_head_is_redirect(int status);
/* The turn after a redirect of this status (RFC 9110, section 15.4). */
void fetch_head_redirect(struct fetch_turn *turn, int status, bool is_other_host);

#endif
