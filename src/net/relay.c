/* SPDX-License-Identifier: MIT */
/*
 * Relaying by splice: socket -> pipe -> socket. The pipe is full or empty between two steps, never
 * in between for long: what was taken from one socket is given to the other before more is taken,
 * so nothing piles up and a slow receiver slows its sender down.
 *
 * Pipes are kept by the loop, last in first out. The kernel limits what they hold for all of a
 * user's processes (fs.pipe-user-pages-soft); where there is none left the relay copies.
 */
#include "leat/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "net/stream.h"

enum {
    PIPE_SIZE = 1024 * 1024,
    PIPES_IDLE_MAX = 16,
    COPY_SIZE = 64 * 1024,
    TURN_BYTES_MAX = 4 * 1024 * 1024, /* then others may run */
};

struct pipe {
    int out_fd, in_fd; /* read from the first, written to the second */
    size_t size;
};

struct pipe_cache {
    struct loop_extension extension;
    struct leat_loop *loop;
    unsigned count;
    struct pipe pipes[PIPES_IDLE_MAX];
};

/* ---- Pipes ----------------------------------------------------------------------------------- */

static void pipe_close(struct leat_loop *loop, const struct pipe *pipe)
{
    loop->ops->close(loop->backend, pipe->out_fd);
    loop->ops->close(loop->backend, pipe->in_fd);
}

static void cache_fini(struct loop_extension *extension)
{
    struct pipe_cache *cache = CONTAINER_OF(extension, struct pipe_cache, extension);
    while (cache->count > 0)
        pipe_close(cache->loop, &cache->pipes[--cache->count]);
    free(cache);
}

static int pipe_take(struct leat_loop *loop, struct pipe *ret_pipe)
{
    struct loop_extension *extension = loop->extensions[LOOP_SLOT_PIPES];
    if (extension) {
        struct pipe_cache *cache = CONTAINER_OF(extension, struct pipe_cache, extension);
        if (cache->count > 0) {
            *ret_pipe = cache->pipes[--cache->count];
            return 0;
        }
    }
    int fds[2];
    const ssize_t size = loop->sys->pipe(loop->sys, fds, PIPE_SIZE);
    if (size < 0)
        return (int)size;
    *ret_pipe = (struct pipe){.out_fd = fds[0], .in_fd = fds[1], .size = (size_t)size};
    return 0;
}

/* A pipe that still holds bytes is of no use to anybody else. */
static void pipe_give(struct leat_loop *loop, const struct pipe *pipe, bool is_empty)
{
    struct loop_extension *extension = loop->extensions[LOOP_SLOT_PIPES];
    if (!extension && is_empty) {
        struct pipe_cache *cache = calloc(1, sizeof *cache);
        if (cache) {
            cache->extension.fini = cache_fini;
            cache->loop = loop;
            loop->extensions[LOOP_SLOT_PIPES] = extension = &cache->extension;
        }
    }
    struct pipe_cache *cache =
        extension ? CONTAINER_OF(extension, struct pipe_cache, extension) : NULL;
    /* One that was clipped to a page or two may be replaced by a better one later. */
    if (is_empty && cache && cache->count < PIPES_IDLE_MAX && pipe->size >= COPY_SIZE)
        cache->pipes[cache->count++] = *pipe;
    else
        pipe_close(loop, pipe);
}

/* ---- Moving ---------------------------------------------------------------------------------- */

static int await_ready(int fd, short events, int64_t deadline_ns)
{
    struct op op;
    op_init(&op, OP_POLL, fd, fiber_op_done);
    op.poll.events = events;
    const int32_t result = fiber_await(&op, deadline_ns);
    return result < 0 ? result : 0;
}

/* All that is in the pipe goes out. 0 or an error. */
static int drain_pipe(struct leat_loop *loop, const struct pipe *pipe, struct leat_stream *to,
                      size_t held, int64_t deadline_ns)
{
    while (held > 0) {
        const ssize_t moved = loop->ops->splice(loop->backend, pipe->out_fd, to->fd, held, false);
        ASSERT(moved <= (ssize_t)held);
        if (moved > 0) {
            held -= (size_t)moved;
            continue;
        }
        const int error = moved == -EAGAIN ? await_ready(to->fd, POLLOUT, deadline_ns)
                          : moved == 0     ? -EPIPE
                                           : (int)moved;
        if (error)
            return error;
    }
    return 0;
}

/* Bytes moved until the end of `from`, or an error; *ret_is_empty tells about the pipe. */
static int64_t relay_by_pipe(struct leat_loop *loop, const struct pipe *pipe,
                             struct leat_stream *from, struct leat_stream *to, int64_t deadline_ns,
                             bool *ret_is_empty)
{
    int64_t total = 0;
    size_t turn = 0;
    *ret_is_empty = true;
    for (;;) {
        const ssize_t taken =
            loop->ops->splice(loop->backend, from->fd, pipe->in_fd, pipe->size, false);
        if (taken == 0)
            return total;
        int error = 0;
        if (taken == -EAGAIN) {
            turn = 0;
            error = await_ready(from->fd, POLLIN, deadline_ns);
        } else if (taken < 0) {
            error = (int)taken;
        } else {
            *ret_is_empty = false;
            error = drain_pipe(loop, pipe, to, (size_t)taken, deadline_ns);
            *ret_is_empty = error == 0;
            total += taken;
            turn += (size_t)taken;
        }
        if (!error && turn >= TURN_BYTES_MAX) {
            turn = 0;
            error = leat_yield();
            if (!error) /* where both sides are always ready nobody else would look */
                error = fiber_interruption(deadline_ns);
        }
        if (error)
            return error;
    }
}

static int64_t relay_by_copy(struct leat_stream *from, struct leat_stream *to, int64_t deadline_ns)
{
    char *buffer = malloc(COPY_SIZE);
    if (!buffer)
        return -ENOMEM;
    int64_t total = 0;
    for (;;) {
        ssize_t size = leat_stream_read(from, buffer, COPY_SIZE, deadline_ns);
        const int error =
            size > 0 ? leat_stream_write(to, buffer, (size_t)size, deadline_ns) : (int)size;
        if (size <= 0 || error) {
            free(buffer);
            return error ? error : total;
        }
        total += size;
    }
}

int64_t leat_relay(struct leat_stream *from, struct leat_stream *to, int64_t deadline_ns)
{
    struct leat_loop *loop = from->loop;
    ASSERT(loop == to->loop && loop == loop_current);
    struct pipe pipe;
    int64_t result;
    from->calls++;
    to->calls++;
    /* Splice knows plain sockets alone. */
    if (from->ops == &stream_plain_ops && to->ops == &stream_plain_ops &&
        pipe_take(loop, &pipe) == 0) {
        bool is_empty;
        result = relay_by_pipe(loop, &pipe, from, to, deadline_ns, &is_empty);
        pipe_give(loop, &pipe, is_empty);
    } else {
        result = relay_by_copy(from, to, deadline_ns);
    }
    from->calls--;
    to->calls--;
    if (result >= 0) {
        const int error = leat_stream_finish(to);
        if (error && error != -ENOTCONN)
            return error;
    }
    return result;
}
