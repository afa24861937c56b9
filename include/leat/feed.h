/* SPDX-License-Identifier: MIT */
/*
 * Feeds of market data: MoldUDP64 (Nasdaq, "MoldUDP64 Protocol Specification 1.00"), one publisher,
 * any number of subscribers, nothing lost.
 *
 *     leat_feed_publish ─> log ─┬─> line A ──┬─> window ─> on_batch, in sequence
 *                               ├─> line B ──┘     │ a gap
 *                               └<── request ──────┘      (the same packets again, to the asker)
 *
 * A message is in the publisher's log before it is on the wire, and the log is what is sent: a
 * message is written once, into its place in the packet in the log. The log's memory is the page
 * cache's: it survives kill -9 of the publisher, which then takes its session up where it was; what
 * survives a power cut is what `is_durable` asks for.
 *
 * Lines and requests are addresses: "239.1.1.1:5000", "[ff02::5]:5000", "127.0.0.1:5000" (one
 * subscriber), or "shm:/dev/shm/NAME", a ring in shared memory for subscribers on the same host.
 * Both ends belong to the loop of the thread that opened them; none allocates for a message.
 */
#ifndef LEAT_FEED_H
#define LEAT_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leat/address.h"
#include "leat/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LEAT_FEED_SESSION_SIZE = 10, /* characters; shorter names are padded with spaces */
    LEAT_FEED_LINES_MAX = 2,
    LEAT_FEED_PACKET_SIZE = 1400, /* by default: below 1500, with room for a tunnel */
    LEAT_FEED_PACKET_SIZE_MIN = 64,
    LEAT_FEED_PACKET_SIZE_MAX = 65507,
    LEAT_FEED_OVERHEAD = 22, /* a message's largest size is its packet's less this */
};

/* How a side waits. */
enum leat_feed_mode {
    LEAT_FEED_ECONOMICAL, /* woken by the kernel; T of a flush has the grain of timers, 65.536 us */
    LEAT_FEED_SPIN,       /* the owner calls ..._turn() time and again, on a core to itself */
};

struct leat_feed_socket_options {
    unsigned interface_index; /* where groups are joined and sent; 0: the routing table's choice */
    int ttl;                  /* of multicast packets, hops; 0: 1, this network alone */
    int buffer_bytes;         /* of the kernel's; 0: 8 MiB, or as much as the host allows */
    int busy_poll_us;         /* SO_BUSY_POLL; 0: none */
    bool has_stamps;          /* SO_TIMESTAMPING, in and out */
};

/* ---- Messages -------------------------------------------------------------------------------- */

/* Messages as they lie in packets, logs and files: a big-endian u16 length before each. */
struct leat_feed_batch {
    uint64_t sequence; /* of the first */
    unsigned count;    /* 1 or more, whole ones: checked */
    struct leat_slice blocks;
    int64_t received_ns; /* the kernel's, on the wall clock, with has_stamps; else 0 */
    bool is_recovered;   /* it was asked for */
};

/* Takes the next message off the front of `blocks`: false at their end. For batches, whose lengths
 * are known to be right; blocks from elsewhere go through leat_feed_blocks_check first. */
static inline bool leat_feed_next(struct leat_slice *blocks, struct leat_slice *ret_message)
{
    if (blocks->size < 2)
        return false;
    const unsigned char *at = (const unsigned char *)blocks->data;
    const size_t size = (size_t)at[0] << 8 | at[1];
    ret_message->data = blocks->data + 2;
    ret_message->size = size;
    blocks->data += 2 + size;
    blocks->size -= 2 + size;
    return true;
}

/* How many whole messages `blocks` begins with, and how many bytes they take. */
size_t leat_feed_blocks_check(struct leat_slice blocks, size_t *ret_size);

/* ---- Publisher ------------------------------------------------------------------------------- */

struct leat_feed_publisher;

