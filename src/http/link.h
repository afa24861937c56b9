/* SPDX-License-Identifier: MIT */
/*
 * The client's half of HTTP/1.1: a link speaks with an origin over a leased connection, one request
 * and its answer, in fibers. It knows of framing alone: where an answer's head and body end, and
 * whether the connection may be used again. What the request says is its caller's text.
 *
 *     link_open --> link_ask ---------------> head --> link_read ... 0 --> link_close
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

#include "http/body.h"
#include "http/conn_pool.h"
#include "wire/http1.h"

enum {
    /* The most a head may be, with room behind it; also for who makes heads. */
    LINK_BUFFER_SIZE = 20 * 1024,
    LINK_INTERIM_MAX = 32, /* 1xx answers before the final one; beyond it: malformed */
};

struct link {
    struct pooled_conn *conn;
    struct http1_response head; /* its slices point into the buffer, until that is used again */
    struct body body;
    struct arena arena; /* for the trailer */
    bool asks_head;     /* the answer has no body, whatever it says */
    bool asks_upgrade;  /* 101 is the end of HTTP */
    bool is_sent;       /* all of the request */
    bool has_answered;  /* a byte of an answer has come */
    bool has_head;      /* the final one */
    bool has_ended;     /* the origin has closed its side, or said what nobody asked for */
    unsigned interims;
    char *buffer;      /* LINK_BUFFER_SIZE; NULL: given back */
    size_t begin, end; /* what is unused in it */
    size_t scanned;    /* of that, by a parser that wants more */
};

/* On the connection's loop. `ret_link` is not copied afterwards. -ENOMEM: then there is nothing to
 * close, and the connection is still the caller's. */
int link_open(struct link *link, struct pooled_conn *conn);
/* Gives the connection back: to be used again when both halves are whole and neither said
 * "close". No fiber is in a call on it. */
void link_close(struct link *link);

/* Sends all of the vectors: 0 or an error. An error of sending says nothing of the answer, which
 * may have come before (RFC 9112, section 9.5). `is_last`: with them all of the request is sent. */
int link_send(struct link *link, const struct leat_vector *vectors, size_t count, bool is_last,
              int64_t deadline_ns);
/* The next head: 0, and link->head is it. -ECONNRESET: the connection ended before a byte of an
 * answer, -LEAT_E_TRUNCATED: within it; -LEAT_E_MALFORMED; -LEAT_E_LIMIT: too large; -ETIMEDOUT
 * (it may be called again), -ECANCELED, … */
int link_await_head(struct link *link, int64_t deadline_ns);
/* A whole request sent and its head awaited, in one go: the receive is asked for with the send.
 * What refuses the request before it is sent ends the sending. */
int link_ask(struct link *link, const struct leat_vector *vectors, size_t count,
             int64_t deadline_ns);

/* Bytes of the body, decoded: at least one; 0: it was all. -LEAT_E_TRUNCATED: the connection ended
 * before the body did; -LEAT_E_MALFORMED: of the chunked coding; … */
ssize_t link_read(struct link *link, void *data, size_t size, int64_t deadline_ns);
/* The next piece of what lies in the buffer of the body, decoded; empty: there is none. */
struct leat_slice link_take_buffered(struct link *link);
/* Receives into the empty buffer, which the head is then no longer in: more than 0; 0: the body is
 * whole; or an error, as link_read. */
ssize_t link_fill(struct link *link, int64_t deadline_ns);
/* A sized body that fits the buffer behind its head is received whole, the head stays; nothing is
 * done about others. 0, or an error, as link_read. */
int link_gather(struct link *link, int64_t deadline_ns);
/* The buffer is of no more use now; link_fill takes another. */
void link_give_buffer(struct link *link);

/* Nothing of the body lies in the buffer, and so many bytes of it come next on the stream as they
 * are; 0: they do not, UINT64_MAX: all until its end. Who took them says so. */
uint64_t link_plain_left(const struct link *link);
void link_took_plain(struct link *link, uint64_t size);
/* The stream has ended: 0, or -LEAT_E_TRUNCATED when the body has not. */
int link_end_of_stream(struct link *link);

/* Buffers of LINK_BUFFER_SIZE, of the loop's; NULL: no memory. */
char *link_buffer_take(struct leat_loop *loop);
void link_buffer_give(struct leat_loop *loop, char *buffer);

#endif
