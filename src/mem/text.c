/* SPDX-License-Identifier: MIT */
/*
 * See text.h.
 */
#include "mem/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/decimal.h"

enum { CAPACITY_MIN = 4096 };

void text_fini(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

char *text_reserve(struct text *text, size_t size)
{
    ASSERT(text->size <= text->capacity);
    if (text->has_failed)
        return NULL;
    if (text->capacity - text->size < size) {
        size_t capacity = text->capacity ? text->capacity : CAPACITY_MIN;
        while (capacity - text->size < size && capacity <= SIZE_MAX / 2)
            capacity *= 2;
        char *grown = capacity - text->size < size ? NULL : realloc(text->data, capacity);
        if (!grown) {
            text->has_failed = true;
            return NULL;
        }
        text->data = grown;
        text->capacity = capacity;
    }
    ASSERT(text->capacity - text->size >= size);
    return text->data + text->size;
}

void text_add(struct text *text, struct leat_slice piece)
{
    char *place = piece.size > 0 ? text_reserve(text, piece.size) : NULL;
    if (!place)
        return;
    memcpy(place, piece.data, piece.size);
    text->size += piece.size;
}

void text_add_literal(struct text *text, const char *piece)
{
    text_add(text, slice_from_text(piece));
}

void text_add_number(struct text *text, uint64_t number)
{
    char *place = text_reserve(text, DECIMAL_SIZE_MAX);
    if (place)
        text->size = (size_t)(decimal_put(place, number) - text->data);
}

void text_add_format(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    ASSERT(size >= 0);
    char *place = text_reserve(text, (size_t)size + 1); /* the zero byte is not kept */
    if (!place)
        return;
    va_start(arguments, format);
    vsnprintf(place, (size_t)size + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}
