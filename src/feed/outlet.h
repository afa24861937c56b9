/* SPDX-License-Identifier: MIT */
/*
 * A publisher's line: a reader of the log that hands each closed record's packet, where it lies, to
 * a transport. The log is the queue; the outlet is a place in it. Each line has its own, so that
 * one that is busy holds up nobody but the log's recycling. One thread: its loop's.
 */
#ifndef FEED_OUTLET_H
#define FEED_OUTLET_H

#include "feed/log.h"
#include "feed/transport.h"

struct feed_outlet {
    struct feed_log *log;
    struct feed_transport *transport;
    struct feed_log_cursor cursor; /* of the next record to be sent */
    uint64_t passed_bytes;         /* of packets, handed over so far */
    struct op poll;                /* for room in the socket */
    void (*on_room)(void *user);
    void *user;
};

/* Begins at the end of what is closed in the log. Owns the transport from now on. */
void feed_outlet_init(struct feed_outlet *outlet, struct feed_log *log,
                      struct feed_transport *transport, void (*on_room)(void *user), void *user);

/* Hands over what is closed and below `end_sequence`. False: the transport was busy. */
bool feed_outlet_push(struct feed_outlet *outlet, uint64_t end_sequence);

/* After a push that was refused: on_room is called, on the loop, when the transport may take more,
 * or when the wait was cancelled. A transport that cannot be polled is never busy. */
void feed_outlet_wait(struct feed_outlet *outlet);

/* A packet that is in no log, at once: heartbeat, end of session. Busy: it is left out. */
void feed_outlet_say(struct feed_outlet *outlet, const uint8_t *packet, uint32_t size);

/* Cancels its wait; once that is over (op_is_busy is false): fini. */
void feed_outlet_cancel(struct feed_outlet *outlet);
void feed_outlet_fini(struct feed_outlet *outlet);

#endif
