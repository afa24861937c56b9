/* SPDX-License-Identifier: MIT */
/*
 * The films that are in use, shared by all loops of the process: what was built of a file is kept,
 * and so is why nothing could be. A film is known by what its file is (device, inode, size, time of
 * modification), not by its path. Building reads the file's index in a thread of the pool; who asks
 * for a film that is being built waits for that, on whatever loop. Builds are few at a time, so
 * that a hundred films asked for at once leave the pool and the cores to others; the rest wait in
 * line.
 */
#ifndef MEDIA_FILM_CACHE_H
#define MEDIA_FILM_CACHE_H

#include <stdint.h>

#include "leat/file.h"
#include "media/film.h"

enum {
    FILM_CACHE_MEMORY_MAX = 64 * 1024 * 1024,
    FILM_CACHE_ENTRIES_MAX = 4096,
    FILM_CACHE_FAILURES_MAX = 256,
    FILM_CACHE_BUILDING_MAX = 1024,          /* in work or in line; then -EAGAIN */
    FILM_CACHE_READ_MAX = 512 * 1024 * 1024, /* bytes read for one film */
};

struct film_cache;

/* 0: the default. */
struct film_cache_options {
    size_t memory_max;     /* bytes of films that are kept; the one used last always is */
    unsigned entries_max;  /* films, */
    unsigned failures_max; /* and files that are none */
    unsigned builds_max;   /* at a time. 2 */
    uint64_t read_max;     /* bytes of a file; beyond it it cannot be streamed */
};

struct film_cache_counters {
    uint64_t hits, builds, failures, evictions;
    uint64_t entries, bytes; /* now; failures are entries, too */
    uint64_t building;       /* now, in line included */
};

/* Options are copied, and may be NULL. */
int film_cache_create(const struct film_cache_options *options, struct film_cache **ret_cache);
/* When no fiber is in film_cache_get. Films live on until their last reference goes. NULL is fine.
 * */
void film_cache_destroy(struct film_cache *cache);

/* The film of a file, with a reference; in a fiber. `deadline_ns` must not be LEAT_FOREVER.
 * -LEAT_E_MALFORMED, -LEAT_E_LIMIT, -EOPNOTSUPP: it cannot be streamed, and ret_reason (of
 * FILM_REASON_SIZE bytes) has a line that says why. Else ret_reason is "": -EAGAIN: too many are
 * being built; -ESTALE: the file changes while it is read; -ETIMEDOUT, -ECANCELED, -EIO … */
int film_cache_get(struct film_cache *cache, struct leat_file *file, int64_t deadline_ns,
                   struct film **ret_film, char *ret_reason);

/* From any thread. */
void film_cache_read_counters(struct film_cache *cache, struct film_cache_counters *ret_counters);

#endif
