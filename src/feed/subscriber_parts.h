/* SPDX-License-Identifier: MIT */
/*
 * What the files of the subscriber share. Private to feed/subscriber*.c.
 *
 *     subscriber.c        its life, how it waits, what it tells of itself
 *     subscriber_take.c   a burst in: whose it is, what is new in it, what goes out in sequence
 *
 *         delivered        │  in the window, missing, lost  │  not heard of yet
 *     ─────────────────────┼────────────────────────────────┼──────────────────>  sequence
 *                        next                             edge
 *
 * Between two packets `next` is missing, lost, or the edge itself: what the window has of it was
 * delivered.
 */
#ifndef FEED_SUBSCRIBER_PARTS_H
#define FEED_SUBSCRIBER_PARTS_H

#include "feed/recovery.h"
#include "feed/subscriber.h"
#include "feed/window.h"
#include "wire/moldudp64.h"

enum {
    SUBSCRIBER_ANSWERS = LEAT_FEED_LINES_MAX, /* in `lines` */
    SUBSCRIBER_LINES = LEAT_FEED_LINES_MAX + 1,
    SUBSCRIBER_OTHERS = 4, /* foreign sessions that are known again */
};

/* Where frames come from: line A, line B, or the answers. */
struct subscriber_line {
    struct feed_transport *transport; /* NULL: there is none */
    struct leat_feed_subscriber *subscriber;
    struct leat_feed_line_stats stats;
    struct feed_frame frames[FEED_BURST_MAX]; /* of the last burst, */
    unsigned index, count;                    /* of which those from `index` on are to be taken */
    /* Who speaks on it; answers: nobody asks, for their socket is connected. */
    struct leat_address source;
    const struct leat_address *source_seen; /* a peer in this burst that was found to be it */
    bool has_source;
    int64_t heard_ns; /* when it did, or when the subscriber was opened */
    struct op poll;
    int fd;             /* -ENOTSUP: its readiness cannot be told */
    bool has_no_notice; /* nor could it be, the last time */
};

struct leat_feed_subscriber {
    struct leat_loop *loop;
    struct leat_feed_subscriber_options options; /* without its texts */
    int64_t silence_ns;
    uint8_t session[MOLD_SESSION_SIZE];
    /* Foreign ones, the last that began: `others` have been counted. */
    uint8_t other_sessions[SUBSCRIBER_OTHERS][MOLD_SESSION_SIZE];
    unsigned others;
    bool has_session;
    bool has_begun; /* something was heard: the numbers count */
    bool is_ended;
    uint64_t next, edge;
    uint64_t heard; /* the last message that exists; edge - 1, but for `from` beyond it */
    uint64_t end;   /* with is_ended: where the session ended */
    uint64_t said;  /* by the last packet of a line: up to here there are messages */
    uint64_t leap;  /* what the last packet far ahead said, which was not believed; 0: none */
    struct window window;
    struct recovery recovery;
    struct leat_feed_subscriber_stats stats;
    struct subscriber_line lines[SUBSCRIBER_LINES];
    uint64_t rounds;
    /* What the answers' line had counted when it was last looked how many messages a packet has. */
    uint64_t measured_packets, measured_messages;
    uint32_t answers_mean; /* 0: too few have come yet */
    struct fiber *waiter;  /* in leat_feed_subscriber_run or _close, parked */
    struct timer timer;
};

/* A burst of the line, or what is left of the last one: how many frames were taken, or the error
 * that ended it. */
int subscriber_take_burst(struct subscriber_line *line, int64_t now_ns);

/* What waits in the window, or is lost, and is next: to the user. 0, or its error. */
int subscriber_settle(struct leat_feed_subscriber *subscriber);

#endif
