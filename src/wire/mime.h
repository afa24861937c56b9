/* SPDX-License-Identifier: MIT */
/*
 * Media types by a file's extension, for Content-Type.
 */
#ifndef WIRE_MIME_H
#define WIRE_MIME_H

#include <stddef.h>

#include "base/slice.h"

/* The type for a file's name or path, in any case of letters; a static, zero-terminated text, with
 * charset=utf-8 where it is text. application/octet-stream for what we do not know. */
struct leat_slice mime_from_name(struct leat_slice name);

/* The table, in order, for the test that it is in order; NULL at its end. */
const char *mime_extension(size_t index);

#endif
