/* SPDX-License-Identifier: MIT */
/*
 * An HTTP/1.1 server (RFC 9110, RFC 9112). A handler is straight-line code in a fiber: it looks at
 * the request, may block as fibers do (its body is read that way), and replies: once, with all of
 * it, which is then sent without its stack, however slowly the client reads; or piece by piece.
 *
 * The request, and what is taken from it, are valid until the handler returns. When the connection
 * breaks or the request's deadline passes the handler's fiber is cancelled: its blocking calls
 * return -ECANCELED, and it returns soon. A server belongs to the loop of the thread that made it;
 * leat_http_run (leat/router.h) makes one a core.
 */
#ifndef LEAT_HTTP_H
#define LEAT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "leat/address.h"
#include "leat/compress.h"
#include "leat/file.h"
#include "leat/listener.h"
#include "leat/slice.h"
#include "leat/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

struct leat_http_server;
struct leat_http_request;
struct leat_http_response;
struct leat_http_record;
struct leat_http_coded_files;
struct json_t; /* of jansson */

typedef void (*leat_http_handler_fn)(struct leat_http_request *request,
                                     struct leat_http_response *response, void *user);

/* ---- Server --------------------------------------------------------------------------------- */

struct leat_http_options {
    leat_http_handler_fn handler;
    void *user;
    /* Milliseconds; 0: the default. */
    int64_t head_timeout_ms;    /* from a head's first byte to its last; then 408. 10,000 */
    int64_t body_timeout_ms;    /* waiting for the body without body_rate_min coming; 408. 20,000 */
    int64_t idle_timeout_ms;    /* between two requests. 75,000 */
    int64_t send_timeout_ms;    /* without the client taking send_rate_min. 60,000 */
    int64_t handler_timeout_ms; /* from the head's last byte to the reply, or to the end of what is
                                   written piece by piece; then cancelled, and 503. 0: none */
    /* Bytes a second, over one timeout; 0: the default, 1: any byte will do. */
    uint64_t body_rate_min;               /* 240 */
    uint64_t send_rate_min;               /* 240 */
    uint64_t body_size_max;               /* beyond it: 413. 1 MiB; UINT64_MAX: any */
    unsigned head_size_max;               /* beyond it: 431. 16 KiB, which is also the most */
    unsigned connections_max;             /* at a time; the newcomer beyond it gets a 503. 16,384 */
    unsigned connections_per_address_max; /* as above, of an IPv4 address or IPv6 /64. 0: any */
    unsigned requests_max; /* of a connection; the last reply says so. 0: any number */

    /* Content codings of responses; unset: none. Coded are types of text, JSON, XML, scripts, SVG,
     * WASM, playlists and their like, and those that `compress_types` adds, a list such as
     * "application/octet-stream,font/otf", where a star is any type, or behind a slash any of a
     * kind: then magic numbers and a sample decide. The list is borrowed; NULL: none.
     * docs/compression.md tells the rest. */
    struct leat_compress_policy compress;
    const char *compress_types;
    /* Files are coded once and kept (leat/coded_files.h); NULL: each time. Borrowed. */
    struct leat_http_coded_files *coded_files;

    /* Replies in place of leat_http_reply_error, for a request that could be read. It may look at
     * the request and add fields; leat_http_reply_error called from within replies plainly. */
    void (*on_error)(struct leat_http_request *request, struct leat_http_response *response,
                     int status, void *user);
    void *on_error_user;
    /* After a response's last byte, or when it can have no more: for logs. On the loop. */
    void (*on_done)(const struct leat_http_record *record, void *user);
    void *on_done_user;
    /* Once, when a server that was closed has sent its last byte and is about to go: for a last
     * look at its counters. On the loop. */
    void (*on_closed)(struct leat_http_server *server, void *user);
    void *on_closed_user;
};

/* What became of a request. Valid during the call. */
struct leat_http_record {
    const struct leat_address *peer;
    /* Empty when the head could not be read. */
    struct leat_slice method, target, host, referer, user_agent;
    int minor_version;      /* of HTTP/1 */
    int status;             /* of the response; 0: broken off before it had one */
    uint64_t body_received; /* bytes of the request's body, decoded */
    uint64_t sent;          /* bytes, heads and framing included */
    uint64_t body_sent;     /* of these, behind the response's head */
    int64_t time_ns;        /* of the wall clock, when the head had come */
    int64_t duration_ns;    /* from then to the end */
    bool is_broken;         /* the response did not get out whole */
};

