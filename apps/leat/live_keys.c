/* SPDX-License-Identifier: MIT */
/*
 * See live_keys.h.
 */
#include "live_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leat/error.h"

enum { LINE_SIZE = LIVE_NAME_SIZE + LIVE_KEY_SIZE + 16 };

static void trim_end(char *line)
{
    size_t size = strlen(line);
    while (size > 0 && strchr(" \t\r\n", line[size - 1]))
        line[--size] = '\0';
}

/* 0, or what is wrong with it. */
static const char *take_line(struct live_keys *keys, char *line)
{
    trim_end(line);
    if (line[0] == '\0' || line[0] == '#')
        return NULL;
    const size_t name_size = strcspn(line, " \t");
    if (name_size == 0)
        return "begins with a blank, and not with a name";
    const char *key = line + name_size + strspn(line + name_size, " \t");
    if (key[0] == '\0')
        return "has a name and no key";
    if (name_size >= LIVE_NAME_SIZE)
        return "has a name that is too long";
    if (strlen(key) >= LIVE_KEY_SIZE)
        return "has a key that is too long";
    if (keys->count == LIVE_KEYS_MAX)
        return "is one too many";
    struct live_key *entry = &keys->keys[keys->count++];
    memcpy(entry->name, line, name_size);
    strcpy(entry->key, key);
    return NULL;
}

int live_keys_read(struct live_keys *keys, const char *path, char *ret_error, size_t ret_error_size)
{
    char line[LINE_SIZE];
    FILE *file = fopen(path, "re");
    if (!file) {
        snprintf(ret_error, ret_error_size, "%s: %s", path, leat_error_text(-errno));
        return -1;
    }
    *keys =
        (struct live_keys){.keys = calloc(LIVE_KEYS_MAX, sizeof *keys->keys), .is_asked_for = true};
    const char *wrong = keys->keys ? NULL : "finds no memory";
    unsigned number = 0;
    while (!wrong && fgets(line, sizeof line, file)) {
        number++;
        wrong = strchr(line, '\n') || feof(file) ? take_line(keys, line) : "is too long";
    }
    if (!wrong && ferror(file))
        wrong = "cannot be read";
    fclose(file);
    explicit_bzero(line, sizeof line);
    if (!wrong)
        return 0;
    snprintf(ret_error, ret_error_size, "%s: line %u %s", path, number, wrong);
    live_keys_fini(keys);
    return -1;
}

void live_keys_fini(struct live_keys *keys)
{
    if (keys->keys)
        explicit_bzero(keys->keys, LIVE_KEYS_MAX * sizeof *keys->keys);
    free(keys->keys);
    *keys = (struct live_keys){0};
}

/* Both of LIVE_KEY_SIZE bytes, zeros behind the end. */
static bool is_equal(const char *a, const char *b)
{
    unsigned char difference = 0;
    for (size_t at = 0; at < LIVE_KEY_SIZE; at++)
        difference |= (unsigned char)(a[at] ^ b[at]);
    return difference == 0;
}

bool live_keys_match(const struct live_keys *keys, const char *name, const char *key)
{
    char given[LIVE_KEY_SIZE] = {0};
    bool matches = false;
    if (!keys->is_asked_for)
        return true;
    if (!key || strlen(key) >= sizeof given)
        return false;
    strcpy(given, key);
    for (size_t index = 0; index < keys->count; index++) {
        const struct live_key *entry = &keys->keys[index];
        const bool is_equal_key = is_equal(entry->key, given);
        matches |=
            is_equal_key && (strcmp(entry->name, name) == 0 || strcmp(entry->name, "*") == 0);
    }
    return matches;
}
