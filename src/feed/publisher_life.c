/* SPDX-License-Identifier: MIT */
/*
 * How a publisher begins and ends. See publisher.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "feed/publisher.h"
#include "feed/transport.h"
#include "leat/error.h"
#include "loop/offload.h"

enum { FLUSH_US = 100, FLUSH_BYTES = 64 << 10, HEARTBEAT_MS = 1000 };

struct opening {
    struct leat_loop *loop;
    struct feed_log_options options;
    struct feed_log *log;
    char *reason;
    size_t reason_size;
    int error;
};

static void open_log(void *arg, const struct backend_sys *sys)
{
    struct opening *opening = arg;
    opening->error = feed_log_open(opening->loop, &opening->options, &opening->log, opening->reason,
                                   opening->reason_size);
}

static size_t or_default(size_t value, size_t otherwise)
{
    return value > 0 ? value : otherwise;
}

/* NULL, or what is wrong. */
static const char *check(const struct leat_feed_publisher_options *options)
{
    const size_t packet_size = or_default(options->packet_size, LEAT_FEED_PACKET_SIZE);
    uint8_t session[MOLD_SESSION_SIZE];
    if (!options->session || mold_session_from_text(options->session, session))
        return "a session's name has 1 to 10 printable ASCII characters";
    if (!options->lines[0])
        return "there is no line to publish to";
    if (packet_size < LEAT_FEED_PACKET_SIZE_MIN || packet_size > LEAT_FEED_PACKET_SIZE_MAX)
        return "a packet has 64 to 65507 bytes";
    if (options->request_packets > FEED_BURST_MAX)
        return "a request may bring 256 packets at most";
    return NULL;
}

static void set_up(struct leat_feed_publisher *publisher,
                   const struct leat_feed_publisher_options *options)
{
    publisher->loop = loop_current;
    publisher->mode = options->mode;
    publisher->is_durable = options->is_durable && options->log;
    publisher->packet_size = or_default(options->packet_size, LEAT_FEED_PACKET_SIZE);
    publisher->flush_bytes = or_default(options->flush_bytes, FLUSH_BYTES);
    publisher->flush_messages = options->flush_messages ? options->flush_messages : UINT32_MAX;
    publisher->flush_ns = (int64_t)or_default(options->flush_us, FLUSH_US) * LEAT_NS_PER_US;
    publisher->heartbeat_ns =
        (int64_t)or_default(options->heartbeat_ms, HEARTBEAT_MS) * LEAT_NS_PER_MS;
    publisher->backlog_max = or_default(options->segment_size, FEED_LOG_SEGMENT_SIZE) / 2;
    publisher->flush_at_ns = LEAT_FOREVER;
    timer_init(&publisher->flush_timer, publisher_on_flush);
    timer_init(&publisher->beat_timer, publisher_on_beat);
    list_init(&publisher->waiters);
    (void)mold_session_from_text(options->session, publisher->session);
}

static int set_up_log(struct leat_feed_publisher *publisher,
                      const struct leat_feed_publisher_options *options, char *ret_reason,
                      size_t reason_size)
{
    struct opening opening = {.loop = publisher->loop,
                              .options = {.path = options->log,
                                          .segment_size = options->segment_size,
                                          .segments_kept = options->segments_kept,
                                          .packet_size = publisher->packet_size,
                                          .is_durable = publisher->is_durable},
                              .reason = ret_reason,
                              .reason_size = reason_size};
    memcpy(opening.options.session, publisher->session, MOLD_SESSION_SIZE);
    int error = fiber_offload(open_log, &opening, LEAT_FOREVER);
    error = error ? error : opening.error;
    if (error)
        return error;
    publisher->log = opening.log;
    publisher->tail = feed_log_tail(opening.log);
    publisher->first_sequence = publisher->tail->next_sequence;
    publisher->closed_sequence = publisher->tail->next_sequence;
    publisher->sendable_sequence = publisher->closed_sequence;
    publisher->first_unflushed = publisher->closed_sequence;
    if (feed_log_is_ended(opening.log))
        publisher->state = PUBLISHER_ENDED;
    return 0;
}

static int set_up_line(struct leat_feed_publisher *publisher,
                       const struct leat_feed_publisher_options *options, unsigned line,
                       char *ret_reason, size_t reason_size)
{
    const struct feed_transport_options wanted = {.address = options->lines[line],
                                                  .role = FEED_ROLE_SEND,
                                                  .packet_size_max = publisher->packet_size,
                                                  .socket = options->socket};
    struct feed_transport *transport;
    const int error =
        feed_transport_open(publisher->loop, &wanted, &transport, ret_reason, reason_size);
    if (error)
        return error;
    feed_outlet_init(&publisher->outlets[line], publisher->log, transport, publisher_on_room,
                     publisher);
    publisher->outlet_count++;
    return 0;
}

static uint64_t end_of_what_may_be_told(void *user)
{
    const struct leat_feed_publisher *publisher = user;
    return publisher->sendable_sequence;
}

