/* SPDX-License-Identifier: MIT */
/*
 * Frames through a ring in a file (transport_shm_ring.h). The reader copies a frame out before it
 * looks whether it was whole: what it hands out is its own, and nothing that it reads is believed
 * without a check. It finds its file by the path, and again ten times a second while it hears
 * nothing, for a publisher may come, go, and make another one.
 *
 * Opening a file is what a loop's thread must not do on a disk; these are of memory (/dev/shm).
 */
#include "feed/transport_shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "feed/transport_shm_ring.h"
#include "leat/clock.h"
#include "leat/error.h"

enum {
    RING_BYTES = 8 << 20,          /* by default, as of a socket's buffer */
    FILE_SIZE_MAX = 1 << 30,       /* what a reader maps of anybody's file */
    COPIES_BYTES_MAX = 4 << 20,    /* a reader's own memory */
    COPIES_MIN = 16,               /* frames a call at least, however large they are */
    LAPS_MAX = 4,                  /* in one receive */
    IDLE_LOOKS = 16,               /* empty receives between two looks at the clock */
    SEARCH_NS = 100 * 1000 * 1000, /* between two looks at the path */
    PATH_MAX_SIZE = 4096,
};

struct shm_reader {
    const struct ring_header *header; /* NULL: there is no ring yet */
    size_t map_size;
    uint64_t device, inode, generation;
    struct ring_shape shape;
    uint64_t next;    /* the frame that is read next */
    bool was_waiting; /* since before this generation began: all of it is wanted */
    unsigned idle_looks;
    int64_t searched_ns;
    uint32_t packet_size_max;
    unsigned copy_count;
    size_t copy_words;
    uint64_t *copies;
};

struct shm_writer {
    int fd; /* its lock is what keeps a second publisher away */
    struct ring_header *header;
    size_t map_size;
    struct ring_shape shape;
    uint64_t next;
    bool has_stamps;
};

struct shm_transport {
    struct feed_transport base;
    const struct backend_sys *sys;
    struct leat_loop *loop;
    enum feed_role role;
    struct shm_reader reader;
    struct shm_writer writer;
    struct feed_transport_stats stats;
    char path[PATH_MAX_SIZE];
};

