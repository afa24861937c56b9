/* SPDX-License-Identifier: MIT */
/*
 * What the pages of the command add to text that grows (mem/text.h): names and paths that may hold
 * anything, made fit for where they are to stand.
 */
#ifndef LEAT_TEXT_H
#define LEAT_TEXT_H

#include "mem/text.h"

/* Escaped for HTML content and quoted attributes. What is no UTF-8, as names of files may be,
 * becomes U+FFFD. */
void text_add_html(struct text *text, struct leat_slice piece);
/* UTF-8 for those who take nothing else, such as JSON; made so as above. */
void text_add_utf8(struct text *text, struct leat_slice piece);
/* A string of JSON (RFC 8259, section 7), with its quotes; of UTF-8, made so as above. */
void text_add_json(struct text *text, struct leat_slice piece);
/* Percent-encoded for a link. */
void text_add_link(struct text *text, struct leat_slice path);
/* The same of what is UTF-8, or is made so as above; a '/' is encoded too. */
void text_add_link_utf8(struct text *text, struct leat_slice name);
/* For a terminal or a log: control characters become '?'. */
void text_add_visible(struct text *text, struct leat_slice piece);

#endif
