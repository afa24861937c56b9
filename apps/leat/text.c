/* SPDX-License-Identifier: MIT */
/*
 * See text.h.
 */
#include "text.h"

#include "base/slice.h"
#include "wire/html.h"
#include "wire/path.h"
#include "wire/utf8.h"

void text_add_html(struct text *text, struct leat_slice piece)
{
    enum { ESCAPE_MAX = 6 };
    char *place = text_reserve(text, piece.size * ESCAPE_MAX);
    if (!place)
        return;
    size_t size = 0;
    while (piece.size > 0) {
        const struct leat_slice next = utf8_take(&piece);
        size += (size_t)html_escape(next, place + size, next.size * ESCAPE_MAX);
    }
    text->size += size;
}

void text_add_link(struct text *text, struct leat_slice path)
{
    char *place = text_reserve(text, path.size * 3);
    if (place)
        text->size += (size_t)path_encode(path, place, path.size * 3);
}

void text_add_utf8(struct text *text, struct leat_slice piece)
{
    while (piece.size > 0)
        text_add(text, utf8_take(&piece));
}

void text_add_link_utf8(struct text *text, struct leat_slice name)
{
    while (name.size > 0) {
        const struct leat_slice next = utf8_take(&name);
        if (next.data[0] == '/')
            text_add_literal(text, "%2F");
        else
            text_add_link(text, next);
    }
}

void text_add_visible(struct text *text, struct leat_slice piece)
{
    char *place = text_reserve(text, piece.size);
    if (!place)
        return;
    for (size_t index = 0; index < piece.size; index++) {
        const unsigned char c = (unsigned char)piece.data[index];
        place[index] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    text->size += piece.size;
}
