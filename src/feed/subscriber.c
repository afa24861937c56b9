/* SPDX-License-Identifier: MIT */
/*
 * The subscriber: its life, how it waits, what it tells of itself. Everything happens on the stack
 * of who calls leat_feed_subscriber_run or _turn: on_batch may wait, and then the lines do, too.
 *
 *     economical   round, round, … nothing came: poll on the transports' descriptors, a timer for
 *                  what is due next (and each millisecond for transports that have none)
 *     spin         round, round, …; the loop gets a turn each 100 us
 */
#include "feed/subscriber.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/assert.h"
#include "feed/subscriber_parts.h"
#include "fiber/fiber.h"
#include "leat/error.h"

enum {
    WINDOW_PACKETS = 4096,
    WINDOW_PACKETS_MIN = 4,
    WINDOW_PACKETS_MAX = 1 << 20,
    PACKET_SIZE_MAX = 2048,
    WINDOW_US = 500,
    REQUEST_MS = 20,
    REQUEST_TRIES = 8,
    SILENCE_MS = 3000,
    DURATION_MS_MAX = 3600 * 1000, /* of these */
    ROUNDS_BUSY = 16,              /* economical: then the loop's other fibers have their turn */
    ROUNDS_ANSWERS = 64,           /* spin: answers that nobody waits for are thrown away */
    ANSWERS_MEASURED = 64,         /* so many tell how many messages an answer has */
};

static const int64_t spin_turn_ns = 100 * LEAT_NS_PER_US, unwatched_ns = LEAT_NS_PER_MS;

/* ---- Rounds ---------------------------------------------------------------------------------- */

static uint32_t mean(uint64_t messages, uint64_t packets)
{
    return messages > packets ? (uint32_t)(messages / packets) : 1;
}

/* How many messages a packet of the answers has: as those had that came last, at first as those of
 * the lines have. */
static uint32_t messages_a_packet(struct leat_feed_subscriber *subscriber)
{
    const struct leat_feed_line_stats *answers = &subscriber->lines[SUBSCRIBER_ANSWERS].stats;
    const uint64_t packets = answers->packets - subscriber->measured_packets;
    if (packets >= ANSWERS_MEASURED) {
        subscriber->answers_mean = mean(answers->messages - subscriber->measured_messages, packets);
        subscriber->measured_packets = answers->packets;
        subscriber->measured_messages = answers->messages;
    }
    if (subscriber->answers_mean > 0)
        return subscriber->answers_mean;
    const struct leat_feed_line_stats *a = &subscriber->lines[0].stats;
    const struct leat_feed_line_stats *b = &subscriber->lines[1].stats;
    return mean(a->messages + b->messages, a->packets + b->packets);
}

/* What is due. What cannot be sent counts as lost on its way. */
static int ask(struct leat_feed_subscriber *subscriber, int64_t now_ns)
{
    struct recovery_requests requests;
    uint8_t packets[RECOVERY_REQUESTS_MAX][MOLD_HEADER_SIZE];
    struct feed_frame frames[RECOVERY_REQUESTS_MAX];
    const struct recovery_room room = {
        .packets = subscriber->window.places - subscriber->window.count,
        .messages_a_packet = messages_a_packet(subscriber),
    };
    recovery_ask(&subscriber->recovery, now_ns, room, &requests);
    for (unsigned index = 0; index < requests.count; index++) {
        mold_write_header(packets[index], subscriber->session, requests.list[index].sequence,
                          requests.list[index].count);
        frames[index] = (struct feed_frame){.data = packets[index], .size = MOLD_HEADER_SIZE};
    }
    struct feed_transport *transport = subscriber->lines[SUBSCRIBER_ANSWERS].transport;
    unsigned sent = 0;
    while (sent < requests.count) {
        ASSERT(transport);
        const int taken = feed_send(transport, frames + sent, requests.count - sent);
        if (taken <= 0)
            break;
        sent += (unsigned)taken;
    }
    subscriber->stats.requests += sent;
    return subscriber_settle(subscriber);
}