static struct shm_transport *shm_of(const struct feed_transport *transport)
{
    return CONTAINER_OF(transport, struct shm_transport, base);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void write_frame(struct shm_writer *writer, const struct feed_frame *frame, int64_t stamp_ns)
{
    const uint64_t number = writer->next++;
    struct ring_slot *slot = ring_slot_of(writer->header, writer->shape, number);
    atomic_store_explicit(&slot->sequence, 2 * number + 1, memory_order_relaxed);
    atomic_store_explicit(&slot->stamp_ns, stamp_ns, memory_order_release);
    atomic_store_explicit(&slot->size, frame->size, memory_order_release);
    ring_store_bytes(slot, frame->data, frame->size);
    atomic_store_explicit(&slot->sequence, 2 * number + 2, memory_order_release);
}

static int shm_send(struct feed_transport *transport, const struct feed_frame *frames,
                    unsigned count)
{
    struct shm_transport *shm = shm_of(transport);
    struct shm_writer *writer = &shm->writer;
    ASSERT(count > 0 && count <= FEED_BURST_MAX);
    ASSERT(shm->role == FEED_ROLE_SEND);
    const int64_t stamp_ns = writer->has_stamps ? shm->sys->wall_ns(shm->sys) : 0;
    for (unsigned index = 0; index < count; index++) {
        if (frames[index].size > writer->shape.slot_size) {
            shm->stats.lost++;
            continue;
        }
        write_frame(writer, &frames[index], stamp_ns);
        shm->stats.sent++;
    }
    atomic_store_explicit(&writer->header->head, writer->next, memory_order_release);
    return (int)count;
}

/* A new generation. Its readers, if the file had some, let go of it when they see the 0; so
 * whatever they copied of what follows does not count. */
static void begin_generation(struct shm_writer *writer, int64_t wall_ns)
{
    struct ring_header *header = writer->header;
    const uint64_t last = atomic_load_explicit(&header->generation, memory_order_relaxed);
    const uint64_t now = wall_ns > 0 ? (uint64_t)wall_ns : 1;
    atomic_store_explicit(&header->generation, 0, memory_order_relaxed);
    atomic_store_explicit(&header->magic, RING_MAGIC, memory_order_release);
    atomic_store_explicit(&header->version, RING_VERSION, memory_order_release);
    atomic_store_explicit(&header->slot_size, writer->shape.slot_size, memory_order_release);
    atomic_store_explicit(&header->slot_count, writer->shape.slot_count, memory_order_release);
    atomic_store_explicit(&header->head, 0, memory_order_release);
    for (uint64_t index = 0; index < writer->shape.slot_count; index++)
        atomic_store_explicit(&ring_slot_of(header, writer->shape, index)->sequence, 0,
                              memory_order_release);
    atomic_store_explicit(&header->generation, now > last ? now : last + 1, memory_order_release);
}

static struct ring_shape choose_shape(const struct feed_transport_options *options)
{
    const int wanted = options->socket.buffer_bytes;
    const size_t bytes = wanted > 0 ? (size_t)wanted : RING_BYTES;
    struct ring_shape shape = {
        .slot_size = (uint32_t)options->packet_size_max,
        .slot_count = RING_SLOT_COUNT_MIN,
    };
    const size_t stride = ring_stride(shape.slot_size);
    while (shape.slot_count < RING_SLOT_COUNT_MAX && 2 * shape.slot_count * stride <= bytes)
        shape.slot_count *= 2;
    return shape;
}

/* Is what is there already ours to write over? A person may have mistyped. Never made shorter, as
 * that would end those who have it mapped. */
static int check_file(const struct backend_sys *sys, int fd)
{
    struct backend_stat stat;
    uint64_t magic = 0;
    const int error = sys->stat(sys, fd, &stat);
    if (error)
        return error;
    if (!stat.is_regular)
        return -EINVAL;
    if (stat.size == 0)
        return 0;
    const ssize_t size = sys->read(sys, fd, &magic, sizeof magic, 0);
    /* All zero: a publisher was killed before it wrote anything. */
    return size == sizeof magic && (magic == RING_MAGIC || magic == 0) ? 0 : -EEXIST;
}

static int open_writer(struct shm_transport *shm, const struct feed_transport_options *options)
{
    const struct backend_sys *sys = shm->sys;
    struct shm_writer *writer = &shm->writer;
    void *data;
    writer->shape = choose_shape(options);
    writer->has_stamps = options->socket.has_stamps;
    const uint64_t size = ring_file_size(writer->shape);
    ASSERT(size <= FILE_SIZE_MAX);
    writer->fd = sys->open_private(sys, AT_FDCWD, shm->path, false);
    if (writer->fd < 0)
        return writer->fd;
    int error = sys->lock(sys, writer->fd);
    if (error == -EAGAIN)
        error = -EADDRINUSE;
    if (!error)
        error = check_file(sys, writer->fd);
    if (!error)
        error = sys->allocate(sys, writer->fd, size);
    if (!error)
        error = sys->map_shared(sys, writer->fd, size, true, &data);
    if (error) {
        sys->close(sys, writer->fd);
        return error;
    }
    writer->header = data;
    writer->map_size = size;
    (void)sys->prefault(sys, data, size, true); /* it is there: allocate has seen to that */
    begin_generation(writer, sys->wall_ns(sys));
    return 0;
}

/* ---- Finding the ring ------------------------------------------------------------------------ */

static void let_go(struct shm_transport *shm)
{
    struct shm_reader *reader = &shm->reader;
    if (reader->header)
        shm->sys->unmap(shm->sys, reader->header, reader->map_size);
    reader->header = NULL;
}

/* The shape that the header claims. 0; -EAGAIN: it is being made; -EBADMSG: this is no ring, or not
 * all of it is there. */
static int read_header(const struct ring_header *header, size_t map_size,
                       struct ring_shape *ret_shape, uint64_t *ret_generation)
{
    const uint64_t generation = atomic_load_explicit(&header->generation, memory_order_acquire);
    const uint64_t magic = atomic_load_explicit(&header->magic, memory_order_acquire);
    const uint32_t version = atomic_load_explicit(&header->version, memory_order_acquire);
    const struct ring_shape shape = {
        .slot_size = atomic_load_explicit(&header->slot_size, memory_order_acquire),
        .slot_count = atomic_load_explicit(&header->slot_count, memory_order_acquire),
    };
    if (magic == 0 || (magic == RING_MAGIC && generation == 0) ||
        atomic_load_explicit(&header->generation, memory_order_relaxed) != generation)
        return -EAGAIN;
    if (magic != RING_MAGIC || version != RING_VERSION)
        return -EBADMSG;
    if (shape.slot_size == 0 || shape.slot_size > LEAT_FEED_PACKET_SIZE_MAX)
        return -EBADMSG;
    if (shape.slot_count < RING_SLOT_COUNT_MIN || shape.slot_count > RING_SLOT_COUNT_MAX ||
        (shape.slot_count & (shape.slot_count - 1)) != 0)
        return -EBADMSG;
    if (ring_file_size(shape) > map_size)
        return -EBADMSG;
    *ret_shape = shape;
    *ret_generation = generation;
    return 0;
}

/* Who heard nothing before this generation wants all of it that is left; who comes to one that is
 * under way wants what is new. */
static void begin_reading(struct shm_transport *shm)
{
    struct shm_reader *reader = &shm->reader;
    const uint64_t head = atomic_load_explicit(&reader->header->head, memory_order_acquire);
    reader->next = head;
    if (!reader->was_waiting)
        return;
    reader->next = head <= reader->shape.slot_count / 2 ? 0 : head - reader->shape.slot_count / 2;
    shm->stats.dropped += reader->next;
}

static int map_ring(struct shm_transport *shm, int fd, const struct backend_stat *stat)
{
    const struct backend_sys *sys = shm->sys;
    struct shm_reader *reader = &shm->reader;
    const void *data;
    int error = sys->map(sys, fd, stat->size, &data);
    if (error)
        return error;
    struct ring_shape shape;
    uint64_t generation;
    error = sys->prefault(sys, (void *)data, stat->size, false);
    if (!error)
        error = read_header(data, stat->size, &shape, &generation);
    if (error) {
        sys->unmap(sys, data, stat->size);
        return error;
    }
    let_go(shm);
    reader->header = data;
    reader->map_size = stat->size;
    reader->device = stat->device;
    reader->inode = stat->inode;
    reader->shape = shape;
    reader->generation = generation;
    begin_reading(shm);
    return 0;
}

static bool is_current(const struct shm_reader *reader)
{
    return reader->header && atomic_load_explicit(&reader->header->generation,
                                                  memory_order_acquire) == reader->generation;
}

/* Looks what the path leads to now. 0: to a ring that is read from now on; -ENOENT, -EAGAIN: to
 * none yet; -EBADMSG: to something else; or another error. */
static int search(struct shm_transport *shm)
{
    const struct backend_sys *sys = shm->sys;
    struct shm_reader *reader = &shm->reader;
    struct backend_stat stat;
    reader->searched_ns = shm->loop->ops->now_ns(shm->loop->backend);
    const int fd = sys->open(sys, AT_FDCWD, shm->path, BACKEND_OPEN_FILE);
    int error = fd < 0 ? fd : sys->stat(sys, fd, &stat);
    if (!error && !stat.is_regular)
        error = -EBADMSG;
    if (!error && stat.size < RING_HEADER_SIZE)
        error = stat.size == 0 ? -EAGAIN : -EBADMSG;
    if (!error && stat.size > FILE_SIZE_MAX)
        error = -EBADMSG;
    const bool is_same = !error && is_current(reader) && reader->device == stat.device &&
                         reader->inode == stat.inode;
    if (!error && !is_same)
        error = map_ring(shm, fd, &stat);
    if (fd >= 0)
        sys->close(sys, fd);
    reader->was_waiting = true;
    return error;
}

/* There was nothing to read. A new generation is looked for as soon as it is made. */
static void search_when_due(struct shm_transport *shm)
{
    struct shm_reader *reader = &shm->reader;
    if (reader->header && !is_current(reader) &&
        atomic_load_explicit(&reader->header->generation, memory_order_relaxed) != 0) {
        let_go(shm);
        (void)search(shm);
        return;
    }
    if (++reader->idle_looks < IDLE_LOOKS)
        return;
    reader->idle_looks = 0;
    if (shm->loop->ops->now_ns(shm->loop->backend) - reader->searched_ns >= SEARCH_NS)
        (void)search(shm);
}

/* ---- Reading --------------------------------------------------------------------------------- */

enum reading { READ_FRAME, READ_SKIPPED, READ_NOTHING, READ_LAPPED, READ_CHANGED };

/* Copies the next frame out, if there is one. */
static enum reading read_frame(struct shm_transport *shm, uint64_t *copy,
                               struct feed_frame *ret_frame)
{
    struct shm_reader *reader = &shm->reader;
    const uint64_t whole = 2 * reader->next + 2;
    const struct ring_slot *slot = ring_slot_of(reader->header, reader->shape, reader->next);
    const uint64_t sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire);
    if ((int64_t)(sequence - whole) < 0)
        return READ_NOTHING;
    if (sequence != whole)
        return is_current(reader) ? READ_LAPPED : READ_CHANGED;
    const uint64_t size = atomic_load_explicit(&slot->size, memory_order_acquire);
    const int64_t stamp_ns = atomic_load_explicit(&slot->stamp_ns, memory_order_acquire);
    const bool fits = size <= reader->shape.slot_size && size <= reader->packet_size_max;
    if (fits)
        ring_load_bytes(slot, copy, (uint32_t)size);
    const bool is_whole = atomic_load_explicit(&slot->sequence, memory_order_acquire) == whole;
    if (!is_current(reader))
        return READ_CHANGED;
    if (!is_whole)
        return READ_LAPPED;
    reader->next++;
    if (!fits)
        return READ_SKIPPED;
    *ret_frame = (struct feed_frame){
        .data = (const uint8_t *)copy,
        .size = (uint32_t)size,
        .stamp_ns = stamp_ns,
    };
    return READ_FRAME;
}