static int set_up_answers(struct leat_feed_publisher *publisher,
                          const struct leat_feed_publisher_options *options, char *ret_reason,
                          size_t reason_size)
{
    const struct feed_transport_options wanted = {.address = options->request_listen,
                                                  .role = FEED_ROLE_ANSWER,
                                                  .packet_size_max = publisher->packet_size,
                                                  .socket = options->socket};
    struct feed_transport *transport;
    int error = feed_transport_open(publisher->loop, &wanted, &transport, ret_reason, reason_size);
    if (error)
        return error;
    struct feed_answers_options answers = {
        .log = publisher->log,
        .transport = transport,
        .packet_size = publisher->packet_size,
        .packets = (unsigned)or_default(options->request_packets, FEED_REQUEST_PACKETS),
        .bytes_per_s = or_default(options->request_bytes_per_s, FEED_REQUEST_BYTES_PER_S),
        .all_bytes_per_s = or_default(options->requests_bytes_per_s, FEED_REQUESTS_BYTES_PER_S),
        .end_sequence = end_of_what_may_be_told,
        .user = publisher};
    memcpy(answers.session, publisher->session, MOLD_SESSION_SIZE);
    error = feed_answers_create(publisher->loop, &answers, options->mode == LEAT_FEED_ECONOMICAL,
                                &publisher->answers);
    if (error)
        feed_transport_destroy(transport);
    return error;
}

int leat_feed_publisher_open(const struct leat_feed_publisher_options *options,
                             struct leat_feed_publisher **ret_publisher, char *ret_reason,
                             size_t reason_size)
{
    ASSERT(fiber_current());
    if (reason_size > 0)
        ret_reason[0] = '\0';
    const char *wrong = check(options);
    if (wrong) {
        snprintf(ret_reason, reason_size, "%s", wrong);
        return -EINVAL;
    }
    struct leat_feed_publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher)
        return -ENOMEM;
    set_up(publisher, options);
    int error = set_up_log(publisher, options, ret_reason, reason_size);
    for (unsigned line = 0; !error && line < LEAT_FEED_LINES_MAX && options->lines[line]; line++)
        error = set_up_line(publisher, options, line, ret_reason, reason_size);
    if (!error && options->request_listen)
        error = set_up_answers(publisher, options, ret_reason, reason_size);
    if (error) {
        leat_feed_publisher_close(publisher);
        if (reason_size > 0 && ret_reason[0] == '\0')
            snprintf(ret_reason, reason_size, "%s", leat_error_text(error));
        return error;
    }
    publisher_begin_beats(publisher);
    *ret_publisher = publisher;
    return 0;
}

int leat_feed_publisher_request_address(const struct leat_feed_publisher *publisher,
                                        struct leat_address *ret_address)
{
    return publisher->answers ? feed_answers_address(publisher->answers, ret_address) : -ENOTSUP;
}

/* Closing syncs and unmaps, which may take its time; the end is waited for whatever happens. */
struct closing {
    struct offload_job job;
    struct feed_log *log;
    struct fiber *fiber;
    bool is_done;
};

static void close_log(struct offload_job *job, const struct backend_sys *sys)
{
    feed_log_close(CONTAINER_OF(job, struct closing, job)->log);
}

static void on_closed(struct offload_job *job)
{
    struct closing *closing = CONTAINER_OF(job, struct closing, job);
    closing->is_done = true;
    fiber_wake(closing->fiber);
}

static void tear_down_log(struct leat_feed_publisher *publisher)
{
    struct closing closing = {.job = {.run = close_log, .done = on_closed},
                              .log = publisher->log,
                              .fiber = fiber_current()};
    if (offload_submit(publisher->loop, &closing.job))
        return feed_log_close(publisher->log); /* the pool is full: here and now */
    while (!closing.is_done)
        fiber_park_sealed();
}

/* Both are of operations and jobs that were asked to end, or end by themselves soon. */
static bool is_busy(const struct leat_feed_publisher *publisher)
{
    for (unsigned i = 0; i < publisher->outlet_count; i++)
        if (op_is_busy(&publisher->outlets[i].poll))
            return true;
    return publisher->is_syncing;
}

void leat_feed_publisher_close(struct leat_feed_publisher *publisher)
{
    if (!publisher)
        return;
    ASSERT(list_is_empty(&publisher->waiters) && fiber_current());
    if (publisher->state == PUBLISHER_OPEN && publisher->log)
        leat_feed_flush(publisher);
    publisher->is_closing = true;
    for (unsigned i = 0; i < publisher->outlet_count; i++)
        feed_outlet_cancel(&publisher->outlets[i]);
    struct publisher_waiter waiter = {.fiber = fiber_current()};
    while (is_busy(publisher)) {
        list_push_back(&publisher->waiters, &waiter.node);
        fiber_park_sealed();
        list_remove(&waiter.node);
    }
    loop_timer_stop(publisher->loop, &publisher->flush_timer);
    loop_timer_stop(publisher->loop, &publisher->beat_timer);
    feed_answers_destroy(publisher->answers);
    for (unsigned i = 0; i < publisher->outlet_count; i++)
        feed_outlet_fini(&publisher->outlets[i]);
    if (publisher->log)
        tear_down_log(publisher);
    free(publisher);
}
