/* SPDX-License-Identifier: MIT */
/*
 * Copies beside their files: FILE.br, FILE.zst, FILE.gz. A copy is written under a name that
 * nobody asks for, and gets its own when it is whole and on the disk: so a full disk or a kill
 * never leaves half a copy. Nothing is written through a link, and what others have put there is
 * replaced only when it is a file, and older than what it is a copy of.
 *
 * The unfinished name is a fixed one, so that what a kill leaves behind does not add up. Whoever
 * has locked the file that has this name now may move or remove it, and nobody else: two processes
 * that serve the same folder do not write into one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "http/coded_parts.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "net/file.h"

enum { NAME_SIZE = 256 }; /* of a directory's entry, zero-terminated */

struct leat_slice coded_suffix(enum leat_codec codec)
{
    switch (codec) {
    case LEAT_CODEC_BROTLI: return SLICE(".br");
    case LEAT_CODEC_ZSTD: return SLICE(".zst");
    case LEAT_CODEC_GZIP: return SLICE(".gz");
    default: return slice_of(NULL, 0);
    }
}

bool coded_is_current(const struct leat_file_info *info, int64_t beside_mtime_ns)
{
    return beside_mtime_ns > info->mtime_ns || coded_is_of_same_time(info, beside_mtime_ns);
}

bool coded_is_of_same_time(const struct leat_file_info *info, int64_t beside_mtime_ns)
{
    return beside_mtime_ns == info->mtime_ns ||
           (beside_mtime_ns % LEAT_NS_PER_S == 0 &&
            beside_mtime_ns / LEAT_NS_PER_S == info->mtime_ns / LEAT_NS_PER_S);
}

struct beside {
    const struct backend_sys *sys;
    int folder; /* that the file is in */
    int fd;     /* of the unfinished copy, locked */
    char name[NAME_SIZE], unfinished[NAME_SIZE];
};

/* Does the unfinished name mean this file? */
static bool is_named(const struct beside *beside, int fd)
{
    struct backend_stat named, mine;
    const struct backend_sys *sys = beside->sys;
    return sys->stat_at(sys, beside->folder, beside->unfinished, &named) == 0 &&
           sys->stat(sys, fd, &mine) == 0 && named.inode == mine.inode &&
           named.device == mine.device && named.is_regular;
}

/* What a process that was killed has left; false: it is at work, or that is something else. */
static bool remove_left_over(const struct beside *beside)
{
    const struct backend_sys *sys = beside->sys;
    const int fd = sys->open(sys, beside->folder, beside->unfinished, BACKEND_OPEN_BENEATH);
    if (fd < 0)
        return false;
    const bool is_removed = sys->lock(sys, fd) == 0 && is_named(beside, fd) &&
                            sys->remove(sys, beside->folder, beside->unfinished, false) == 0;
    sys->close(sys, fd);
    return is_removed;
}

/* Makes the unfinished file, and locks it. */
static int open_unfinished(struct beside *beside)
{
    const struct backend_sys *sys = beside->sys;
    int fd = sys->open_new(sys, beside->folder, beside->unfinished);
    if (fd == -EEXIST && remove_left_over(beside))
        fd = sys->open_new(sys, beside->folder, beside->unfinished);
    if (fd < 0)
        return fd;
    const int error = sys->lock(sys, fd);
    if (error || !is_named(beside, fd)) { /* somebody took it for a left-over */
        sys->close(sys, fd);
        return error ? error : -EAGAIN;
    }
    beside->fd = fd;
    return 0;
}

/* All of it on the disk, with the file's rights and time: unless that has changed meanwhile, and
 * the copy would be taken for one of what it is now. */
static int fill(const struct beside *beside, int original_fd, const struct leat_file_info *info,
                const char *data, size_t size)
{
    const struct backend_sys *sys = beside->sys;
    struct backend_stat stat;
    for (size_t done = 0; done < size;) {
        const ssize_t count = sys->write(sys, beside->fd, data + done, size - done, done);
        if (count <= 0)
            return count < 0 ? (int)count : -EIO;
        done += (size_t)count;
    }
    int error = sys->resemble(sys, beside->fd, original_fd);
    if (!error)
        error = sys->sync(sys, beside->fd);
    if (!error)
        error = sys->stat(sys, beside->fd, &stat);
    if (!error && stat.mtime_ns != info->mtime_ns)
        error = -EAGAIN;
    return error;
}

/* May what has the name be replaced? 0: it may, or there is none. */
static int look_at_place(const struct beside *beside, const struct leat_file_info *info)
{
    struct backend_stat stat;
    const int error = beside->sys->stat_at(beside->sys, beside->folder, beside->name, &stat);
    if (error)
        return error == -ENOENT ? 0 : error;
    return !stat.is_regular || coded_is_current(info, stat.mtime_ns) ? 1 : 0;
}

static int write_into(struct beside *beside, int original_fd, const struct leat_file_info *info,
                      const char *data, size_t size)
{
    const struct backend_sys *sys = beside->sys;
    int result = look_at_place(beside, info);
    if (result)
        return result;
    result = open_unfinished(beside);
    if (result)
        return result;
    result = fill(beside, original_fd, info, data, size);
    if (!result)
        result = look_at_place(beside, info);
    if (!result)
        result = sys->rename(sys, beside->folder, beside->unfinished, beside->name, true);
    if (result)
        sys->remove(sys, beside->folder, beside->unfinished, false);
    sys->close(sys, beside->fd);
    return result;
}

int coded_beside_write(struct leat_root *root, const struct backend_sys *sys, const char *path,
                       int fd, const struct leat_file_info *info, enum leat_codec codec,
                       const void *data, size_t size)
{
    struct beside beside = {.sys = sys};
    struct leat_file_info folder_info;
    char folder[FILE_PATH_MAX + 1];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const struct leat_slice suffix = coded_suffix(codec);
    ASSERT(suffix.size > 0 && strlen(path) <= FILE_PATH_MAX);
    const int folder_size = slash ? (int)(slash - path) : 1;
    snprintf(folder, sizeof folder, "%.*s", folder_size, slash ? path : ".");
    snprintf(beside.name, sizeof beside.name, "%s%s", name, suffix.data);
    const int length = snprintf(beside.unfinished, sizeof beside.unfinished, ".%s%s.unfinished",
                                name, suffix.data);
    if (length >= NAME_SIZE)
        return -ENAMETOOLONG;
    beside.folder = file_open_below(root, sys, folder, &folder_info);
    if (beside.folder < 0)
        return beside.folder;
    const int result =
        folder_info.is_directory ? write_into(&beside, fd, info, data, size) : -ENOTDIR;
    sys->close(sys, beside.folder);
    return result;
}
