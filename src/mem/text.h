/* SPDX-License-Identifier: MIT */
/*
 * Text that grows while something is written: a page, a playlist. Its memory is the allocator's and
 * doubles as it goes. Running out of memory makes it fail once and for all, so that a writer goes
 * on in straight lines and `has_failed` is looked at once, in the end. It is not zero-terminated.
 */
#ifndef MEM_TEXT_H
#define MEM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* All zero to begin with. */
struct text {
    char *data;
    size_t size, capacity;
    bool has_failed;
};

void text_fini(struct text *text);
/* Room for `size` more bytes, to be written at once and then counted in text->size; NULL when it
 * has failed. */
char *text_reserve(struct text *text, size_t size);
void text_add(struct text *text, struct leat_slice piece);
void text_add_literal(struct text *text, const char *piece);
void text_add_number(struct text *text, uint64_t number);
void text_add_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
