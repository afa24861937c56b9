/* SPDX-License-Identifier: MIT */
/*
 * A process replaces itself by a new one of the same program, whose file may be another by now, and
 * no connection is lost:
 *
 *     predecessor                                     successor
 *     fork, exec: sockets from descriptor 3 on,
 *       LISTEN_FDS, LISTEN_PID, LEAT_READY_FD ------> takes the sockets, starts its workers
 *     accepts, too                                    accepts
 *     is told <------------------- one byte --------- replace_report_ready
 *     accepts no more, drains, ends                   serves
 *
 * Until the byte has come the predecessor serves as if nothing had happened; a successor that ends
 * before, or takes too long, is buried. The listening sockets are never closed in between, so that
 * whoever is in their queues stays there. Main thread; the child between fork and exec makes only
 * calls that are safe there, for the other threads' locks are held for ever in it.
 */
#ifndef LEAT_REPLACE_H
#define LEAT_REPLACE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sockets.h"

enum { REPLACE_START_MS = 10 * 1000 };

/* What to start, and how: noted before anything has changed. */
struct program {
    char *path; /* absolute; symbolic links in it are followed anew each time */
    char **argv;
    sigset_t signal_mask;
};

/* `argv` is the one of main(), and is kept. 0, -ENOMEM, or why the program has no path. */
int program_init(struct program *program, char **argv);
void program_fini(struct program *program);

enum replace_outcome { REPLACE_PENDING, REPLACE_READY, REPLACE_FAILED };

struct replacement {
    pid_t pid;    /* of the successor; 0: none */
    int ready_fd; /* readable when there is news; -1: none */
    int64_t deadline_ns;
    char reason[128]; /* of REPLACE_FAILED */
};

/* Starts the successor. `sandbox` is what it is confined by from birth, for it inherits that:
 * what sandbox_inherited() will return in it. 0, or -errno: nothing was started. */
int replace_start(struct replacement *replacement, const struct program *program,
                  const struct sockets *sockets, const char *sandbox);
/* When ready_fd is readable or the deadline over. After READY and FAILED there is nothing left of
 * it but `pid` and `reason`. */
enum replace_outcome replace_check(struct replacement *replacement);
/* Kills a successor that is not ready yet, if there is one. */
void replace_abandon(struct replacement *replacement);

/* ---- In the successor ------------------------------------------------------------------------ */

/* What the predecessor has left in the environment, which says nothing of it afterwards. Call it
 * before anything else looks at descriptors. */
struct inheritance {
    bool is_successor;
    int ready_fd;
    char sandbox[64]; /* "": none */
};
void replace_inherit(struct inheritance *inheritance);
/* To be called when it serves. */
void replace_report_ready(struct inheritance *inheritance);

#endif
