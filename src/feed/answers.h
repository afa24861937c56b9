/* SPDX-License-Identifier: MIT */
/*
 * The publisher's request server: answers what subscribers have missed with the packets of the log,
 * unicast to who asked. Old packets may have left the page cache, so they are read by a job, never
 * on the loop; the job copies them, cut to what was asked for, into memory of a fixed size.
 *
 *     frames in ─> checked, rate-limited ─> queue (bounded) ─> job: log ─> packets ─> frames out
 *
 * Anybody can ask, in anybody's name: what a request can bring is bounded (`packets`), what an
 * address gets a second is (`bytes_per_s`), and so is what all get together. One thread: its
 * loop's.
 */
#ifndef FEED_ANSWERS_H
#define FEED_ANSWERS_H

#include "feed/log.h"
#include "feed/transport.h"

enum {
    FEED_ANSWERS_QUEUE = 256,     /* requests that wait; further ones are refused */
    FEED_ANSWERS_SHARE = 128,     /* of these at most are one host's */
    FEED_ANSWERS_ADDRESSES = 256, /* whose rates are known at a time */
    FEED_REQUEST_PACKETS = 32,
};

#define FEED_REQUEST_BYTES_PER_S (UINT64_C(64) << 20)
#define FEED_REQUESTS_BYTES_PER_S (UINT64_C(256) << 20)

struct feed_answers_options {
    struct feed_log *log;
    struct feed_transport *transport; /* FEED_ROLE_ANSWER; owned from now on */
    uint8_t session[MOLD_SESSION_SIZE];
    size_t packet_size;
    unsigned packets;                      /* a request; 1..FEED_BURST_MAX */
    uint64_t bytes_per_s, all_bytes_per_s; /* each also what may come at once */
    uint64_t (*end_sequence)(void *user);  /* what may be told is below it */
    void *user;
};

struct feed_answers;

/* Polls by itself, where the transport can be polled and `is_polled`. 0, -ENOMEM (and the transport
 * is still the caller's). */
int feed_answers_create(struct leat_loop *loop, const struct feed_answers_options *options,
                        bool is_polled, struct feed_answers **ret_answers);

/* What has come is taken, what is ready is sent. Never waits. */
void feed_answers_turn(struct feed_answers *answers);

/* Where it listens; -ENOTSUP as feed_transport_address. */
int feed_answers_address(const struct feed_answers *answers, struct leat_address *ret_address);

/* Adds to the fields about requests and answers. */
void feed_answers_stats(const struct feed_answers *answers,
                        struct leat_feed_publisher_stats *stats);

/* In a fiber: waits for a job that is under way. NULL is fine. */
void feed_answers_destroy(struct feed_answers *answers);

#endif