struct leat_feed_publisher_options {
    const char *session;                    /* 1 to 10 printable ASCII characters */
    const char *lines[LEAT_FEED_LINES_MAX]; /* A and B; the second may be NULL */
    const char *request_listen;             /* where requests are answered; NULL: nowhere */
    /* A folder of segments, made when it is not there, for this publisher alone; NULL: the latest
     * 2 x segment_size in memory, which no kill survives. */
    const char *log;
    size_t segment_size;    /* 0: 64 MiB */
    unsigned segments_kept; /* 0: all; else the oldest are recycled beyond so many (2 or more) */
    bool is_durable;        /* on the disk (fdatasync) before it is on the wire */
    enum leat_feed_mode mode;
    size_t packet_size; /* 0: LEAT_FEED_PACKET_SIZE */
    /* What is in the log leaves with so many bytes (0: 64 KiB), so many messages (0: any number),
     * or so long after the first of them (0: 100 us), whichever comes first. */
    size_t flush_bytes;
    unsigned flush_messages, flush_us;
    /* So often a heartbeat tells, to who lost the last packet, that there was one; the first few
     * follow it sooner, after 1, 10 and 100 ms. 0: 1000. */
    unsigned heartbeat_ms;
    /* Limits of the answers, each 0 for its default. A request's 20 bytes bring request_packets
     * packets at most (32): an amplification of 32 x 1400 / 20 at the defaults. An address is
     * answered with so many bytes a second (64 MiB), and all together with so many (256 MiB). */
    unsigned request_packets;
    uint64_t request_bytes_per_s, requests_bytes_per_s;
    struct leat_feed_socket_options socket;
};

struct leat_feed_publisher_stats {
    uint64_t next_sequence;     /* of the next message; 1 in a new session */
    uint64_t messages, packets; /* in the log since it was opened */
    uint64_t sent[LEAT_FEED_LINES_MAX], lost[LEAT_FEED_LINES_MAX]; /* packets; the kernel refused */
    /* With has_stamps: packets of which the kernel has told when they left, and how long after they
     * were handed to it, all together. */
    uint64_t departures;
    int64_t departure_sum_ns;
    uint64_t heartbeats, flushes_by_time;
    uint64_t requests, request_messages; /* asked */
    uint64_t answers;                    /* packets */
    uint64_t refused_malformed, refused_session, refused_future, refused_past, refused_rate;
    uint64_t log_waits; /* publishing waited for the log's next segment */
    bool is_ended;
};

/* In a fiber: it may wait for a disk. 0, or -errno and a line in ret_reason (of `reason_size`,
 * which may be 0): -EINVAL, -EADDRINUSE, -EAGAIN (another publisher has this log), -EBADMSG (no log
 * of this session, or not whole), -ESTALE (the host went down, and the log may lack what was sent:
 * begin a new session), -ENOSPC … */
int leat_feed_publisher_open(const struct leat_feed_publisher_options *options,
                             struct leat_feed_publisher **ret_publisher, char *ret_reason,
                             size_t reason_size);

/* Room of `size` bytes (1 or more) for one message, in its packet: written by the caller, then
 * committed, before anything else is called. 0, or -EINVAL (0 bytes), -EMSGSIZE, -EAGAIN (the log's
 * next segment is not ready, or what is unsent is too much: leat_feed_publisher_wait), -ENOSPC (the
 * same, and the disk is full), -EIO, -EPIPE (the session was ended). */
int leat_feed_reserve(struct leat_feed_publisher *publisher, size_t size, void **ret_message);
/* It is in the log: kill -9 does not take it away. Its sequence number. */
uint64_t leat_feed_commit(struct leat_feed_publisher *publisher);

/* Both, with a copy. ret_sequence may be NULL. */
int leat_feed_publish(struct leat_feed_publisher *publisher, struct leat_slice message,
                      uint64_t *ret_sequence);
/* As many of the messages in `blocks` (checked by leat_feed_blocks_check) as there is room for:
 * their count, of which *ret_size says the bytes; or an error as above when there is no room. */
int leat_feed_publish_blocks(struct leat_feed_publisher *publisher, struct leat_slice blocks,
                             size_t *ret_size);

/* What is in the log goes out now. Never waits. */
void leat_feed_flush(struct leat_feed_publisher *publisher);

/* In a fiber: until there is room to publish. 0, -ETIMEDOUT, -ECANCELED; after a second or so of
 * trying in vain -ENOSPC, or why else there is none: may be called again. */
int leat_feed_publisher_wait(struct leat_feed_publisher *publisher, int64_t deadline_ns);
/* In a fiber: until `sequence` and all before it are as safe as is_durable asks for. */
int leat_feed_publisher_sync(struct leat_feed_publisher *publisher, uint64_t sequence,
                             int64_t deadline_ns);

/* LEAT_FEED_SPIN alone: does what is due (a flush, heartbeats, requests). Never waits. */
void leat_feed_publisher_turn(struct leat_feed_publisher *publisher);

/* Nothing more is published. In a fiber: flushes, then says "end of session" once a heartbeat_ms
 * and answers requests until the deadline. 0 or -ECANCELED. */
int leat_feed_publisher_end(struct leat_feed_publisher *publisher, int64_t deadline_ns);

/* Where it answers requests (port 0 was asked for); -ENOTSUP: nowhere. */
int leat_feed_publisher_request_address(const struct leat_feed_publisher *publisher,
                                        struct leat_address *ret_address);

