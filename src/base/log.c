/* SPDX-License-Identifier: MIT */
/*
 * The debug log. A mutex rather than something clever: it is taken only while somebody debugs,
 * keeps lines of different threads apart, and makes leat_log_set's promise about the previous
 * function.
 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

_Atomic bool log_wanted;

static struct {
    pthread_mutex_t mutex;
    leat_log_fn log;
    void *user;
} hook = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void leat_log_set(leat_log_fn log, void *user)
{
    pthread_mutex_lock(&hook.mutex);
    hook.log = log;
    hook.user = user;
    atomic_store_explicit(&log_wanted, log != NULL, memory_order_relaxed);
    pthread_mutex_unlock(&hook.mutex);
}

void log_debug(const char *format, ...)
{
    char line[LEAT_LOG_LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    const int wanted = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    ASSERT(wanted >= 0);
    const size_t size = (size_t)wanted < sizeof line ? (size_t)wanted : sizeof line - 1;
    for (size_t i = 0; i < size; i++) {
        /* A line stays one line, whatever a peer sent that is quoted in it. */
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    }
    pthread_mutex_lock(&hook.mutex);
    if (hook.log) /* it may have been unset since the caller looked */
        hook.log(line, size, hook.user);
    pthread_mutex_unlock(&hook.mutex);
}
