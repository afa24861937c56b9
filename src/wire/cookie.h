/* SPDX-License-Identifier: MIT */
/*
 * Cookies (RFC 6265): the pairs a client sends, and the line that sets one. What is written is what
 * section 4.1 allows a server; what is read is taken as it comes, for other servers of the site may
 * have set it. Quotes around a value are part of it (RFC 6265bis, section 4.1.1).
 */
#ifndef WIRE_COOKIE_H
#define WIRE_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* Takes the next pair off the start of a Cookie line's value; false at its end. What has no '=' is
 * no pair. */
bool cookie_next(struct leat_slice *input, struct leat_slice *ret_name,
                 struct leat_slice *ret_value);

enum cookie_same_site {
    COOKIE_SAME_SITE_UNSET,
    COOKIE_SAME_SITE_LAX,
    COOKIE_SAME_SITE_STRICT,
    COOKIE_SAME_SITE_NONE,
};

struct cookie {
    struct leat_slice name, value, path, domain; /* the last two: data NULL, none */
    int64_t max_age_s; /* 0: until the browser closes; negative: it is to go */
    enum cookie_same_site same_site;
    bool secure, http_only;
};

/* Writes the value of a Set-Cookie line and returns its size; not zero-terminated. -EINVAL: it is
 * not what section 4.1 allows, or browsers would refuse it: SameSite=None without Secure, a name
 * that begins with __Secure- or __Host- without what that promises (RFC 6265bis, section 4.1.3).
 * -ENOBUFS: it does not fit. */
long cookie_format(const struct cookie *cookie, char *buffer, size_t buffer_size);

#endif
