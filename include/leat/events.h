/* SPDX-License-Identifier: MIT */
/*
 * Server-sent events (WHATWG HTML standard, section 9.2): a response that goes on, as EventSource
 * in browsers reads it. One response is written with leat_event_begin and leat_event_send. A hub
 * sends the same events to any number of them:
 *
 *     publish --> | kept events, oldest first | --> serve, in the fiber of each subscriber
 *
 * Publishing never waits. An event is made into text once, and kept for who is slow and for who
 * comes back: a browser that was cut off tells the id of the last event it has seen, and goes on
 * behind it. Who is further behind than the hub keeps events is told so, or is cut off.
 */
#ifndef LEAT_EVENTS_H
#define LEAT_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "leat/http.h"
#include "leat/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

struct leat_event {
    const char *id;         /* NULL: none; "": the client is to forget the last one */
    const char *type;       /* the event's name for addEventListener; NULL: "message" */
    struct leat_slice data; /* UTF-8, lines may end in any way. data NULL: no event, but the client
                               takes notice of id and retry_ms */
    int64_t retry_ms;       /* the client waits so long before it comes back; 0: as before */
};

/* ---- One response ---------------------------------------------------------------------------- */

/* The id of the last event this client has seen, "" for none; NULL: no memory. */
const char *leat_event_last_id(struct leat_http_request *request);

/* Begins the response (200, text/event-stream, not to be cached nor held back by proxies) and sends
 * its head. As leat_http_begin and leat_http_write. */
int leat_event_begin(struct leat_http_response *response, int64_t deadline_ns);
/* As leat_http_write; -EINVAL: a line end in id or type; -ENOMEM. */
int leat_event_send(struct leat_http_response *response, const struct leat_event *event,
                    int64_t deadline_ns);
/* A comment, which the client does not see: shows proxies that the stream lives, and us whether the
 * client does. */
int leat_event_heartbeat(struct leat_http_response *response, int64_t deadline_ns);

/* ---- A hub ----------------------------------------------------------------------------------- */

/* Belongs to the loop of the thread that made it, as everything below. */
struct leat_events;

struct leat_events_options {
    unsigned kept_max;        /* events. 0: 256; 65,536 at most */
    size_t kept_size_max;     /* their bytes. 0: 1 MiB */
    unsigned subscribers_max; /* at a time; the newcomer beyond it gets a 503. 0: 10,000 */
};

/* `options` may be NULL. -ENOMEM. */
int leat_events_create(const struct leat_events_options *options, struct leat_events **ret_events);
/* Nothing more can be published; every leat_events_serve sends what there is and returns 0. */
void leat_events_close(struct leat_events *events);
/* Closes; its memory goes when the last leat_events_serve has returned. NULL is fine. */
void leat_events_destroy(struct leat_events *events);

/* To all subscribers; the event is copied. Without an id it gets one, unless it has no data. Does
 * not wait. -EINVAL as above, -LEAT_E_LIMIT: larger than kept_size_max, or an id of more than 64
 * bytes; -LEAT_E_CLOSED, -ENOMEM. */
int leat_events_publish(struct leat_events *events, const struct leat_event *event);

/* When a subscriber is behind by more than behind_max events, or what he has not been sent is kept
 * no more. */
enum leat_events_policy {
    LEAT_EVENTS_SKIP, /* the oldest are dropped, and an event "gap" says how many: its data */
    LEAT_EVENTS_CUT,  /* the response ends; the client comes back */
};

struct leat_events_serve_options {
    int64_t heartbeat_ms;    /* after so long without an event. 0: 15,000; negative: never */
    int64_t send_timeout_ms; /* for the client to take what it is sent. 0: 30,000 */
    int64_t retry_ms;        /* see leat_event; 0: the client's default */
    unsigned behind_max;     /* 0: as many as are kept */
    unsigned replay;         /* events of the past for who has no Last-Event-ID */
    enum leat_events_policy policy;
};

/* The handler of a subscriber: begins the response and sends it what is published, until the client
 * goes, or the hub or the server closes. Who comes back begins behind his Last-Event-ID; where that
 * is not kept, with an event "gap" without data and all that is. `options` may be NULL. 0: the hub
 * or the server has closed, or HEAD was asked for. -LEAT_E_LIMIT: cut off by the policy, or replied
 * to with 503; or what leat_http_write says. The handler then returns. */
int leat_events_serve(struct leat_events *events, struct leat_http_request *request,
                      struct leat_http_response *response,
                      const struct leat_events_serve_options *options);

struct leat_events_counters {
    uint64_t published, subscribers_now, skipped, cut;
};
void leat_events_counters(const struct leat_events *events,
                          struct leat_events_counters *ret_counters);

#ifdef __cplusplus
}
#endif
#endif
