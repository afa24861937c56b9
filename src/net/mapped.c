/* SPDX-License-Identifier: MIT */
/*
 * A range of a file as memory that cannot change under its reader: copied by an offload job into a
 * memory file, which is then sealed (no writing, shrinking, growing) and mapped. A mapping of the
 * file itself would be cheaper, and would kill the process with SIGBUS when somebody truncates it.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "leat/error.h"
#include "net/file.h"

enum { COPY_SIZE = 256 * 1024 };

struct leat_mapped {
    const struct backend_sys *sys;
    struct leat_file *file;
    uint64_t offset, size;
    const void *data; /* NULL when size is 0 */
    int error;
};

static int copy_range(const struct backend_sys *sys, const struct leat_mapped *mapped, int to_fd)
{
    char *buffer = malloc(COPY_SIZE);
    if (!buffer)
        return -ENOMEM;
    int error = 0;
    for (uint64_t done = 0; !error && done < mapped->size;) {
        const uint64_t left = mapped->size - done;
        ssize_t size = sys->read(sys, mapped->file->fd, buffer, left < COPY_SIZE ? left : COPY_SIZE,
                                 mapped->offset + done);
        if (size == 0)
            size = -LEAT_E_TRUNCATED;
        for (ssize_t written = 0; size > 0 && written < size;) {
            const ssize_t count = sys->write(sys, to_fd, buffer + written, (size_t)(size - written),
                                             done + (uint64_t)written);
            if (count <= 0) {
                size = count < 0 ? count : -EIO;
                break;
            }
            written += count;
        }
        if (size < 0)
            error = (int)size;
        else
            done += (uint64_t)size;
    }
    free(buffer);
    return error;
}

static void map_job(void *arg, const struct backend_sys *sys)
{
    struct leat_mapped *mapped = arg;
    const int fd = sys->create(sys, "leat-mapped");
    if (fd < 0) {
        mapped->error = fd;
        return;
    }
    mapped->error = copy_range(sys, mapped, fd);
    if (!mapped->error)
        mapped->error = sys->seal(sys, fd);
    if (!mapped->error && mapped->size > 0)
        mapped->error = sys->map(sys, fd, mapped->size, &mapped->data);
    sys->close(sys, fd); /* the mapping holds the memory */
}

int leat_mapped_create(struct leat_file *file, uint64_t offset, uint64_t size, int64_t deadline_ns,
                       struct leat_mapped **ret_mapped)
{
    if (size > LEAT_MAPPED_SIZE_MAX)
        return -LEAT_E_LIMIT;
    struct leat_mapped *mapped = calloc(1, sizeof *mapped);
    if (!mapped)
        return -ENOMEM;
    *mapped =
        (struct leat_mapped){.sys = file->loop->sys, .file = file, .offset = offset, .size = size};
    int error = fiber_offload(map_job, mapped, deadline_ns);
    if (!error)
        error = mapped->error;
    if (error) {
        free(mapped);
        return error;
    }
    mapped->file = NULL; /* not needed any more, and not held */
    *ret_mapped = mapped;
    return 0;
}

void leat_mapped_destroy(struct leat_mapped *mapped)
{
    if (!mapped)
        return;
    if (mapped->data)
        mapped->sys->unmap(mapped->sys, mapped->data, mapped->size);
    free(mapped);
}

const void *leat_mapped_data(const struct leat_mapped *mapped)
{
    return mapped->data;
}

uint64_t leat_mapped_size(const struct leat_mapped *mapped)
{
    return mapped->size;
}
