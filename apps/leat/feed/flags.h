/* SPDX-License-Identifier: MIT */
/*
 * The flags that the subcommands of `leat feed` share, and what their own have in common: times,
 * sizes, sequence numbers. A subcommand hands in its own table; the shared flags come behind it.
 */
#ifndef LEAT_FEED_FLAGS_H
#define LEAT_FEED_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leat/feed.h"
#include "leat/loop.h"
#include "options.h"

/* What a subcommand does with its lines decides which of the shared flags it has. */
enum feed_flags_role {
    FEED_FLAGS_SEND = 1,    /* --ttl */
    FEED_FLAGS_RECEIVE = 2, /* --source, --busy-poll-us */
    FEED_FLAGS_NAME = 4,    /* --session */
};

struct feed_flags {
    const char *group, *group_b; /* NULL: not given */
    const char *session;
    const char *source; /* RECEIVE */
    bool is_spinning;
    int cpu; /* -1: any */
    enum leat_engine engine;
    struct leat_feed_socket_options socket;
};

struct feed_command {
    const char *name; /* "leat feed publish" */
    const char *arguments, *summary;
    unsigned roles;
    const struct option *own; /* ends with a NULL name; at most FEED_OWN_OPTIONS_MAX */
    const char **positional;
    size_t positional_max;
};

enum { FEED_OWN_OPTIONS_MAX = 32, FEED_ERROR_SIZE = 512 };

/* Zeroes `flags` first. Whether --group was needed is the caller's to say. */
enum options_result feed_flags_parse(const struct feed_command *command, struct feed_flags *flags,
                                     int argc, char **argv);

/* As an option's `take`: "now" (0) or a sequence number, 1 or more; into a uint64_t. */
int feed_take_sequence(const char *text, void *target, char *ret_error, size_t ret_error_size);

/* What a call that failed with `error` makes of the process: wrong use, or a failure. */
int feed_status_of(int error);

#endif
