/* SPDX-License-Identifier: MIT */
/*
 * Media types (RFC 9110, section 8.3.1): by a file's extension, for Content-Type; and which of them
 * compression does good.
 */
#ifndef WIRE_MIME_H
#define WIRE_MIME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* The type for a file's name or path, in any case of letters; a static, zero-terminated text, with
 * charset=utf-8 where it is text. application/octet-stream for what we do not know. */
struct leat_slice mime_from_name(struct leat_slice name);

/* Does content of this type (with or without parameters) usually become smaller? Text of any kind,
 * formats made of text, WebAssembly, fonts and images that are not compressed themselves. Never
 * text/event-stream, whose events each leave at once. */
bool mime_is_compressible(struct leat_slice media_type);

/* Is this type (with or without parameters) in the comma-separated list? That has types, kinds of
 * types (a star after the slash), or all (a star alone, or one on either side of the slash). */
bool mime_list_has(struct leat_slice list, struct leat_slice media_type);

/* The tables, in order, for the test that they are in order; NULL at their ends. */
const char *mime_extension(size_t index);
const char *mime_compressible(size_t index);

#endif