/* Bounds of the buckets of leat_http_counters.durations, in microseconds; the last has none. */
#define LEAT_HTTP_DURATIONS_US(X)                                                                  \
    X(50)                                                                                          \
    X(100)                                                                                         \
    X(250)                                                                                         \
    X(500)                                                                                         \
    X(1000) X(2500) X(5000) X(10000) X(25000) X(50000) X(100000) X(250000) X(500000) X(1000000)    \
        X(2500000) X(10000000)
enum { LEAT_HTTP_DURATION_BUCKETS = 17 };

/* By what the server did with them; all but connections_now grow for ever. */
struct leat_http_counters {
    uint64_t connections, connections_now, requests, bytes_received, bytes_sent;
    uint64_t errors;      /* requests that no handler was asked about */
    uint64_t timeouts;    /* of any kind */
    uint64_t refused;     /* connections, beyond a limit */
    uint64_t statuses[6]; /* responses, by the status's first digit; [0]: broken off without one */
    uint64_t durations[LEAT_HTTP_DURATION_BUCKETS]; /* head received to last byte sent */
    uint64_t durations_ns;                          /* their sum */
};

/* Why a response that might have been coded was left as it is. */
#define LEAT_HTTP_LEFT_REASONS_OF(X)                                                               \
    X(NOT_ACCEPTED, "not_accepted") /* the client takes no coding of ours */                       \
    X(FORBIDDEN, "forbidden")       /* coded by its handler, or Cache-Control: no-transform */     \
    X(SMALL, "small")               /* coding saves no packet */                                   \
    X(COMPRESSED, "compressed")     /* already, by its first bytes */                              \
    X(NOISE, "noise")               /* a sample has nothing to gain */                             \
    X(NO_GAIN, "no_gain")           /* it arrives sooner as it is */                               \
    X(BUSY, "busy")                 /* the loop's encoders have all the memory they may have */
#define LEAT_HTTP_LEFT_NAME(name, text) LEAT_HTTP_LEFT_##name,
enum leat_http_left { LEAT_HTTP_LEFT_REASONS_OF(LEAT_HTTP_LEFT_NAME) LEAT_HTTP_LEFT_REASONS };
#undef LEAT_HTTP_LEFT_NAME

/* Coded ones by codec; [LEAT_CODEC_NONE]: left as they are. */
struct leat_http_compress_counters {
    uint64_t responses[LEAT_CODECS], plain_bytes[LEAT_CODECS], coded_bytes[LEAT_CODECS];
    uint64_t left[LEAT_HTTP_LEFT_REASONS];
    uint64_t cpu_ns; /* that coding took */
};

/* Options are copied. -EINVAL: no such policy of compression. */
int leat_http_server_create(const struct leat_http_options *options,
                            struct leat_http_server **ret_server);
/* The server takes the listener over. */
int leat_http_server_add(struct leat_http_server *server, struct leat_listener *listener);
/* Accepts no more, and goes on serving the connections that are there: each ends with its next
 * response, which says so, so that no client loses a request to a close it could not foresee. Who
 * asks for nothing is closed after `idle_ns`. Everything ends after `grace_ns` at the latest. Then
 * the server is gone; leat_loop_run returns when nothing else is left on the loop. Call it once. */
void leat_http_server_close(struct leat_http_server *server, int64_t idle_ns, int64_t grace_ns);
/* From any thread, as long as the server is there. */
void leat_http_server_counters(const struct leat_http_server *server,
                               struct leat_http_counters *ret_counters);

void leat_http_server_compress_counters(const struct leat_http_server *server,
                                        struct leat_http_compress_counters *ret_counters);

/* ---- Request -------------------------------------------------------------------------------- */

struct leat_slice leat_http_method(const struct leat_http_request *request);
bool leat_http_is_get(const struct leat_http_request *request); /* GET or HEAD */
/* As received, percent-encoded; starts with '/'. */
struct leat_slice leat_http_path(const struct leat_http_request *request);
/* After the '?'; data is NULL when there was none. */
struct leat_slice leat_http_query(const struct leat_http_request *request);
/* The target's own, or the field Host's; with its port. */
struct leat_slice leat_http_host(const struct leat_http_request *request);
/* The value of the first field line of this name, in any case; data is NULL when there is none. */
struct leat_slice leat_http_field(const struct leat_http_request *request, const char *name);
int leat_http_peer(const struct leat_http_request *request, struct leat_address *ret_peer);

