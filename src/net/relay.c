/* SPDX-License-Identifier: MIT */
/*
 * See relay.h. The kernel limits what pipes hold for all of a user's processes
 * (fs.pipe-user-pages-soft): they are kept by the loop, last in first out, and where there is none
 * left a step copies, through memory that all relays of the loop share.
 */
#include "net/relay.h"

#include <errno.h>
#include <linux/tcp.h> /* the C library's lacks tcpi_notsent_bytes */
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "leat/relay.h"

enum {
    PIPE_SIZE = 1024 * 1024,
    PIPES_IDLE_MAX = 32,
    PIPES_OPEN_MAX = 256, /* of a loop: descriptors are for connections first */
    /* Taken at a time: large chunks are cheaper, but what is taken fast has the kernel grow the
     * sender's receive buffer by megabytes, which then lie there for who takes slowly. */
    CHUNK_MIN = 64 * 1024,
    CHUNK_MAX = 512 * 1024,
    SHORT_SIZE = 1024 * 1024, /* so little may lie there: CHUNK_MAX from the start */
    GROW_AFTER = 256 * 1024,  /* moved before that says nothing of a receiver */
    COPY_SIZE = 64 * 1024,
    COPY_SLOW_SIZE = 16 * 1024,       /* likewise, where it is memory of ours */
    TURN_BYTES_MAX = 4 * 1024 * 1024, /* then others may run */
};

/* What the relays of a loop share. */
struct relay_commons {
    struct loop_extension extension;
    struct leat_loop *loop;
    char *copy;          /* COPY_SIZE, in use within a step alone; NULL: not needed yet */
    unsigned open_count; /* pipes that relays hold, and the idle ones */
    unsigned pipe_count;
    struct relay_pipe pipes[PIPES_IDLE_MAX];
};

/* ---- Pipes ----------------------------------------------------------------------------------- */

static void pipe_close(struct relay_commons *commons, const struct relay_pipe *pipe)
{
    const struct leat_loop *loop = commons->loop;
    ASSERT(commons->open_count > 0);
    commons->open_count--;
    loop->ops->close(loop->backend, pipe->out_fd);
    loop->ops->close(loop->backend, pipe->in_fd);
}

static void commons_fini(struct loop_extension *extension)
{
    struct relay_commons *commons = CONTAINER_OF(extension, struct relay_commons, extension);
    while (commons->pipe_count > 0)
        pipe_close(commons, &commons->pipes[--commons->pipe_count]);
    free(commons->copy);
    free(commons);
}

/* NULL: no memory. */
static struct relay_commons *commons_of(struct leat_loop *loop)
{
    struct loop_extension *extension = loop->extensions[LOOP_SLOT_PIPES];
    if (extension)
        return CONTAINER_OF(extension, struct relay_commons, extension);
    struct relay_commons *commons = calloc(1, sizeof *commons);
    if (!commons)
        return NULL;
    commons->extension.fini = commons_fini;
    commons->loop = loop;
    loop->extensions[LOOP_SLOT_PIPES] = &commons->extension;
    return commons;
}

/* Is there one for this relay? */
static bool take_pipe(struct relay *relay, struct relay_commons *commons)
{
    ASSERT(relay->pipe.size == 0);
    if (commons->pipe_count > 0) {
        relay->pipe = commons->pipes[--commons->pipe_count];
        return true;
    }
    if (commons->open_count >= PIPES_OPEN_MAX)
        return false;
    int fds[2];
    const ssize_t size = relay->loop->sys->pipe(relay->loop->sys, fds, PIPE_SIZE);
    if (size <= 0)
        return false;
    commons->open_count++;
    relay->pipe = (struct relay_pipe){.out_fd = fds[0], .in_fd = fds[1], .size = (size_t)size};
    return true;
}

/* A pipe that still holds bytes is of no use to anybody else; one that was clipped to a page or two
 * may be replaced by a better one later. */
static void give_pipe(struct relay *relay)
{
    struct relay_commons *commons = commons_of(relay->loop);
    ASSERT(relay->pipe.size > 0);
    if (relay->held == 0 && commons && commons->pipe_count < PIPES_IDLE_MAX &&
        relay->pipe.size >= CHUNK_MIN)
        commons->pipes[commons->pipe_count++] = relay->pipe;
    else
        pipe_close(commons, &relay->pipe);
    relay->pipe.size = 0;
}

/* ---- Moving ---------------------------------------------------------------------------------- */

