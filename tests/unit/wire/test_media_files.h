/* SPDX-License-Identifier: MIT */
/*
 * For the tests of wire/mp4*: the real files in $LEAT_TEST_DATA/media, each in memory of exactly
 * its size, so that a sanitizer sees the first byte read beyond it.
 */
#ifndef TEST_MEDIA_FILES_H
#define TEST_MEDIA_FILES_H

#include <dirent.h>
#include <limits.h>

#include "test_mp4_file.h"

struct media_file {
    const char *name;
    unsigned char *data;
    size_t size;
};

static inline int read_media(void *user, uint64_t offset, void *data, size_t size)
{
    const struct media_file *const file = user;
    assert_true(offset <= file->size && size <= file->size - offset);
    memcpy(data, file->data + offset, size);
    return 0;
}

/* The whole of a file, whose name is borrowed; a failed test when it cannot be read. */
static inline struct media_file load_media(const char *path)
{
    const char *const slash = strrchr(path, '/');
    struct media_file media = {.name = slash ? slash + 1 : path};
    FILE *const file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    media.size = (size_t)ftell(file);
    rewind(file);
    media.data = malloc(media.size);
    assert_non_null(media.data);
    assert_int_equal(fread(media.data, 1, media.size, file), media.size);
    fclose(file);
    return media;
}

/* Calls `look` for each of the files; skips the test where there are none. */
static inline void for_each_media(void (*look)(struct media_file *media, void *user), void *user)
{
    const char *const data = getenv("LEAT_TEST_DATA");
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/media", data ? data : "");
    DIR *const directory = data ? opendir(path) : NULL;
    if (!directory) {
        print_message("# no films in $LEAT_TEST_DATA/media\n");
        skip();
    }
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/media/%s", data, entry->d_name);
        struct media_file media = load_media(path);
        look(&media, user);
        free(media.data);
    }
    closedir(directory);
}

#endif
