/* SPDX-License-Identifier: MIT */
/*
 * A group of upstreams that answer alike, and which of them gets a request. Shared by the cores: in
 * flight, failures and health are one count each for all of them, and nobody takes a lock.
 *
 *     choose     the less loaded of two drawn at random; or, by a key, the one whose hash with the
 *                key is the highest (rendezvous hashing, Thaler and Ravishankar 1998), or the next
 *                that may be asked: only the keys of who has left move
 *     passive    a run of failures opens the upstream's circuit for a while that doubles; then one
 *                request a while probes it, and an answer closes it. While nobody else is up the
 *                probe comes much earlier, and others may wait for what it finds out
 *     active     a fiber asks each for a path every now and then (upstreams_watch)
 *     slow start who has come back is offered a growing share of the requests, or of the keys
 *     retries    a budget for the group: a share of its requests, and a few a second besides
 */
#ifndef HTTP_UPSTREAMS_H
#define HTTP_UPSTREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "http/conn_pool.h"
#include "leat/tuning.h"

enum { UPSTREAMS_MAX = 64 };

enum upstreams_balance { UPSTREAMS_LEAST_LOADED, UPSTREAMS_BY_HASH };

struct upstreams_options {
    enum upstreams_balance balance;
    unsigned connections_max;     /* of an upstream; 0: 1024 */
    unsigned waiting_max;         /* for one of its connections; 0: 1024 */
    int64_t connect_timeout_ms;   /* 0: 3000 */
    int64_t idle_timeout_ms;      /* of a connection at rest; 0: 30,000 */
    unsigned failures_max;        /* in a row, that open the circuit; 0: 5 */
    int64_t open_ms, open_max_ms; /* how long, at first and at most; 0: 1000, 30,000 */
    int64_t slow_start_ms;        /* of who has come back; 0: none */
    /* Retries; UINT_MAX: none. */
    unsigned retry_percent; /* of the requests of the last seconds; 0: 20 */
    unsigned retries_per_s; /* besides; 0: 10 */
    /* NULL: no active checks. As the origin has it, without the URL's base before it; copied. */
    const char *health_path;
    int64_t health_interval_ms, health_timeout_ms; /* 0: 5000, 2000 */
    unsigned health_rise, health_fall;             /* answers in a row that decide; 0: 2, 3 */
    /* NULL: the defaults; copied. */
    const struct leat_tuning *tuning;
    uint64_t seed; /* of the draws; 0: the clock's */
};

enum upstream_state {
    UPSTREAM_UP,
    UPSTREAM_OPEN,    /* its circuit is: not asked, until its time is over */
    UPSTREAM_PROBING, /* one request is on its way to find out */
    UPSTREAM_DOWN,    /* says the health check */
};

struct upstreams;

/* One of them. What other layers may look at; the rest is upstreams.c's. */
struct upstream {
    const char *url;       /* as it was named: "http://127.0.0.1:9000/base" */
    const char *authority; /* "127.0.0.1:9000", for Host */
    const char *base;      /* path before that of the request, without a final '/'; "" */
    struct conn_pool_destination *destination;
    unsigned index; /* in its group */
};

/* What came of a request, as far as the upstream is to blame. */
enum upstream_outcome {
    UPSTREAM_ANSWERED, /* whatever the answer, but for the next */
    UPSTREAM_ERRED,    /* 502, 503, 504: a failure while another is up */
    UPSTREAM_FAILED,   /* refused, reset, silent for too long, garbage, an answer that broke off */
};

struct upstreams_view {
    const struct upstream *upstream;
    enum upstream_state state;
    unsigned in_flight;
    uint64_t requests, failures, opened_circuits;
    int64_t latency_ns; /* to the head of the answer, a moving mean */
    struct conn_pool_counters connections;
};

/* `urls`: "http://HOST[:PORT][/BASE]" or "http://unix:/path"; HOST is a name or a number. -EINVAL
 * with a static text in *ret_reason, which may be NULL; -ENOMEM. Names are not resolved yet. A
 * connection that is not there within connect_timeout_ms is the pool's -ETIMEDOUT, before the
 * deadline of who wants it. */
int upstreams_create(struct conn_pool *pool, const char *const *urls, unsigned count,
                     const struct upstreams_options *options, struct upstreams **ret_upstreams,
                     const char **ret_reason);
/* Before its pool, when the loops that used it are gone. NULL is fine. */
void upstreams_destroy(struct upstreams *upstreams);

/* A request's way through its group, of one attempt after the other:
 *
 *     choose -> tell (what came of it, as soon as that is known) -> end -> choose ...
 *
 * Zero but for the caller's two fields before the first. */
struct upstreams_attempt {
    uint64_t key;       /* hash of what the choice is by; used with BY_HASH alone */
    bool is_repeatable; /* it may be sent once more: so it may be the one that probes */
    /* Ours; to be read. */
    struct upstream *upstream; /* in flight there; NULL: with none */
    uint64_t tried;            /* bits of indices, not chosen again while there are others */
    unsigned count;            /* attempts so far */
    bool has_answered, has_failed;
    int64_t begun_ns; /* the present attempt; the caller may move it: latency is counted from it */
    uint64_t probe;   /* the state this attempt has given its upstream; 0: it does not probe */
    uint64_t epoch;   /* how often the upstream's circuit had opened */
};
/* The one to ask now, counted in flight until upstreams_end; NULL: none may be asked, and
 * *ret_retry_after_ms tells when it is worth trying again. Never waits. */
struct upstream *upstreams_choose(struct upstreams *upstreams, struct upstreams_attempt *attempt,
                                  int64_t now_ns, int64_t *ret_retry_after_ms);
/* In a fiber: as choose; but it waits while nobody may be asked, and a while before it asks who
 * has failed this request already. Not for long: a second, not beyond the deadline, not when nobody
 * will be due before, and not when options.waiting_max others wait. NULL: nobody yet, or the fiber
 * was cancelled. */
struct upstream *upstreams_await(struct upstreams *upstreams, struct upstreams_attempt *attempt,
                                 int64_t deadline_ns, int64_t *ret_retry_after_ms);
/* What came of it: ANSWERED or ERRED when the head of the answer is there, FAILED when it fails, be
 * it after an answer. Not told: nothing can be said, for the client left, or it was never sent. */
void upstreams_tell(struct upstreams *upstreams, struct upstreams_attempt *attempt,
                    enum upstream_outcome outcome, int64_t now_ns);
/* After each choose that gave one: the exchange is over, and the body with it. */
void upstreams_end(struct upstreams *upstreams, struct upstreams_attempt *attempt);
/* Counts a first attempt; may a further one be made (and then it is counted)? */
void upstreams_note_request(struct upstreams *upstreams, int64_t now_ns);
bool upstreams_may_retry(struct upstreams *upstreams, int64_t now_ns);

/* Begins the active checks on this thread's loop, if there are to be any; while they run, a further
 * call, on whatever loop, does nothing. They speak over connections of their own, so that a busy
 * upstream is not taken for a dead one; an answer of 2xx or 3xx is a good one. They do not keep the
 * loop running, but for a check that is on its way, and end with the loop, for good; or soon after
 * upstreams_unwatch, which does nothing on any other loop. What they have found out stays. */
void upstreams_watch(struct upstreams *upstreams);
void upstreams_unwatch(struct upstreams *upstreams);

unsigned upstreams_count(const struct upstreams *upstreams);
/* From any thread. */
void upstreams_view(const struct upstreams *upstreams, unsigned index,
                    struct upstreams_view *ret_view);

#endif
