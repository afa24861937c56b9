/* SPDX-License-Identifier: MIT */
/*
 * LOG_DEBUG("format", ...): a line for whoever called leat_log_set. While nobody did, a place costs
 * a relaxed load and a branch, and its arguments are not evaluated. Never for errors: those are
 * results. Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "leat/log.h"

extern _Atomic bool log_wanted;

#define LOG_DEBUG(...)                                                                             \
    do {                                                                                           \
        if (__builtin_expect(atomic_load_explicit(&log_wanted, memory_order_relaxed), 0))          \
            log_debug(__VA_ARGS__);                                                                \
    } while (0)

__attribute__((format(printf, 1, 2), cold)) void log_debug(const char *format, ...);

#endif
