/* SPDX-License-Identifier: MIT */
/*
 * Five characters mean something in HTML; all others stand for themselves.
 */
#include "wire/html.h"

#include <errno.h>

#include "base/assert.h"

static struct leat_slice escape_of(const char *c)
{
    switch (*c) {
    case '&': return SLICE("&amp;");
    case '<': return SLICE("&lt;");
    case '>': return SLICE("&gt;");
    case '"': return SLICE("&quot;");
    case '\'': return SLICE("&#39;");
    default: return slice_of(c, 1);
    }
}

long html_escape(struct leat_slice text, char *buffer, size_t buffer_size)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        const struct leat_slice piece = escape_of(&text.data[i]);
        ASSERT(piece.size >= 1 && piece.size <= 6);
        if (piece.size > buffer_size - size)
            return -ENOBUFS;
        memcpy(buffer + size, piece.data, piece.size);
        size += piece.size;
    }
    ASSERT(size <= buffer_size);
    return (long)size;
}
