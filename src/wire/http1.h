/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 message heads (RFC 9112), strictly: what two readers could take for different requests
 * is refused, for that is how requests are smuggled. CRLF alone ends a line; no space before a
 * colon; no folded lines; exactly one Host; one unambiguous way to tell the body's end.
 *
 * A head is parsed from one contiguous buffer, in one go. As long as it is not all there the parser
 * says "more" and keeps nothing: the caller reads on into the same buffer and calls again, telling
 * how much had been seen. So the buffer may move between calls, and slices in the result point into
 * it. The outcome depends on the bytes alone, never on how they were cut.
 */
#ifndef WIRE_HTTP1_H
#define WIRE_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum http1_method {
    HTTP1_METHOD_OTHER, /* a valid token that we have no name for; see `method_text` */
    HTTP1_GET,
    HTTP1_HEAD,
    HTTP1_POST,
    HTTP1_PUT,
    HTTP1_DELETE,
    HTTP1_CONNECT,
    HTTP1_OPTIONS,
    HTTP1_TRACE,
    HTTP1_PATCH,
};

/* RFC 9112, section 3.2. */
enum http1_target_form {
    HTTP1_ORIGIN_FORM,    /* /path?query */
    HTTP1_ABSOLUTE_FORM,  /* http://host/path?query */
    HTTP1_AUTHORITY_FORM, /* host:port, of CONNECT */
    HTTP1_ASTERISK_FORM,  /* *, of OPTIONS */
};

/* Fields that somebody asks for by name. Each row: constant, name in lower case, its first and its
 * last letter, of which (with the size) the look-up table is made; the unit test finds clashes. */
#define HTTP1_FIELDS(X)                                                                            \
    X(ACCEPT, "accept", 'a', 't')                                                                  \
    X(ACCEPT_ENCODING, "accept-encoding", 'a', 'g')                                                \
    X(ACCEPT_RANGES, "accept-ranges", 'a', 's')                                                    \
    X(AUTHORIZATION, "authorization", 'a', 'n')                                                    \
    X(CACHE_CONTROL, "cache-control", 'c', 'l')                                                    \
    X(CONNECTION, "connection", 'c', 'n')                                                          \
    X(CONTENT_ENCODING, "content-encoding", 'c', 'g')                                              \
    X(CONTENT_LENGTH, "content-length", 'c', 'h')                                                  \
    X(CONTENT_RANGE, "content-range", 'c', 'e')                                                    \
    X(CONTENT_TYPE, "content-type", 'c', 'e')                                                      \
    X(COOKIE, "cookie", 'c', 'e')                                                                  \
    X(DATE, "date", 'd', 'e')                                                                      \
    X(ETAG, "etag", 'e', 'g')                                                                      \
    X(EXPECT, "expect", 'e', 't')                                                                  \
    X(FORWARDED, "forwarded", 'f', 'd')                                                            \
    X(HOST, "host", 'h', 't')                                                                      \
    X(HTTP2_SETTINGS, "http2-settings", 'h', 's')                                                  \
    X(IF_MATCH, "if-match", 'i', 'h')                                                              \
    X(IF_MODIFIED_SINCE, "if-modified-since", 'i', 'e')                                            \
    X(IF_NONE_MATCH, "if-none-match", 'i', 'h')                                                    \
    X(IF_RANGE, "if-range", 'i', 'e')                                                              \
    X(IF_UNMODIFIED_SINCE, "if-unmodified-since", 'i', 'e')                                        \
    X(KEEP_ALIVE, "keep-alive", 'k', 'e')                                                          \
    X(LAST_MODIFIED, "last-modified", 'l', 'd')                                                    \
    X(LOCATION, "location", 'l', 'n')                                                              \
    X(MAX_FORWARDS, "max-forwards", 'm', 's')                                                      \
    X(ORIGIN, "origin", 'o', 'n')                                                                  \
    X(PROXY_AUTHORIZATION, "proxy-authorization", 'p', 'n')                                        \
    X(PROXY_CONNECTION, "proxy-connection", 'p', 'n')                                              \
    X(RANGE, "range", 'r', 'e')                                                                    \
    X(REFERER, "referer", 'r', 'r')                                                                \
    X(SEC_WEBSOCKET_KEY, "sec-websocket-key", 's', 'y')                                            \
    X(SEC_WEBSOCKET_PROTOCOL, "sec-websocket-protocol", 's', 'l')                                  \
    X(SEC_WEBSOCKET_VERSION, "sec-websocket-version", 's', 'n')                                    \
    X(SERVER, "server", 's', 'r')                                                                  \
    X(TE, "te", 't', 'e')                                                                          \
    X(TRAILER, "trailer", 't', 'r')                                                                \
    X(TRANSFER_ENCODING, "transfer-encoding", 't', 'g')                                            \
    X(UPGRADE, "upgrade", 'u', 'e')                                                                \
    X(USER_AGENT, "user-agent", 'u', 't')                                                          \
    X(VARY, "vary", 'v', 'y')                                                                      \
    X(VIA, "via", 'v', 'a')                                                                        \
    X(X_FORWARDED_FOR, "x-forwarded-for", 'x', 'r')                                                \
    X(X_FORWARDED_HOST, "x-forwarded-host", 'x', 't')                                              \
    X(X_FORWARDED_PROTO, "x-forwarded-proto", 'x', 'o')

