/* SPDX-License-Identifier: MIT */
/*
 * The resolver's parts, which know each other:
 *
 *     resolve.c        names: who waits, what is kept for how long, search domains
 *     resolve_files.c  the job that blocks: /etc/hosts; resolv.conf, and a channel of c-ares by it
 *     resolve_query.c  the channel on the loop: its sockets, its timer, its answers
 *
 *               resolve_begin       not in /etc/hosts        both families answered
 *     (none) ------------> READING -----------------> ASKING ----------------------> KNOWN
 *                             |  in it, localhost, failed     next search domain: ASKING
 *                             +------------------------------------------------------> KNOWN
 *
 * All on the loop's thread, but for the job's run, which touches nothing but its own struct.
 */
#ifndef NET_RESOLVE_PARTS_H
#define NET_RESOLVE_PARTS_H

#include <ares.h>
#include <netinet/in.h>

#include "base/hash.h"
#include "loop/loop.h"
#include "loop/offload.h"
#include "net/resolve.h"

enum {
    RESOLVE_NAME_SIZE_MAX = 253, /* RFC 1035, section 2.3.4, as text and without the last dot */
    RESOLVE_TEXT_SIZE = RESOLVE_NAME_SIZE_MAX + 2,
};

struct resolver;
struct resolve_name;

union resolve_host {
    struct in_addr v4;
    struct in6_addr v6;
};

/* What is known of a name in one family. */
struct resolve_half {
    struct resolve_name *name;
    bool is_over;
    int error; /* when over and without an address */
    unsigned count;
    union resolve_host hosts[RESOLVE_HOSTS_MAX];
    int64_t ttl_ns;
};

/* What a channel was made by: when it changes there is a new one. */
struct resolve_origin {
    uint64_t device, inode, size;
    int64_t mtime_ns;
    unsigned generation; /* of leat_dial_use_servers */
};

struct resolve_config {
    ares_channel channel;        /* NULL: none */
    struct ares_options options; /* as c-ares read them: search domains and ndots are wanted */
    struct resolve_origin origin;
};

struct resolve_job {
    struct offload_job job;
    char host[RESOLVE_TEXT_SIZE]; /* without a dot at the end */
    struct resolver *resolver;
    struct resolve_origin origin; /* of the channel that there is */
    bool has_channel, is_simulated;
    /* results */
    unsigned counts[RESOLVE_FAMILIES];
    union resolve_host hosts[RESOLVE_FAMILIES][RESOLVE_HOSTS_MAX];
    struct resolve_config config; /* a new one, where it is called for and could be made */
};

enum resolve_state { RESOLVE_READING, RESOLVE_ASKING, RESOLVE_KNOWN };

struct resolve_name {
    struct resolver *resolver;
    struct hash_node node;    /* while it is listed */
    struct list_node resting; /* known, listed, and nobody looks at it */
    struct list_node flying;  /* reading or asking */
    enum resolve_state state;
    bool is_listed;
    bool is_sending; /* its questions are being handed to c-ares, which may answer at once */
    char text[RESOLVE_TEXT_SIZE];
    size_t size;
    unsigned domain; /* how many of the names to try have been tried */
    struct list_node waits;
    unsigned turn;
    enum resolve_family preferred;
    struct resolve_half halves[RESOLVE_FAMILIES];
    int64_t since_ns, expires_ns;
    struct resolve_job job;
};

struct resolver {
    struct loop_extension extension;
    struct leat_loop *loop;
    struct hash_seed seed;
    struct hash_table names;
    struct list_node resting, flying;
    unsigned waits, jobs;
    struct list_node leavers; /* fibers in resolve_end */
    struct resolve_config config;
    struct list_node sockets;
    struct timer timer;
    unsigned pending; /* questions that c-ares has */
    struct resolve_counters counters;
};

/* ---- resolve.c ------------------------------------------------------------------------------- */

/* One of the name's two questions was answered: the half says how. */
void resolve_half_over(struct resolve_half *half);
/* A socket or a job is no more. */
void resolve_released(struct resolver *resolver);

/* ---- resolve_files.c ------------------------------------------------------------------------- */

void resolve_job_run(struct offload_job *job, const struct backend_sys *sys);
void resolve_config_fini(struct resolve_config *config);

/* ---- resolve_query.c ------------------------------------------------------------------------- */

/* c-ares gets this as the user of its callbacks: the resolver. */
void resolve_channel_attach(ares_channel channel, struct resolver *resolver);
/* Returns the mask that says which are set. */
int resolve_channel_options(struct ares_options *options, struct resolver *resolver);
void resolve_timer_init(struct resolver *resolver);

/* Asks for `text` in the half's family; the half may be over when this returns. */
void resolve_query(struct resolve_half *half, const char *text);
/* After any call of c-ares that was not made by one of its callbacks. */
void resolve_settle(struct resolver *resolver);

#endif
