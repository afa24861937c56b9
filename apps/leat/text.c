/* SPDX-License-Identifier: MIT */
/*
 * See text.h.
 */
#include "text.h"

#include <stdlib.h>
#include <string.h>

#include "wire/html.h"
#include "wire/path.h"

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
    char *place = reserve(text, piece.size * 6);
    if (place)
        text->size += (size_t)html_escape(piece, place, piece.size * 6);
}

void text_add_link(struct text *text, struct leat_slice path)
{
    char *place = reserve(text, path.size * 3);
    if (place)
        text->size += (size_t)path_encode(path, place, path.size * 3);
}
