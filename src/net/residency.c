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

bool residency_window_ready(struct leat_file *file, uint64_t offset)
{
    ASSERT(offset < file->info.size);
    const struct backend_sys *sys = file->loop->sys;
    const uint64_t window = offset / FILE_WINDOW_SIZE;
    const int64_t now_ns = file->loop->now_ns;
    struct file_verdict *verdict = verdict_on(file, window);
    uint64_t begin, end;
    find_window(file, offset, &begin, &end);
    if (file->fills > 0 && begin < file->fills_end && end > file->fills_begin)
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
    if (offset >= file->info.size)
        return size;
    const uint64_t window = offset / FILE_WINDOW_SIZE;
    uint64_t window_begin, window_end;
    find_window(file, offset, &window_begin, &window_end);
    uint64_t end = offset + size < window_end ? offset + size : window_end;
    if (file->fills > 0 && offset < file->fills_end && end > file->fills_begin) {
        if (offset >= file->fills_begin)
            return 0;
        end = file->fills_begin;
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

void residency_fill_begins(struct leat_file *file, uint64_t offset, uint64_t size)
{
    const bool is_first = file->fills++ == 0;
    if (is_first || offset < file->fills_begin)
        file->fills_begin = offset;
    if (is_first || offset + size > file->fills_end)
        file->fills_end = offset + size;
}

void residency_fill_ends(struct leat_file *file)
{
    ASSERT(file->fills > 0);
    file->fills--;
}

bool residency_seems(struct leat_file *file, uint64_t offset, uint64_t size)
{
    ASSERT(size > 0 && offset < file->info.size && size <= file->info.size - offset);
    return file->fills == 0 && is_byte_resident(file, offset) &&
           is_byte_resident(file, offset + size - 1);
}

bool residency_arrived(struct leat_file *file, uint64_t offset, uint64_t size)
{
    ASSERT(size > 0);
    return is_byte_resident(file, offset + size - 1) && is_byte_resident(file, offset + size / 2);
}
