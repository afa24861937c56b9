/* SPDX-License-Identifier: MIT */
/*
 * Stream keys: who may publish under which name. A file has a line for each: a name, blanks, and
 * the key, which is the rest of the line; the name "*" stands for any. Lines that are empty or
 * begin with '#' say nothing. A name may have several keys.
 */
#ifndef LEAT_LIVE_KEYS_H
#define LEAT_LIVE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "media/live.h"

enum { LIVE_KEYS_MAX = 1024, LIVE_KEY_SIZE = 256, LIVE_KEYS_FILE_MAX = 512 * 1024 };

struct live_key {
    char name[LIVE_NAME_SIZE];
    char key[LIVE_KEY_SIZE];
};

struct live_keys {
    struct live_key *keys;
    size_t count;
    bool is_asked_for; /* else anybody's key will do, and none */
};

/* 0, or -1 with one line in ret_error. */
int live_keys_read(struct live_keys *keys, const char *path, char *ret_error,
                   size_t ret_error_size);
void live_keys_fini(struct live_keys *keys);
/* Looks at all keys to the end, so that time tells nothing of them. */
bool live_keys_match(const struct live_keys *keys, const char *name, const char *key);

#endif
