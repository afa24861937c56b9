/* SPDX-License-Identifier: MIT */
/*
 * Server-sent events. A hub is a ring of counted texts, numbered for ever, and a line of
 * subscribers who wait for the next number. A subscriber is a number and a fiber: what it was not
 * sent yet is the ring from there on, so a slow one costs no memory and publishing the same,
 * however many are slow. What is being sent is held, for the ring may drop it meanwhile.
 */
#include "leat/events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "fiber/fiber.h"
#include "http/conn.h"
#include "http/server.h"
#include "leat/error.h"
#include "wire/event_stream.h"

enum {
    KEPT_DEFAULT = 256,
    KEPT_MAX = 65536,
    KEPT_SIZE_DEFAULT = 1 << 20,
    SUBSCRIBERS_DEFAULT = 10 * 1000,
    HEARTBEAT_MS = 15 * 1000,
    SEND_TIMEOUT_MS = 30 * 1000,
    BATCH = 12,   /* events sent at a time: what one leat_http_send takes in one chunk */
    ID_SIZE = 64, /* of an id at most */
};

static struct event_stream_event plain(const struct leat_event *event)
{
    return (struct event_stream_event){.id = slice_from_text(event->id),
                                       .type = slice_from_text(event->type),
                                       .data = event->data,
                                       .retry_ms = event->retry_ms};
}

/* ---- One response ---------------------------------------------------------------------------- */

const char *leat_event_last_id(struct leat_http_request *request)
{
    const struct leat_slice id = leat_http_field(request, "Last-Event-ID");
    return id.data ? leat_http_copy(request, id) : "";
}

int leat_event_heartbeat(struct leat_http_response *response, int64_t deadline_ns)
{
    return leat_http_write(response, ":\n\n", 3, deadline_ns);
}

int leat_event_begin(struct leat_http_response *response, int64_t deadline_ns)
{
    int error = leat_http_add_field(response, "Cache-Control", "no-cache");
    if (!error)
        error = leat_http_add_field(response, "X-Accel-Buffering", "no"); /* nginx's */
    if (!error)
        error = leat_http_begin(response, 200, "text/event-stream", -1);
    return error ? error : leat_event_heartbeat(response, deadline_ns);
}

int leat_event_send(struct leat_http_response *response, const struct leat_event *event,
                    int64_t deadline_ns)
{
    char small[512];
    const struct event_stream_event text = plain(event);
    const long size = event_stream_size(&text);
    if (size < 0)
        return (int)size;
    char *data = (size_t)size <= sizeof small ? small : malloc((size_t)size);
    if (!data)
        return -ENOMEM;
    event_stream_write(&text, data);
    const int error = leat_http_write(response, data, (size_t)size, deadline_ns);
    if (data != small)
        free(data);
    return error;
}

/* ---- Events that are kept -------------------------------------------------------------------- */

struct kept {
    unsigned references; /* the ring's, and one for each who is sending it */
    size_t size;
    char id[ID_SIZE]; /* for who comes back */
    size_t id_size;
    char text[];
};

struct leat_events {
    struct leat_loop *loop;
    unsigned kept_max, subscribers_max;
    size_t kept_size_max;
    bool is_closed, is_destroyed;
    struct kept **ring;   /* number n is at n % kept_max */
    uint64_t first, next; /* numbers: kept are [first, next) */
    size_t kept_size;
    uint64_t origin; /* makes our ids differ from those of an earlier run */
    struct list_node waiters;
    unsigned subscribers;
    uint64_t skipped, cut;
};

static void kept_unref(struct kept *kept)
{
    ASSERT(kept->references > 0);
    if (--kept->references == 0)
        free(kept);
}

static struct kept **place_of(const struct leat_events *events, uint64_t number)
{
    ASSERT(number >= events->first && number <= events->next);
    return &events->ring[number % events->kept_max];
}

