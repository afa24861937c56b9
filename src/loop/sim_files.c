/* SPDX-License-Identifier: MIT */
/*
 * The simulated disk has no room for files that a program makes itself, but for those it appends
 * to (sim_disk.c): what would make, move or remove one is refused, so that nobody calls a hole.
 */
#include <errno.h>

#include "loop/sim_world.h"

static int refuse_name(const struct backend_sys *sys, int directory_fd, const char *name)
{
    return -ENOSYS;
}

static int refuse_name_and_flag(const struct backend_sys *sys, int directory_fd, const char *name,
                                bool flag)
{
    return -ENOSYS;
}

static ssize_t refuse_copy(const struct backend_sys *sys, int in_fd, uint64_t in_offset, int out_fd,
                           uint64_t out_offset, size_t size)
{
    return -ENOSYS;
}

static int refuse_resize(const struct backend_sys *sys, int fd, uint64_t size)
{
    return -ENOSYS;
}

static int refuse_rename(const struct backend_sys *sys, int directory_fd, const char *from,
                         const char *to, bool may_replace)
{
    return -ENOSYS;
}

static int refuse_lock(const struct backend_sys *sys, int fd)
{
    return -ENOSYS;
}

void sim_files_sys(struct backend_sys *sys)
{
    sys->make_directory = refuse_name;
    sys->open_write = refuse_name_and_flag;
    sys->copy = refuse_copy;
    sys->resize = refuse_resize;
    sys->rename = refuse_rename;
    sys->remove = refuse_name_and_flag;
    sys->lock = refuse_lock;
}
