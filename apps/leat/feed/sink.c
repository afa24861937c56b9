/* SPDX-License-Identifier: MIT */
/*
 * See sink.h.
 */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "run.h"

enum { POOL_BUSY_MS = 1, FILE_MODE = 0666 };

/* ---- Waiting for the other fiber ------------------------------------------------------------- */

static void interrupt(void *user)
{
    fiber_wake(user);
}

/* Until the other side calls. 0 or -ECANCELED. */
static int wait_at(struct fiber **place)
{
    ASSERT(*place == NULL);
    *place = fiber_current();
    const int error = fiber_park(LEAT_FOREVER, interrupt, *place);
    *place = NULL;
    return error;
}

static void call(struct fiber *const *place)
{
    if (*place)
        fiber_wake(*place);
}

/* ---- Writing --------------------------------------------------------------------------------- */

struct piece {
    int fd;
    const char *data;
    size_t size;
};

static int write_now(void *arg)
{
    const struct piece *piece = arg;
    ssize_t count;
    do
        count = write(piece->fd, piece->data, piece->size);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : (int)count;
}

static int write_in_pool(const struct piece *piece)
{
    int result, error;
    while ((error = leat_offload(write_now, (void *)piece, LEAT_FOREVER, &result)) == -EAGAIN)
        if ((error = leat_sleep_ms(POOL_BUSY_MS)) < 0)
            break;
    return error ? error : result;
}

/* Without waiting: whatever it takes; where the kernel does not know how (pipes before Linux 6.5,
 * terminals), what poll(2) has promised. */
static int write_if_taken(const struct piece *piece, bool *has_promise)
{
    const struct iovec vector = {(void *)piece->data, piece->size};
    const ssize_t count = pwritev2(piece->fd, &vector, 1, -1, RWF_NOWAIT);
    if (count >= 0)
        return (int)count;
    if (errno != EOPNOTSUPP)
        return -errno;
    if (!*has_promise)
        return -EAGAIN;
    struct piece promised = *piece;
    promised.size = piece->size < PIPE_BUF ? piece->size : PIPE_BUF;
    *has_promise = false;
    return write_now(&promised);
}

static int write_polled(const struct piece *piece)
{
    bool has_promise = false;
    int result;
    while ((result = write_if_taken(piece, &has_promise)) == -EAGAIN || result == -EINTR) {
        struct op op;
        op_init(&op, OP_POLL, piece->fd, fiber_op_done);
        op.poll.events = POLLOUT;
        const int error = fiber_await(&op, LEAT_FOREVER);
        if (error < 0)
            return error;
        has_promise = true;
    }
    return result;
}

static int write_all(const struct feed_sink *sink, size_t size)
{
    for (size_t done = 0; done < size;) {
        const struct piece piece = {sink->fd, sink->writing + done, size - done};
        const int result = sink->is_polled ? write_polled(&piece) : write_in_pool(&piece);
        if (result < 0)
            return result;
        done += (size_t)result;
    }
    return 0;
}

static void run_writer(void *arg)
{
    struct feed_sink *sink = arg;
    while (!sink->error) {
        if (sink->filled == 0) {
            if (sink->is_ending)
                return;
            sink->error = wait_at(&sink->writer);
            continue;
        }
        char *full = sink->filling;
        const size_t size = sink->filled;
        sink->filling = sink->writing;
        sink->writing = full;
        sink->filled = 0;
        call(&sink->filler);
        sink->error = write_all(sink, size);
    }
    call(&sink->filler);
}

/* ---- Filling --------------------------------------------------------------------------------- */

static int open_fd(struct feed_sink *sink, const char *path)
{
    if (strcmp(path, "-") == 0)
        sink->fd = STDOUT_FILENO;
    else
        sink->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    if (sink->fd < 0 || fcntl(sink->fd, F_GETFD) < 0)
        return -errno;
    sink->is_polled = feed_can_poll(sink->fd);
    return 0;
}

static int close_fd(const struct feed_sink *sink)
{
    if (sink->fd <= STDOUT_FILENO)
        return 0;
    return close(sink->fd) == 0 ? 0 : -errno;
}

int feed_sink_open(struct feed_sink *sink, const char *path)
{
    static const struct leat_fiber_options options = {.name = "sink"};
    *sink = (struct feed_sink){.fd = -1};
    int error = open_fd(sink, path);
    if (error)
        return error;
    sink->filling = malloc(SINK_HALF_SIZE);
    sink->writing = malloc(SINK_HALF_SIZE);
    leat_scope_init(&sink->scope);
    error = -ENOMEM;
    if (sink->filling && sink->writing)
        error = leat_spawn(&sink->scope, run_writer, sink, &options);
    if (!error)
        return 0;
    leat_scope_fini(&sink->scope);
    free(sink->filling);
    free(sink->writing);
    (void)close_fd(sink);
    return error;
}

int feed_sink_add(struct feed_sink *sink, struct leat_slice bytes)
{
    ASSERT(bytes.size <= SINK_HALF_SIZE && !sink->is_ending);
    while (!sink->error && bytes.size > SINK_HALF_SIZE - sink->filled) {
        const int error = wait_at(&sink->filler);
        if (error)
            return error;
    }
    if (sink->error)
        return sink->error;
    memcpy(sink->filling + sink->filled, bytes.data, bytes.size);
    sink->filled += bytes.size;
    call(&sink->writer);
    return 0;
}

int feed_sink_close(struct feed_sink *sink, int64_t deadline_ns)
{
    sink->is_ending = true;
    call(&sink->writer);
    int error = leat_scope_join(&sink->scope, deadline_ns);
    leat_scope_fini(&sink->scope);
    error = sink->error ? sink->error : error;
    const int closing = close_fd(sink);
    free(sink->filling);
    free(sink->writing);
    return error ? error : closing;
}

void feed_sink_abandon(struct feed_sink *sink)
{
    leat_scope_cancel(&sink->scope);
}