/* Memory that goes with the request, aligned for any type; NULL beyond 1 MiB of it. */
void *leat_http_alloc(struct leat_http_request *request, size_t size);
/* The same with a zero-terminated copy; NULL also for a slice whose data is NULL. */
char *leat_http_copy(struct leat_http_request *request, struct leat_slice text);

/* Memory that goes with the connection, for what one request leaves for the next: zeroed when it is
 * first asked for, the same memory afterwards. The size is the same for all who ask on a server's
 * connections: it belongs to the program, not to one of its handlers. NULL without memory. */
void *leat_http_connection_memory(struct leat_http_request *request, size_t size);

/* In place of options.handler_timeout_ms and body_size_max; before the body is read. */
void leat_http_set_deadline(struct leat_http_request *request, int64_t deadline_ns);
void leat_http_set_body_size_max(struct leat_http_request *request, uint64_t size);
/* Where the connection ends with the answer because much of the body is left, what still comes is
 * read away for two seconds at most, and not for thirty: of a body without an end, whose sender may
 * not listen before it has sent all. */
void leat_http_end_soon(struct leat_http_request *request);

/* ---- The request's body --------------------------------------------------------------------- */

/* Nothing is received before it is asked for (beyond what came with the head), so who reads slowly
 * slows the client down. A client that waits for "100 Continue" gets it with the first read. What
 * is left unread is dropped; where it is much the connection ends with the response. */

/* Bytes, when the client has said how many; -1: it will show (chunked); 0: no body. */
int64_t leat_http_body_size(const struct leat_http_request *request);
/* At least one byte; 0 at the end. The chunked coding is taken off. -LEAT_E_LIMIT: too large (413),
 * -LEAT_E_MALFORMED (400), -ETIMEDOUT: too slow (408), -ECONNRESET: the client has gone; a handler
 * that then returns without a reply replies with that status. */
ssize_t leat_http_read(struct leat_http_request *request, void *data, size_t size,
                       int64_t deadline_ns);
/* From now on the body is read without its content coding (Content-Encoding: zstd, gzip or br; RFC
 * 9110, section 8.4), and its size is not known beforehand; before any of it is read. body_size_max
 * is the limit of what is sent, `size_max` that of what it becomes: beyond it, or when it becomes
 * more than 1 MiB and 200 times what was sent, reading it is -LEAT_E_LIMIT (413); what is no such
 * text, or not all of one, is -LEAT_E_MALFORMED (400). A body without a coding is read as it is,
 * and `size_max` is its limit too. Do not pass such a request on (leat_proxy_handle). 0;
 * -EMEDIUMTYPE: it has another coding, or more than one (415; the response then says in
 * Accept-Encoding which ones are taken); -EALREADY, -ENOMEM. */
int leat_http_decode_body(struct leat_http_request *request, uint64_t size_max);
/* All of it, in memory that goes with the request, zero-terminated; -LEAT_E_LIMIT beyond
 * `size_max`, -ENOMEM. */
int leat_http_read_all(struct leat_http_request *request, size_t size_max, int64_t deadline_ns,
                       struct leat_slice *ret_body);
/* All of it as JSON (RFC 8259), yours to json_decref. -LEAT_E_MALFORMED when it is none, or an
 * object has a name twice; -LEAT_E_LIMIT also when it nests more than 64 deep. */
int leat_http_read_json(struct leat_http_request *request, size_t size_max, int64_t deadline_ns,
                        struct json_t **ret_json);
/* A field of the trailer, once the body has been read to its end; data is NULL when there is none.
 * The names that RFC 9110, section 6.5.1 forbids there are not found. */
struct leat_slice leat_http_trailer(const struct leat_http_request *request, const char *name);

/* ---- Response ------------------------------------------------------------------------------- */

/* Adds a field line. `name` and `value` are copied. -LEAT_E_LIMIT when the head is full,
 * -EINVAL when they are not what RFC 9110, section 5 allows, -EALREADY when the head is out. */
int leat_http_add_field(struct leat_http_response *response, const char *name, const char *value);

/* The status replied with so far; 0: none. For middleware. */
int leat_http_status(const struct leat_http_response *response);

/* The kernel spreads this response evenly at this rate (leat_stream_set_pacing); 0: as fast as may
 * be, which is how each response begins. The rate of the listener's tuning (leat/tuning.h) is never
 * exceeded. The rate is the socket's: it also holds for what of the response before has not left
 * the kernel yet. At any time before the response has ended; on a Unix socket it has no effect. 0
 * or -ENOMEM. */
int leat_http_set_pace(struct leat_http_response *response, uint64_t rate_bytes_per_s);