/* The publisher is a round ahead: on with the newer half of what the ring has, so that it is not
 * lapped again at once. */
static void catch_up(struct shm_transport *shm)
{
    struct shm_reader *reader = &shm->reader;
    const uint64_t head = atomic_load_explicit(&reader->header->head, memory_order_acquire);
    const uint64_t half = reader->shape.slot_count / 2;
    uint64_t skipped = 1; /* `head` is told a burst at a time, and may still be behind */
    if ((int64_t)(head - reader->next) > (int64_t)half)
        skipped = head - reader->next - half;
    reader->next += skipped;
    shm->stats.dropped += skipped;
}

static int shm_receive(struct feed_transport *transport, struct feed_frame *ret_frames,
                       unsigned count)
{
    struct shm_transport *shm = shm_of(transport);
    struct shm_reader *reader = &shm->reader;
    ASSERT(count > 0 && count <= FEED_BURST_MAX);
    if (shm->role == FEED_ROLE_SEND)
        return -ENOTSUP;
    unsigned filled = 0, laps = 0, skipped = 0;
    if (count > reader->copy_count)
        count = reader->copy_count;
    while (reader->header && filled < count && laps < LAPS_MAX && skipped < FEED_BURST_MAX) {
        uint64_t *copy = reader->copies + filled * reader->copy_words;
        const enum reading reading = read_frame(shm, copy, &ret_frames[filled]);
        if (reading == READ_FRAME) {
            filled++;
        } else if (reading == READ_SKIPPED) {
            shm->stats.dropped++;
            skipped++;
        } else if (reading == READ_LAPPED) {
            catch_up(shm);
            laps++;
        } else {
            break;
        }
    }
    shm->stats.received += filled;
    if (filled > 0)
        return (int)filled;
    search_when_due(shm);
    return -EAGAIN;
}

