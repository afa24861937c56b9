/* SPDX-License-Identifier: MIT */
/*
 * Dates of HTTP (RFC 9110, section 5.6.7) and of live streams (ISO 8601). Time since 1970, always
 * UTC, no leap seconds; neither locale nor time zone nor clock is looked at.
 */
#ifndef WIRE_DATE_H
#define WIRE_DATE_H

#include <stdint.h>

#include "base/slice.h"

enum { DATE_SIZE = 29, DATE_ISO_SIZE = 24 };

/* The years 0 to 9999, which is what four digits can say. */
#define DATE_MIN INT64_C(-62167219200)
#define DATE_MAX INT64_C(253402300799)

/* "Sun, 06 Nov 1994 08:49:37 GMT"; not zero-terminated. What lies outside of DATE_MIN..DATE_MAX (a
 * file may claim any time) is shown as the nearer of the two. */
void date_format(int64_t unix_s, char ret_text[DATE_SIZE]);

/* ISO 8601 with milliseconds, "1994-11-06T08:49:37.025Z"; not zero-terminated. */
void date_format_iso(int64_t unix_ms, char ret_text[DATE_ISO_SIZE]);

/* IMF-fixdate, or one of the two obsolete forms: RFC 850 and asctime. `now_s` tells the century of
 * the former's two digits. 0, or -LEAT_E_MALFORMED. */
int date_parse(struct leat_slice text, int64_t now_s, int64_t *ret_unix_s);

#endif
