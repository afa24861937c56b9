/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over the files of a folder, once each: the corpus as an ordinary test, with
 * any compiler. The target asserts, so a finding ends the process.
 */
#include <dirent.h>
#include <stdio.h>

#include "fuzz.h"

enum { INPUT_SIZE_MAX = 1 << 20 };

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* 0, or -1 when the file cannot be read. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    static uint8_t input[INPUT_SIZE_MAX];
    const size_t size = fread(input, 1, sizeof(input), file);
    const int failed = ferror(file);
    fclose(file);
    if (failed)
        return -1;
    /* Named before it runs, so that a failure shows which it was. */
    fprintf(stderr, "%s\n", path);
    char *exact = fuzz_copy(input, size);
    (void)LLVMFuzzerTestOneInput((const uint8_t *)exact, size);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    struct dirent **entries;
    const int count = scandir(argv[1], &entries, is_visible, alphasort);
    int result = count > 0 ? 0 : 1; /* an empty corpus tests nothing */
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
        if (replay_file(path) < 0) {
            perror(path);
            result = 1;
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    printf("%d inputs\n", count);
    return result;
}