static bool is_worth_a_look(const struct leat_feed_subscriber *subscriber, unsigned index)
{
    return index != SUBSCRIBER_ANSWERS || subscriber->recovery.count > 0 ||
           subscriber->options.mode != LEAT_FEED_SPIN || subscriber->rounds % ROUNDS_ANSWERS == 0;
}

static int take_bursts(struct leat_feed_subscriber *subscriber, int64_t now_ns)
{
    int taken = 0;
    for (unsigned index = 0; index < SUBSCRIBER_LINES; index++) {
        struct subscriber_line *line = &subscriber->lines[index];
        if (!line->transport || !is_worth_a_look(subscriber, index))
            continue;
        const int result = subscriber_take_burst(line, now_ns);
        if (result < 0)
            return result;
        taken += result;
    }
    return taken;
}

/* A callback waited for so long: nobody listened, so nobody was silent, and nothing is late. */
static void excuse(struct leat_feed_subscriber *subscriber, int64_t pause_ns)
{
    recovery_postpone(&subscriber->recovery, pause_ns);
    for (unsigned index = 0; index < SUBSCRIBER_LINES; index++)
        subscriber->lines[index].heard_ns += pause_ns;
}

int subscriber_round(struct leat_feed_subscriber *subscriber, int64_t now_ns)
{
    const int64_t begin_ns = subscriber->loop->now_ns;
    subscriber->rounds++;
    int result = subscriber_settle(subscriber); /* a callback may have ended the last round early */
    if (!result)
        result = take_bursts(subscriber, now_ns);
    if (result >= 0 && now_ns >= subscriber->recovery.next_ns) {
        const int error = ask(subscriber, now_ns);
        result = error ? error : result;
    }
    if (subscriber->loop->now_ns > begin_ns)
        excuse(subscriber, subscriber->loop->now_ns - begin_ns);
    return result;
}

int64_t subscriber_next_ns(const struct leat_feed_subscriber *subscriber)
{
    return subscriber->recovery.next_ns;
}

