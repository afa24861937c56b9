/* SPDX-License-Identifier: MIT */
/*
 * The publisher, as its two halves share it: publisher.c appends to the log's open record, closes
 * it when it is full, and decides when what is closed leaves; publisher_life.c opens and closes the
 * whole. Three sequences say how far messages have come:
 *
 *     sendable <= closed <= next        next: in the log; closed: in a packet that is whole;
 *                                       sendable: as safe as is_durable asks for
 *
 *                     leat_feed_publisher_end
 *     PUBLISHER_OPEN ─────────────────────────> PUBLISHER_ENDED ──> (closed)
 *
 * One thread: its loop's. Public half: leat/feed.h.
 */
#ifndef FEED_PUBLISHER_H
#define FEED_PUBLISHER_H

#include "base/list.h"
#include "feed/answers.h"
#include "leat/feed.h"
#include "feed/log.h"
#include "feed/outlet.h"
#include "fiber/fiber.h"
#include "loop/loop.h"

enum publisher_state { PUBLISHER_OPEN, PUBLISHER_ENDED };

/* A fiber that waits for room, or for safety. */
struct publisher_waiter {
    struct list_node node;
    struct fiber *fiber;
};

struct leat_feed_publisher {
    struct leat_loop *loop;
    struct feed_log *log;
    struct feed_log_tail *tail;
    enum publisher_state state;
    enum leat_feed_mode mode;
    bool is_durable, is_syncing, is_closing;
    uint8_t session[MOLD_SESSION_SIZE];
    size_t packet_size, flush_bytes, backlog_max;
    unsigned flush_messages;
    int64_t flush_ns, heartbeat_ns;

    size_t reserved;          /* of the message that is being written */
    int64_t handed_ns;        /* of those that are being published together, the wall clock; or 0 */
    uint64_t first_sequence;  /* that was published here */
    uint64_t closed_sequence; /* see above */
    uint64_t sendable_sequence, syncing_sequence;
    uint64_t first_unflushed;          /* sequence; next_sequence: everything has left */
    uint64_t closed_bytes, left_bytes; /* of packets since the beginning; asked to leave */
    int sync_error;

    struct feed_outlet outlets[LEAT_FEED_LINES_MAX];
    unsigned outlet_count;
    struct feed_answers *answers;

    struct timer flush_timer, beat_timer;     /* of economical mode */
    int64_t flush_at_ns, beat_at_ns, beat_ns; /* of both */
    bool has_sent;                            /* since the last beat */
    unsigned turns;
    struct list_node waiters; /* fibers, for room or safety */
    struct leat_feed_publisher_stats stats;
};

static inline int64_t publisher_now(const struct leat_feed_publisher *publisher)
{
    return publisher->loop->ops->now_ns(publisher->loop->backend);
}

static inline int64_t publisher_wall_ns(const struct leat_feed_publisher *publisher)
{
    return publisher->loop->sys->wall_ns(publisher->loop->sys);
}

/* Something has changed. */
void publisher_wake_waiters(struct leat_feed_publisher *publisher);

/* Says how far the feed is, now and ever less often. */
void publisher_begin_beats(struct leat_feed_publisher *publisher);

/* Callbacks, for what publisher_life.c makes. */
void publisher_on_room(void *user);
void publisher_on_flush(struct timer *timer);
void publisher_on_beat(struct timer *timer);

#endif