enum http1_field {
    HTTP1_FIELD_OTHER,
#define X(constant, name, first, last) HTTP1_FIELD_##constant,
    HTTP1_FIELDS(X)
#undef X
        HTTP1_FIELD_COUNT,
};

enum { HTTP1_LINES_MAX = 64 };

struct http1_limits {
    size_t line_size;  /* the first line with its CRLF, and an empty one before it; beyond: 414 */
    size_t head_size;  /* all of the head, >= line_size and <= 1 GiB; beyond: 431 */
    size_t line_count; /* field lines, <= HTTP1_LINES_MAX; beyond: 431 */
};

/* 8 KiB, 16 KiB, 64. */
extern const struct http1_limits http1_limits_default;

/* One field line. White space around the value is gone. */
struct http1_line {
    struct leat_slice name, value;
    enum http1_field field;
};

/* What heads of requests and responses share. */
struct http1_head {
    uint8_t minor_version; /* of HTTP/1; above 1 it is to be treated as 1 */
    bool keep_alive;       /* RFC 9112, section 9.3 */
    bool says_close, says_keep_alive, wants_upgrade; /* the options of Connection */
    bool is_chunked;                                 /* the body is chunked, and ends by itself */
    bool has_content_length;
    uint64_t content_length; /* 0 when there is none; <= INT64_MAX */
    int error_status;        /* after an error: as returned, without its sign, */
    size_t error_position;   /* and the offset of the byte that decided it */
    uint16_t host_count;
    uint16_t line_count;
    uint8_t first_line[HTTP1_FIELD_COUNT]; /* 1 + index of a field's first line; 0: absent */
    struct http1_line lines[HTTP1_LINES_MAX];
};

struct http1_request {
    enum http1_method method;
    enum http1_target_form form;
    bool expect_continue; /* Expect: 100-continue, in HTTP/1.1 */
    bool is_https; /* absolute form, which asks for what plain connections must not serve: 421 */
    struct leat_slice method_text;
    struct leat_slice target; /* as received */
    struct leat_slice path;   /* still encoded, starts with '/'; empty in the last two forms */
    struct leat_slice query;  /* after the '?'; data is NULL when there was no '?' */
    struct leat_slice host;   /* with its port; the target's own in absolute form */
    struct http1_head head;
};

struct http1_response {
    int status; /* 100..999 */
    struct leat_slice reason;
    struct http1_head head;
};

/* Parses the request head at the start of `input`. Returns its size in bytes (> 0; the body or the
 * next request follows), 0 when more bytes are needed, or minus the HTTP status that answers it:
 *   -400 malformed · -414 request line too long · -431 head too large, too many fields ·
 *   -501 a transfer coding before chunked · -505 not HTTP/1.x
 * `scanned` is 0, or input.size of the last call for this head, which returned 0. `limits` may be
 * NULL. Unless the result is positive nothing of `request` holds but head.error_*. */
int http1_parse_request(struct leat_slice input, size_t scanned, const struct http1_limits *limits,
                        struct http1_request *request);

/* The same for a response; the statuses say what is wrong, and a status line beyond line_size is
 * -431. Which responses have a body is the caller's to know (RFC 9112, section 6.3). */
int http1_parse_response(struct leat_slice input, size_t scanned, const struct http1_limits *limits,
                         struct http1_response *response);

/* The value of a field's first line; data is NULL when there is none. Lists may go on in further
 * lines (RFC 9110, section 5.3): look through lines[] for those. */
static inline struct leat_slice http1_value(const struct http1_head *head, enum http1_field field)
{
    const unsigned line = head->first_line[field];
    return line > 0 ? head->lines[line - 1].value : slice_of(NULL, 0);
}

/* The field of this name in any case, which must be a token; HTTP1_FIELD_OTHER if we know none. */
enum http1_field http1_field_from_name(struct leat_slice name);

/* In lower case, zero-terminated; "" for HTTP1_FIELD_OTHER. */
const char *http1_field_name(enum http1_field field);

/* Is `token` (in lower case) an element of this comma-separated list, in any case? */
bool http1_list_has(struct leat_slice list, struct leat_slice token);

#endif
