/* SPDX-License-Identifier: MIT */
/*
 * The way to a client: how fast it takes what it is sent. A connection remembers what the kernel
 * has measured on it, for a measurement alone says little: where there was too little to send the
 * way may take more, and answers that are acknowledged in lumps make it look faster than it is.
 */
#ifndef HTTP_WAY_H
#define HTTP_WAY_H

#include "codec/choice.h"
#include "leat/http.h"

/* Of a connection; zeroed at first. Bytes a second; 0: not known. */
struct way {
    float rate;      /* believed */
    float rate_full; /* measured with enough to send, when that was last so */
};

/* Another look at the connection. */
void way_learn(struct way *way, const struct leat_delivery *delivery);
/* The way that a response will go: what was measured, or may be guessed, and the response's own
 * pace. */
struct choice_link way_of(const struct leat_http_response *response);

#endif