static int open_reader(struct shm_transport *shm, const struct feed_transport_options *options)
{
    struct shm_reader *reader = &shm->reader;
    reader->packet_size_max = (uint32_t)options->packet_size_max;
    reader->copy_words = (options->packet_size_max + sizeof(uint64_t) - 1) / sizeof(uint64_t);
    const size_t fitting = COPIES_BYTES_MAX / (reader->copy_words * sizeof(uint64_t));
    reader->copy_count = fitting < COPIES_MIN       ? COPIES_MIN
                         : fitting > FEED_BURST_MAX ? FEED_BURST_MAX
                                                    : (unsigned)fitting;
    const size_t size = reader->copy_count * reader->copy_words * sizeof(uint64_t);
    reader->copies = malloc(size);
    if (!reader->copies)
        return -ENOMEM;
    memset(reader->copies, 0, size); /* present in memory before the first frame comes */
    const int error = search(shm);
    if (!error || error == -ENOENT || error == -EAGAIN)
        return 0;
    free(reader->copies);
    return error;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int shm_fd(const struct feed_transport *transport)
{
    return -ENOTSUP;
}

static void shm_stats(struct feed_transport *transport, struct feed_transport_stats *ret_stats)
{
    *ret_stats = shm_of(transport)->stats;
}

static void shm_destroy(struct feed_transport *transport)
{
    struct shm_transport *shm = shm_of(transport);
    if (shm->role == FEED_ROLE_SEND) {
        shm->sys->unmap(shm->sys, shm->writer.header, shm->writer.map_size);
        shm->sys->close(shm->sys, shm->writer.fd);
    } else {
        let_go(shm);
        free(shm->reader.copies);
    }
    free(shm);
}

static const struct feed_transport_ops shm_ops = {
    .name = "shm",
    .send = shm_send,
    .receive = shm_receive,
    .fd = shm_fd,
    .stats = shm_stats,
    .destroy = shm_destroy,
};

static const char *reason_of(int error)
{
    switch (error) {
    case -EADDRINUSE: return "another publisher writes to this ring";
    case -EEXIST: return "there is a file already, and it is no ring";
    case -EBADMSG: return "this file is no ring, or not a whole one";
    default: return leat_error_text(error);
    }
}

int transport_shm_open(struct leat_loop *loop, const struct feed_transport_options *options,
                       const char *path, struct feed_transport **ret_transport, char *ret_reason,
                       size_t reason_size)
{
    if (path[0] != '/' || strlen(path) >= PATH_MAX_SIZE)
        return feed_refuse(-EINVAL, ret_reason, reason_size,
                           "%s: a ring is written shm:/dev/shm/NAME", options->address);
    if (options->role != FEED_ROLE_SEND && options->role != FEED_ROLE_RECEIVE)
        return feed_refuse(-EINVAL, ret_reason, reason_size,
                           "%s: a ring carries no requests, they go to an IP address",
                           options->address);
    struct shm_transport *shm = calloc(1, sizeof *shm);
    if (!shm)
        return feed_refuse(-ENOMEM, ret_reason, reason_size, "%s: no memory", options->address);
    shm->base.ops = &shm_ops;
    shm->loop = loop;
    shm->sys = loop->sys;
    shm->role = options->role;
    memcpy(shm->path, path, strlen(path) + 1);
    const int error =
        shm->role == FEED_ROLE_SEND ? open_writer(shm, options) : open_reader(shm, options);
    if (error) {
        free(shm);
        return feed_refuse(error, ret_reason, reason_size, "%s: %s", options->address,
                           reason_of(error));
    }
    *ret_transport = &shm->base;
    return 0;
}
