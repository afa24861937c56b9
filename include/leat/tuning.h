/* SPDX-License-Identifier: MIT */
/*
 * Tuning: the socket options that leat offers, as values. Start from LEAT_TUNING_DEFAULT, change
 * what you want, hand it to leat_listen or leat_connect:
 *
 *     struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
 *     tuning.tcp_notsent_lowat_size = 16 * 1024;
 *
 * What is LEAT_TUNING_UNSET is left as the host has it. Each field is named after its option and
 * ends in its unit. docs/tuning.md says what each does, and decision 0002 why most are left
 * alone. What concerns TCP is skipped on unix sockets.
 */
#ifndef LEAT_TUNING_H
#define LEAT_TUNING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LEAT_TUNING_UNSET = -1, LEAT_TUNING_NAME_SIZE = 16 };

struct leat_tuning {
    int64_t tcp_nodelay;            /* 0 or 1: send small segments at once */
    int64_t so_sndbuf_size;         /* send buffer; the kernel doubles it for its bookkeeping */
    int64_t so_rcvbuf_size;         /* receive buffer; likewise */
    int64_t tcp_fastopen_count;     /* listener: connections that may wait with data in their SYN */
    int64_t tcp_fastopen_connect;   /* 0 or 1: connecting: the first bytes go with the SYN */
    int64_t so_keepalive;           /* 0 or 1: probe a silent peer */
    int64_t tcp_keepidle_s;         /* silence before the first probe */
    int64_t tcp_keepintvl_s;        /* time between probes */
    int64_t tcp_keepcnt;            /* unanswered probes until the connection is given up */
    int64_t tcp_notsent_lowat_size; /* writable while less than this waits unsent */
    int64_t tcp_user_timeout_ms;    /* how long sent bytes may remain unacknowledged */
    int64_t tcp_defer_accept_s;     /* listener: accept when the first bytes are there */
    int64_t tcp_quickack; /* 0 or 1: how a connection starts; the kernel changes it later */
    int64_t so_max_pacing_rate_bytes_per_s;
    int64_t so_busy_poll_us;                    /* spin on the device's queue before sleeping */
    char tcp_congestion[LEAT_TUNING_NAME_SIZE]; /* "bbr", "cubic", …; "": unset */
};

/* clang-format off */
#define LEAT_TUNING_DEFAULT                                                                        \
    {                                                                                              \
        .tcp_nodelay = 1,                                                                          \
        .so_sndbuf_size = LEAT_TUNING_UNSET,                                                       \
        .so_rcvbuf_size = LEAT_TUNING_UNSET,                                                       \
        .tcp_fastopen_count = LEAT_TUNING_UNSET,                                                   \
        .tcp_fastopen_connect = LEAT_TUNING_UNSET,                                                 \
        .so_keepalive = LEAT_TUNING_UNSET,                                                         \
        .tcp_keepidle_s = LEAT_TUNING_UNSET,                                                       \
        .tcp_keepintvl_s = LEAT_TUNING_UNSET,                                                      \
        .tcp_keepcnt = LEAT_TUNING_UNSET,                                                          \
        .tcp_notsent_lowat_size = LEAT_TUNING_UNSET,                                               \
        .tcp_user_timeout_ms = LEAT_TUNING_UNSET,                                                  \
        .tcp_defer_accept_s = LEAT_TUNING_UNSET,                                                   \
        .tcp_quickack = LEAT_TUNING_UNSET,                                                         \
        .so_max_pacing_rate_bytes_per_s = LEAT_TUNING_UNSET,                                       \
        .so_busy_poll_us = LEAT_TUNING_UNSET,                                                      \
        .tcp_congestion = "",                                                                      \
    }
/* clang-format on */

/* Sets one field from text: the name of its flag ("tcp-notsent-lowat", without dashes before it)
 * and a value: "on"/"off", a number, a size ("32k"; k, m and g are binary), a time ("30s",
 * "500ms", "2min"; a bare number is in the option's own unit), a name. A NULL value means "on"
 * where that is possible.
 *
 * 0; -ENOENT: there is no such flag; -EINVAL: the value is wrong. Then one line that says what
 * would be right is in ret_error, cut to ret_error_size (256 is enough), and the tuning is as it
 * was. */
int leat_tuning_parse(struct leat_tuning *tuning, const char *flag, const char *value,
                      char *ret_error, size_t ret_error_size);

#ifdef __cplusplus
}
#endif
#endif
