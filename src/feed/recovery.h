/* SPDX-License-Identifier: MIT */
/*
 * What is missing: ranges of sequence numbers, when each is asked for, again, and given up. Sans
 * I/O and clock; all memory is taken at the beginning.
 *
 *     recovery_miss ──> fresh ── due ──> asked ── tries are over ──> lost ──> recovery_take_lost
 *                         │              │   ^
 *                         │              └───┘ no answer: again, after twice the time
 *                         └──────┬───────┘
 *                                v  recovery_have, recovery_answered: it is here
 *
 * What is asked for at once is limited: a request names about as many messages as fit the packets
 * that a server sends for one, and a few such requests are under way, no more than can wait for
 * what is missing first. So who joins late gets ten million messages piece by piece, as fast as
 * they come. A piece that was answered in part is asked for again, as new: its tries begin again.
 * One that a later request overtook is asked for at once. When nothing at all is answered, what is
 * given up at a time grows with what was given up before, so that a server that has forgotten all
 * of it, or is not there, is known to be in good time.
 */
#ifndef FEED_RECOVERY_H
#define FEED_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RECOVERY_REQUESTS_MAX = 64, /* under way */
    RECOVERY_PIECES = 8,        /* under way, in messages */
    RECOVERY_PIECE_PACKETS = 32 /* a server sends about so many for a request */
};

#define RECOVERY_BACK_OFF_NS INT64_C(1000000000)

/* first .. end - 1 */
struct recovery_span {
    uint64_t first, end;
};

struct recovery_range {
    struct recovery_span span;
    int64_t due_ns;  /* fresh: to be asked for; asked: again, or lost */
    uint64_t serial; /* of the request; 0: fresh */
    unsigned tries;
    bool is_counted, is_lost;
};

struct recovery_options {
    unsigned ranges_max;  /* packets that may be early, and RECOVERY_RANGES_EXTRA */
    int64_t window_ns;    /* how long an overtaken piece is waited for */
    int64_t request_ns;   /* how long an answer is waited for at first */
    unsigned request_max; /* tries; 0: there is nobody to ask */
};

/* Besides one between any two packets: where pieces end. */
enum { RECOVERY_RANGES_EXTRA = 2 * RECOVERY_REQUESTS_MAX + 8 };

struct recovery {
    struct recovery_options options;
    struct recovery_range *ranges; /* `count` from `begin` on, in order, none empty */
    unsigned begin, count;
    int64_t next_ns;       /* recovery_ask is to be called then; INT64_MAX: nothing is due ever */
    bool is_waiting;       /* something is due and has to wait for what is under way */
    uint64_t serial;       /* of the last request */
    uint64_t answered;     /* the last one that was answered */
    uint64_t given_up;     /* messages, since anything was answered */
    uint32_t piece;        /* messages to ask for at once */
    uint64_t gaps, missed; /* ranges and messages that had to be asked for */
};

struct recovery_request {
    uint64_t sequence;
    uint16_t count;
};

struct recovery_requests {
    struct recovery_request list[RECOVERY_REQUESTS_MAX];
    unsigned count;
};

/* 0 or -ENOMEM. */
int recovery_init(struct recovery *recovery, const struct recovery_options *options);
void recovery_fini(struct recovery *recovery);

/* Room for what one packet can do to the ranges: else it must not be told of. */
static inline bool recovery_has_room(const struct recovery *recovery)
{
    return recovery->count + 2 <= recovery->options.ranges_max;
}

/* These, behind all that were told of, are not there; to be asked for at `due_ns`. */
void recovery_miss(struct recovery *recovery, struct recovery_span span, int64_t due_ns);

/* Is any of these missing? */
bool recovery_misses(const struct recovery *recovery, struct recovery_span span);

/* These came, from elsewhere or as an answer; how many of them were missing. */
uint64_t recovery_have(struct recovery *recovery, struct recovery_span span);
uint64_t recovery_answered(struct recovery *recovery, struct recovery_span span, int64_t now_ns);

/* How much of an answer there is room for. */
struct recovery_room {
    uint32_t packets;           /* that may come early; what is missing first needs no place */
    uint32_t messages_a_packet; /* 1 or more */
};

/* What is to be asked for now. A request is taken to be sent. */
void recovery_ask(struct recovery *recovery, int64_t now_ns, struct recovery_room room,
                  struct recovery_requests *ret_requests);

/* Are the first that are missing lost? Then they are missed no more. */
bool recovery_take_lost(struct recovery *recovery, struct recovery_span *ret_span);

/* Nothing is missing, for none of it exists. */
void recovery_forget(struct recovery *recovery);

/* Nobody was listening for so long: nothing is due before that has passed once more. */
void recovery_postpone(struct recovery *recovery, int64_t pause_ns);

#endif
