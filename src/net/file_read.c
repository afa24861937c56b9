/* SPDX-License-Identifier: MIT */
/*
 * Bytes of a file before they are sent: read ahead into the page cache, which nobody waits for, and
 * read into memory, which somebody does.
 *
 * A hint is a small machine: a fill at a time, of what is cold, until its end. It holds a slot of
 * its loop's few, and its file. A slot is looked for before residency is: where that is known by
 * probes alone, what they found missing must be filled (net/residency.h).
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "leat/error.h"
#include "net/file.h"
#include "net/residency.h"

enum {
    AHEAD_MAX = 8 * 1024 * 1024, /* of a hint; what is beyond is left out */
    /* What is read at once, on the loop, when all of it is in the page cache. */
    READ_NOW_MAX = 64 * 1024,
    READ_NOW_RANGES_MAX = 128,
};

/* ---- Ahead ----------------------------------------------------------------------------------- */

static bool is_in_use(const struct file_hint *hint)
{
    return hint->file != NULL;
}

static void end_hint(struct file_hint *hint)
{
    struct leat_file *file = hint->file;
    ASSERT(file != NULL && !op_is_busy(&hint->op));
    hint->file = NULL;
    leat_file_unref(file);
}

/* The first byte from `offset` on that is cold, or `end`. */
static uint64_t find_cold(struct leat_file *file, uint64_t offset, uint64_t end)
{
    while (offset < end) {
        const uint64_t ready = residency_window_ready(file, offset)
                                   ? FILE_WINDOW_SIZE - offset % FILE_WINDOW_SIZE
                                   : residency_ready(file, offset, end - offset);
        if (ready == 0)
            return offset;
        offset += ready;
    }
    return end;
}

static void fill_from(struct file_hint *hint, uint64_t offset)
{
    const uint64_t left = hint->end - offset;
    ASSERT(left > 0 && is_in_use(hint));
    hint->op.fill.offset = offset;
    hint->op.fill.size = left < RESIDENCY_FILL_SIZE ? left : RESIDENCY_FILL_SIZE;
    residency_fill_begins(hint->file, &hint->fill, offset, hint->op.fill.size);
    loop_submit(hint->file->loop, &hint->op);
}

/* Does nothing but hints keep the loop? Then it is about to end, and should not wait for them. */
static bool is_loop_ending(const struct leat_loop *loop, const struct file_hints *hints)
{
    unsigned fills = 0;
    for (unsigned index = 0; index < FILE_HINTS_MAX; index++)
        fills += op_is_busy(&hints->hints[index].op);
    ASSERT(fills <= op_busy_count);
    return hints->is_ending || (fills == op_busy_count && loop->timers.count == 0);
}

static void on_filled(struct op *op, const struct completion *completion)
{
    struct file_hint *hint = CONTAINER_OF(op, struct file_hint, op);
    struct leat_file *file = hint->file;
    residency_fill_ends(file, &hint->fill);
    uint64_t offset = hint->end;
    if (completion->result >= 0 && !is_loop_ending(file->loop, file_hints_of(file->loop)))
        offset = find_cold(file, op->fill.offset + op->fill.size, hint->end);
    if (offset < hint->end)
        fill_from(hint, offset);
    else
        end_hint(hint);
}

/* A slot for it; NULL: there is none, or a hint is at it already. */
static struct file_hint *find_slot(struct file_hints *hints, const struct leat_file *file,
                                   uint64_t offset)
{
    struct file_hint *slot = NULL;
    for (unsigned index = 0; index < FILE_HINTS_MAX; index++) {
        struct file_hint *hint = &hints->hints[index];
        if (!is_in_use(hint))
            slot = hint;
        else if (hint->file == file && offset >= hint->op.fill.offset && offset < hint->end)
            return NULL;
    }
    return slot;
}

void leat_file_read_ahead(struct leat_file *file, uint64_t offset, uint64_t size)
{
    struct leat_loop *loop = file->loop;
    ASSERT(loop == loop_current);
    const uint64_t file_size = file->info.size;
    if (file->info.is_directory || offset >= file_size || size == 0)
        return;
    if (size > AHEAD_MAX)
        size = AHEAD_MAX;
    const uint64_t end = size < file_size - offset ? offset + size : file_size;
    struct file_hints *hints = file_hints_of(loop);
    struct file_hint *hint = hints ? find_slot(hints, file, offset) : NULL;
    if (!hint || residency_seems(file, offset, end - offset))
        return;
    offset = find_cold(file, offset, end);
    if (offset == end)
        return;
    leat_file_ref(file);
    *hint = (struct file_hint){.file = file, .end = end};
    op_init(&hint->op, OP_FILL, file->fd, on_filled);
    fill_from(hint, offset);
}

void file_hints_end(struct leat_loop *loop, struct file_hints *hints)
{
    hints->is_ending = true;
    for (unsigned index = 0; index < FILE_HINTS_MAX; index++) {
        struct file_hint *hint = &hints->hints[index];
        if (is_in_use(hint))
            loop_cancel(loop, &hint->op);
        while (is_in_use(hint))
            (void)leat_loop_run_once(loop, LEAT_FOREVER);
    }
}

/* ---- Into memory ----------------------------------------------------------------------------- */

struct reading {
    const struct leat_file *file;
    const struct leat_file_range *ranges;
    size_t count;
    char *data;
    int error;
};

/* All of it from the page cache, if it is there and little. */
static bool read_at_once(const struct reading *reading)
{
    const struct backend_sys *sys = reading->file->loop->sys;
    char *data = reading->data;
    uint64_t left = READ_NOW_MAX;
    if (reading->count > READ_NOW_RANGES_MAX)
        return false;
    for (size_t index = 0; index < reading->count; index++) {
        if (reading->ranges[index].size > left)
            return false;
        left -= reading->ranges[index].size;
    }
    for (size_t index = 0; index < reading->count; index++) {
        const struct leat_file_range *range = &reading->ranges[index];
        const ssize_t size = range->size > 0 ? sys->read_now(sys, reading->file->fd, data,
                                                             range->size, range->offset)
                                             : 0;
        if (size < 0 || (uint64_t)size != range->size)
            return false; /* why is found out when it is read again */
        data += size;
    }
    return true;
}

static void read_job(void *arg, const struct backend_sys *sys)
{
    struct reading *reading = arg;
    char *data = reading->data;
    reading->error = 0;
    for (size_t index = 0; index < reading->count; index++) {
        const struct leat_file_range *range = &reading->ranges[index];
        for (uint64_t done = 0; done < range->size;) {
            const ssize_t size =
                sys->read(sys, reading->file->fd, data, range->size - done, range->offset + done);
            if (size <= 0) {
                reading->error = size < 0 ? (int)size : -LEAT_E_TRUNCATED;
                return;
            }
            done += (uint64_t)size;
            data += size;
        }
    }
}

int leat_file_read(struct leat_file *file, const struct leat_file_range *ranges, size_t count,
                   void *data, int64_t deadline_ns)
{
    struct reading reading = {.file = file, .ranges = ranges, .count = count, .data = data};
    ASSERT(file->loop == loop_current);
    ASSERT(count == 0 || (ranges != NULL && data != NULL));
    int error = fiber_interruption(deadline_ns);
    if (error || read_at_once(&reading))
        return error;
    error = fiber_offload(read_job, &reading, deadline_ns);
    return error ? error : reading.error;
}
