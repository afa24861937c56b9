/* SPDX-License-Identifier: MIT */
/*
 * Text that grows while a page is made. Running out of memory makes it fail once and for all, which
 * is looked at in the end.
 */
#ifndef LEAT_TEXT_H
#define LEAT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "leat/slice.h"

struct text {
    char *data;
    size_t size, capacity;
    bool has_failed;
};

void text_fini(struct text *text);
void text_add(struct text *text, struct leat_slice piece);
void text_add_literal(struct text *text, const char *piece);
void text_add_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Escaped for HTML content and quoted attributes. What is no UTF-8, as names of files may be,
 * becomes U+FFFD. */
void text_add_html(struct text *text, struct leat_slice piece);
/* UTF-8 for those who take nothing else, such as JSON; made so as above. */
void text_add_utf8(struct text *text, struct leat_slice piece);
/* Percent-encoded for a link. */
void text_add_link(struct text *text, struct leat_slice path);
/* The same of what is UTF-8, or is made so as above; a '/' is encoded too. */
void text_add_link_utf8(struct text *text, struct leat_slice name);
/* For a terminal or a log: control characters become '?'. */
void text_add_visible(struct text *text, struct leat_slice piece);

#endif
