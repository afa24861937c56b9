/* SPDX-License-Identifier: MIT */
/*
 * The library's debug log. leat prints nothing by itself and reports what goes wrong through
 * results; what it has to say beyond that is for those who look into it, goes to a function of
 * theirs, and costs one predictable branch a place while there is none.
 */
#ifndef LEAT_LOG_H
#define LEAT_LOG_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The longest line, its terminating zero byte included; what is longer is cut. */
enum { LEAT_LOG_LINE_SIZE = 512 };

/* `line` is terminated, has no newline, and is valid during the call; `size` is its length. Called
 * in any of leat's threads, one call at a time; it may neither block for long nor call leat. */
typedef void (*leat_log_fn)(const char *line, size_t size, void *user);

/* From now on lines go to `log`; NULL: nowhere. When this returns the previous function is not
 * running and will not be called again. */
void leat_log_set(leat_log_fn log, void *user);

#ifdef __cplusplus
}
#endif
#endif
