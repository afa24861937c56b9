/* SPDX-License-Identifier: MIT */
/*
 * The sockets that a server listens on. The main thread opens them before there are workers,
 * while it still has its privileges, or gets them open: from systemd, or from the process that it
 * replaces (LISTEN_FDS, sd_listen_fds(3)). They stay its own as long as it accepts; workers listen
 * on duplicates.
 *
 * An address has one socket a worker (SO_REUSEPORT), each with a queue of its own, or a single one
 * that all share: a unix socket, one of systemd's. When a process is replaced the sockets stay as
 * they are, and with them whoever is in their queues; so there may be more of them than workers, or
 * fewer.
 */
#ifndef LEAT_SOCKETS_H
#define LEAT_SOCKETS_H

#include <stdbool.h>

#include "leat/address.h"
#include "leat/tuning.h"

enum { SOCKETS_ADDRESSES_MAX = 16, SOCKETS_AN_ADDRESS_MAX = 256, SOCKETS_FIRST_FD = 3 };

struct socket_group {
    struct leat_address address;
    bool is_asked_for; /* by --listen; its unix path is ours to remove */
    bool is_new;       /* opened here, not inherited */
    bool is_apart;     /* not for the workers */
    unsigned count;
    int fds[SOCKETS_AN_ADDRESS_MAX];
};

struct sockets {
    unsigned count;
    struct socket_group groups[SOCKETS_ADDRESSES_MAX];
};

struct sockets_options {
    const struct leat_tuning *tuning;
    int backlog;
    unsigned worker_count;
};

/* Takes what was handed over by way of the environment, which says nothing of it afterwards. */
void sockets_take_inherited(struct sockets *sockets);

/* Sees to it that all of `addresses` are listened on: an inherited socket will do. Ports asked for
 * as 0 are numbers in the groups. Returns 0, or -errno and in *ret_index the address it is about;
 * then sockets_abandon is next. -EADDRINUSE only after trying for a second, -LEAT_E_LIMIT: more
 * than SOCKETS_ADDRESSES_MAX, with those inherited. */
int sockets_open(struct sockets *sockets, const struct leat_address *addresses, unsigned count,
                 const struct sockets_options *options, unsigned *ret_index);

/* The same for one that workers do not listen on: the administrator's, no unix socket. After
 * sockets_open. Who takes over from another process finds it among what that has handed over. */
int sockets_open_apart(struct sockets *sockets, const struct leat_address *address, int backlog,
                       bool is_successor, const struct socket_group **ret_group);

/* Which of a group's sockets a worker listens on: sockets_first(), and from there on each
 * worker_count-th while there are such. Workers that find none for themselves share one. */
static inline unsigned sockets_first(const struct socket_group *group, unsigned worker)
{
    return worker % group->count;
}

/* Listens no more, as far as this process goes: who is in a queue that no other process has is
 * refused. */
void sockets_close(struct sockets *sockets);
/* The start has come to nothing: closes them, and leaves no unix socket of ours behind. */
void sockets_abandon(struct sockets *sockets);
/* At the end: the files of unix sockets that --listen named; those of systemd stay. */
void sockets_remove_paths(const struct sockets *sockets);

#endif