/* In place of what the route or the server has: how this response is coded. Before it begins to be
 * written piece by piece; a whole one at any time. -EINVAL: no such policy. */
int leat_http_set_compress(struct leat_http_response *response,
                           const struct leat_compress_policy *policy);

/* Replies; the last reply counts, and none at all is a 500. `media_type` may be NULL when there is
 * no body. The body is copied (-ENOMEM). -EALREADY when a response was begun piece by piece, for
 * this and all below. */
int leat_http_reply(struct leat_http_response *response, int status, const char *media_type,
                    const void *body, size_t size);
/* As above; nothing is copied or looked at: body and media type are the program's own, and stay as
 * they are until the server has gone. */
int leat_http_reply_static(struct leat_http_response *response, int status, const char *media_type,
                           const void *body, size_t size);
/* Memory that lives as long as the request's (leat_http_alloc) or longer, and ranges of files: each
 * file is held until it is sent. The list is copied. */
int leat_http_reply_vectors(struct leat_http_response *response, int status, const char *media_type,
                            const struct leat_vector *vectors, size_t count);
/* The same with something that is made anew for each request and yet the same each time, as GET and
 * HEAD ask for it: validators, conditions, one range or several (RFC 9110, sections 13 and 14), as
 * leat_http_reply_file does it for files. Other methods are replied to with 405 or 501. -EINVAL
 * when the tag is none. */
struct leat_http_content {
    const char *media_type;
    /* The strong entity tag without its quotes (section 8.8.3), at most LEAT_HTTP_ETAG_MAX bytes:
     * as long as it is the same so is every byte of the content. NULL: none. */
    const char *etag;
    int64_t mtime_ns;                  /* Last-Modified, of the wall clock; 0: none */
    const struct leat_vector *vectors; /* as leat_http_reply_vectors takes them */
    size_t count;
};
enum { LEAT_HTTP_ETAG_MAX = 64 };
int leat_http_reply_content(struct leat_http_request *request, struct leat_http_response *response,
                            const struct leat_http_content *content);
