/* SPDX-License-Identifier: MIT */
/*
 * See residency.h. What is beyond the end of the file counts as resident: sending it finds the end.
 */
#include "net/residency.h"

#include <errno.h>

#include "base/assert.h"
#include "net/file.h"

enum { SMALL_SIZE = 8 * 1024 };

/* Can this byte be read without the disk? A file system that cannot say (-EOPNOTSUPP) is taken at
 * its best: there is no better way to send from it. */
static bool is_byte_resident(struct leat_file *file, uint64_t offset)
{
    const struct backend_sys *sys = file->loop->sys;
    char byte;
    return sys->read_now(sys, file->fd, &byte, 1, offset) != -EAGAIN;
}

/* Both ends, and of three pages, which HTTP tries to read at once, each. */
static bool are_ends_resident(struct leat_file *file, uint64_t offset, uint64_t size)
{
    return is_byte_resident(file, offset) && is_byte_resident(file, offset + size - 1) &&
           (size > SMALL_SIZE || is_byte_resident(file, offset + size / 2));
}

static bool is_range_resident(struct leat_file *file, uint64_t offset, uint64_t size)
{
    const struct backend_sys *sys = file->loop->sys;
    const ssize_t resident = sys->resident(sys, file->fd, offset, size);
    /* A probe that fails sets off the reading of its page. Where there are probes alone none may
     * fail but in a range that is then filled as a whole: the next time it would seem resident. */
    if (resident < 0 ? size > RESIDENCY_FILL_SIZE : (uint64_t)resident < size)
        return false;
    return are_ends_resident(file, offset, size);
}

/* Of the file's, around `offset`. */
static void find_window(const struct leat_file *file, uint64_t offset, uint64_t *ret_begin,
                        uint64_t *ret_end)
{
    const uint64_t begin = offset / FILE_WINDOW_SIZE * FILE_WINDOW_SIZE;
    const uint64_t end = begin + FILE_WINDOW_SIZE;
    *ret_begin = begin;
    *ret_end = end < file->info.size ? end : file->info.size;
}

static struct file_verdict *verdict_on(struct leat_file *file, uint64_t window)
{
    return &file->verdicts[window & (file->verdict_count - 1)];
}

static bool is_believed(const struct file_verdict *verdict, uint64_t window, int64_t now_ns)
{
    return verdict->window == window + 1 && verdict->expires_ns > now_ns;
}

static void believe(struct file_verdict *verdict, uint64_t window, int64_t now_ns)
{
    *verdict = (struct file_verdict){window + 1, now_ns + FILE_FRESH_MS * LEAT_NS_PER_MS};
}

/* Where in [begin, end) the first fill is that has not brought its bytes yet; `end`: nowhere. It is
 * the bytes that tell: were each fill waited for to its end, then readers who come one upon the
 * other, each with a fill of his own of the same place, would never see it filled. */
static uint64_t find_flight(struct leat_file *file, uint64_t begin, uint64_t end)
{
    uint64_t first = end;
    LIST_FOR_EACH (node, &file->flights) {
        const struct file_fill *fill = CONTAINER_OF(node, struct file_fill, node);
        if (fill->begin >= first || fill->end <= begin ||
            residency_arrived(file, fill->begin, fill->end - fill->begin))
            continue;
        first = fill->begin > begin ? fill->begin : begin;
    }
    return first;
}

bool residency_window_ready(struct leat_file *file, uint64_t offset)
{
    ASSERT(offset < file->info.size);
    const struct backend_sys *sys = file->loop->sys;
    const uint64_t window = offset / FILE_WINDOW_SIZE;
    const int64_t now_ns = file->loop->now_ns;
    struct file_verdict *verdict = verdict_on(file, window);
    uint64_t begin, end;
    find_window(file, offset, &begin, &end);
    if (file->fills > 0 && find_flight(file, begin, end) < end)
        return false;
    if (is_believed(verdict, window, now_ns))
        return true;
    /* Where all is counted a probe that fails asks for nothing new: it is on its way. */
    const ssize_t resident = sys->resident(sys, file->fd, begin, end - begin);
    if (resident < 0 || (uint64_t)resident < end - begin ||
        !are_ends_resident(file, begin, end - begin))
        return false;
    believe(verdict, window, now_ns);
    return true;
}

uint64_t residency_ready(struct leat_file *file, uint64_t offset, uint64_t size)
{
    ASSERT(size > 0);
    if (offset >= file->info.size || file->release) /* memory is there */
        return size;
    const uint64_t window = offset / FILE_WINDOW_SIZE;
    uint64_t window_begin, window_end;
    find_window(file, offset, &window_begin, &window_end);
    uint64_t end = offset + size < window_end ? offset + size : window_end;
    if (file->fills > 0) {
        end = find_flight(file, offset, end);
        if (end == offset)
            return 0;
    }

    struct file_verdict *verdict = verdict_on(file, window);
    const int64_t now_ns = file->loop->now_ns;
    if (is_believed(verdict, window, now_ns))
        return end - offset;
    /* All of the window costs one look as a part of it does, and serves whoever wants the rest. */
    const bool is_whole = offset == window_begin && end == window_end;
    if (!is_whole && residency_window_ready(file, offset))
        return end - offset;
    if (is_range_resident(file, offset, end - offset)) {
        if (is_whole)
            believe(verdict, window, now_ns);
        return end - offset;
    }
    /* Cold somewhere: perhaps only further on. */
    if (end - offset <= RESIDENCY_FILL_SIZE)
        return 0;
    end = offset + RESIDENCY_FILL_SIZE;
    return is_range_resident(file, offset, end - offset) ? end - offset : 0;
}

void residency_doubt(struct leat_file *file, uint64_t offset)
{
    verdict_on(file, offset / FILE_WINDOW_SIZE)->window = 0;
}

void residency_fill_begins(struct leat_file *file, struct file_fill *fill, uint64_t offset,
                           uint64_t size)
{
    ASSERT(size > 0);
    *fill = (struct file_fill){.begin = offset, .end = offset + size};
    list_push_back(&file->flights, &fill->node);
    file->fills++;
    file_count_fill(file->loop, size);
}

void residency_fill_ends(struct leat_file *file, struct file_fill *fill)
{
    ASSERT(file->fills > 0);
    list_remove(&fill->node);
    file->fills--;
}

bool residency_seems(struct leat_file *file, uint64_t offset, uint64_t size)
{
    ASSERT(size > 0 && offset < file->info.size && size <= file->info.size - offset);
    return is_byte_resident(file, offset) && is_byte_resident(file, offset + size - 1);
}

bool residency_arrived(struct leat_file *file, uint64_t offset, uint64_t size)
{
    ASSERT(size > 0);
    return is_byte_resident(file, offset + size - 1) && is_byte_resident(file, offset + size / 2);
}
