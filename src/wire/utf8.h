/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 (RFC 3629), for who writes text that must be well-formed from bytes that need not be: names
 * of files, fields of requests.
 */
#ifndef WIRE_UTF8_H
#define WIRE_UTF8_H

#include "base/slice.h"

/* The size of the well-formed sequence at the start, 1 to 4; 0: there is none. */
size_t utf8_size(struct leat_slice text);

/* Takes the next character off a text that is not empty: itself, or U+FFFD for a byte that is part
 * of none. */
struct leat_slice utf8_take(struct leat_slice *text);

#endif
