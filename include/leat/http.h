/* SPDX-License-Identifier: MIT */
/*
 * An HTTP/1.1 server (RFC 9110, RFC 9112). A handler is straight-line code in a fiber: it looks at
 * the request, may block as fibers do, and replies once. The reply is sent after it has returned,
 * without its stack, however slowly the client reads.
 *
 * Slices and the request are valid until the handler returns. A server belongs to the loop of the
 * thread that made it; for several cores make one in each thread (leat_listen_options.reuse_port).
 */
#ifndef LEAT_HTTP_H
#define LEAT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leat/address.h"
#include "leat/file.h"
#include "leat/listener.h"
#include "leat/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

struct leat_http_server;
struct leat_http_request;
struct leat_http_response;

typedef void (*leat_http_handler_fn)(const struct leat_http_request *request,
                                     struct leat_http_response *response, void *user);

/* ---- Server --------------------------------------------------------------------------------- */

struct leat_http_options {
    leat_http_handler_fn handler;
    void *user;
    /* Milliseconds; 0: the default. */
    int64_t head_timeout_ms;  /* from a head's first byte to its last; then 408. 10,000 */
    int64_t idle_timeout_ms;  /* between two requests. 75,000 */
    int64_t send_timeout_ms;  /* without the client taking anything. 60,000 */
    unsigned connections_max; /* at a time; the newcomer beyond it gets a 503. 0: 16,384 */
};

struct leat_http_counters {
    uint64_t connections, connections_now, requests, bytes_sent, errors, timeouts, refused;
};

/* Options are copied. */
int leat_http_server_create(const struct leat_http_options *options,
                            struct leat_http_server **ret_server);
/* The server takes the listener over. */
int leat_http_server_add(struct leat_http_server *server, struct leat_listener *listener);
/* Accepts no more, ends idle connections, and lets those that serve a request finish it, until
 * `grace_ns` at the latest. Then the server is gone; leat_loop_run returns when nothing else is
 * left on the loop. Call it once. */
void leat_http_server_close(struct leat_http_server *server, int64_t grace_ns);
void leat_http_server_counters(const struct leat_http_server *server,
                               struct leat_http_counters *ret_counters);

/* ---- Request -------------------------------------------------------------------------------- */

struct leat_slice leat_http_method(const struct leat_http_request *request);
bool leat_http_is_get(const struct leat_http_request *request); /* GET or HEAD */
/* As received, percent-encoded; starts with '/'. */
struct leat_slice leat_http_path(const struct leat_http_request *request);
/* After the '?'; data is NULL when there was none. */
struct leat_slice leat_http_query(const struct leat_http_request *request);
/* The value of the first field line of this name, in any case; data is NULL when there is none. */
struct leat_slice leat_http_field(const struct leat_http_request *request, const char *name);

/* ---- Response ------------------------------------------------------------------------------- */

/* Adds a field line. `name` and `value` are copied. -LEAT_E_LIMIT when the head is full,
 * -EINVAL when they are not what RFC 9110, section 5 allows. */
int leat_http_add_field(struct leat_http_response *response, const char *name, const char *value);

/* Replies; the last reply counts, and none at all is a 500. `media_type` may be NULL when there is
 * no body. The body is copied (-ENOMEM). */
int leat_http_reply(struct leat_http_response *response, int status, const char *media_type,
                    const void *body, size_t size);
/* As above; the body is not copied and must stay as it is until the server has gone. */
int leat_http_reply_static(struct leat_http_response *response, int status, const char *media_type,
                           const void *body, size_t size);
/* A short text that names the status. */
int leat_http_reply_error(struct leat_http_response *response, int status);

/* Replies with a file below the root, as GET and HEAD ask for it: validators, conditions, a range
 * (RFC 9110, sections 13 and 14). `path` is relative, as leat_http_local_path makes it. What cannot
 * be served is replied to with its status. A directory is not replied to: returns -EISDIR. */
int leat_http_reply_file(const struct leat_http_request *request,
                         struct leat_http_response *response, struct leat_root *root,
                         const char *path);

/* The status that tells a client why a file could not be opened: 404 for what is not there or leads
 * out of the root, 403, 503, 500. `error` is what leat_file_open returned. */
int leat_http_status_of_file(int error);

/* The request's path, decoded and normalised, for use below a root: "." for "/". A final '/' is not
 * in it; *ret_is_directory tells. 0, or an HTTP status (400, 404) to reply with. */
int leat_http_local_path(const struct leat_http_request *request, char *buffer, size_t buffer_size,
                         bool *ret_is_directory);

#ifdef __cplusplus
}
#endif
#endif
