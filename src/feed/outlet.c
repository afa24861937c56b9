/* SPDX-License-Identifier: MIT */
/*
 * See outlet.h.
 */
#include "feed/outlet.h"

#include <errno.h>
#include <poll.h>

#include "base/assert.h"

/* A burst of frames, and the place in the log behind each. */
struct burst {
    unsigned count;
    struct feed_frame frames[FEED_BURST_MAX];
    size_t offsets[FEED_BURST_MAX];
};

static void on_poll(struct op *op, const struct completion *completion)
{
    struct feed_outlet *outlet = CONTAINER_OF(op, struct feed_outlet, poll);
    outlet->on_room(outlet->user);
}

void feed_outlet_init(struct feed_outlet *outlet, struct feed_log *log,
                      struct feed_transport *transport, void (*on_room)(void *user), void *user)
{
    *outlet =
        (struct feed_outlet){.log = log, .transport = transport, .on_room = on_room, .user = user};
    feed_log_hold_end(log, &outlet->cursor);
    const int fd = transport->ops->fd(transport);
    op_init(&outlet->poll, OP_POLL, fd < 0 ? -1 : fd, on_poll);
    outlet->poll.poll.events = POLLOUT;
}

/* The next records of one segment. False: there are no more below `end_sequence` for now. */
static bool gather(struct feed_outlet *outlet, uint64_t end_sequence, struct burst *burst)
{
    struct feed_log_cursor at = outlet->cursor;
    struct feed_record record;
    int found = 0;
    burst->count = 0;
    while (burst->count < FEED_BURST_MAX &&
           (found = feed_log_next(&at, end_sequence, &record)) == 1) {
        burst->frames[burst->count] =
            (struct feed_frame){.data = record.packet, .size = record.size};
        burst->offsets[burst->count++] = at.offset;
    }
    if (burst->count > 0)
        return true;
    return found == 2 && feed_log_step(outlet->log, &outlet->cursor) == 0;
}

bool feed_outlet_push(struct feed_outlet *outlet, uint64_t end_sequence)
{
    struct burst burst;
    while (gather(outlet, end_sequence, &burst)) {
        for (unsigned sent = 0; sent < burst.count;) {
            const int count = feed_send(outlet->transport, burst.frames + sent, burst.count - sent);
            if (count < 0) {
                DEBUG_ASSERT(count == -EAGAIN);
                return false;
            }
            ASSERT(count > 0 && (unsigned)count <= burst.count - sent);
            for (unsigned end = sent + (unsigned)count; sent < end; sent++)
                outlet->passed_bytes += burst.frames[sent].size;
            outlet->cursor.offset = burst.offsets[sent - 1];
        }
    }
    return true;
}

void feed_outlet_wait(struct feed_outlet *outlet)
{
    DEBUG_ASSERT(outlet->poll.fd >= 0);
    if (outlet->poll.fd >= 0 && !op_is_busy(&outlet->poll))
        loop_submit(loop_current, &outlet->poll);
}

void feed_outlet_say(struct feed_outlet *outlet, const uint8_t *packet, uint32_t size)
{
    const struct feed_frame frame = {.data = packet, .size = size};
    (void)feed_send(outlet->transport, &frame, 1); /* another one follows */
}

void feed_outlet_cancel(struct feed_outlet *outlet)
{
    loop_cancel(loop_current, &outlet->poll);
}

void feed_outlet_fini(struct feed_outlet *outlet)
{
    ASSERT(!op_is_busy(&outlet->poll));
    feed_log_cursor_release(&outlet->cursor);
    feed_transport_destroy(outlet->transport);
}
