/* SPDX-License-Identifier: MIT */
/*
 * What clients send beside paths and fields: queries, cookies, forms, uploads. Everything comes
 * decoded and zero-terminated, in memory that goes with the request, and is the client's word
 * alone: bytes that may be no UTF-8, names that may hold "../" or line ends. Never make a path of
 * them.
 *
 * A small form is read as a whole, whichever way it was encoded; an upload part by part, in a
 * buffer of one size, no faster than it is asked for. After an error a handler may return without a
 * reply: the client is told with the status named at the error.
 */
#ifndef LEAT_FORM_H
#define LEAT_FORM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "leat/http.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A name and its value, of a query or a form. */
struct leat_http_form_field {
    const char *name;  /* pairs whose name has a zero byte (%00) are passed over */
    const char *value; /* value_size bytes, which may hold zero bytes, and a zero behind them */
    size_t value_size;
    /* Of a part of multipart/form-data; NULL: it says none. */
    const char *filename, *media_type;
};

/* ---- Queries --------------------------------------------------------------------------------- */

/* The first value of this name, decoded ('+' is a blank, %XX a byte; WHATWG URL standard, section
 * 5.1); "" for a name without '='. NULL: there is none, it has a zero byte, or no memory. */
const char *leat_http_query_value(struct leat_http_request *request, const char *name);

/* All pairs, in order. Begin with `rest` = leat_http_query(request); each call takes one off it:
 * 1, 0 at the end, -ENOMEM. */
int leat_http_query_next(struct leat_http_request *request, struct leat_slice *rest,
                         struct leat_http_form_field *ret_pair);

/* ---- Cookies --------------------------------------------------------------------------------- */

/* The value of the first cookie of this name, as it was sent: quotes are part of it, and whatever
 * encoding its maker chose. NULL: there is none, or no memory. Setting: leat_http_set_cookie. */
const char *leat_http_cookie(struct leat_http_request *request, const char *name);

/* ---- Forms in memory ------------------------------------------------------------------------- */

enum { LEAT_HTTP_FORM_FIELDS_MAX = 1000 };

struct leat_http_form {
    const struct leat_http_form_field *fields; /* in the order they were sent */
    size_t count;
};

/* Reads the body as a form: application/x-www-form-urlencoded or multipart/form-data, files
 * included. -EMEDIUMTYPE: it is neither (415); -LEAT_E_LIMIT: more than `size_max` bytes or
 * LEAT_HTTP_FORM_FIELDS_MAX fields (413); -LEAT_E_MALFORMED (400); -ENOMEM (500); or what
 * leat_http_read says. */
int leat_http_read_form(struct leat_http_request *request, size_t size_max, int64_t deadline_ns,
                        struct leat_http_form *ret_form);

/* The first value of this name that is no file; NULL: there is none, or it has a zero byte. */
const char *leat_http_form_value(const struct leat_http_form *form, const char *name);

/* ---- Uploads: multipart/form-data, streamed -------------------------------------------------- */

struct leat_http_multipart;

struct leat_http_multipart_options {
    size_t parts_max;     /* beyond it: -LEAT_E_LIMIT. 0: 100 */
    size_t head_size_max; /* of one part, in bytes; likewise. 0: 4 KiB */
    size_t buffer_size; /* for what is received and not yet asked for; of leat_http_alloc's memory.
                             0: 16 KiB; made larger when a part's head would not fit */
};

/* Valid until leat_http_multipart_next is called again. */
struct leat_http_part {
    const char *name;
    const char *filename;   /* NULL: an ordinary field; "": no file was chosen */
    const char *media_type; /* "text/plain" when it says none (RFC 7578, section 4.4) */
};

/* `options` may be NULL. The whole may still be larger than the request's body_size_max: see
 * leat_http_set_body_size_max. -EMEDIUMTYPE: it is another type, or without a boundary that RFC
 * 2046 allows (415); -ENOMEM. It needs no end: it goes with the request. */
int leat_http_multipart_begin(struct leat_http_request *request,
                              const struct leat_http_multipart_options *options,
                              struct leat_http_multipart **ret_multipart);

/* Goes on to the next part; what was not read of the present one is dropped. 1, 0 behind the last,
 * -LEAT_E_MALFORMED (400; also when the body ends before the last delimiter), -LEAT_E_LIMIT (413),
 * or what leat_http_read says. */
int leat_http_multipart_next(struct leat_http_multipart *multipart, int64_t deadline_ns,
                             struct leat_http_part *ret_part);

/* The present part's data: at least one byte, 0 at its end, or an error as above. Only when 0 was
 * returned is the part whole. */
ssize_t leat_http_multipart_read(struct leat_http_multipart *multipart, void *data, size_t size,
                                 int64_t deadline_ns);
/* The same without a copy: `*ret_data` is valid until the next call with this multipart. */
ssize_t leat_http_multipart_borrow(struct leat_http_multipart *multipart, int64_t deadline_ns,
                                   const void **ret_data);

#ifdef __cplusplus
}
#endif
#endif
