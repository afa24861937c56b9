/* SPDX-License-Identifier: MIT */
/*
 * A talker: a peer that sends known bytes, compares what comes back with what should, dawdles, and
 * may vanish. It plays the far end of a connection in the scenarios of streams and relays; like any
 * peer it is not on the loop. The owner fills the upper half, and reads the lower when it has gone.
 */
#ifndef TESTS_SIM_TALKER_H
#define TESTS_SIM_TALKER_H

#include "harness.h"
#include "leat/address.h"

struct talker {
    struct sim_run *run;
    uint64_t out_content, out_total;
    uint64_t in_content, in_total;
    uint64_t vanish_at;     /* after so many bytes either way; 0: never */
    unsigned dawdle_chance; /* per cent, at each event */
    bool has_last_word;     /* ends only when the other side has */

    struct sim_peer *peer; /* NULL: not there yet, or gone */
    uint64_t sent, received;
    bool is_pausing, is_gone, was_told_end;
    bool has_vanished; /* by its own will */
    bool is_broken;    /* an error, or the end before all was sent */
    bool has_end;      /* all was sent, and the other side ended in good order */
};

/* Amounts and habits drawn for this world; contents are the caller's. */
void talker_draw(struct talker *talker, struct sim_run *run);
/* Connects to an address, now. */
void talker_connect(struct talker *talker, const struct leat_address *address);
/* Listens on an address, and is whoever connects to it first. */
void talker_listen(struct talker *talker, const struct leat_address *address);

/* All was sent, received, and ended. */
static inline bool talker_is_complete(const struct talker *talker)
{
    return talker->has_end && talker->sent == talker->out_total &&
           talker->received == talker->in_total;
}

/* 127.0.0.1 and this port; 0: a free one. */
struct leat_address local_address(uint16_t port);

/* leat_listen, asked again while the world has no descriptors. */
struct leat_listener *listen_at(struct sim_run *run, uint16_t port, int backlog);
/* The same on a free port of every host. */
struct leat_listener *listen_anywhere(struct sim_run *run, int backlog);

#endif
