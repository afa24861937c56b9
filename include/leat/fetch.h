/* SPDX-License-Identifier: MIT */
/*
 * An HTTP/1.1 client (RFC 9110, RFC 9112), in fibers: a URL is fetched over a connection of the
 * client's pool, which all of a program's loops may share. The short way:
 *
 *     struct leat_fetch *fetch;
 *     int error = leat_fetch_get(client, "http://example.org/a", leat_after_ms(5000), &fetch);
 *     if (!error && leat_fetch_status(fetch) == 200)
 *         error = leat_fetch_read_all(fetch, 1 << 20, leat_after_ms(5000), &body);
 *     leat_fetch_close(fetch);
 *
 * and the long way, with a body that is sent piece by piece:
 *
 *     leat_fetch_open -> leat_fetch_write … -> leat_fetch_finish -> leat_fetch_answer
 *                     -> leat_fetch_read … -> leat_fetch_close
 *
 * A fetch belongs to the loop it was opened on. One fiber may write while another waits for the
 * answer or reads it. Nothing is received before it is asked for, so who reads slowly slows the
 * server down.
 */
#ifndef LEAT_FETCH_H
#define LEAT_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "leat/slice.h"
#include "leat/tuning.h"

#ifdef __cplusplus
extern "C" {
#endif

struct leat_client;
struct leat_fetch;

/* ---- Client ---------------------------------------------------------------------------------- */

/* 0: the default. */
struct leat_client_options {
    unsigned connections_max;          /* in all. 4096 */
    unsigned connections_per_host_max; /* of a host and port. 64 */
    unsigned waiting_max;       /* fibers that wait for one of these; then -LEAT_E_LIMIT. 1024 */
    int64_t connect_timeout_ms; /* 10,000 */
    int64_t idle_timeout_ms;    /* of a connection that nobody uses. 30,000 */
    int64_t age_max_ms;         /* of a connection. 0: any */
    unsigned uses_max;          /* of a connection. 0: any number */
    const struct leat_tuning *tuning; /* NULL: the defaults; copied */
    const char *user_agent;           /* NULL: "leat/VERSION"; "": none; copied */
};

/* For all threads. -ENOMEM, -EINVAL: the user agent cannot be a field's value. `options` may be
 * NULL. */
int leat_client_create(const struct leat_client_options *options, struct leat_client **ret_client);
/* When the loops that used it are gone. NULL is fine. */
void leat_client_destroy(struct leat_client *client);

struct leat_client_counters {
    uint64_t opened, reused, waited, evicted, stale, failed; /* connections */
    uint64_t fetches, retries, redirects;
    uint64_t leased_now, resting_now, waiting_now;
};
/* From any thread. */
void leat_client_counters(const struct leat_client *client,
                          struct leat_client_counters *ret_counters);

/* ---- Fetching -------------------------------------------------------------------------------- */

struct leat_fetch_field {
    const char *name, *value;
};

struct leat_fetch_request {
    const char *method; /* NULL: GET, or POST when there is a body; not CONNECT */
    /* "http://HOST[:PORT]/PATH?QUERY", as RFC 3986 has it: no user name, nothing that should be
     * percent-encoded and is not. A fragment is not sent. */
    const char *url;
    /* Beside Host, User-Agent, Accept, and what says how long the body is; a name of the first
     * three takes the place of ours, those of framing and connection and Expect are -EINVAL.
     * Authorization, Cookie, Proxy-Authorization and Host do not go on to another host. */
    const struct leat_fetch_field *fields;
    size_t field_count;
    /* The body: memory, all of which is sent before the answer's body is read; */
    const void *body;
    size_t body_size;
    /* or what leat_fetch_write sends: of so many bytes, or -1: chunked; 0: there is none. */
    int64_t streamed_size;
    bool expects_continue; /* asks first, and waits a second for the answer (RFC 9110, 10.1.1) */
    /* That are followed; 0: none is. Not with a streamed body. POST becomes GET behind 301 and 302,
     * everything but HEAD behind 303 (RFC 9110, section 15.4). */
    unsigned redirects_max;
    /* May it be sent twice although the method is not idempotent? It is tried once more, and once
     * only, over a fresh connection, when one that had rested ended before a byte of an answer
     * (RFC 9110, section 9.2.2). */
    bool may_repeat;
};

/* Sends the request, and waits for the head of the answer unless the body is streamed. 0; -EINVAL:
 * a URL, method or field cannot be; -EPROTONOSUPPORT: https, which is not there yet; what leat_dial
 * returns; -ECONNRESET: the server has gone without a word, -LEAT_E_TRUNCATED: within its answer;
 * -LEAT_E_MALFORMED: the answer, or where it sends us; -LEAT_E_LIMIT: a head beyond 16 KiB, too
 * many redirects, hosts, or fibers who wait; -ETIMEDOUT, -ECANCELED. After an error there is
 * nothing to close. */
int leat_fetch_open(struct leat_client *client, const struct leat_fetch_request *request,
                    int64_t deadline_ns, struct leat_fetch **ret_fetch);
int leat_fetch_get(struct leat_client *client, const char *url, int64_t deadline_ns,
                   struct leat_fetch **ret_fetch);
int leat_fetch_post(struct leat_client *client, const char *url, const char *media_type,
                    const void *body, size_t size, int64_t deadline_ns,
                    struct leat_fetch **ret_fetch);

/* A piece of a streamed body: all of it is sent, 0, or an error. -EPIPE, -ECONNRESET: the server
 * reads no more; it may have answered, which leat_fetch_answer tells. -EINVAL: beyond the size that
 * was said. */
int leat_fetch_write(struct leat_fetch *fetch, const void *data, size_t size, int64_t deadline_ns);
/* The last piece was sent. 0 or an error, as leat_fetch_write; -EINVAL: short of the size. */
int leat_fetch_finish(struct leat_fetch *fetch, int64_t deadline_ns);
/* The head of the answer to a streamed body; the body may still go on. 0 or an error, as
 * leat_fetch_open; after -ETIMEDOUT it may be called again. */
int leat_fetch_answer(struct leat_fetch *fetch, int64_t deadline_ns);

/* ---- The answer ------------------------------------------------------------------------------ */

int leat_fetch_status(const struct leat_fetch *fetch);
/* The value of the first field line of this name, in any case; data is NULL when there is none. */
struct leat_slice leat_fetch_field(const struct leat_fetch *fetch, const char *name);
/* Where it came from in the end: the URL of the last redirect, or the request's, resolved, and with
 * the fragment if there was one. */
const char *leat_fetch_url(const struct leat_fetch *fetch);
/* Of the body, in bytes; -1: it will show. 0 for HEAD, whatever the answer says. */
int64_t leat_fetch_size(const struct leat_fetch *fetch);
/* At least one byte; 0 at the end. -LEAT_E_TRUNCATED: the server has gone before it;
 * -LEAT_E_MALFORMED: it is badly framed. */
ssize_t leat_fetch_read(struct leat_fetch *fetch, void *data, size_t size, int64_t deadline_ns);
/* What is left of it, zero-terminated, as long as the fetch; -LEAT_E_LIMIT beyond `size_max`. */
int leat_fetch_read_all(struct leat_fetch *fetch, size_t size_max, int64_t deadline_ns,
                        struct leat_slice *ret_body);
/* A field of the trailer, at the end. */
struct leat_slice leat_fetch_trailer(const struct leat_fetch *fetch, const char *name);
/* Ends it, wherever it is. NULL is fine. The connection is used again when the answer has come
 * whole. */
void leat_fetch_close(struct leat_fetch *fetch);

#ifdef __cplusplus
}
#endif
#endif
