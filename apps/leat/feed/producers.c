/* SPDX-License-Identifier: MIT */
/*
 * leat feed publish --in unix:PATH: many producers at once, a fiber each. A producer writes
 * messages, a big-endian u16 length before each, and reads a big-endian u64 for each, in order: its
 * sequence number, told once it is in the log (--durable on: on the disk). Producers whose messages
 * wait for the disk at the same time share one sync.
 *
 * One that does not read what it is told is not read from either; one that breaks the rules is sent
 * away. Neither is felt by the others.
 */
#include "publish.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "commands.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "loop/process.h"

enum {
    PRODUCERS_MAX = 1024,
    PIECE_SIZE = 64 << 10,
    BUFFER_SIZE = PIECE_SIZE + FRAMING_LENGTH_SIZE + FRAMING_MESSAGE_MAX, /* and one cut message */
    TOLD_MAX = 4096, /* sequence numbers a write */
    GOODBYE_MS = 100,
    PATIENCE_MS = 1000,
    RETRY_MS = 10,
};

struct producers {
    struct publish *publish;
    struct leat_scope scope;
    unsigned number; /* of the last that came */
};

struct producer {
    struct producers *producers;
    struct leat_stream *stream;
    unsigned number;
    size_t size; /* in `data` */
    uint64_t told[TOLD_MAX];
    char data[BUFFER_SIZE];
};

int producers_open(struct publish *publish)
{
    const char *reason;
    struct leat_address address;
    int error = leat_address_parse(publish->in, &address, &reason);
    if (error) {
        publish_tell(publish, "--in '%s': %s", publish->in, reason);
        publish->status = EXIT_WRONG_USE;
        return error;
    }
    /* The socket of one that was killed may take the kernel a moment to let go. */
    const int64_t patience_ns = leat_after_ms(PATIENCE_MS);
    for (;;) {
        process_remove_stale_socket(&address.base, address.size);
        error = leat_listen(&address, NULL, &publish->listener);
        if (error != -EADDRINUSE || leat_now_ns() >= patience_ns)
            break;
        (void)leat_sleep_ms(RETRY_MS);
    }
    if (error) {
        publish_tell(publish, "cannot listen on '%s': %s", publish->in, leat_error_text(error));
        publish->status = EXIT_WRONG_USE;
    }
    return error;
}

void producers_close(struct publish *publish)
{
    const struct leat_address address = *leat_listener_address(publish->listener);
    leat_listener_close(publish->listener);
    process_remove_socket(&address.base);
}

/* Once the part is as safe as was asked for. A producer that is being sent home is told what has
 * become of its last messages, if it listens. */
static int tell(struct producer *producer, const struct publish_part *part)
{
    struct publish *publish = producer->producers->publish;
    leat_shield_begin(leat_after_ms(GOODBYE_MS));
    int error = 0;
    if (publish->options.is_durable)
        error = leat_feed_publisher_sync(publish->publisher, part->first + part->count - 1,
                                         LEAT_FOREVER);
    if (error)
        publish_give_up(publish, error);
    for (size_t done = 0; !error && done < part->count;) {
        const size_t left = part->count - done;
        const size_t count = left < TOLD_MAX ? left : TOLD_MAX;
        for (size_t index = 0; index < count; index++)
            producer->told[index] = htobe64(part->first + done + index);
        error = leat_stream_write(producer->stream, producer->told, count * sizeof *producer->told,
                                  LEAT_FOREVER);
        done += count;
    }
    leat_shield_end();
    return error;
}

/* Publishes what is whole. -LEAT_E_MALFORMED: it was told why. */
static int take_whole(struct producer *producer)
{
    struct publish *publish = producer->producers->publish;
    char text[FEED_ERROR_SIZE];
    const struct leat_slice all = slice_of(producer->data, producer->size);
    const struct framing_scan scan = framing_scan(all, SIZE_MAX, publish->message_size_max);
    for (size_t done = 0; done < scan.size;) {
        struct publish_part part;
        int error = publish_some(publish, slice_of(producer->data + done, scan.size - done), &part);
        if (!error)
            error = tell(producer, &part);
        if (error)
            return error;
        done += part.size;
    }
    if (scan.fault) {
        publish_tell(publish, "producer %u is sent away, for its next message: %s",
                     producer->number,
                     publish_fault_text(publish, scan.fault, scan.length, text, sizeof text));
        return -LEAT_E_MALFORMED;
    }
    producer->size -= scan.size;
    memmove(producer->data, producer->data + scan.size, producer->size);
    return 0;
}

static void serve(void *arg)
{
    struct producer *producer = arg;
    const struct publish *publish = producer->producers->publish;
    for (;;) {
        ASSERT(producer->size + PIECE_SIZE <= BUFFER_SIZE);
        const ssize_t count = leat_stream_read(producer->stream, producer->data + producer->size,
                                               PIECE_SIZE, LEAT_FOREVER);
        if (count <= 0) {
            if (producer->size > 0 && count != -ECANCELED)
                publish_tell(publish,
                             "producer %u has left within a message; those before it are "
                             "published",
                             producer->number);
            break;
        }
        producer->size += (size_t)count;
        if (take_whole(producer) != 0)
            break;
    }
    leat_stream_close(producer->stream);
    free(producer);
}

/* The stream is the producer's from now on, or closed. */
static void admit(struct producers *producers, struct leat_stream *stream)
{
    static const struct leat_fiber_options options = {.name = "producer"};
    const bool is_full = leat_scope_count(&producers->scope) >= PRODUCERS_MAX;
    struct producer *producer = is_full ? NULL : malloc(sizeof *producer);
    int error = is_full ? -LEAT_E_LIMIT : -ENOMEM;
    producers->number++;
    if (producer) {
        producer->producers = producers;
        producer->stream = stream;
        producer->number = producers->number;
        producer->size = 0;
        error = leat_spawn(&producers->scope, serve, producer, &options);
    }
    if (!error)
        return;
    if (is_full)
        publish_tell(producers->publish, "producer %u is sent away: %d are here already",
                     producers->number, PRODUCERS_MAX);
    leat_stream_close(stream);
    free(producer);
}

void producers_run(struct publish *publish)
{
    struct producers producers = {.publish = publish};
    struct leat_stream *stream;
    int error;
    leat_scope_init(&producers.scope);
    while ((error = leat_accept(publish->listener, LEAT_FOREVER, &stream)) == 0)
        admit(&producers, stream);
    if (error != -ECANCELED)
        publish_fail(publish, "cannot accept producers: %s", leat_error_text(error));
    leat_scope_fini(&producers.scope);
}