/* What a part of a step came to besides the wants: it goes on. */
enum { MOVED = -1 };

static int fail(struct relay *relay, ssize_t error, bool is_to_blame)
{
    relay->error = error == 0 ? -EPIPE : (int)error;
    relay->is_to_blame = is_to_blame;
    return RELAY_FAILED;
}

/* It takes less than it is given: it is given less. */
static int be_blocked(struct relay *relay)
{
    relay->was_blocked = true;
    relay->turn = 0;
    if (relay->chunk > CHUNK_MIN)
        relay->chunk /= 2;
    return RELAY_WANTS_ROOM;
}

static void note_moved(struct relay *relay, size_t size)
{
    ASSERT(size <= relay->held);
    relay->held -= size;
    relay->moved += size;
    relay->turn += size;
}

static ssize_t put_some(struct relay *relay)
{
    const bool more = relay->more && relay->left == 0;
    if (relay->pipe.size > 0)
        return relay->loop->ops->splice(relay->loop->backend, relay->pipe.out_fd, relay->to_fd,
                                        relay->held, more);
    const struct iovec piece = {.iov_base = relay->rest + relay->rest_begin,
                                .iov_len = relay->held};
    const ssize_t size = relay->loop->sys->send(relay->loop->sys, relay->to_fd, &piece, 1, more);
    if (size > 0)
        relay->rest_begin += (size_t)size;
    return size;
}

/* All that is held goes out, as far as there is room. */
static int put(struct relay *relay)
{
    while (relay->held > 0) {
        const ssize_t size = put_some(relay);
        if (size == -EAGAIN)
            return be_blocked(relay);
        if (size <= 0)
            return fail(relay, size, true);
        note_moved(relay, (size_t)size);
    }
    if (relay->pipe.size > 0)
        give_pipe(relay);
    free(relay->rest);
    relay->rest = NULL;
    return MOVED;
}

static size_t wanted(const struct relay *relay, size_t size_max)
{
    return relay->left < size_max ? (size_t)relay->left : size_max;
}

static int note_taken(struct relay *relay, ssize_t size)
{
    if (size == -EAGAIN) {
        relay->turn = 0;
        return RELAY_WANTS_INPUT;
    }
    if (size < 0)
        return fail(relay, size, false);
    if (size == 0)
        return RELAY_ENDED;
    relay->held = (size_t)size;
    if (relay->left != UINT64_MAX)
        relay->left -= (uint64_t)size;
    return MOVED;
}

/* Has the receiver's host taken most of what it was given? That its socket takes all at once shows
 * nothing, for its buffer grows by megabytes, too. Who cannot be asked (a unix socket) is quick. */
static bool is_quick(const struct relay *relay)
{
    const struct backend_sys *sys = relay->loop->sys;
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (sys->getsockopt(sys, relay->to_fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_notsent_bytes) + sizeof info.tcpi_notsent_bytes)
        return true;
    return info.tcpi_notsent_bytes <= relay->moved / 4;
}

/* The pipe is held as long as there is something in it. */
static int take_by_pipe(struct relay *relay)
{
    const size_t room = relay->chunk < relay->pipe.size ? relay->chunk : relay->pipe.size;
    const ssize_t size = relay->loop->ops->splice(relay->loop->backend, relay->from_fd,
                                                  relay->pipe.in_fd, wanted(relay, room), false);
    const int want = note_taken(relay, size);
    if (want != MOVED)
        give_pipe(relay);
    else if ((size_t)size == relay->chunk && relay->chunk < CHUNK_MAX &&
             relay->moved >= GROW_AFTER && is_quick(relay))
        relay->chunk *= 2;
    return want;
}

/* Of what the receiver does not take at once a copy is kept. */
static int keep_rest(struct relay *relay, const char *data)
{
    relay->rest = malloc(relay->held);
    if (!relay->rest)
        return fail(relay, -ENOMEM, false);
    memcpy(relay->rest, data, relay->held);
    relay->rest_begin = 0;
    return MOVED;
}

