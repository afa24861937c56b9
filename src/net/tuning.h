/* SPDX-License-Identifier: MIT */
/*
 * The table of socket options, and how they get onto sockets. The one table (tuning.c) drives the
 * flags of the commands, the public API, docs/tuning.md and `leat doctor`; a test compares them.
 *
 * What a listener's sockets inherit is set on the listener once and costs a connection nothing;
 * only what they do not inherit is set on each accepted one (the role decides).
 * No state; any thread.
 */
#ifndef NET_TUNING_H
#define NET_TUNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leat/tuning.h"
#include "loop/backend.h"

enum tuning_role {
    TUNING_LISTENER = 1,   /* before listen(2) */
    TUNING_ACCEPTED = 2,   /* from a listener that had this tuning applied */
    TUNING_CONNECTING = 4, /* before connect(2) */
};

enum tuning_type {
    TUNING_BOOL,
    TUNING_COUNT,
    TUNING_SIZE, /* bytes */
    TUNING_RATE, /* bytes a second */
    TUNING_SECONDS,
    TUNING_MILLISECONDS,
    TUNING_MICROSECONDS,
    TUNING_NAME,
};

/* How what the kernel says afterwards goes with what it was asked for. */
enum tuning_readback {
    TUNING_EXACT,
    TUNING_AT_LEAST, /* rounded up to what the kernel can do */
    TUNING_DOUBLED,  /* twice as much, or more: its own bookkeeping is counted */
};

enum { TUNING_KERNEL_VARIES = -1 };

struct tuning_option {
    const char *flag;   /* "tcp-nodelay" */
    const char *alias;  /* another name for the flag, or NULL */
    const char *option; /* "TCP_NODELAY" */
    int level, name;
    size_t field; /* its offset in struct leat_tuning */
    enum tuning_type type;
    enum tuning_readback readback;
    unsigned roles;   /* where it is set; LISTENER and CONNECTING: accepted sockets inherit it */
    bool is_tcp_only; /* no effect on unix sockets, or refused by them */
    int64_t min, max;
    int64_t kernel_default; /* of a fresh socket, or TUNING_KERNEL_VARIES */
    const char *help;       /* one line, for --help and the docs */
    const char *remedy;     /* what makes a host grant it, or NULL */
};

enum { TUNING_OPTIONS = 16 };

extern const struct tuning_option tuning_options[TUNING_OPTIONS];

/* By flag or alias; NULL when there is none. */
const struct tuning_option *tuning_find(const char *flag);

/* The field of a numeric option; LEAT_TUNING_UNSET included. */
int64_t tuning_number(const struct tuning_option *option, const struct leat_tuning *tuning);

/* What --help shows as the value: "on|off", "SIZE", … */
const char *tuning_value_word(const struct tuning_option *option);

/* "on", "32k", "30s", "unset": as leat_tuning_parse would read it. Returns text. */
char *tuning_format_value(const struct tuning_option *option, const struct leat_tuning *tuning,
                          char *text, size_t size);

/* ---- Applying -------------------------------------------------------------------------------- */

enum tuning_outcome {
    TUNING_REFUSED, /* the call failed: `error` */
    TUNING_IGNORED, /* it succeeded and has no effect */
    TUNING_LIMITED, /* the host gave `granted` */
};

struct tuning_finding {
    const struct tuning_option *option;
    enum tuning_outcome outcome;
    int error; /* -errno */
    int64_t granted;
    const char *remedy; /* or NULL */
};

/* What did not come out as asked; an option is in it at most once. */
struct tuning_report {
    size_t count;
    struct tuning_finding findings[TUNING_OPTIONS];
};

/* Sets on the socket what the tuning asks for in this role and differs from what a fresh socket
 * has. With a report each option is read back too, and what was refused, ignored or limited is
 * written down (for the start of a server); without (NULL: on the way of each connection)
 * nothing is read.
 *
 * Everything is tried. Returns 0; or -errno of the first refusal of something that was asked for,
 * that is, differs from LEAT_TUNING_DEFAULT; -EINVAL when a field is out of its range. The caller
 * decides whether that is the end. What is ignored or limited is no error. */
int tuning_apply(const struct backend_sys *sys, int fd, enum tuning_role role,
                 const struct leat_tuning *tuning, struct tuning_report *report);

/* "--tcp-fastopen is ignored here: sysctl -w net.ipv4.tcp_fastopen=3": one line. Returns text. */
char *tuning_finding_format(const struct tuning_finding *finding, char *text, size_t size);

#endif
