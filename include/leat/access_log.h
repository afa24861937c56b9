/* SPDX-License-Identifier: MIT */
/*
 * Access logs: a line for each request that was answered, or could not be, in the combined format
 * of Apache and nginx, or as JSON.
 *
 *     options.on_done = leat_access_log_write;
 *     options.on_done_user = log;
 *
 * A log is one file, which any number of loops write to. Lines are collected in buffers of the loop
 * (half a MiB) and appended by a thread of the pool, whole, when there are many or after a second.
 * Nothing waits for a log: what a full or a slow disk leaves no room for is dropped and counted.
 * When its loop is destroyed the last line is written.
 */
#ifndef LEAT_ACCESS_LOG_H
#define LEAT_ACCESS_LOG_H

#include <stdint.h>

#include "leat/http.h"

#ifdef __cplusplus
extern "C" {
#endif

struct leat_access_log;

enum leat_access_log_format {
    /* peer - - [time it came] "request line" status body bytes "referer" "user agent"; in local
     * time. What is no printable ASCII, '"' and '\' are \xHH, what is absent is "-". */
    LEAT_ACCESS_LOG_COMBINED,
    /* An object a line, in UTF-8; docs/operations.md has the members. */
    LEAT_ACCESS_LOG_JSON,
};

struct leat_access_log_options {
    const char *path; /* appended to, made when it is not there; copied. NULL: standard output */
    enum leat_access_log_format format;
    /* `error` is 0: it can be written (again). -errno: it cannot; lines are kept while there is
     * room, and it is tried again every second. `dropped`: lines lost that were not told of yet.
     * In a thread of the pool, or in the loop's at its end; at most once in five seconds. */
    void (*on_trouble)(int error, uint64_t dropped, void *user);
    void *user;
};

/* Opens the file, which may block. 0, -ENOMEM, -EACCES, -EISDIR … */
int leat_access_log_create(const struct leat_access_log_options *options,
                           struct leat_access_log **ret_log);
/* After the last loop that wrote to it. NULL is fine. */
void leat_access_log_destroy(struct leat_access_log *log);

/* For leat_http_options.on_done: `log` is the log. On a loop. */
void leat_access_log_write(const struct leat_http_record *record, void *log);

/* Opens the path anew, for who has renamed the file; may block. Lines that are being written go to
 * the old one, all others to the new. From any thread; -errno: it goes on with the old one. */
int leat_access_log_reopen(struct leat_access_log *log);

struct leat_access_log_counters {
    uint64_t lines;    /* taken */
    uint64_t dropped;  /* not, or lost later */
    uint64_t failures; /* attempts at writing */
};
/* From any thread. */
void leat_access_log_counters(struct leat_access_log *log,
                              struct leat_access_log_counters *ret_counters);

#ifdef __cplusplus
}
#endif
#endif
