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

#include "http/body.h"
#include "leat/http.h"
#include "mem/arena.h"
#include "net/sender.h"
#include "wire/http1.h"

enum {
    EXCHANGE_INPUT_SIZE = 16 * 1024, /* = the most a head may be */
    EXCHANGE_OUT_SIZE = 8 * 1024,
    OUT_FIELDS = 128,             /* status line and Date fit in front */
    OUT_FIELDS_END = 4 * 1024,    /* the limit of a response's head */
    EXCHANGE_VECTORS = 2,         /* head and body */
    EXCHANGE_SCRATCH_SIZE = 1024, /* of the arena, before it asks the allocator */
    EXCHANGE_ARENA_MAX = 1 << 20, /* what handlers may take of it */
    VECTORS_MAX = 1 << 16,        /* of a response */
    MEDIA_TYPE_MAX = 128,
    RESPONSE_LINES_MAX = 320, /* of what response_put_lines puts */
};

struct coder;
struct conn;
struct decoding;
struct fiber;
struct lot_place;
struct route_match;

struct leat_http_request {
    struct http1_request head;
    struct arena arena; /* what goes with the request */
    size_t allocated;   /* of it, by leat_http_alloc */
    struct body body;
    struct decoding *decoding;       /* of the body's content coding; NULL: read as it was sent */
    const struct route_match *match; /* the router's, in the arena; NULL: none */
    int64_t received_ns;             /* the head's last byte */
    int64_t deadline_ns;             /* the handler's; LEAT_FOREVER: none */
};

enum response_kind {
    RESPONSE_WHOLE,    /* replied at once */
    RESPONSE_SIZED,    /* written piece by piece, its size told before */
    RESPONSE_CHUNKED,  /* the same in chunks */
    RESPONSE_TO_CLOSE, /* the same until the connection ends, for HTTP/1.0 */
    RESPONSE_PASSED,   /* head and framing are its handler's (passing.h) */
};

struct leat_http_response {
    int status;        /* 0: no reply yet */
    bool is_head_only; /* answers HEAD: no body, the fields of one */
    bool keep_alive;
    bool in_error_hook; /* options.on_error is at it */
    enum response_kind kind;
    bool is_head_out;                /* it was sent, or is being sent */
    bool is_broken;                  /* it will not get out whole */
    unsigned fields_end;             /* in out */
    unsigned lines_begin, lines_end; /* in out: those of the reply, which go with it */
    struct leat_slice media_type;
    uint64_t pace_bytes_per_s; /* 0: as fast as may be */
    /* The body of a whole one is one of: */
    const void *body;            /* memory, */
    void *owned_body;            /* to be freed afterwards, */
    struct leat_file *file;      /* a range of a file, held, */
    struct leat_vector *vectors; /* or pieces of both, in the arena; [0] is kept for the head */
    size_t vector_count;         /* without that */
    uint64_t offset, size;
    uint64_t left;                        /* of a sized one */
    struct leat_slice trailers;           /* whole lines, in the arena */
    struct leat_compress_policy compress; /* unset: the server's */
    struct coder *coder;                  /* codes what is written; NULL: it is written as it is */
};

struct exchange {
    struct conn *conn;
    struct task turn; /* the connection's: pipelined requests go on in the next one */
    struct leat_http_request request;
    struct leat_http_response response;
    struct sender sender;
    struct leat_vector vectors[EXCHANGE_VECTORS];
    const struct leat_vector *to_send;
    size_t vector_count;
    size_t input_begin; /* bytes before it were requests that have been answered */
    size_t input_end;
    size_t scanned;   /* from input_begin on, by a parser that wants more */
    size_t rest;      /* of the request in work: behind what its head and body have used so far */
    bool has_request; /* its head has come, or what was to be one: it will be counted and logged */
    bool is_late;     /* its deadline has passed */
    int read_error;   /* why its body could not be read, 0: it could */
    uint64_t sent_before;          /* by the sender, of earlier requests */
    struct leat_address peer;      /* with options.on_done */
    unsigned head_size;            /* of the response, and of a "100 Continue" before it */
    int64_t waited_ns;             /* for its body, in this window, */
    uint64_t waited_bytes;         /* that came in it; see reading.c */
    struct lot_place *place;       /* of a request that was or will be parked; NULL: of none */
    struct fiber *fiber;           /* the handler's; NULL: none */
    struct fiber *reader, *writer; /* waiting in leat_http_read, in leat_http_send */
    int send_result;               /* for the writer; 1: not yet known */
    _Alignas(ARENA_ALIGNMENT) char scratch[EXCHANGE_SCRATCH_SIZE];
    /* A small request and its handler's reply touch the start of either: the input first, for it
     * lies on the pages of what stands above. */
    char input[EXCHANGE_INPUT_SIZE];
    char out[EXCHANGE_OUT_SIZE];
};

/* Of memory fresh from the pool, and back. */
void exchange_init(struct exchange *exchange, struct conn *conn);
void exchange_fini(struct exchange *exchange);
/* For the next request; the input stays. */
void exchange_reset(struct exchange *exchange);
/* What a handler that returned without a reply is taken to have meant. */
int exchange_status_of_silence(const struct exchange *exchange);

/* Lets go of body and files; the head stays as it is. */
void response_release(struct leat_http_response *response);
/* As leat_http_reply_static, with a media type that lives as long as the program. */
void response_set(struct leat_http_response *response, int status, struct leat_slice media_type,
                  const void *body, size_t size);
/* The same with a piece of memory that lives as long as the request, or a range of a file, which is
 * held. */
void response_set_vector(struct leat_http_response *response, int status,
                         struct leat_slice media_type, const struct leat_vector *vector);
/* Room for [1] to [count] of a list of vectors, in the arena; NULL: no memory. */
struct leat_vector *response_list(struct leat_http_response *response, size_t count);
/* The same with such a list; its files are held. */
void response_set_list(struct leat_http_response *response, int status,
                       struct leat_slice media_type, struct leat_vector *list, size_t count);
/* What every reply begins with: 0 and the media type, kept as long as the request, or why there can
 * be none: -EALREADY, -EINVAL, -ENOMEM. */
int response_begin_reply(struct leat_http_response *response, const char *media_type,
                         struct leat_slice *ret_media_type);
/* As leat_http_reply_error, without options.on_error. */
int response_set_error(struct leat_http_response *response, int status);
/* May they stand in a field line? */
bool response_is_field(struct leat_slice name, struct leat_slice value);
/* Adds a field line of a valid name and value: 0 or -LEAT_E_LIMIT. */
int response_put_field(struct leat_http_response *response, struct leat_slice name,
                       struct leat_slice value);
/* Adds whole lines that say something of the reply, one after the other: the next reply takes them
 * back. response_put_field has kept room for RESPONSE_LINES_MAX of them. */
void response_put_lines(struct leat_http_response *response, struct leat_slice lines);
/* They go: they say nothing of what comes now. */
void response_take_lines_back(struct leat_http_response *response);

/* "Date: Sun, 06 Nov 1994 08:49:37 GMT" with its CRLF. */
enum { DATE_LINE_SIZE = 6 + 29 + 2 };

/* Finishes the head, and makes the vectors that send it with the body of a whole response. */
void exchange_finish(struct exchange *exchange, const char *date_line);

static inline struct exchange *exchange_of_response(const struct leat_http_response *response)
{
    return CONTAINER_OF(response, struct exchange, response);
}

static inline struct exchange *exchange_of_request(const struct leat_http_request *request)
{
    return CONTAINER_OF(request, struct exchange, request);
}

#endif
