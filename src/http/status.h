/* SPDX-License-Identifier: MIT */
/*
 * Status codes and their reason phrases (RFC 9110, section 15, and RFC 4918, 6585, 7725).
 */
#ifndef HTTP_STATUS_H
#define HTTP_STATUS_H

#include "leat/slice.h"

enum { STATUS_LINE_MAX = 64 };

/* "HTTP/1.1 404 Not Found" with its CRLF; data is NULL for codes we do not know. */
struct leat_slice status_line(int status);

/* "404 Not Found"; "Status unknown" for codes we do not know. */
struct leat_slice status_text(int status);

#endif