static void drop_oldest(struct leat_events *events)
{
    struct kept *oldest = *place_of(events, events->first);
    ASSERT(events->first < events->next && events->kept_size >= oldest->size);
    events->first++;
    events->kept_size -= oldest->size;
    kept_unref(oldest);
}

/* The number behind the event of this id, searched from the newest on; false: it is not kept. */
static bool number_behind(const struct leat_events *events, struct leat_slice id,
                          uint64_t *ret_number)
{
    for (uint64_t number = events->next; number > events->first; number--) {
        const struct kept *kept = *place_of(events, number - 1);
        if (kept->id_size == id.size && memcmp(kept->id, id.data, id.size) == 0) {
            *ret_number = number;
            return true;
        }
    }
    return false;
}

/* ---- The hub --------------------------------------------------------------------------------- */

int leat_events_create(const struct leat_events_options *options, struct leat_events **ret_events)
{
    static const struct leat_events_options defaults = {0};
    if (!options)
        options = &defaults;
    struct leat_events *events = calloc(1, sizeof *events);
    if (!events)
        return -ENOMEM;
    events->kept_max = options->kept_max ? options->kept_max : KEPT_DEFAULT;
    if (events->kept_max > KEPT_MAX)
        events->kept_max = KEPT_MAX;
    events->kept_size_max = options->kept_size_max ? options->kept_size_max : KEPT_SIZE_DEFAULT;
    events->subscribers_max =
        options->subscribers_max ? options->subscribers_max : SUBSCRIBERS_DEFAULT;
    events->ring = calloc(events->kept_max, sizeof(struct kept *));
    if (!events->ring) {
        free(events);
        return -ENOMEM;
    }
    events->loop = leat_loop_current();
    ASSERT(events->loop);
    events->origin = (uint64_t)leat_now_ns();
    list_init(&events->waiters);
    *ret_events = events;
    return 0;
}

static void free_events(struct leat_events *events)
{
    ASSERT(events->subscribers == 0 && list_is_empty(&events->waiters));
    while (events->first < events->next)
        drop_oldest(events);
    free(events->ring);
    free(events);
}

static void wake_all(struct leat_events *events);

void leat_events_close(struct leat_events *events)
{
    events->is_closed = true;
    wake_all(events);
}

void leat_events_destroy(struct leat_events *events)
{
    if (!events)
        return;
    leat_events_close(events);
    events->is_destroyed = true;
    if (events->subscribers == 0)
        free_events(events);
}

int leat_events_publish(struct leat_events *events, const struct leat_event *event)
{
    ASSERT(events->loop == leat_loop_current());
    char made_id[ID_SIZE];
    struct event_stream_event text = plain(event);
    if (events->is_closed)
        return -LEAT_E_CLOSED;
    if (!text.id.data && text.data.data) {
        const int id_size =
            snprintf(made_id, sizeof made_id, "%" PRIx64 "-%" PRIu64, events->origin, events->next);
        ASSERT(id_size > 0 && (size_t)id_size < sizeof made_id);
        text.id = slice_of(made_id, (size_t)id_size);
    }
    const long size = event_stream_size(&text);
    if (size < 0)
        return (int)size;
    if ((size_t)size > events->kept_size_max || text.id.size > ID_SIZE)
        return -LEAT_E_LIMIT;
    struct kept *kept = malloc(sizeof *kept + (size_t)size);
    if (!kept)
        return -ENOMEM;
    kept->references = 1;
    kept->size = (size_t)size;
    kept->id_size = text.id.size;
    if (text.id.size > 0)
        memcpy(kept->id, text.id.data, text.id.size);
    event_stream_write(&text, kept->text);
    while (events->next - events->first == events->kept_max ||
           events->kept_size + kept->size > events->kept_size_max)
        drop_oldest(events);
    *place_of(events, events->next) = kept;
    events->next++;
    events->kept_size += kept->size;
    wake_all(events);
    return 0;
}

