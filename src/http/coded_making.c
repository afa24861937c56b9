/* SPDX-License-Identifier: MIT */
/*
 * Making a coded copy, in an offload job: the file is read and coded in one go, at a level that
 * takes a third of a second or so, and put into sealed memory. What has changed meanwhile, or
 * so lately that it might change again within a tick of the file system's clock, is left for later:
 * a copy is found by the file's size and times, and must not be of other bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/fiber.h"
#include "http/coded_parts.h"
#include "leat/error.h"
#include "loop/offload.h"
#include "net/file.h"

enum {
    PROBE_SIZE = 64 * 1024, /* of the middle: where that is noise all of it is taken to be */
    GAIN_SHARE = 16,        /* one part of so many must be saved */
};

struct making {
    struct offload_job job;
    struct leat_http_coded_files *coded; /* held, as are root and file */
    struct leat_root *root;
    struct leat_file *file;
    struct leat_file_info info;
    enum leat_codec codec;
    enum coded_state state; /* what came of it */
    struct coded_copy *copy;
    char path[];
};

/* The highest level that codes so much in a third of a second or so, for a loop that ends waits for
 * it (measured on text: br-11 0.6 MB/s, br-9 8, br-6 30, zstd-19 3, zstd-15 9, gzip-12 6). */
static struct codec_setting setting_for(enum leat_codec codec, uint64_t size)
{
    switch (codec) {
    case LEAT_CODEC_BROTLI:
        return (struct codec_setting){codec, size <= 192 << 10 ? 11 : size <= 3 << 20 ? 9 : 6};
    case LEAT_CODEC_ZSTD:
        return (struct codec_setting){codec, size <= 1 << 20 ? 19 : size <= 3 << 20 ? 15 : 9};
    default: return (struct codec_setting){codec, size <= 2 << 20 ? 12 : 9};
    }
}

static int read_all(const struct backend_sys *sys, int fd, char *data, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        const ssize_t count = sys->read(sys, fd, data + done, (size_t)(size - done), done);
        if (count <= 0)
            return count < 0 ? (int)count : -LEAT_E_TRUNCATED;
        done += (uint64_t)count;
    }
    return 0;
}

static int write_all(const struct backend_sys *sys, int fd, const char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t count = sys->write(sys, fd, data + done, size - done, done);
        if (count <= 0)
            return count < 0 ? (int)count : -EIO;
        done += (size_t)count;
    }
    return 0;
}

/* Is the file still what it was? */
static bool is_same(const struct making *making, const struct backend_sys *sys)
{
    struct backend_stat stat;
    return sys->stat(sys, making->file->fd, &stat) == 0 && stat.size == making->info.size &&
           stat.mtime_ns == making->info.mtime_ns;
}

static bool is_noise(const char *data, size_t size)
{
    const size_t count = size < PROBE_SIZE ? size : PROBE_SIZE;
    const struct codec_setting setting = {LEAT_CODEC_ZSTD, 1};
    char *out = malloc(count);
    const ssize_t coded = out ? codec_encode(setting, data + (size - count) / 2, count, out,
                                             count - count / GAIN_SHARE)
                              : 0;
    free(out);
    return coded == -LEAT_E_LIMIT;
}

static int put_into_memory(struct making *making, const struct backend_sys *sys, const char *data,
                           size_t size)
{
    struct coded_copy *copy = coded_copy_create(making->coded, sys, size);
    if (!copy)
        return -ENOMEM;
    int error = 0;
    copy->fd = sys->create(sys, "leat-coded");
    if (copy->fd < 0)
        error = copy->fd;
    if (!error)
        error = write_all(sys, copy->fd, data, size);
    if (!error)
        error = sys->seal(sys, copy->fd);
    if (error) {
        coded_copy_unref(copy);
        return error;
    }
    making->copy = copy;
    return 0;
}

/* The coded bytes are there: where they go. */
static void deliver(struct making *making, const struct backend_sys *sys, const char *data,
                    size_t size)
{
    struct leat_http_coded_files *coded = making->coded;
    atomic_fetch_add_explicit(&coded->made, 1, memory_order_relaxed);
    int error = put_into_memory(making, sys, data, size);
    making->state = error ? CODED_NONE : CODED_READY;
    if (error)
        atomic_fetch_add_explicit(&coded->failures, 1, memory_order_relaxed);
    if (!coded->options.beside)
        return;
    error = coded_beside_write(making->root, sys, making->path, making->file->fd, &making->info,
                               making->codec, data, size);
    if (error < 0)
        atomic_fetch_add_explicit(&coded->failures, 1, memory_order_relaxed);
    else if (error == 0)
        atomic_fetch_add_explicit(&coded->beside, 1, memory_order_relaxed);
}

/* In a thread of the pool. */
static void run_making(struct offload_job *job, const struct backend_sys *sys)
{
    struct making *making = CONTAINER_OF(job, struct making, job);
    struct leat_http_coded_files *coded = making->coded;
    const size_t size = (size_t)making->info.size;
    const size_t most = size - size / GAIN_SHARE;
    char *plain = malloc(size), *out = malloc(most);
    ssize_t count = -ENOMEM;
    const int64_t begin_ns = sys->thread_cpu_ns(sys);
    if (plain && out)
        count = read_all(sys, making->file->fd, plain, size);
    if (count == 0)
        count = !is_same(making, sys) ? -EAGAIN
                : is_noise(plain, size)
                    ? -LEAT_E_LIMIT
                    : codec_encode(setting_for(making->codec, size), plain, size, out, most);
    const int64_t cpu_ns = sys->thread_cpu_ns(sys) - begin_ns;
    atomic_fetch_add_explicit(&coded->cpu_ns, (uint64_t)cpu_ns, memory_order_relaxed);
    if (count > 0 && coded_room((uint64_t)count) > coded->options.memory_size / 2)
        count = -LEAT_E_LIMIT;
    if (count > 0) {
        deliver(making, sys, out, (size_t)count);
    } else {
        making->state = count == -LEAT_E_LIMIT ? CODED_USELESS : CODED_NONE;
        atomic_fetch_add_explicit(count == -LEAT_E_LIMIT ? &coded->useless : &coded->failures, 1,
                                  memory_order_relaxed);
    }
    free(out);
    free(plain);
}

static void finish(struct making *making, int64_t now_ns)
{
    coded_files_settle(making->coded, &making->info, making->codec, making->state, making->copy,
                       now_ns);
    coded_files_unref(making->coded);
    file_root_unref(making->root);
    leat_file_unref(making->file);
    free(making);
}

static void end_making(struct offload_job *job)
{
    finish(CONTAINER_OF(job, struct making, job), job->loop->now_ns);
}

bool coded_making_begin(struct leat_http_coded_files *coded, struct leat_root *root,
                        const char *path, struct leat_file *file, enum leat_codec codec)
{
    struct leat_loop *loop = file->loop;
    const struct leat_slice name = slice_from_text(path);
    struct making *making = calloc(1, sizeof *making + name.size + 1);
    if (!making)
        return false;
    if (!coded_files_claim(coded, &file->info, codec, loop->now_ns)) {
        free(making);
        return false;
    }
    making->job.run = run_making;
    making->job.done = end_making;
    making->coded = coded_files_ref(coded);
    making->root = file_root_ref(root);
    making->file = file;
    leat_file_ref(file);
    making->info = file->info;
    making->codec = codec;
    memcpy(making->path, name.data, name.size);
    if (offload_submit(loop, &making->job)) { /* the pool's queue is full */
        finish(making, loop->now_ns);
        return false;
    }
    return true;
}
