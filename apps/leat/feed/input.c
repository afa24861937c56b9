/* SPDX-License-Identifier: MIT */
/*
 * leat feed publish --in FILE|-: reads in big pieces. A file is read in a thread of the pool, for
 * its disk may be slow; a pipe when it has something. What a session's log has of a file already is
 * skipped: that is how a publisher that was killed goes on.
 */
#include "publish.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/slice.h"
#include "commands.h"
#include "fiber/fiber.h"
#include "run.h"
#include "leat/error.h"

enum {
    PIECE_SIZE = 1 << 20,
    BUFFER_SIZE = PIECE_SIZE + FRAMING_LENGTH_SIZE + FRAMING_MESSAGE_MAX, /* and one cut message */
    POOL_BUSY_MS = 1,
};

struct input {
    struct publish *publish;
    char *data; /* BUFFER_SIZE */
    size_t size;
    uint64_t skip;  /* messages that are still to be skipped */
    uint64_t count; /* messages that came */
};

int input_open(struct publish *publish)
{
    struct stat status;
    const bool is_stdin = strcmp(publish->in, "-") == 0;
    /* A FIFO's writer is waited for by poll(2), not by open(2). */
    publish->fd = is_stdin ? STDIN_FILENO : open(publish->in, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int error = publish->fd < 0 || fstat(publish->fd, &status) != 0 ? -errno : 0;
    if (!error && S_ISDIR(status.st_mode))
        error = -EISDIR;
    if (error) {
        publish_tell(publish, "cannot read '%s': %s", publish->in, leat_error_text(error));
        publish->status = EXIT_WRONG_USE;
        input_close(publish);
        return error;
    }
    publish->is_regular = !is_stdin && S_ISREG(status.st_mode);
    return 0;
}

void input_close(struct publish *publish)
{
    if (publish->fd > STDIN_FILENO)
        close(publish->fd);
    publish->fd = -1;
}

struct reading {
    int fd;
    void *data;
    size_t size;
};

static int read_now(void *arg)
{
    const struct reading *reading = arg;
    ssize_t count;
    do
        count = read(reading->fd, reading->data, reading->size);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : (int)count;
}

/* Bytes, 0 at the end, or -errno. */
static int read_piece(struct publish *publish, void *data, size_t size)
{
    struct reading reading = {publish->fd, data, size};
    int result = -EAGAIN;
    while (result == -EAGAIN && feed_can_poll(publish->fd)) {
        struct op op;
        op_init(&op, OP_POLL, publish->fd, fiber_op_done);
        op.poll.events = POLLIN;
        const int error = fiber_await(&op, LEAT_FOREVER);
        if (error < 0)
            return error;
        result = read_now(&reading);
    }
    while (result == -EAGAIN) {
        int error = leat_offload(read_now, &reading, LEAT_FOREVER, &result);
        if (error == -EAGAIN)
            error = leat_sleep_ms(POOL_BUSY_MS);
        if (error)
            return error;
    }
    return result;
}

static int publish_blocks(struct publish *publish, struct leat_slice blocks)
{
    struct publish_part part;
    while (blocks.size > 0) {
        const int error = publish_some(publish, blocks, &part);
        if (error)
            return error;
        blocks = slice_after(blocks, part.size);
    }
    return 0;
}

/* What is whole in the buffer is published, the rest goes to its front. */
static int take_whole(struct input *input)
{
    struct publish *publish = input->publish;
    char text[FEED_ERROR_SIZE];
    struct leat_slice blocks = slice_of(input->data, input->size);
    if (input->skip > 0) {
        const struct framing_scan skipped =
            framing_scan(blocks, input->skip, publish->message_size_max);
        blocks = slice_after(blocks, skipped.size);
        input->skip -= skipped.count;
        input->count += skipped.count;
    }
    const struct framing_scan scan = framing_scan(blocks, SIZE_MAX, publish->message_size_max);
    const int error = publish_blocks(publish, slice_of(blocks.data, scan.size));
    if (error)
        return error;
    input->count += scan.count;
    if (scan.fault) {
        publish_fail(publish, "'%s', message %lu: %s", publish->in,
                     (unsigned long)(input->count + 1),
                     publish_fault_text(publish, scan.fault, scan.length, text, sizeof text));
        return -LEAT_E_MALFORMED;
    }
    blocks = slice_after(blocks, scan.size);
    memmove(input->data, blocks.data, blocks.size);
    input->size = blocks.size;
    return 0;
}

static void take_end(struct input *input, uint64_t skip)
{
    struct publish *publish = input->publish;
    if (input->size > 0)
        publish_fail(publish, "'%s' ends within message %lu; the %lu before it are published",
                     publish->in, (unsigned long)(input->count + 1), (unsigned long)input->count);
    else if (input->skip > 0)
        publish_fail(publish, "'%s' has %lu messages, and the log has %lu: is it another file?",
                     publish->in, (unsigned long)input->count, (unsigned long)skip);
}

void input_run(struct publish *publish, uint64_t skip)
{
    struct input input = {.publish = publish, .data = malloc(BUFFER_SIZE), .skip = skip};
    ASSERT(publish->fd >= 0);
    int result = input.data ? 0 : -ENOMEM;
    if (skip > 0)
        publish_tell(publish, "the log has %lu messages: they are skipped in '%s'",
                     (unsigned long)skip, publish->in);
    while (result == 0) {
        ASSERT(input.size + PIECE_SIZE <= BUFFER_SIZE);
        result = read_piece(publish, input.data + input.size, PIECE_SIZE);
        if (result <= 0) {
            if (result == 0)
                take_end(&input, skip);
            else if (result != -ECANCELED)
                publish_fail(publish, "cannot read '%s': %s", publish->in, leat_error_text(result));
            break;
        }
        input.size += (size_t)result;
        result = take_whole(&input);
    }
    free(input.data);
}
