/* SPDX-License-Identifier: MIT */
/*
 * See sockets.h.
 */
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "leat/error.h"
#include "loop/process.h"
#include "net/address.h"
#include "net/tuning.h"

enum {
    /* The kernel takes a killed process's rings apart after the process is gone, and its listeners
     * with them: who is started anew at once finds the address in use for a moment longer. */
    CLAIM_ATTEMPTS = 20,
    CLAIM_PAUSE_US = 50 * 1000,
};

static bool is_unix(const struct leat_address *address)
{
    return leat_address_family(address) == AF_UNIX;
}

/* ---- Inherited ------------------------------------------------------------------------------- */

static struct socket_group *find_group(struct sockets *sockets, const struct leat_address *address)
{
    for (unsigned index = 0; index < sockets->count; index++)
        if (leat_address_equal(&sockets->groups[index].address, address))
            return &sockets->groups[index];
    return NULL;
}

/* Sockets of the same address belong together, in their order: steering by core counts them. */
static void take(struct sockets *sockets, int fd)
{
    struct leat_address address;
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM ||
        address_of_socket(&backend_sys_linux, fd, &address) != 0)
        return;
    struct socket_group *group = find_group(sockets, &address);
    if (!group) {
        if (sockets->count == SOCKETS_ADDRESSES_MAX)
            return;
        group = &sockets->groups[sockets->count++];
        *group = (struct socket_group){.address = address};
    }
    if (group->count < SOCKETS_AN_ADDRESS_MAX && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
        group->fds[group->count++] = fd;
}

