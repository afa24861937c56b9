/* SPDX-License-Identifier: MIT */
/*
 * What the bare servers send. They parse nothing but the end of a head and a letter of its path,
 * time nothing and log nothing: what is left is the kernel's share, the floor under any server.
 * Their heads have the headers and the length of leat's, so that both pay for the same bytes; when
 * leat's head changes, it changes here and nowhere else.
 *
 * Paths, told apart by the second letter after "GET /"; what follows does not matter:
 *     /1k    1 KiB from memory, one send; and every other path
 *     /1m    the file 1m.bin by sendfile
 *     /64k, /16m   64k.bin and 16m.bin likewise, when they are there
 *     /big   the file big.bin likewise (the relay's source)
 */
#ifndef LEAT_BENCH_BARE_H
#define LEAT_BENCH_BARE_H

#include "../common.h"

#include <fcntl.h>
#include <sys/stat.h>

#define BARE_HEAD_FIRST                                                                            \
    "HTTP/1.1 200 OK\r\n"                                                                          \
    "Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n"
#define BARE_HEAD_MEMORY                                                                           \
    BARE_HEAD_FIRST "Content-Type: text/plain\r\n"                                                 \
                    "Content-Length: 1024\r\n\r\n"
#define BARE_HEAD_FILE                                                                             \
    BARE_HEAD_FIRST "Content-Type: application/octet-stream\r\n"                                   \
                    "Last-Modified: Sun, 22 Nov 2026 12:00:00 GMT\r\n"                             \
                    "ETag: \"6a21a2c0-100000\"\r\n"                                                \
                    "Accept-Ranges: bytes\r\n"                                                     \
                    "Content-Length: %lld\r\n\r\n"

enum {
    BARE_BODY_SIZE = 1024,
    BARE_HEAD_MAX = 2048,         /* longest request head; a longer one is cut off */
    BARE_DESCRIPTORS_MAX = 16384, /* connections are a table indexed by descriptor */
    BARE_CORK_SIZE = 256 * 1024,
};

struct bare_file {
    int fd; /* -1 when the directory has no such file */
    off_t size;
    char head[512];
    size_t head_size;
};

struct bare_content {
    char memory[sizeof BARE_HEAD_MEMORY - 1 + BARE_BODY_SIZE]; /* head and body of /1k, together */
    struct bare_file one_mib;
    struct bare_file kib_64;
    struct bare_file mib_16;
    struct bare_file big;
};

static inline struct bare_file bare_open(int directory, const char *name)
{
    struct bare_file file = {.fd = openat(directory, name, O_RDONLY | O_CLOEXEC)};
    struct stat status;
    if (file.fd < 0 || fstat(file.fd, &status) < 0)
        return file;
    file.size = status.st_size;
    file.head_size =
        (size_t)snprintf(file.head, sizeof file.head, BARE_HEAD_FILE, (long long)file.size);
    return file;
}

/* Large files go in full segments: TCP_CORK while one is on its way is worth 5 % of CPU time a MiB,
 * for MSG_MORE does not keep acknowledgements from pushing out what is half full. */
static inline void bare_cork(int fd, const struct bare_file *file, int is_corked)
{
    if (file->size >= BARE_CORK_SIZE)
        setsockopt(fd, IPPROTO_TCP, TCP_CORK, &is_corked, sizeof is_corked);
}

/* Reads 1k.txt and opens the files in the given directory. */
static inline void bare_load(struct bare_content *content, const char *path)
{
    const size_t head_size = sizeof BARE_HEAD_MEMORY - 1;
    const int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int small = directory < 0 ? -1 : openat(directory, "1k.txt", O_RDONLY | O_CLOEXEC);
    if (small < 0)
        give_up("1k.txt");
    memcpy(content->memory, BARE_HEAD_MEMORY, head_size);
    if (read(small, content->memory + head_size, BARE_BODY_SIZE) != BARE_BODY_SIZE) {
        fprintf(stderr, "1k.txt: shorter than %d bytes\n", BARE_BODY_SIZE);
        exit(EXIT_FAILURE);
    }
    close(small);
    content->one_mib = bare_open(directory, "1m.bin");
    content->kib_64 = bare_open(directory, "64k.bin");
    content->mib_16 = bare_open(directory, "16m.bin");
    content->big = bare_open(directory, "big.bin");
    close(directory);
}

/* The file a request asks for, or NULL for the answer from memory. */
static inline struct bare_file *bare_choose(struct bare_content *content, const char *request,
                                            size_t size)
{
    struct bare_file *file = NULL;
    switch (size >= 7 ? request[6] : 'k') {
    case 'm': file = &content->one_mib; break;
    case '4': file = &content->kib_64; break;
    case '6': file = &content->mib_16; break;
    case 'i': file = &content->big; break;
    }
    return file != NULL && file->fd >= 0 ? file : NULL;
}

#endif