bool subscriber_is_complete(const struct leat_feed_subscriber *subscriber)
{
    return subscriber->is_ended && subscriber->next >= subscriber->end;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static int64_t clock_of(const struct leat_feed_subscriber *subscriber)
{
    return subscriber->loop->ops->now_ns(subscriber->loop->backend);
}

static void wake(void *user)
{
    struct leat_feed_subscriber *subscriber = user;
    if (subscriber->waiter)
        fiber_wake(subscriber->waiter);
}

static void on_time(struct timer *timer)
{
    wake(CONTAINER_OF(timer, struct leat_feed_subscriber, timer));
}

static void on_readable(struct op *op, const struct completion *completion)
{
    struct subscriber_line *line = CONTAINER_OF(op, struct subscriber_line, poll);
    line->has_no_notice |= completion->result < 0;
    wake(line->subscriber);
}

static int park(struct leat_feed_subscriber *subscriber, int64_t until_ns, int64_t deadline_ns)
{
    ASSERT(!subscriber->waiter);
    loop_timer_start(subscriber->loop, &subscriber->timer, until_ns);
    subscriber->waiter = fiber_current();
    const int reason = fiber_park(deadline_ns, wake, subscriber);
    subscriber->waiter = NULL;
    loop_timer_stop(subscriber->loop, &subscriber->timer);
    return reason;
}

/* The loop goes round once: who else is on it gets on. */
static int give_way(struct leat_feed_subscriber *subscriber, int64_t deadline_ns)
{
    return park(subscriber, subscriber->loop->now_ns, deadline_ns);
}

static int wait_for_more(struct leat_feed_subscriber *subscriber, int64_t now_ns,
                         int64_t deadline_ns)
{
    int64_t until_ns = subscriber->recovery.next_ns;
    for (unsigned index = 0; index < SUBSCRIBER_LINES; index++) {
        struct subscriber_line *line = &subscriber->lines[index];
        if (!line->transport || op_is_busy(&line->poll))
            continue;
        if (line->fd >= 0 && !line->has_no_notice)
            loop_submit(subscriber->loop, &line->poll);
        else if (until_ns > now_ns + unwatched_ns)
            until_ns = now_ns + unwatched_ns;
        line->has_no_notice = false;
    }
    return park(subscriber, until_ns, deadline_ns);
}

int leat_feed_subscriber_run(struct leat_feed_subscriber *subscriber, int64_t deadline_ns)
{
    ASSERT(subscriber->loop == loop_current && fiber_current());
    const bool is_spinning = subscriber->options.mode == LEAT_FEED_SPIN;
    int64_t turn_ns = clock_of(subscriber);
    unsigned busy = 0;
    int error = fiber_interruption(deadline_ns);
    while (!error) {
        const int64_t now_ns = clock_of(subscriber);
        const int taken = subscriber_round(subscriber, now_ns);
        if (taken < 0)
            return taken;
        if (subscriber_is_complete(subscriber))
            return 0;
        if (is_spinning) {
            if (now_ns - turn_ns < spin_turn_ns)
                continue;
            error = give_way(subscriber, deadline_ns);
            turn_ns = now_ns;
        } else if (taken == 0) {
            error = wait_for_more(subscriber, now_ns, deadline_ns);
            busy = 0;
        } else if (++busy == ROUNDS_BUSY) {
            error = give_way(subscriber, deadline_ns);
            busy = 0;
        }
    }
    return error;
}

int leat_feed_subscriber_turn(struct leat_feed_subscriber *subscriber)
{
    ASSERT(subscriber->loop == loop_current);
    ASSERT(subscriber->options.mode == LEAT_FEED_SPIN);
    const uint64_t before = subscriber->stats.messages;
    const int result = subscriber_round(subscriber, clock_of(subscriber));
    if (result < 0)
        return result;
    const uint64_t messages = subscriber->stats.messages - before;
    if (messages == 0 && subscriber_is_complete(subscriber))
        return -LEAT_E_CLOSED;
    return messages < INT32_MAX ? (int)messages : INT32_MAX;
}

/* ---- What it tells --------------------------------------------------------------------------- */

static void line_stats(const struct subscriber_line *line, int64_t now_ns,
                       struct leat_feed_line_stats *ret_stats)
{
    struct feed_transport_stats carried = {0};
    *ret_stats = line->stats;
    if (!line->transport)
        return;
    line->transport->ops->stats(line->transport, &carried);
    ret_stats->dropped = carried.dropped;
    ret_stats->foreign_source += carried.foreign;
    ret_stats->is_silent = now_ns - line->heard_ns >= line->subscriber->silence_ns;
}

void leat_feed_subscriber_stats(const struct leat_feed_subscriber *subscriber,
                                struct leat_feed_subscriber_stats *ret_stats)
{
    const int64_t now_ns = clock_of(subscriber);
    *ret_stats = subscriber->stats;
    if (subscriber->has_session)
        mold_session_to_text(subscriber->session, ret_stats->session);
    ret_stats->next_sequence = subscriber->next;
    ret_stats->heard = subscriber->heard;
    ret_stats->gaps = subscriber->recovery.gaps;
    ret_stats->gap_messages = subscriber->recovery.missed;
    ret_stats->is_ended = subscriber->is_ended;
    for (unsigned index = 0; index < LEAT_FEED_LINES_MAX; index++)
        line_stats(&subscriber->lines[index], now_ns, &ret_stats->lines[index]);
    line_stats(&subscriber->lines[SUBSCRIBER_ANSWERS], now_ns, &ret_stats->answers);
    ret_stats->answers.is_silent = false; /* nobody has to speak there */
}

/* ---- Birth and end --------------------------------------------------------------------------- */

static void take_defaults(struct leat_feed_subscriber_options *options)
{
    if (options->window_packets == 0)
        options->window_packets = WINDOW_PACKETS;
    if (options->packet_size_max == 0)
        options->packet_size_max = PACKET_SIZE_MAX;
    if (options->window_us == 0)
        options->window_us = WINDOW_US;
    if (options->request_ms == 0)
        options->request_ms = REQUEST_MS;
    if (options->request_tries == 0)
        options->request_tries = REQUEST_TRIES;
    if (options->silence_ms == 0)
        options->silence_ms = SILENCE_MS;
}

/* What is wrong with them, or NULL. */
static const char *find_fault(const struct leat_feed_subscriber_options *options)
{
    uint8_t session[MOLD_SESSION_SIZE];
    if (options->session && mold_session_from_text(options->session, session) != 0)
        return "a session's name has 1 to 10 printable characters";
    if (!options->on_batch)
        return "nobody takes the messages: on_batch is missing";
    if (options->from == MOLD_SEQUENCE_END)
        return "no message has this number";
    if (options->window_packets < WINDOW_PACKETS_MIN ||
        options->window_packets > WINDOW_PACKETS_MAX)
        return "a window has 4 to 1048576 packets";
    if (options->packet_size_max < LEAT_FEED_PACKET_SIZE_MIN ||
        options->packet_size_max > LEAT_FEED_PACKET_SIZE_MAX)
        return "a packet's largest size is from 64 to 65507 bytes";
    if (options->request_ms > DURATION_MS_MAX || options->silence_ms > DURATION_MS_MAX ||
        options->window_us / 1000 > DURATION_MS_MAX)
        return "nothing is waited for longer than an hour";
    return NULL;
}

static int make_stores(struct leat_feed_subscriber *subscriber, bool can_ask)
{
    const struct leat_feed_subscriber_options *options = &subscriber->options;
    const struct window_options window = {
        .places = options->window_packets,
        .place_size = options->packet_size_max,
        .is_prefaulted = options->mode == LEAT_FEED_SPIN,
    };
    const struct recovery_options recovery = {
        .ranges_max = options->window_packets + RECOVERY_RANGES_EXTRA,
        .window_ns = options->window_us * LEAT_NS_PER_US,
        .request_ns = options->request_ms * LEAT_NS_PER_MS,
        .request_max = can_ask ? options->request_tries : 0,
    };
    const int error = window_init(&subscriber->window, &window);
    return error ? error : recovery_init(&subscriber->recovery, &recovery);
}

static void init_line(struct leat_feed_subscriber *subscriber, unsigned index,
                      struct feed_transport *transport)
{
    struct subscriber_line *line = &subscriber->lines[index];
    line->subscriber = subscriber;
    line->transport = transport;
    line->heard_ns = clock_of(subscriber);
    line->fd = transport ? transport->ops->fd(transport) : -ENOTSUP;
    op_init(&line->poll, OP_POLL, line->fd, on_readable);
    line->poll.poll.events = POLLIN;
}

static void destroy(struct leat_feed_subscriber *subscriber)
{
    window_fini(&subscriber->window);
    recovery_fini(&subscriber->recovery);
    free(subscriber);
}

int subscriber_open_on(struct leat_loop *loop, const struct leat_feed_subscriber_options *options,
                       const struct subscriber_transports *transports,
                       struct leat_feed_subscriber **ret_subscriber, char *ret_reason,
                       size_t reason_size)
{
    ASSERT(loop && transports->lines[0]);
    struct leat_feed_subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (!subscriber)
        return feed_refuse(-ENOMEM, ret_reason, reason_size, "no memory for a subscriber");
    subscriber->loop = loop;
    subscriber->options = *options;
    take_defaults(&subscriber->options);
    const char *fault = find_fault(&subscriber->options);
    if (fault) {
        destroy(subscriber);
        return feed_refuse(-EINVAL, ret_reason, reason_size, "%s", fault);
    }
    const int error = make_stores(subscriber, transports->answers != NULL);
    if (error) {
        destroy(subscriber);
        return feed_refuse(error, ret_reason, reason_size, "no memory for a window of %u packets",
                           options->window_packets ? options->window_packets : WINDOW_PACKETS);
    }
    if (options->session) {
        subscriber->has_session = true;
        const int named = mold_session_from_text(options->session, subscriber->session);
        ASSERT(named == 0);
    }
    subscriber->silence_ns = subscriber->options.silence_ms * LEAT_NS_PER_MS;
    subscriber->next = options->from;
    timer_init(&subscriber->timer, on_time);
    for (unsigned index = 0; index < LEAT_FEED_LINES_MAX; index++)
        init_line(subscriber, index, transports->lines[index]);
    init_line(subscriber, SUBSCRIBER_ANSWERS, transports->answers);
    *ret_subscriber = subscriber;
    return 0;
}

static void destroy_transports(const struct subscriber_transports *transports)
{
    for (unsigned index = 0; index < LEAT_FEED_LINES_MAX; index++)
        feed_transport_destroy(transports->lines[index]);
    feed_transport_destroy(transports->answers);
}

static int open_transports(struct leat_loop *loop,
                           const struct leat_feed_subscriber_options *options,
                           struct subscriber_transports *transports, char *ret_reason,
                           size_t reason_size)
{
    struct feed_transport_options carried = {
        .role = FEED_ROLE_RECEIVE,
        .source = options->source,
        .packet_size_max = options->packet_size_max,
        .socket = options->socket,
    };
    for (unsigned index = 0; index < LEAT_FEED_LINES_MAX; index++) {
        carried.address = options->lines[index];
        if (!carried.address)
            continue;
        const int error =
            feed_transport_open(loop, &carried, &transports->lines[index], ret_reason, reason_size);
        if (error)
            return error;
    }
    if (!options->request)
        return 0;
    carried.address = options->request;
    carried.role = FEED_ROLE_ASK;
    carried.source = NULL;
    return feed_transport_open(loop, &carried, &transports->answers, ret_reason, reason_size);
}

int leat_feed_subscriber_open(const struct leat_feed_subscriber_options *options,
                              struct leat_feed_subscriber **ret_subscriber, char *ret_reason,
                              size_t reason_size)
{
    struct leat_loop *loop = loop_current;
    ASSERT(loop && options);
    if (!options->lines[0])
        return feed_refuse(-EINVAL, ret_reason, reason_size, "a subscriber needs a line");
    struct leat_feed_subscriber_options complete = *options;
    struct subscriber_transports transports = {0};
    take_defaults(&complete);
    const char *fault = find_fault(&complete);
    if (fault)
        return feed_refuse(-EINVAL, ret_reason, reason_size, "%s", fault);
    int error = open_transports(loop, &complete, &transports, ret_reason, reason_size);
    if (!error)
        error = subscriber_open_on(loop, &complete, &transports, ret_subscriber, ret_reason,
                                   reason_size);
    if (error)
        destroy_transports(&transports);
    return error;
}

static bool has_busy_polls(const struct leat_feed_subscriber *subscriber)
{
    for (unsigned index = 0; index < SUBSCRIBER_LINES; index++) {
        if (op_is_busy(&subscriber->lines[index].poll))
            return true;
    }
    return false;
}

void leat_feed_subscriber_close(struct leat_feed_subscriber *subscriber)
{
    if (!subscriber)
        return;
    ASSERT(!subscriber->waiter); /* nobody is in leat_feed_subscriber_run */
    for (unsigned index = 0; index < SUBSCRIBER_LINES; index++)
        loop_cancel(subscriber->loop, &subscriber->lines[index].poll);
    while (has_busy_polls(subscriber)) {
        subscriber->waiter = fiber_current();
        fiber_park_sealed();
        subscriber->waiter = NULL;
    }
    for (unsigned index = 0; index < SUBSCRIBER_LINES; index++)
        feed_transport_destroy(subscriber->lines[index].transport);
    destroy(subscriber);
}
