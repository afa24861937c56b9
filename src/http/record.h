/* SPDX-License-Identifier: MIT */
/*
 * What became of a request: counted, and told to options.on_done.
 */
#ifndef HTTP_RECORD_H
#define HTTP_RECORD_H

#include <stdbool.h>

struct conn;

/* The head of the exchange's request has come, or what was to be one. */
void record_begin(struct conn *conn);
/* The exchange's request is over, once: its response is out whole, or will never be (is_broken). */
void record_end(struct conn *conn, bool is_broken);

#endif
