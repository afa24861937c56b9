/* SPDX-License-Identifier: MIT */
/*
 * leat feed publish: what its parts share. publish.c has the flags and the course of things;
 * input.c reads a file or a pipe, producers.c a local socket with many producers; both hand what
 * they have to publish_some.
 */
#ifndef LEAT_FEED_PUBLISH_H
#define LEAT_FEED_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flags.h"
#include "framing.h"
#include "leat/listener.h"

struct publish {
    struct feed_flags flags;
    struct leat_feed_publisher_options options;
    const char *in;
    double rate; /* messages a second; 0: as fast as may be */
    bool has_stamps;
    int64_t linger_ns;
    size_t message_size_max;

    struct leat_feed_publisher *publisher;
    uint64_t next_sequence;
    struct leat_scope *reading, *ending; /* what a signal cancels; NULL: not begun, or over */

    /* The input: one of them. */
    int fd;          /* -1: none */
    bool is_regular; /* read in a thread of the pool, for poll(2) says nothing of it */
    struct leat_listener *listener;

    int64_t pace_begin_ns;
    uint64_t paced; /* messages since then */
    bool is_full;   /* the log's disk; it was told */
    int status;     /* the exit's */
};

struct publish_part {
    uint64_t first; /* sequence */
    size_t count, size;
};

/* In a fiber: waits until there is room for some of the messages in `blocks` (whole, 1 or more),
 * publishes as many as there is, and says which. 0, -ECANCELED, or an error that was told. */
int publish_some(struct publish *publish, struct leat_slice blocks, struct publish_part *ret_part);

/* One line on stderr, and the exit status is that of a failure. */
void publish_fail(struct publish *publish, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* One line on stderr, and nothing else. */
void publish_tell(const struct publish *publish, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Publishing failed with `error`: that is told, and the reading ends. */
void publish_give_up(struct publish *publish, int error);
/* What is wrong with a message, for people; in `text`, which it returns. */
const char *publish_fault_text(const struct publish *publish, enum framing_fault fault,
                               unsigned length, char *text, size_t size);

/* Opens what --in names. 0, or -errno, which was told. */
int input_open(struct publish *publish);
void input_close(struct publish *publish);
/* In a fiber of publish->reading: a file, of which `skip` messages are published already, or a
 * pipe, to its end. */
void input_run(struct publish *publish, uint64_t skip);

/* The same for unix:PATH. In a fiber that is cancelled in the end. */
int producers_open(struct publish *publish);
void producers_close(struct publish *publish);
void producers_run(struct publish *publish);

#endif
