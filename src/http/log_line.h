/* SPDX-License-Identifier: MIT */
/*
 * Lines of access logs: a record's text, in one of two formats. Whoever calls has made room for the
 * longest that the record's line can be, so nothing is checked byte by byte. No memory of its own;
 * one clock a thread.
 */
#ifndef HTTP_LOG_LINE_H
#define HTTP_LOG_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "leat/http.h"

/* The texts of seconds, each made once while it is of interest: requests that end now may have
 * begun some seconds ago. */
enum { LOG_SECONDS = 16, LOG_SECOND_SIZE = 32 };

struct log_second {
    int64_t unix_s;
    char text[LOG_SECOND_SIZE];
};

struct log_clock {
    struct log_second local[LOG_SECONDS]; /* 22/Nov/2026:15:40:12 +0100 */
    struct log_second utc[LOG_SECONDS];   /* 2026-11-22T14:40:12 */
};

void log_clock_init(struct log_clock *clock);

/* No line of the record, in any format, is longer. */
size_t log_line_size_max(const struct leat_http_record *record);

/* Write the line, with its newline, and return the end. */
char *log_line_combined(char *at, const struct leat_http_record *record, struct log_clock *clock);
char *log_line_json(char *at, const struct leat_http_record *record, struct log_clock *clock);

#endif