void leat_feed_publisher_stats(const struct leat_feed_publisher *publisher,
                               struct leat_feed_publisher_stats *ret_stats);

/* In a fiber, NULL is fine. Without leat_feed_publisher_end the session may be taken up again. */
void leat_feed_publisher_close(struct leat_feed_publisher *publisher);

/* ---- Subscriber ------------------------------------------------------------------------------ */

struct leat_feed_subscriber;

/* In sequence, without a gap, none twice; borrowed for the call. A negative return ends
 * leat_feed_subscriber_run, which returns it. */
typedef int (*leat_feed_batch_fn)(const struct leat_feed_batch *batch, void *user);

enum { LEAT_FEED_FROM_NOW = 0 };

struct leat_feed_subscriber_options {
    const char *lines[LEAT_FEED_LINES_MAX]; /* the second may be NULL */
    const char *request;                    /* where to ask; NULL: what is lost is lost */
    const char *source;  /* the publisher's IP address (RFC 4607); NULL: the first one heard */
    const char *session; /* NULL: the first one heard */
    uint64_t from;       /* the first message wanted; LEAT_FEED_FROM_NOW: the first one heard */
    enum leat_feed_mode mode;
    /* A packet that came too early waits for those before it: in this many places (0: 4,096), of
     * packet_size_max each (0: 2,048), for so long before they are asked for (0: 500 us). */
    unsigned window_packets;
    size_t packet_size_max;
    unsigned window_us;
    /* What was asked for and has not come is asked for again after this (0: 20 ms), doubled each
     * time up to 1 s, so many times (0: 8); then it is lost. */
    unsigned request_ms, request_tries;
    unsigned silence_ms; /* nothing was heard for so long, heartbeats included (0: 3000): the line,
                            or the source, counts as gone */
    struct leat_feed_socket_options socket;
    leat_feed_batch_fn on_batch;
    /* first..last will not come; what is behind them follows. NULL: it ends the run, with
     * -ENODATA. A negative return does so, too. */
    int (*on_lost)(uint64_t first, uint64_t last, void *user);
    void *user;
};

struct leat_feed_line_stats {
    uint64_t packets, bytes, messages; /* heard, of this session */
    uint64_t first;                    /* packets that this line brought first */
    uint64_t duplicates;               /* packets with nothing new */
    uint64_t malformed, foreign_session, foreign_source;
    uint64_t dropped; /* the kernel's or the ring's: this host was too slow */
    bool is_silent;
};

struct leat_feed_subscriber_stats {
    char session[LEAT_FEED_SESSION_SIZE + 1]; /* without its spaces; empty: none was heard yet */
    uint64_t next_sequence;                   /* the first that was not delivered yet */
    uint64_t heard;                           /* the last that is known to exist */
    uint64_t messages, packets;               /* delivered */
    uint64_t early;                           /* packets that waited in the window */
    uint64_t window_full;                     /* packets that had no place there */
    uint64_t gaps, gap_messages;              /* ranges that had to be asked for */
    uint64_t requests, recovered_messages, lost_messages;
    uint64_t session_changes; /* another session began on these lines */
    bool is_ended;            /* end of session was heard */
    struct leat_feed_line_stats lines[LEAT_FEED_LINES_MAX], answers;
};

/* In a fiber. 0, or -errno and a line in ret_reason. */
int leat_feed_subscriber_open(const struct leat_feed_subscriber_options *options,
                              struct leat_feed_subscriber **ret_subscriber, char *ret_reason,
                              size_t reason_size);

/* In a fiber: calls on_batch until the session has ended and all of it was delivered. 0, -ENODATA
 * (lost, see on_lost), what on_batch returned, -ETIMEDOUT, -ECANCELED. May be called again after a
 * timeout. LEAT_FEED_SPIN: spins; its loop gets a turn now and then. */
int leat_feed_subscriber_run(struct leat_feed_subscriber *subscriber, int64_t deadline_ns);

/* LEAT_FEED_SPIN alone: what has come is delivered, what is due is asked for. Never waits. The
 * number of messages delivered, -LEAT_E_CLOSED (ended, and all delivered), or as above. */
int leat_feed_subscriber_turn(struct leat_feed_subscriber *subscriber);

void leat_feed_subscriber_stats(const struct leat_feed_subscriber *subscriber,
                                struct leat_feed_subscriber_stats *ret_stats);

void leat_feed_subscriber_close(struct leat_feed_subscriber *subscriber);

#ifdef __cplusplus
}
#endif
#endif
