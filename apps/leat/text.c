/* SPDX-License-Identifier: MIT */
/*
 * See text.h.
 */
#include "text.h"

#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "wire/html.h"
#include "wire/path.h"
#include "wire/utf8.h"

void text_fini(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

/* Room for `size` more bytes; NULL when there is none. */
static char *reserve(struct text *text, size_t size)
{
    if (text->has_failed)
        return NULL;
    if (text->capacity - text->size < size) {
        size_t capacity = text->capacity ? text->capacity * 2 : 4096;
        while (capacity - text->size < size)
            capacity *= 2;
        char *grown = realloc(text->data, capacity);
        if (!grown) {
            text->has_failed = true;
            return NULL;
        }
        text->data = grown;
        text->capacity = capacity;
    }
    return text->data + text->size;
}

void text_add(struct text *text, struct leat_slice piece)
{
    char *place = reserve(text, piece.size);
    if (!place || piece.size == 0)
        return;
    memcpy(place, piece.data, piece.size);
    text->size += piece.size;
}

void text_add_literal(struct text *text, const char *piece)
{
    text_add(text, (struct leat_slice){piece, strlen(piece)});
}

void text_add_html(struct text *text, struct leat_slice piece)
{
    enum { ESCAPE_MAX = 6 };
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    char *place = reserve(text, piece.size * ESCAPE_MAX);
    if (!place)
        return;
    size_t size = 0;
    while (piece.size > 0) {
        const size_t taken = utf8_size(piece);
        const struct leat_slice next =
            taken > 0 ? (struct leat_slice){piece.data, taken}
                      : (struct leat_slice){replacement, sizeof replacement - 1};
        size += (size_t)html_escape(next, place + size, next.size * ESCAPE_MAX);
        piece = slice_after(piece, taken > 0 ? taken : 1);
    }
    text->size += size;
}

void text_add_link(struct text *text, struct leat_slice path)
{
    char *place = reserve(text, path.size * 3);
    if (place)
        text->size += (size_t)path_encode(path, place, path.size * 3);
}
