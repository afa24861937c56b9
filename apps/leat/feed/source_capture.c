/* SPDX-License-Identifier: MIT */
/*
 * The packets of a capture. While one half's packets are on their way, a fiber has the other half
 * read. A packet across the two is made whole in the room before the second:
 *
 *     half A:  [room][ packets ........ beginning of a packet]
 *                                        └───────┐ copied
 *     half B:            [room: beginning of a packet][rest of it  packets ........ ]
 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/slice.h"
#include "leat/error.h"
#include "leat/fiber.h"

enum {
    HALF_SIZE = 4 << 20,
    POOL_BUSY_MS = 1,
    HALVES = 2,
};

struct half {
    char *memory;       /* PCAP_PIECE_MAX of room, HALF_SIZE */
    size_t start, size; /* of what was not used yet, in memory */
};

struct capture {
    struct source base;
    int fd;
    struct pcap_reader reader;
    struct half halves[HALVES];
    unsigned current;
    struct leat_scope reading; /* a fiber fills the half that is not current */
    int result;                /* of that: bytes, 0 at the end, -errno */
};

static struct capture *capture_of(const struct source *source)
{
    return CONTAINER_OF(source, struct capture, base);
}

int source_offload(int (*fn)(void *arg), void *arg, int *ret_result)
{
    int error;
    while ((error = leat_offload(fn, arg, LEAT_FOREVER, ret_result)) == -EAGAIN)
        if ((error = leat_sleep_ms(POOL_BUSY_MS)) < 0)
            break;
    return error;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* In the pool: the half full, or as much as the file has. */
static int read_half(void *arg)
{
    const struct capture *capture = arg;
    char *const memory = capture->halves[1 - capture->current].memory + PCAP_PIECE_MAX;
    size_t size = 0;
    while (size < HALF_SIZE) {
        const ssize_t count = read(capture->fd, memory + size, HALF_SIZE - size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        size += (size_t)count;
    }
    return (int)size;
}

static void read_ahead(void *arg)
{
    struct capture *capture = arg;
    const int error = source_offload(read_half, capture, &capture->result);
    if (error)
        capture->result = error;
}

static int start_reading(struct capture *capture)
{
    static const struct leat_fiber_options options = {.name = "read ahead"};
    return leat_spawn(&capture->reading, read_ahead, capture, &options);
}

static int capture_next(struct source *source, struct pcap_datagram *ret_packet)
{
    struct capture *capture = capture_of(source);
    struct half *half = &capture->halves[capture->current];
    size_t used;
    const struct leat_slice bytes = slice_of(half->memory + half->start, half->size);
    const int result = pcap_read(&capture->reader, bytes, &used, ret_packet);
    if (result < 0)
        return result;
    half->start += used;
    half->size -= used;
    return result;
}

static int capture_turn(struct source *source)
{
    struct capture *capture = capture_of(source);
    int error = leat_scope_join(&capture->reading, LEAT_FOREVER);
    if (error)
        return error;
    if (capture->result < 0)
        return capture->result;
    const struct half *from = &capture->halves[capture->current];
    if (capture->result == 0)
        return from->size == 0 && pcap_may_end(&capture->reader) ? 0 : -LEAT_E_TRUNCATED;

    /* What is left is less than the reader has asked for, and so less than the room. */
    struct half *to = &capture->halves[1 - capture->current];
    ASSERT(from->size < PCAP_PIECE_MAX);
    to->start = PCAP_PIECE_MAX - from->size;
    to->size = from->size + (size_t)capture->result;
    memcpy(to->memory + to->start, from->memory + from->start, from->size);
    capture->current = 1 - capture->current;
    error = start_reading(capture);
    return error ? error : 1;
}

static const char *capture_reason(const struct source *source, int error, char *text, size_t size)
{
    const struct capture *capture = capture_of(source);
    const unsigned long position = (unsigned long)capture->reader.position;
    if (error == -LEAT_E_TRUNCATED)
        snprintf(text, size, "it ends within a packet, which began at byte %lu", position);
    else if (capture->reader.reason && position > 0)
        snprintf(text, size, "at byte %lu: %s", position, capture->reader.reason);
    else
        snprintf(text, size, "%s",
                 capture->reader.reason ? capture->reader.reason : leat_error_text(error));
    return text;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void capture_close(struct source *source)
{
    struct capture *capture = capture_of(source);
    leat_scope_fini(&capture->reading);
    for (unsigned i = 0; i < HALVES; i++)
        free(capture->halves[i].memory);
    close(capture->fd);
    free(capture);
}

static const struct source_ops capture_ops = {
    .next = capture_next,
    .turn = capture_turn,
    .close = capture_close,
    .reason = capture_reason,
};

int source_capture_open(int fd, struct source **ret_source)
{
    struct capture *capture = calloc(1, sizeof *capture);
    if (!capture) {
        close(fd);
        return -ENOMEM;
    }
    capture->base = (struct source){
        .ops = &capture_ops, .has_destinations = true, .counts = &capture->reader.counts};
    capture->fd = fd;
    pcap_reader_init(&capture->reader);
    leat_scope_init(&capture->reading);
    int error = 0;
    for (unsigned i = 0; i < HALVES; i++) {
        capture->halves[i].memory = malloc(PCAP_PIECE_MAX + HALF_SIZE);
        capture->halves[i].start = PCAP_PIECE_MAX;
        if (!capture->halves[i].memory)
            error = -ENOMEM;
    }
    if (!error)
        error = start_reading(capture);
    if (error) {
        capture_close(&capture->base);
        return error;
    }
    *ret_source = &capture->base;
    return 0;
}

/* In the pool: a folder of the name, a file, or neither. */
struct opening {
    const char *path;
    bool is_folder;
};

static int open_now(void *arg)
{
    struct opening *opening = arg;
    struct stat status;
    const int fd = open(opening->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int error = fstat(fd, &status) == 0 ? 0 : -errno;
    opening->is_folder = !error && S_ISDIR(status.st_mode);
    if (!error && !opening->is_folder && !S_ISREG(status.st_mode))
        error = -EINVAL;
    if (error || opening->is_folder)
        close(fd);
    else
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return error || opening->is_folder ? error : fd;
}

int source_open(const char *path, struct source **ret_source, char *ret_reason, size_t reason_size)
{
    struct opening opening = {.path = path};
    int result;
    int error = source_offload(open_now, &opening, &result);
    if (!error && result < 0)
        error = result;
    if (!error && opening.is_folder)
        return source_log_open(path, ret_source, ret_reason, reason_size);
    if (!error)
        error = source_capture_open(result, ret_source);
    if (error == -EINVAL)
        snprintf(ret_reason, reason_size, "'%s' is neither a file nor a folder", path);
    else if (error)
        snprintf(ret_reason, reason_size, "cannot read '%s': %s", path, leat_error_text(error));
    return error;
}
