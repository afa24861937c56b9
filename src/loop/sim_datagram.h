/* SPDX-License-Identifier: MIT */
/*
 * The simulator's datagram sockets, shared by sim_datagram.c (what flies and arrives), sim_group.c
 * (who hears it, and options) and sim_net.c.
 */
#ifndef LOOP_SIM_DATAGRAM_H
#define LOOP_SIM_DATAGRAM_H

#include "loop/sim_world.h"

/* What a SIM_DATAGRAM has besides; until it is closed. */
struct sim_mailbox {
    struct list_node letters; /* that have arrived */
    size_t held, receive_room;
    uint32_t drops; /* found no room */
    size_t flying, send_room;
    int64_t last_arrival_ns; /* of what it sent: nothing overtakes, but by chance */
    struct backend_stamp *stamps;
    unsigned stamp_count;
    uint32_t next_key;
    bool is_connected;
    struct list_node memberships;
};

/* ---- sim_datagram.c -------------------------------------------------------------------------- */

void sim_datagram_open(struct sim *sim, struct sim_object *object);
void sim_datagram_close(struct sim_object *object);
ssize_t sim_datagram_recv(struct sim_object *object, void *data, size_t size, bool peek);
ssize_t sim_datagram_send(struct sim *sim, struct sim_object *object, const struct iovec *vectors,
                          int count);
short sim_datagram_events(const struct sim_object *object);

/* ---- sim_group.c ----------------------------------------------------------------------------- */

bool sim_is_group(const struct sockaddr_storage *address);
/* Is a datagram from `from` to the group `to` this socket's? */
bool sim_group_hears(struct sim *sim, const struct sim_object *object,
                     const struct sockaddr_storage *to, const struct sockaddr_storage *from);
/* Do the sender's own host's members hear what it sends to groups? */
bool sim_group_loops(const struct sim_object *sender);
void sim_group_leave_all(struct sim_mailbox *mailbox);
/* The one socket that a single address means; NULL: none. */
struct sim_object *sim_datagram_receiver(struct sim *sim, const struct sockaddr_storage *to,
                                         const struct sockaddr_storage *from);
void sim_datagram_autobind(struct sim *sim, struct sim_object *object);
/* What receivers see as its address. */
void sim_datagram_source(const struct sim_object *object, struct sockaddr_storage *ret_from);
int sim_datagram_connect(struct sim *sim, struct sim_object *object, const struct sockaddr *address,
                         socklen_t size);
/* 1: to be remembered as any option; 0 or -errno: that was it. */
int sim_datagram_set_option(struct sim *sim, struct sim_object *object, int level, int name,
                            const void *value, socklen_t size);
void sim_datagram_set_rooms(struct sim *sim, struct sim_object *object);

#endif
