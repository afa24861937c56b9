/* SPDX-License-Identifier: MIT */
/*
 * See text.h.
 */
#include "text.h"

#include <string.h>

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

void text_add_json(struct text *text, struct leat_slice piece)
{
    enum { ESCAPE_MAX = 6 }; /* \u001f; a byte of no character becomes three */
    static const char digits[] = "0123456789abcdef";
    char *const place = text_reserve(text, piece.size * ESCAPE_MAX + 2);
    if (!place)
        return;
    char *at = place;
    *at++ = '"';
    while (piece.size > 0) {
        const struct leat_slice next = utf8_take(&piece);
        const unsigned char c = (unsigned char)next.data[0];
        if (c < ' ') {
            memcpy(at, "\\u00", 4);
            at[4] = digits[c >> 4];
            at[5] = digits[c & 15];
            at += 6;
            continue;
        }
        if (c == '"' || c == '\\')
            *at++ = '\\';
        memcpy(at, next.data, next.size);
        at += next.size;
    }
    *at++ = '"';
    text->size += (size_t)(at - place);
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
