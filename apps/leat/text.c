/* SPDX-License-Identifier: MIT */
/*
 * See text.h.
 */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
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

/* Takes the next character off the piece: itself, or U+FFFD for a byte that is part of none. */
static struct leat_slice take_character(struct leat_slice *piece)
{
    const size_t size = utf8_size(*piece);
    const struct leat_slice taken = size > 0 ? slice_of(piece->data, size) : SLICE("\xef\xbf\xbd");
    *piece = slice_after(*piece, size > 0 ? size : 1);
    return taken;
}

void text_add_format(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *place = size < 0 ? NULL : reserve(text, (size_t)size + 1); /* the zero byte is not kept */
    if (!place)
        return;
    va_start(arguments, format);
    vsnprintf(place, (size_t)size + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}

void text_add_html(struct text *text, struct leat_slice piece)
{
    enum { ESCAPE_MAX = 6 };
    char *place = reserve(text, piece.size * ESCAPE_MAX);
    if (!place)
        return;
    size_t size = 0;
    while (piece.size > 0) {
        const struct leat_slice next = take_character(&piece);
        size += (size_t)html_escape(next, place + size, next.size * ESCAPE_MAX);
    }
    text->size += size;
}

void text_add_link(struct text *text, struct leat_slice path)
{
    char *place = reserve(text, path.size * 3);
    if (place)
        text->size += (size_t)path_encode(path, place, path.size * 3);
}

void text_add_utf8(struct text *text, struct leat_slice piece)
{
    while (piece.size > 0)
        text_add(text, take_character(&piece));
}

void text_add_link_utf8(struct text *text, struct leat_slice name)
{
    while (name.size > 0) {
        const struct leat_slice next = take_character(&name);
        if (next.data[0] == '/')
            text_add_literal(text, "%2F");
        else
            text_add_link(text, next);
    }
}

void text_add_visible(struct text *text, struct leat_slice piece)
{
    char *place = reserve(text, piece.size);
    if (!place)
        return;
    for (size_t index = 0; index < piece.size; index++) {
        const unsigned char c = (unsigned char)piece.data[index];
        place[index] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    text->size += piece.size;
}
