/* SPDX-License-Identifier: MIT */
/*
 * What lies beside a film: the names in its folder that begin as its own does, up to the extension
 * or the number of a rung (the stem), and the rate of the best rung. Segments and playlists ask for
 * it again and again; folders are looked into once a second at most, and by one fiber for all.
 */
#ifndef LEAT_SITE_STEMS_H
#define LEAT_SITE_STEMS_H

#include <stdbool.h>
#include <stdint.h>

#include "leat/file.h"

enum {
    STEMS_MAX = 1024, /* that are remembered */
    STEMS_NAMES_FRESH_MS = 1000,
    STEMS_RATE_FRESH_MS = 10 * 1000,
    SIBLINGS_MAX = 128, /* names of a stem; more are not seen */
};

struct stems;
struct siblings;

int stems_create(struct stems **ret_stems);
/* NULL is fine. */
void stems_destroy(struct stems *stems);

/* The names of files that begin with the last component of `path`, then '-' or '.'; sorted. `path`
 * is below the root, such as "folder/film". In a fiber. Give it back. */
int stems_siblings(struct stems *stems, struct leat_root *root, const char *path,
                   int64_t deadline_ns, struct siblings **ret_siblings);
void siblings_unref(struct siblings *siblings);
/* The first name for NULL, else the one behind `name`, which must be one of them; NULL: no more. */
const char *siblings_next(const struct siblings *siblings, const char *name);

/* The rate of the best rung of the ladder of this stem. */
struct stem_rate {
    bool is_known;       /* else nobody has found out yet, or could */
    uint64_t bits_per_s; /* 0: there is no ladder */
};
/* What is known. True: it is old, and the caller is the one to find out and to call stems_set_rate,
 * in any case; meanwhile the others get what was known. */
bool stems_rate(struct stems *stems, struct leat_root *root, const char *path,
                struct stem_rate *ret_rate);
/* What is known, be it old. */
void stems_peek_rate(struct stems *stems, struct leat_root *root, const char *path,
                     struct stem_rate *ret_rate);
void stems_set_rate(struct stems *stems, struct leat_root *root, const char *path,
                    struct stem_rate rate);

#endif
