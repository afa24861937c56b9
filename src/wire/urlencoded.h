/* SPDX-License-Identifier: MIT */
/*
 * application/x-www-form-urlencoded, as queries and simple forms are sent (WHATWG URL standard,
 * section 5.1): pairs between '&', a name and a value around the first '='; '+' is a blank, %XX a
 * byte, and a '%' without two hexadecimal digits stands for itself. Nothing is malformed. The bytes
 * are handed on as they are, also where they are no UTF-8.
 */
#ifndef WIRE_URLENCODED_H
#define WIRE_URLENCODED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* Takes the next pair off the start of `*input`, still encoded; false at the end. Without a '=' the
 * value is empty; what is empty between two '&' is no pair. */
bool urlencoded_next(struct leat_slice *input, struct leat_slice *ret_name,
                     struct leat_slice *ret_value);

/* Writes the text decoded and returns its size, which is at most text.size. The buffer may be the
 * text itself. Not zero-terminated. */
size_t urlencoded_decode(struct leat_slice text, char *buffer);

/* Is the text, decoded, this? */
bool urlencoded_equal(struct leat_slice text, struct leat_slice decoded);

#endif