static int copy(struct relay *relay, struct relay_commons *commons)
{
    if (!commons->copy)
        commons->copy = malloc(COPY_SIZE);
    if (!commons->copy)
        return fail(relay, -ENOMEM, false);
    const struct backend_sys *sys = relay->loop->sys;
    const size_t room = relay->chunk <= CHUNK_MIN ? COPY_SLOW_SIZE : COPY_SIZE;
    const int want = note_taken(
        relay, sys->recv(sys, relay->from_fd, commons->copy, wanted(relay, room), false));
    if (want != MOVED)
        return want;
    const struct iovec piece = {.iov_base = commons->copy, .iov_len = relay->held};
    const ssize_t size = sys->send(sys, relay->to_fd, &piece, 1, relay->more && relay->left == 0);
    if (size < 0 && size != -EAGAIN)
        return fail(relay, size, true);
    note_moved(relay, size > 0 ? (size_t)size : 0);
    return relay->held > 0 ? keep_rest(relay, commons->copy + (size > 0 ? size : 0)) : MOVED;
}

static int take(struct relay *relay)
{
    struct relay_commons *commons = commons_of(relay->loop);
    if (!commons)
        return fail(relay, -ENOMEM, false);
    return take_pipe(relay, commons) ? take_by_pipe(relay) : copy(relay, commons);
}

/* ---- The step -------------------------------------------------------------------------------- */

void relay_init(struct relay *relay, struct leat_stream *from, struct leat_stream *to,
                uint64_t size)
{
    ASSERT(from->loop == to->loop);
    ASSERT(from->ops == &stream_plain_ops && to->ops == &stream_plain_ops);
    *relay = (struct relay){
        .loop = from->loop,
        .from_fd = from->fd,
        .to_fd = to->fd,
        .left = size,
        .chunk = size <= SHORT_SIZE ? CHUNK_MAX : CHUNK_MIN,
    };
}

enum relay_want relay_step(struct relay *relay)
{
    for (;;) {
        int want = put(relay);
        if (want != MOVED)
            return (enum relay_want)want;
        if (relay->left == 0)
            return RELAY_DONE;
        if (relay->was_blocked) {
            relay->was_blocked = false;
            return RELAY_WANTS_ROOM;
        }
        if (relay->turn >= TURN_BYTES_MAX) {
            relay->turn = 0;
            return RELAY_WANTS_TURN;
        }
        want = take(relay);
        if (want != MOVED)
            return (enum relay_want)want;
    }
}

void relay_fini(struct relay *relay)
{
    if (relay->pipe.size > 0)
        give_pipe(relay);
    free(relay->rest);
    relay->rest = NULL;
}

/* ---- In a fiber ------------------------------------------------------------------------------ */

int relay_wait(struct relay *relay, enum relay_want want, int64_t deadline_ns)
{
    if (want == RELAY_WANTS_TURN) {
        const int error = leat_yield();
        /* Where both sides are always ready nobody else would look. */
        return error ? error : fiber_interruption(deadline_ns);
    }
    const bool is_input = want == RELAY_WANTS_INPUT;
    ASSERT(is_input || want == RELAY_WANTS_ROOM);
    struct op op;
    op_init(&op, OP_POLL, is_input ? relay->from_fd : relay->to_fd, fiber_op_done);
    op.poll.events = is_input ? POLLIN : POLLOUT;
    const int32_t result = fiber_await(&op, deadline_ns);
    return result < 0 ? result : 0;
}

/* Bytes moved until the end of `from`, or an error. */
static int64_t relay_to_the_end(struct leat_stream *from, struct leat_stream *to,
                                int64_t deadline_ns)
{
    struct relay relay;
    relay_init(&relay, from, to, UINT64_MAX);
    int error = 0;
    while (!error) {
        const enum relay_want want = relay_step(&relay);
        if (want == RELAY_ENDED)
            break;
        error = want == RELAY_FAILED ? relay.error : relay_wait(&relay, want, deadline_ns);
    }
    relay_fini(&relay);
    return error ? error : (int64_t)relay.moved;
}

/* Streams that are no plain sockets have their bytes in user space anyway. */
static int64_t copy_to_the_end(struct leat_stream *from, struct leat_stream *to,
                               int64_t deadline_ns)
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
    ASSERT(from->loop == to->loop && from->loop == loop_current);
    const bool is_plain = from->ops == &stream_plain_ops && to->ops == &stream_plain_ops;
    from->calls++;
    to->calls++;
    const int64_t result =
        is_plain ? relay_to_the_end(from, to, deadline_ns) : copy_to_the_end(from, to, deadline_ns);
    from->calls--;
    to->calls--;
    if (result >= 0) {
        const int error = leat_stream_finish(to);
        if (error && error != -ENOTCONN)
            return error;
    }
    return result;
}
