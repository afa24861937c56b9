/* SPDX-License-Identifier: MIT */
/*
 * A subcommand of `leat feed` at work: a loop, on the core it was given, a first fiber, and the
 * signals that end it.
 */
#ifndef LEAT_FEED_RUN_H
#define LEAT_FEED_RUN_H

#include "flags.h"
#include "leat/fiber.h"
#include "loop/process.h"

/* Once its flags are parsed, with what came of that: runs `main_fiber` to its end; SIGINT and
 * SIGTERM wait for feed_watch meanwhile. The process's exit status: what it returned, or that of a
 * loop that could not be made, which was told; without OPTIONS_GO nothing runs. */
int feed_run(enum options_result parsed, const char *command, const struct feed_flags *flags,
             int (*main_fiber)(void *arg), void *arg);

/* Has poll(2) an answer for it? A pipe, a socket, a terminal; not a file. */
bool feed_can_poll(int fd);

/* A line on stderr, once sockets are there: from now on no packet is missed. */
void feed_tell_listening(const char *command, const struct feed_flags *flags);

/* In a fiber of feed_run: calls on_signal, in a fiber of `scope`, for each signal that comes, the
 * first one with a `count` of 1. 0 or -errno. */
struct feed_watch {
    void (*on_signal)(unsigned count, void *user);
    void *user;
    unsigned count; /* of signals that came */
};
int feed_watch(struct feed_watch *watch, struct leat_scope *scope);

#endif