void sockets_take_inherited(struct sockets *sockets)
{
    const char *pid = getenv("LISTEN_PID"), *text = getenv("LISTEN_FDS");
    const int count = text ? atoi(text) : 0;
    if (pid && atol(pid) == getpid())
        for (int index = 0; index < count; index++)
            take(sockets, SOCKETS_FIRST_FD + index);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int set_on(int fd, int name)
{
    const int on = 1;
    return setsockopt(fd, SOL_SOCKET, name, &on, sizeof on) != 0 ? -errno : 0;
}

/* Tuning comes before listen(2): what a connection's first packets are told depends on it. */
static int set_up(int fd, const struct leat_address *address, bool reuses_port,
                  const struct sockets_options *options)
{
    int error = 0;
    if (!is_unix(address))
        error = set_on(fd, SO_REUSEADDR); /* not to wait for connections in TIME_WAIT */
    if (!error && reuses_port)
        error = set_on(fd, SO_REUSEPORT);
    if (!error && bind(fd, &address->base, address->size) != 0)
        error = -errno;
    if (!error)
        error = tuning_apply(&backend_sys_linux, fd, TUNING_LISTENER, options->tuning, NULL);
    if (!error && listen(fd, options->backlog) != 0)
        error = -errno;
    return error;
}

static int open_socket(const struct leat_address *address, bool reuses_port,
                       const struct sockets_options *options)
{
    const int fd = socket(leat_address_family(address), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    const int error = set_up(fd, address, reuses_port, options);
    if (error) {
        close(fd);
        return error;
    }
    return fd;
}

static void close_group(struct socket_group *group)
{
    for (unsigned index = 0; index < group->count; index++)
        close(group->fds[index]);
    group->count = 0;
}

/* The first socket claims the port: it binds and listens without SO_REUSEPORT, for with it we
 * would share the port with any other server of the same user that does so too, and nobody would be
 * told. Once it is ours it takes the option, and the others may join. */
static int open_group(struct socket_group *group, const struct sockets_options *options)
{
    ASSERT(group->count == 0);
    int fd = open_socket(&group->address, false, options);
    if (fd < 0)
        return fd;
    group->fds[group->count++] = fd;
    int error = address_of_socket(&backend_sys_linux, fd, &group->address);
    const bool is_shared = is_unix(&group->address);
    if (!error && !is_shared && options->worker_count > 1)
        error = set_on(fd, SO_REUSEPORT);
    while (!error && !is_shared && group->count < options->worker_count) {
        fd = open_socket(&group->address, true, options);
        if (fd < 0)
            error = fd;
        else
            group->fds[group->count++] = fd;
    }
    if (error)
        close_group(group);
    return error;
}

static int open_address(struct sockets *sockets, const struct leat_address *address,
                        const struct sockets_options *options)
{
    if (sockets->count == SOCKETS_ADDRESSES_MAX)
        return -LEAT_E_LIMIT;
    struct socket_group *group = &sockets->groups[sockets->count];
    *group = (struct socket_group){.address = *address, .is_asked_for = true, .is_new = true};
    int error = -EADDRINUSE;
    for (int count = 0; error == -EADDRINUSE && count < CLAIM_ATTEMPTS; count++) {
        if (count > 0)
            usleep(CLAIM_PAUSE_US);
        process_remove_stale_socket(&address->base, address->size);
        error = open_group(group, options);
    }
    if (!error)
        sockets->count++;
    return error;
}

/* An inherited group that nobody has asked for yet and that is what is asked for now; with
 * `any_port` that is also a port for one that was asked for as 0. */
static bool is_inherited(struct sockets *sockets, const struct leat_address *asked, bool any_port)
{
    for (unsigned index = 0; index < sockets->count; index++) {
        struct socket_group *group = &sockets->groups[index];
        struct leat_address address = *asked;
        if (any_port && !is_unix(asked) && leat_address_port(asked) == 0)
            leat_address_set_port(&address, leat_address_port(&group->address));
        if (!group->is_asked_for && leat_address_equal(&group->address, &address)) {
            group->is_asked_for = true;
            return true;
        }
    }
    return false;
}

int sockets_open(struct sockets *sockets, const struct leat_address *addresses, unsigned count,
                 const struct sockets_options *options, unsigned *ret_index)
{
    ASSERT(count <= SOCKETS_ADDRESSES_MAX);
    ASSERT(options->worker_count > 0 && options->worker_count <= SOCKETS_AN_ADDRESS_MAX);
    bool is_there[SOCKETS_ADDRESSES_MAX] = {false};
    /* Ports that were named come first, or one that was not would take theirs. */
    for (unsigned index = 0; index < count; index++)
        is_there[index] = is_inherited(sockets, &addresses[index], false);
    for (unsigned index = 0; index < count; index++)
        if (!is_there[index])
            is_there[index] = is_inherited(sockets, &addresses[index], true);
    for (unsigned index = 0; index < count; index++) {
        if (is_there[index])
            continue;
        const int error = open_address(sockets, &addresses[index], options);
        if (error) {
            *ret_index = index;
            return error;
        }
    }
    return 0;
}

/* Searched from the end, for it was opened last. */
static struct socket_group *find_apart(struct sockets *sockets, struct leat_address address)
{
    const bool any_port = leat_address_port(&address) == 0;
    for (unsigned index = sockets->count; index-- > 0;) {
        struct socket_group *group = &sockets->groups[index];
        if (any_port)
            leat_address_set_port(&address, leat_address_port(&group->address));
        if (!group->is_asked_for && leat_address_equal(&group->address, &address))
            return group;
    }
    return NULL;
}

int sockets_open_apart(struct sockets *sockets, const struct leat_address *address, int backlog,
                       bool is_successor, const struct socket_group **ret_group)
{
    const struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    const struct sockets_options options = {
        .tuning = &tuning, .backlog = backlog, .worker_count = 1};
    ASSERT(!is_unix(address));
    struct socket_group *group = is_successor ? find_apart(sockets, *address) : NULL;
    if (!group) {
        const int error = open_address(sockets, address, &options);
        if (error)
            return error;
        group = &sockets->groups[sockets->count - 1];
    }
    group->is_asked_for = group->is_apart = true;
    *ret_group = group;
    return 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void sockets_close(struct sockets *sockets)
{
    for (unsigned index = 0; index < sockets->count; index++)
        close_group(&sockets->groups[index]);
}

void sockets_abandon(struct sockets *sockets)
{
    for (unsigned index = 0; index < sockets->count; index++)
        if (sockets->groups[index].is_new)
            process_remove_socket(&sockets->groups[index].address.base);
    sockets_close(sockets);
}

void sockets_remove_paths(const struct sockets *sockets)
{
    for (unsigned index = 0; index < sockets->count; index++)
        if (sockets->groups[index].is_asked_for)
            process_remove_socket(&sockets->groups[index].address.base);
}
