/* SPDX-License-Identifier: MIT */
/*
 * Entity tags (RFC 9110, sections 8.8.3 and 13.1): is what the client has still what we have?
 */
#ifndef WIRE_ETAG_H
#define WIRE_ETAG_H

#include <stdbool.h>

#include "base/slice.h"

enum etag_comparison {
    ETAG_WEAK,   /* W/ does not matter: If-None-Match */
    ETAG_STRONG, /* neither may be weak: If-Match, If-Range */
};

/* [W/] and a quoted tag, and nothing else? (An If-Range that is not one is a date.) */
bool etag_is_valid(struct leat_slice text);

/* Both must be valid; else they are not equal. */
bool etag_equal(struct leat_slice a, struct leat_slice b, enum etag_comparison comparison);

/* Does a field's value ("*" or a list of tags) hold `etag`? From the first malformed element on
 * nothing matches. Of several field lines, ask for each. */
bool etag_list_has(struct leat_slice list, struct leat_slice etag, enum etag_comparison comparison);

#endif
