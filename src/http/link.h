/* SPDX-License-Identifier: MIT */
/*
 * The client's half of HTTP/1.1: a link speaks with an origin over a leased connection, one request
 * and its answer, in fibers. It knows of framing alone: where an answer's head and body end, and
 * whether the connection may be used again. What the request says is its caller's text.
 *
 *     link_open --> link_ask --------------> head --> link_read ... 0 --> link_close
 *                     |  link_send (body)      |
 *                     +- link_await_head ------+-- 1xx: link_await_head again
 *                                              +-- 101: the bytes are another protocol's
 *
 * One fiber may send while another awaits the head or reads.
 */
#ifndef HTTP_LINK_H
#define HTTP_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "http/conn_pool.h"
#include "wire/http1.h"
#include "wire/http1_chunked.h"

enum {
    LINK_BUFFER_SIZE = 16 * 1024, /* = the most a head may be */
    LINK_INTERIM_MAX = 32,        /* 1xx answers before the final one; beyond it: malformed */
};

enum link_body {
    LINK_NO_BODY,
    LINK_SIZED,
    LINK_CHUNKED,
    LINK_TO_THE_END, /* of the connection */
};

struct link {
    struct pooled_conn *conn;
    struct http1_response head; /* its slices point into the buffer, as long as it holds the head */
    enum link_body body;
    bool is_head_request; /* the answer has no body, whatever it says */
    bool is_connect;      /* CONNECT, or an upgrade was asked for: 2xx or 101 end HTTP */
    bool has_head;        /* the final one */
    bool is_whole;        /* all of the answer was read */
    bool is_sent;         /* all of the request */
    bool has_answered;    /* a byte of an answer has come */
    unsigned interims;
    uint64_t left;     /* of a sized body */
    uint64_t received; /* bytes of the body, decoded */
    struct http1_chunked chunked;
    char *buffer;      /* LINK_BUFFER_SIZE, of the loop's; NULL: given back */
    size_t begin, end; /* what is unused in it */
    size_t scanned;
    char *trailer; /* its lines; NULL: none was kept */
    size_t trailer_size;
};

/* -ENOMEM: then nothing is to be closed. */
int link_open(struct link *link, struct pooled_conn *conn);
/* Gives the connection back: to be used again when both halves are whole and neither said
 * "close". */
void link_close(struct link *link);

/* Sends all of the vectors. 0 or an error; an error of sending says nothing of the answer, which
 * may have come before (RFC 9112, section 9.5). */
int link_send(struct link *link, const struct leat_vector *vectors, size_t count,
              int64_t deadline_ns);
/* The request's last byte was sent by the call before. */
void link_sent(struct link *link);
/* The next head: 0, and link->head is it. -ECONNRESET, -LEAT_E_TRUNCATED: the connection ended
 * before a byte of it, or within it; -LEAT_E_MALFORMED; -LEAT_E_LIMIT: too large; -ETIMEDOUT,
 * -ECANCELED. */
int link_await_head(struct link *link, int64_t deadline_ns);
/* A whole request sent and its head awaited, in one go: the receive is asked for with the send. */
int link_ask(struct link *link, const struct leat_vector *vectors, size_t count,
             int64_t deadline_ns);

/* Bytes of the body, decoded: at least one; 0: it was all. -LEAT_E_TRUNCATED: the connection ended
 * before the body did; -LEAT_E_MALFORMED: of the chunked coding; … */
ssize_t link_read(struct link *link, void *data, size_t size, int64_t deadline_ns);
/* What has come of the body and lies in the buffer, decoded, until the next call on the link;
 * without waiting. */
struct leat_slice link_take_buffered(struct link *link);
/* Nothing of the body lies in the buffer, and so many bytes of it come next on the stream as they
 * are; 0: they do not (chunked: a chunk's end is near), UINT64_MAX: all until its end. Who took
 * them says so, `is_end`: the stream has ended. */
uint64_t link_plain_left(const struct link *link);
void link_took_plain(struct link *link, uint64_t size, bool is_end);

/* May the request be sent once more over another connection, as far as this one tells? No byte of
 * an answer has come. */
static inline bool link_is_unanswered(const struct link *link)
{
    return !link->has_answered;
}

#endif
