/* SPDX-License-Identifier: MIT */
/*
 * Escaping for pages that show names of files, which may hold anything.
 */
#ifndef WIRE_HTML_H
#define WIRE_HTML_H

#include <stddef.h>

#include "base/slice.h"

/* Writes `text` with & < > " ' escaped, so that it can stand in HTML content and in quoted
 * attributes. Returns the size written, or -ENOBUFS; 6 * text.size bytes always suffice. Not
 * zero-terminated. */
long html_escape(struct leat_slice text, char *buffer, size_t buffer_size);

#endif