void leat_events_counters(const struct leat_events *events,
                          struct leat_events_counters *ret_counters)
{
    *ret_counters = (struct leat_events_counters){.published = events->next,
                                                  .subscribers_now = events->subscribers,
                                                  .skipped = events->skipped,
                                                  .cut = events->cut};
}

/* ---- Subscribers ----------------------------------------------------------------------------- */

struct subscriber {
    struct list_node node; /* in events->waiters while it waits */
    struct server_guest guest;
    struct fiber *fiber;
    struct leat_events *events;
    struct leat_http_response *response;
    uint64_t next; /* the number of the event to send next */
    uint64_t behind_max;
    struct leat_events_serve_options options;
};

static void wake_all(struct leat_events *events)
{
    struct list_node *node;
    while ((node = list_take_front(&events->waiters)) != NULL)
        fiber_wake(CONTAINER_OF(node, struct subscriber, node)->fiber);
}

static void leave_line(void *user)
{
    struct subscriber *subscriber = user;
    list_remove(&subscriber->node);
    fiber_wake(subscriber->fiber);
}

static void server_closes(struct server_guest *guest)
{
    struct subscriber *subscriber = CONTAINER_OF(guest, struct subscriber, guest);
    if (!list_is_empty(&subscriber->node))
        leave_line(subscriber);
}

/* 0: something has been published, or hub or server close; -ETIMEDOUT, -ECANCELED. */
static int wait_for_event(struct subscriber *subscriber, int64_t deadline_ns)
{
    list_push_back(&subscriber->events->waiters, &subscriber->node);
    const int reason = fiber_park(deadline_ns, leave_line, subscriber);
    list_remove(&subscriber->node); /* it may not have parked at all */
    return reason;
}

static int64_t send_deadline(const struct subscriber *subscriber)
{
    return leat_after_ms(subscriber->options.send_timeout_ms);
}

static int tell_gap(struct subscriber *subscriber, uint64_t missed)
{
    char count[24] = "";
    if (missed > 0)
        snprintf(count, sizeof count, "%" PRIu64, missed);
    const struct leat_event gap = {.type = "gap", .data = slice_from_text(count)};
    return leat_event_send(subscriber->response, &gap, send_deadline(subscriber));
}

/* Goes on at `next`; what it has not been sent before that is missed. */
static int skip_to(struct subscriber *subscriber, uint64_t next)
{
    ASSERT(next > subscriber->next && next <= subscriber->events->next);
    const uint64_t missed = next - subscriber->next;
    subscriber->next = next;
    subscriber->events->skipped += missed;
    return tell_gap(subscriber, missed);
}

/* The first event that may still be sent to it. */
static uint64_t first_for(const struct subscriber *subscriber)
{
    const struct leat_events *events = subscriber->events;
    const uint64_t within =
        events->next > subscriber->behind_max ? events->next - subscriber->behind_max : 0;
    return within > events->first ? within : events->first;
}

/* Where it begins. Who comes back from longer ago than is kept was not slow: the policy is for
 * those who are being served. */
static int begin_where_it_was(struct subscriber *subscriber, struct leat_slice last_id)
{
    const struct leat_events *events = subscriber->events;
    const uint64_t first = first_for(subscriber);
    if (last_id.size == 0) {
        const uint64_t replay = subscriber->options.replay;
        const uint64_t from = events->next > replay ? events->next - replay : 0;
        subscriber->next = from > first ? from : first;
        return 0;
    }
    if (!number_behind(events, last_id, &subscriber->next)) {
        subscriber->next = first;
        return tell_gap(subscriber, 0);
    }
    return subscriber->next < first ? skip_to(subscriber, first) : 0;
}

