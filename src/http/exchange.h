/* SPDX-License-Identifier: MIT */
/*
 * An exchange: one request and its response, with the memory both need. It is taken from the
 * server's pool with a head's first byte and given back with the response's last, so that an idle
 * connection holds none. Handlers know its two halves as request and response.
 *
 * The head is built in `out` around a fixed place: field lines are appended from OUT_FIELDS on as
 * the handler adds them; the status line and Date, whose length is known only at the end, are put
 * in front of it; a small body follows. So all of a small response is one piece of memory.
 */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leat/http.h"
#include "net/sender.h"
#include "wire/http1.h"

enum {
    EXCHANGE_INPUT_SIZE = 16 * 1024, /* = the limit of a head */
    EXCHANGE_OUT_SIZE = 8 * 1024,
    OUT_FIELDS = 128,          /* status line and Date fit in front */
    OUT_FIELDS_END = 4 * 1024, /* the limit of a response's head */
    EXCHANGE_VECTORS = 2,      /* head and body */
};

struct conn;

struct leat_http_request {
    struct http1_request head;
};

struct leat_http_response {
    int status;        /* 0: no reply yet */
    bool is_head_only; /* answers HEAD: no body, the fields of one */
    bool keep_alive;
    unsigned fields_end; /* in out */
    struct leat_slice media_type;
    /* The body is one of: */
    const void *body;       /* memory, */
    void *owned_body;       /* to be freed afterwards, */
    struct leat_file *file; /* or a range of a file, held */
    uint64_t offset, size;
};

struct exchange {
    struct conn *conn;
    struct leat_http_request request;
    struct leat_http_response response;
    struct sender sender;
    struct leat_vector vectors[EXCHANGE_VECTORS];
    size_t vector_count;
    size_t input_begin; /* bytes before it were requests that have been answered */
    size_t input_end;
    size_t scanned;   /* from input_begin on, by a parser that wants more */
    size_t head_size; /* of the request in work, from input_begin on */
    char out[EXCHANGE_OUT_SIZE];
    char input[EXCHANGE_INPUT_SIZE];
};

/* Fresh for a request: nothing replied yet. */
void response_reset(struct leat_http_response *response);
/* Lets go of body and file. */
void response_release(struct leat_http_response *response);

/* "Date: Sun, 06 Nov 1994 08:49:37 GMT" with its CRLF. */
enum { DATE_LINE_SIZE = 6 + 29 + 2 };

/* Finishes the head, and makes the vectors that send head and body. */
void exchange_finish(struct exchange *exchange, const char *date_line);

static inline struct exchange *exchange_of_response(struct leat_http_response *response)
{
    return CONTAINER_OF(response, struct exchange, response);
}

#endif
