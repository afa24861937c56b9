/* SPDX-License-Identifier: MIT */
/*
 * What `leat serve` and `leat proxy` share: a process with workers that answer HTTP, from its flags
 * to its end. The command goes from step to step and does its own in between, for the order counts:
 *
 *     service_init            what the process inherited; the defaults
 *     (flags)                 service_flags.h
 *     service_prepare         signals, limits, socket options
 *     service_open_sockets    while it may
 *     service_drop_privileges
 *     service_enter_sandbox   here what is served is named
 *     service_open_log        as whom it will be written
 *     service_start_workers   from here on there are threads
 *     service_start_admin
 *     service_run             until all workers have ended
 *     service_fini
 *
 * A step that returns something else than 0 has said why on standard error. Main thread.
 */
#ifndef LEAT_SERVICE_H
#define LEAT_SERVICE_H

#include <stdbool.h>

#include "admin.h"
#include "client_limits.h"
#include "leat/leat.h"
#include "replace.h"
#include "sandbox.h"
#include "sockets.h"
#include "worker.h"

enum { SERVICE_THREADS_MAX = SOCKETS_AN_ADDRESS_MAX };

struct service {
    const char *command; /* "leat serve": what its messages begin with */

    /* What the flags set. */
    struct worker_settings settings;
    struct client_limits limits;
    struct leat_address addresses[SOCKETS_ADDRESSES_MAX]; /* of --listen */
    unsigned address_count;
    long thread_count, backlog;
    int engine;
    unsigned tuning_roles; /* which socket options there are (tuning_flags.h) */
    const char *user;      /* NULL: stay who we are */
    int sandbox_mode;
    long grace_ms, replace_grace_ms;
    const char *log_path; /* "off", "-": standard output */
    int log_format;
    bool has_admin;

    struct program program;
    struct inheritance inheritance; /* of the process that this one replaces */
    struct sockets sockets;
    struct worker workers[SERVICE_THREADS_MAX];
    struct leat_access_log *log; /* NULL: none */
    struct admin admin;
    int signal_fd;
    char sandbox[SANDBOX_TEXT_SIZE]; /* what is in force, for people */
    bool is_confined;

    /* Set before service_run: it serves no more, but ends with what is in work, or another process
     * has taken its place. NULL: nothing. */
    void (*on_leave)(void *user);
    void *on_leave_user;
};

/* What workers do not listen on, and is opened with the rest. */
struct service_socket {
    const struct leat_address *address; /* no unix socket */
    int backlog;
    const struct socket_group **ret_group;
};

/* Before anything else looks at descriptors. `service` is zeroed, and static: it is large. */
void service_init(struct service *service, const char *command);
/* `argv` is the command's, with main()'s before it, and is kept. 0 or -1. */
int service_prepare(struct service *service, char **argv);

/* Of --listen, else 127.0.0.1:8080; --admin's; and `more`, always in the same order. */
int service_open_sockets(struct service *service, const struct service_socket *more,
                         unsigned more_count);
/* Nothing came of it: no unix socket of ours is left behind. */
void service_abandon_sockets(struct service *service);

int service_drop_privileges(struct service *service);
/* `options` say what the command needs; the service adds what it needs itself. Who replaces another
 * process was born confined: a second sandbox within the first would gain nothing, and the kernel
 * allows only so many. */
int service_enter_sandbox(struct service *service, struct sandbox_options *options);
int service_open_log(struct service *service);

/* Starts all, or stops and joins what was started. settings.http has the handler. */
int service_start_workers(struct service *service);
/* Ends and joins all workers: what comes after them has failed. */
void service_abandon_workers(struct service *service);
int service_start_admin(struct service *service);

/* Says that it serves (`what`, for the service manager: "Serving /srv"), waits for signals and the
 * workers' end. Returns the exit status: EXIT_SUCCESS when all is over and nobody uses what the
 * workers used; else a loop that has failed may hold some of it. */
int service_run(struct service *service, const char *what);
void service_fini(struct service *service);

/* What may help against an error of opening, listening, starting: "; …", or "". */
const char *service_remedy(int error);

#endif
