/* SPDX-License-Identifier: MIT */
/*
 * What the tests of net share: connected streams, files with a known content, and children of the
 * test's process that may do to themselves what a test may not (run out of descriptors).
 */
#ifndef TESTS_UNIT_NET_PAIR_H
#define TESTS_UNIT_NET_PAIR_H

#include "../engines.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leat/leat.h"
#include "net/stream.h"

/* ---- Streams --------------------------------------------------------------------------------- */

struct pair {
    struct leat_stream *here, *there;
};

static inline int64_t soon(void)
{
    return leat_after_ms(10 * 1000);
}

static inline struct leat_listener *listen_somewhere(const struct leat_tuning *tuning)
{
    struct leat_address address;
    struct leat_listener *listener;
    const struct leat_listen_options options = {.tuning = tuning};
    assert_int_equal(leat_address_parse("127.0.0.1:0", &address, NULL), 0);
    assert_int_equal(leat_listen(&address, &options, &listener), 0);
    return listener;
}

/* Two streams that are connected; in a fiber. The tuning, which may be NULL, is of both. */
static inline void pair_open(struct pair *pair, const struct leat_tuning *tuning)
{
    struct leat_listener *listener = listen_somewhere(tuning);
    assert_int_equal(leat_connect(leat_listener_address(listener), tuning, soon(), &pair->here), 0);
    assert_int_equal(leat_accept(listener, soon(), &pair->there), 0);
    leat_listener_close(listener);
}

static inline void pair_close(struct pair *pair)
{
    leat_stream_close(pair->here);
    leat_stream_close(pair->there);
    pair->here = pair->there = NULL;
}

/* With the smallest buffers, so that a sender must wait for its reader. */
static inline void pair_open_narrow(struct pair *pair)
{
    struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    tuning.so_sndbuf_size = tuning.so_rcvbuf_size = 4096;
    pair_open(pair, &tuning);
}

/* Everything until the end of the stream, read by a fiber. */
struct reading {
    struct leat_stream *stream;
    size_t piece_size; /* 0: as much as comes */
    int pause_ms;      /* after each piece */
    char *data;
    size_t size, room;
    int result;
};

static inline int read_all(void *arg)
{
    struct reading *reading = arg;
    for (;;) {
        if (reading->room - reading->size < 65536)
            reading->data = realloc(reading->data, reading->room = 2 * reading->room + 131072);
        const size_t room = reading->piece_size ? reading->piece_size : 65536;
        const ssize_t size =
            leat_stream_read(reading->stream, reading->data + reading->size, room, soon());
        if (size <= 0)
            return reading->result = (int)size;
        reading->size += (size_t)size;
        if (reading->pause_ms > 0)
            leat_sleep_ms(reading->pause_ms);
    }
}

/* ---- Content --------------------------------------------------------------------------------- */

static inline char content_at(uint64_t offset)
{
    return (char)((offset * UINT64_C(0x9e3779b97f4a7c15)) >> 56 ^ offset);
}

static inline char *make_content(size_t size)
{
    char *data = malloc(size > 0 ? size : 1);
    assert_non_null(data);
    for (size_t offset = 0; offset < size; offset++)
        data[offset] = content_at(offset);
    return data;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Below the working directory, which is on a real file system where the build is. */
struct folder {
    char path[64];
};

static inline void folder_make(struct folder *folder)
{
    strcpy(folder->path, "leat-test-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
}

static inline const char *folder_path(const struct folder *folder, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder->path, name);
    return path;
}

static inline void folder_remove(struct folder *folder)
{
    DIR *entries = opendir(folder->path);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove(folder_path(folder, entry->d_name));
    closedir(entries);
    assert_int_equal(rmdir(folder->path), 0);
}

/* A file whose byte at `offset` is content_at(first + offset). */
static inline void folder_write(const struct folder *folder, const char *name, uint64_t first,
                                size_t size)
{
    char *data = make_content(first + size);
    FILE *file = fopen(folder_path(folder, name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data + first, 1, size, file), size);
    fclose(file);
    free(data);
}

/* Takes a file of this size out of the page cache. False: this host keeps it (a file system in
 * memory, say). */
static inline bool folder_make_cold(const struct folder *folder, const char *name, size_t size)
{
    const int fd = open(folder_path(folder, name), O_RDONLY);
    char byte;
    const struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    assert_true(fd >= 0);
    assert_int_equal(fdatasync(fd), 0);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* what looks shall not read ahead */
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    const bool is_cold =
        preadv2(fd, &vector, 1, (off_t)(size / 2), RWF_NOWAIT) < 0 && errno == EAGAIN;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    if (!is_cold)
        print_message("# files in %s cannot be made cold\n", folder->path);
    return is_cold;
}

/* ---- Children -------------------------------------------------------------------------------- */

/* Runs the main fiber in a process of its own, whose limits it may change; what it returns must
 * be 0. A failed assertion of it is a status, for cmocka's way back is in the parent. */
static inline void in_a_child(enum leat_engine engine, int (*main_fiber)(void *arg))
{
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(30);
        const struct leat_loop_options options = {.engine = engine};
        _exit(leat_run(main_fiber, NULL, &options) ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the child ended with status %x", (unsigned)status);
}

/* In a child: says where, and ends it. */
#define CHILD_EXPECT(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            _exit(2);                                                                              \
        }                                                                                          \
    } while (0)

/* The next descriptor would be beyond the limit. */
static inline void run_out_of_descriptors(void)
{
    const int next = dup(0);
    CHILD_EXPECT(next >= 0);
    close(next);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t)next;
    CHILD_EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static inline void have_descriptors_again(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    CHILD_EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static inline unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *entries = opendir("/proc/self/fd");
    if (!entries)
        return 0;
    while (readdir(entries))
        count++;
    closedir(entries);
    return count;
}

#endif
