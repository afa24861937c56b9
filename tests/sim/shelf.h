/* SPDX-License-Identifier: MIT */
/*
 * A shelf of files that change: rewritten under their name, grown, shrunk in place, removed, put
 * back. It remembers what was there when, so that a scenario can ask whether what it was given had
 * been true lately. No two versions have the same size and time.
 */
#ifndef TESTS_SIM_SHELF_H
#define TESTS_SIM_SHELF_H

#include "harness.h"

enum { SHELF_FILES = 5, SHELF_VERSIONS = 32 };

struct shelf_version {
    bool exists;
    uint64_t content, size;
    int64_t mtime_ns;
    int64_t since_ns, until_ns; /* LEAT_FOREVER: still */
};

struct shelf_file {
    char path[16];
    unsigned count;
    struct shelf_version versions[SHELF_VERSIONS];
};

struct shelf {
    struct sim_run *run;
    uint64_t content_next;
    int64_t mtime_ns;
    struct shelf_file files[SHELF_FILES];
};

/* How old may be what the cache says: its second, and the time a look takes. */
enum { SHELF_STALE_MS = 1000 + 600 };

/* Puts files named f0, f1, d/f2, … into the world; sizes are drawn up to `size_max`. */
void shelf_init(struct shelf *shelf, struct sim_run *run, uint64_t size_max);
/* Something happens to one of them, now. */
void shelf_change(struct shelf *shelf);

/* The version with this size and time, if it was there at any time since then; or NULL. */
const struct shelf_version *shelf_find(const struct shelf *shelf, unsigned file, uint64_t size,
                                       int64_t mtime_ns, int64_t since_ns);
/* Was there no such file at some time since then? */
bool shelf_was_absent(const struct shelf *shelf, unsigned file, int64_t since_ns);
/* Has the content of this version been cut off, since it was there? */
bool shelf_has_shrunk(const struct shelf *shelf, unsigned file,
                      const struct shelf_version *version);
/* Has the file been cut off in place since then? */
bool shelf_shrank_since(const struct shelf *shelf, unsigned file, int64_t since_ns);
/* The one of now. */
const struct shelf_version *shelf_now(const struct shelf *shelf, unsigned file);

#endif
