/* SPDX-License-Identifier: MIT */
/*
 * Does the client have it already, and which parts of it does it want? Validators, conditions and
 * ranges (RFC 9110, sections 8.8, 13 and 14) of whatever can be replied with, be it a file or made.
 */
#ifndef HTTP_CONDITIONS_H
#define HTTP_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/codec.h"
#include "leat/http.h"
#include "wire/date.h"
#include "wire/range.h"

enum {
    CONDITIONS_LINES_MAX = sizeof "ETag: \"\"\r\nAccept-Ranges: bytes\r\nLast-Modified: \r\n" - 1 +
                           LEAT_HTTP_ETAG_MAX + DATE_SIZE,
};

/* What tells one state of a representation from another. */
struct validators {
    struct leat_slice lines; /* of fields, as validators_put makes them */
    bool has_mtime;
    int64_t mtime_s; /* of the wall clock */
    uint64_t size;   /* of the representation */
    /* The codecs in which a client may have it as well as plain (0: none), and the one in which it
     * is about to be sent. A coded one has a tag of its own (RFC 9110, section 8.8.3.3). */
    unsigned codecs;
    enum leat_codec codec;
};

/* The lines ETag, unless `etag` is empty, Accept-Ranges, and Last-Modified, if there is such a time
 * and it has come: a date in the future is not sent (RFC 9110, section 8.8.2.1). `etag` is without
 * its quotes, LEAT_HTTP_ETAG_MAX bytes at most. Returns the size of what was put, at most
 * CONDITIONS_LINES_MAX. */
size_t validators_put(struct leat_slice etag, const int64_t *mtime_s, int64_t now_s,
                      char *ret_lines);

/* The same lines for the coded form: a weak tag with the coding's name, for the same text may be
 * coded in many ways; and no ranges. Returns the size. */
enum { CONDITIONS_CODED_MAX = CONDITIONS_LINES_MAX + sizeof "W/-identity" - 1 };
size_t validators_put_coded(struct leat_slice lines, enum leat_codec codec, char *ret_lines);

/* What GET or HEAD gets: 200, 206 and which parts, 304, 412 or 416; with 304 the codec of the form
 * that the client has. What is coded has no parts. */
int conditions_status(const struct leat_http_request *request, const struct validators *validators,
                      struct range_set *ret_set, enum leat_codec *ret_codec);

#endif