/* text/plain in UTF-8, as printf(3) makes it. */
int leat_http_reply_text(struct leat_http_response *response, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* application/json; takes the reference over. NULL is a 500, so that a json_pack that fails needs
 * no look of its own. */
int leat_http_reply_json(struct leat_http_response *response, int status, struct json_t *json);
/* 301, 302, 303, 307 or 308. -EINVAL when `location` cannot be a field's value. */
int leat_http_redirect(struct leat_http_response *response, int status, const char *location);
/* A short text that names the status, or what options.on_error makes of it. */
int leat_http_reply_error(struct leat_http_response *response, int status);

/* The method is not for this resource: 405 with Allow, which is a list such as "GET, HEAD"; or 501
 * for one that nobody knows (RFC 9110, sections 9.1 and 15.5.6). */
int leat_http_reply_not_allowed(struct leat_http_request *request,
                                struct leat_http_response *response, const char *allow);

/* Problem details (RFC 9457) as application/problem+json. All but the status may be NULL: `type`
 * is then about:blank, `title` the status's text. `extensions` is borrowed. */
struct leat_http_problem {
    int status;
    const char *type, *title, *detail, *instance;
    const struct json_t *extensions; /* an object */
};
int leat_http_reply_problem(struct leat_http_response *response,
                            const struct leat_http_problem *problem);
/* For leat_http_options.on_error: every error as problem details. */
void leat_http_error_as_problem(struct leat_http_request *request,
                                struct leat_http_response *response, int status, void *user);

/* Adds Set-Cookie (RFC 6265, section 4.1). -EINVAL when name, value, path or domain are not what it
 * allows there, or browsers would refuse it: SameSite=None without Secure, a name with __Host- or
 * __Secure- without what that promises. -LEAT_E_LIMIT as leat_http_add_field. */
enum leat_http_same_site {
    LEAT_HTTP_SAME_SITE_UNSET,
    LEAT_HTTP_SAME_SITE_LAX,
    LEAT_HTTP_SAME_SITE_STRICT,
    LEAT_HTTP_SAME_SITE_NONE,
};
struct leat_http_cookie {
    const char *name, *value, *path, *domain; /* the last two may be NULL */
    int64_t max_age_s;                        /* 0: until the browser closes; negative: delete it */
    enum leat_http_same_site same_site;
    bool secure, http_only;
};
int leat_http_set_cookie(struct leat_http_response *response,
                         const struct leat_http_cookie *cookie);

/* ---- A response piece by piece --------------------------------------------------------------- */

/* Begins a response whose body is written with the calls below and ends when the handler returns.
 * `size` is its size in bytes, or -1: then it is chunked (HTTP/1.0: it ends with the connection).
 * The head is sent with the first piece. */
int leat_http_begin(struct leat_http_response *response, int status, const char *media_type,
                    int64_t size);
/* Returns when the kernel has taken all of it: a slow client slows the handler down. 0, -ETIMEDOUT,
 * -ECANCELED, -ECONNRESET, -EPIPE; after an error nothing more can be sent and the connection is
 * closed. -EMSGSIZE: more than was promised. For HEAD nothing is sent, and that is no error. */
int leat_http_write(struct leat_http_response *response, const void *data, size_t size,
                    int64_t deadline_ns);
int leat_http_send(struct leat_http_response *response, const struct leat_vector *vectors,
                   size_t count, int64_t deadline_ns);
/* What was written so far can be read by the client when it comes: coded responses keep some of it
 * back for the next pieces otherwise. Of others there is nothing to flush. As leat_http_write. */
int leat_http_flush(struct leat_http_response *response, int64_t deadline_ns);
/* A field behind a chunked body (RFC 9110, section 6.5); dropped when the body is not chunked. */
int leat_http_add_trailer(struct leat_http_response *response, const char *name, const char *value);
/* Breaks the response off: the client sees that it is not whole (RFC 9112, section 8). */
void leat_http_abort(struct leat_http_response *response);

/* ---- Waiting without a stack ----------------------------------------------------------------- */

/* For a request whose answer others bring about, such as the next piece of a live stream: its
 * handler asks for a place in a lot and returns without a reply. What is left then is an idle
 * connection that keeps the request's head; it has no fiber, no stack, and no memory of the
 * request's. When the lot is woken or the deadline has passed the handler runs again, from its
 * beginning, as if the request had just come: with memory, fields and deadline of its own. It looks
 * for what it waited for, and replies, or parks once more.
 *
 *     const int64_t deadline_ns = leat_http_received_ns(request) + patience_ns;
 *     if (!is_there(wanted) && !leat_http_is_overdue(request) &&
 *         leat_http_park(request, response, lot, deadline_ns) == 0)
 *         return;
 *
 * A client that closes its connection, or its side of it, leaves the lot at once. What it sends
 * while it is parked waits. A request counts once, and lasts from when it was received. */
struct leat_http_lot;
/* It belongs to the loop of the thread that made it, and serves the requests that came there.
 * -ENOMEM. */
int leat_http_lot_create(struct leat_http_lot **ret_lot);
/* Wakes who is in it. NULL is fine. */
void leat_http_lot_destroy(struct leat_http_lot *lot);
/* All who are in it leave it, and their handlers run soon: first come, first served, a limited
 * number in each of the loop's turns. Who parks again waits for the next wake. Returns how many
 * they were. */
unsigned leat_http_lot_wake(struct leat_http_lot *lot);
/* How many are in it. */
unsigned leat_http_lot_count(const struct leat_http_lot *lot);

/* 0: the request is in the lot from now on, and the handler returns; if it replies after all it has
 * left. A second call in the same run of the handler takes the place of the first. -EBUSY: it was
 * replied to, or a response begun, or the request has a body; -ESHUTDOWN: the server closes;
 * -ENOMEM. `deadline_ns` must not be LEAT_FOREVER. */
int leat_http_park(struct leat_http_request *request, struct leat_http_response *response,
                   struct leat_http_lot *lot, int64_t deadline_ns);
/* Is this not the first run of its handler? */
bool leat_http_was_parked(const struct leat_http_request *request);
/* Is it to be answered with what there is now? The deadline of its last parking has passed, or the
 * server closes, which wakes all who are parked. What it waited for may have come all the same. */
bool leat_http_is_overdue(const struct leat_http_request *request);
/* When its head had come, by the loop's clock (leat_now_ns): parking does not change it. */
int64_t leat_http_received_ns(const struct leat_http_request *request);

/* ---- Files ---------------------------------------------------------------------------------- */

/* Replies with a file below the root, as GET and HEAD ask for it: validators, conditions, ranges
 * (RFC 9110, sections 13 and 14). `path` is relative, as leat_http_local_path makes it. What cannot
 * be served is replied to with its status. A directory is not replied to: returns -EISDIR. */
int leat_http_reply_file(struct leat_http_request *request, struct leat_http_response *response,
                         struct leat_root *root, const char *path);

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