/* Sends as many as go in one piece. */
static int send_batch(struct subscriber *subscriber)
{
    const struct leat_events *events = subscriber->events;
    struct kept *held[BATCH];
    struct leat_vector vectors[BATCH];
    size_t count = 0;
    while (count < BATCH && subscriber->next < events->next) {
        struct kept *kept = *place_of(events, subscriber->next++);
        kept->references++;
        held[count] = kept;
        vectors[count++] = (struct leat_vector){.data = kept->text, .size = kept->size};
    }
    ASSERT(count > 0);
    const int error =
        leat_http_send(subscriber->response, vectors, count, send_deadline(subscriber));
    while (count > 0)
        kept_unref(held[--count]);
    return error;
}

/* One step of the service: 1: go on, 0: it is over, or an error. */
static int step(struct subscriber *subscriber, bool is_server_closing, int64_t *heartbeat_ns)
{
    struct leat_events *events = subscriber->events;
    int error;
    if (subscriber->next < first_for(subscriber)) {
        if (subscriber->options.policy == LEAT_EVENTS_CUT) {
            events->cut++;
            return -LEAT_E_LIMIT;
        }
        error = skip_to(subscriber, first_for(subscriber));
    } else if (subscriber->next < events->next) {
        error = send_batch(subscriber);
    } else if (events->is_closed || is_server_closing) {
        return 0;
    } else {
        error = wait_for_event(subscriber, *heartbeat_ns);
        if (error == 0)
            return 1;
        if (error != -ETIMEDOUT)
            return error;
        error = leat_event_heartbeat(subscriber->response, send_deadline(subscriber));
    }
    *heartbeat_ns = leat_after_ms(subscriber->options.heartbeat_ms);
    return error ? error : 1;
}

static int serve(struct subscriber *subscriber, struct leat_slice last_id)
{
    struct leat_http_response *response = subscriber->response;
    struct leat_http_server *server = exchange_of_response(response)->conn->server;
    int result = leat_event_begin(response, send_deadline(subscriber));
    if (result || response->is_head_only)
        return result;
    if (subscriber->options.retry_ms > 0)
        result = leat_event_send(response,
                                 &(struct leat_event){.retry_ms = subscriber->options.retry_ms},
                                 send_deadline(subscriber));
    if (!result)
        result = begin_where_it_was(subscriber, last_id);
    if (result)
        return result;
    int64_t heartbeat_ns = leat_after_ms(subscriber->options.heartbeat_ms);
    list_push_back(&server->guests, &subscriber->guest.node);
    do
        result = step(subscriber, server->is_closing, &heartbeat_ns);
    while (result > 0);
    list_remove(&subscriber->guest.node);
    return result;
}

int leat_events_serve(struct leat_events *events, struct leat_http_request *request,
                      struct leat_http_response *response,
                      const struct leat_events_serve_options *options)
{
    ASSERT(events->loop == leat_loop_current() && fiber_current());
    if (events->is_closed || events->subscribers >= events->subscribers_max) {
        (void)leat_http_reply_error(response, 503);
        return events->is_closed ? 0 : -LEAT_E_LIMIT;
    }
    struct subscriber subscriber = {.fiber = fiber_current(),
                                    .events = events,
                                    .response = response,
                                    .guest.on_close = server_closes};
    if (options)
        subscriber.options = *options;
    if (!subscriber.options.heartbeat_ms)
        subscriber.options.heartbeat_ms = HEARTBEAT_MS;
    if (!subscriber.options.send_timeout_ms)
        subscriber.options.send_timeout_ms = SEND_TIMEOUT_MS;
    const unsigned behind_max = subscriber.options.behind_max;
    subscriber.behind_max = behind_max ? behind_max : events->kept_max;
    list_init(&subscriber.node);
    events->subscribers++;
    const int result = serve(&subscriber, leat_http_field(request, "Last-Event-ID"));
    ASSERT(list_is_empty(&subscriber.node));
    events->subscribers--;
    if (events->is_destroyed && events->subscribers == 0)
        free_events(events);
    return result;
}
