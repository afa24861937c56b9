/* SPDX-License-Identifier: MIT */
/*
 * The plain half of the door, on Linux: one function a system call, so that nothing above names
 * them. Errors become -errno, interrupted calls are made again, and outputs stay untouched when a
 * call fails. No state; any thread may call.
 */
#include "loop/sys_linux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "leat/clock.h"
#include "loop/backend.h"

/* cachestat(2) is younger (6.5) than the headers of Debian 12. The number is the same on every
 * architecture, as is usual since 5.1. */
enum { SYSCALL_CACHESTAT = 451 };

struct cachestat_range {
    uint64_t offset, size;
};

struct cachestat_counts {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

/* openat2(2) says EAGAIN when a rename raced with its walk; a busy tree may need a few tries. */
enum { OPEN_TRIES_MAX = 16, PIPE_SIZE_MIN = 4096 };

/* What a system call returned, as everybody above wants it. */
static long outcome(long result)
{
    return result < 0 ? -errno : result;
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static int sys_socket(const struct backend_sys *sys, int domain, int type, int protocol)
{
    return outcome(TEMP_FAILURE_RETRY(socket(domain, type | SOCK_CLOEXEC, protocol)));
}

static int sys_bind(const struct backend_sys *sys, int fd, const struct sockaddr *address,
                    socklen_t size)
{
    return outcome(TEMP_FAILURE_RETRY(bind(fd, address, size)));
}

static int sys_connect(const struct backend_sys *sys, int fd, const struct sockaddr *address,
                       socklen_t size)
{
    return outcome(TEMP_FAILURE_RETRY(connect(fd, address, size)));
}

static int sys_listen(const struct backend_sys *sys, int fd, int backlog)
{
    return outcome(TEMP_FAILURE_RETRY(listen(fd, backlog)));
}

static int sys_setsockopt(const struct backend_sys *sys, int fd, int level, int name,
                          const void *value, socklen_t size)
{
    return outcome(TEMP_FAILURE_RETRY(setsockopt(fd, level, name, value, size)));
}

static int sys_getsockopt(const struct backend_sys *sys, int fd, int level, int name, void *value,
                          socklen_t *size)
{
    return outcome(TEMP_FAILURE_RETRY(getsockopt(fd, level, name, value, size)));
}

static int sys_getsockname(const struct backend_sys *sys, int fd, struct sockaddr *address,
                           socklen_t *size)
{
    return outcome(TEMP_FAILURE_RETRY(getsockname(fd, address, size)));
}

static int sys_getpeername(const struct backend_sys *sys, int fd, struct sockaddr *address,
                           socklen_t *size)
{
    return outcome(TEMP_FAILURE_RETRY(getpeername(fd, address, size)));
}

static int sys_shutdown(const struct backend_sys *sys, int fd, int how)
{
    return outcome(TEMP_FAILURE_RETRY(shutdown(fd, how)));
}

static ssize_t sys_recv(const struct backend_sys *sys, int fd, void *data, size_t size, bool peek)
{
    const int flags = MSG_DONTWAIT | (peek ? MSG_PEEK : 0);
    return outcome(TEMP_FAILURE_RETRY(recv(fd, data, size, flags)));
}

static ssize_t sys_send(const struct backend_sys *sys, int fd, const struct iovec *vectors,
                        int count, bool more)
{
    ASSERT(count >= 0);
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    /* By far the most frequent, and cheaper for the kernel than a message of one piece. */
    if (count == 1)
        return outcome(TEMP_FAILURE_RETRY(send(fd, vectors->iov_base, vectors->iov_len, flags)));
    const struct msghdr message = {
        .msg_iov = (struct iovec *)vectors, /* sendmsg(2) only reads it */
        .msg_iovlen = (size_t)count,
    };
    return outcome(TEMP_FAILURE_RETRY(sendmsg(fd, &message, flags)));
}

/* Beyond pipe-max-size, and once the user's pipe-user-pages-soft are used up, growing a pipe is
 * EPERM without privilege: half is asked for, and half of that; what it was born with is fine. */
static ssize_t sys_pipe(const struct backend_sys *sys, int ret_fds[2], size_t size)
{
    int fds[2];
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC))
        return -errno;
    int capacity = fcntl(fds[0], F_GETPIPE_SZ);
    size_t wanted = size > INT32_MAX ? INT32_MAX : size;
    while (capacity >= 0 && wanted > (size_t)capacity && wanted >= PIPE_SIZE_MIN) {
        if (fcntl(fds[0], F_SETPIPE_SZ, (int)wanted) >= 0 || errno != EPERM)
            break;
        wanted /= 2;
    }
    capacity = fcntl(fds[0], F_GETPIPE_SZ);
    if (capacity < 0) {
        const int error = -errno;
        close(fds[0]);
        close(fds[1]);
        return error;
    }
    ret_fds[0] = fds[0];
    ret_fds[1] = fds[1];
    return capacity;
}

/* ---- Files: now ------------------------------------------------------------------------------ */

/* Some file systems (network and FUSE ones among them) do not know RWF_NOWAIT. They say
 * -EOPNOTSUPP, and so do we: -EAGAIN would promise that waiting helps, and a plain pread would
 * block. The caller reads such a file as a cold one, by OP_READ or in an offload job. */
static ssize_t sys_read_now(const struct backend_sys *sys, int fd, void *data, size_t size,
                            uint64_t offset)
{
    const struct iovec vector = {.iov_base = data, .iov_len = size};
    return outcome(TEMP_FAILURE_RETRY(preadv2(fd, &vector, 1, (off_t)offset, RWF_NOWAIT)));
}

static ssize_t sys_resident(const struct backend_sys *sys, int fd, uint64_t offset, size_t size)
{
    if (size == 0)
        return 0; /* to the kernel a size of 0 means: to the end of the file */
    const struct cachestat_range range = {.offset = offset, .size = size};
    struct cachestat_counts counts;
    if (syscall(SYSCALL_CACHESTAT, fd, &range, &counts, 0))
        return -errno;
    /* Whole pages are counted, the range may begin and end within one. */
    const uint64_t bytes = counts.cached * (uint64_t)sysconf(_SC_PAGESIZE);
    return (ssize_t)(bytes < size ? bytes : size);
}

/* ---- Files: may block ------------------------------------------------------------------------ */

static int open_once(int directory_fd, const char *path, int flags, bool is_beneath)
{
    if (!is_beneath)
        return outcome(TEMP_FAILURE_RETRY(openat(directory_fd, path, flags)));
    const struct open_how how = {
        .flags = (uint64_t)(unsigned)flags,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long result = -EAGAIN;
    for (int tries = 0; result == -EAGAIN && tries < OPEN_TRIES_MAX; tries++)
        result =
            outcome(TEMP_FAILURE_RETRY(syscall(SYS_openat2, directory_fd, path, &how, sizeof how)));
    return (int)result;
}

/* Before Linux 5.6 there is no openat2(2), and a BENEATH open is -ENOSYS: a check of the path by
 * ourselves could not see a symlink being put in its way. */
static int sys_open(const struct backend_sys *sys, int directory_fd, const char *path,
                    enum backend_open open_flags)
{
    ASSERT(path);
    const bool is_beneath = open_flags & BACKEND_OPEN_BENEATH;
    if (directory_fd < 0)
        directory_fd = AT_FDCWD;
    /* O_NONBLOCK: opening a FIFO would wait for its writer. */
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    if (open_flags & BACKEND_OPEN_DIRECTORY)
        flags |= O_DIRECTORY;
    int wanted = O_NOATIME; /* a write to the disk a read saved; for the file's owner alone */
    int fd = open_once(directory_fd, path, flags | wanted, is_beneath);
    if (fd == -EPERM) {
        wanted = 0;
        fd = open_once(directory_fd, path, flags, is_beneath);
    }
    /* From here on the flag would only hurt: io_uring does not wait for a file marked so when its
     * file system lacks non-blocking reads. */
    if (fd >= 0)
        fcntl(fd, F_SETFL, wanted);
    /* Nothing is read ahead but what we ask for: what sendfile would start on its own, on the
     * loop's thread, may itself wait for the disk (for where the file's blocks lie). */
    if (fd >= 0)
        posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    return fd;
}

static struct backend_stat backend_stat_of(const struct stat *stat)
{
    return (struct backend_stat){
        .device = stat->st_dev,
        .inode = stat->st_ino,
        .size = (uint64_t)stat->st_size,
        .mtime_ns = stat->st_mtim.tv_sec * LEAT_NS_PER_S + stat->st_mtim.tv_nsec,
        .is_directory = S_ISDIR(stat->st_mode),
        .is_regular = S_ISREG(stat->st_mode),
    };
}

static int sys_stat(const struct backend_sys *sys, int fd, struct backend_stat *ret_stat)
{
    struct stat stat;
    if (fstat(fd, &stat))
        return -errno;
    *ret_stat = backend_stat_of(&stat);
    return 0;
}

static int sys_stat_at(const struct backend_sys *sys, int directory_fd, const char *name,
                       struct backend_stat *ret_stat)
{
    ASSERT(directory_fd >= 0 && name);
    struct stat stat;
    if (fstatat(directory_fd, name, &stat, AT_SYMLINK_NOFOLLOW))
        return -errno;
    *ret_stat = backend_stat_of(&stat);
    return 0;
}

static ssize_t sys_read(const struct backend_sys *sys, int fd, void *data, size_t size,
                        uint64_t offset)
{
    return outcome(TEMP_FAILURE_RETRY(pread(fd, data, size, (off_t)offset)));
}

static int sys_readahead(const struct backend_sys *sys, int fd, uint64_t offset, size_t size)
{
    return outcome(TEMP_FAILURE_RETRY(readahead(fd, (off_t)offset, size)));
}

/* A symlink is what it leads to; one that leads nowhere is no directory. */
static bool is_directory_entry(int directory_fd, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return entry->d_type == DT_DIR;
    struct stat stat;
    return fstatat(directory_fd, entry->d_name, &stat, 0) == 0 && S_ISDIR(stat.st_mode);
}

static int sys_list(const struct backend_sys *sys, int fd, backend_entry_fn entry, void *user)
{
    ASSERT(entry);
    /* A descriptor of its own: a duplicate would share the position with other listings. */
    const int own_fd =
        outcome(TEMP_FAILURE_RETRY(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    if (own_fd < 0)
        return own_fd;
    DIR *directory = fdopendir(own_fd);
    if (!directory) {
        const int error = -errno;
        close(own_fd);
        return error;
    }
    int error = 0;
    for (;;) {
        errno = 0; /* the end and an error look the same otherwise */
        const struct dirent *found = readdir(directory);
        if (!found) {
            error = -errno;
            break;
        }
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        if (!entry(found->d_name, is_directory_entry(own_fd, found), user))
            break;
    }
    closedir(directory);
    return error;
}

static int sys_create(const struct backend_sys *sys, const char *name)
{
    return outcome(TEMP_FAILURE_RETRY(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)));
}

static int sys_map(const struct backend_sys *sys, int fd, size_t size, const void **ret_data)
{
    void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return -errno;
    *ret_data = data;
    return 0;
}

static void sys_unmap(const struct backend_sys *sys, const void *data, size_t size)
{
    if (data)
        ASSERT(munmap((void *)data, size) == 0);
}

static ssize_t sys_write(const struct backend_sys *sys, int fd, const void *data, size_t size,
                         uint64_t offset)
{
    return outcome(TEMP_FAILURE_RETRY(pwrite(fd, data, size, (off_t)offset)));
}

/* Standard output by its path: a descriptor of our own appends and does not block, whatever the one
 * we were given does, and shares no flags with the shell. What cannot be opened so (a socket, as
 * the journal's is; a file that is out of reach) is used as it is. Reading is for who wants to see
 * the last line; a FIFO opened so needs no reader. */
static int sys_open_append(const struct backend_sys *sys, const char *path)
{
    const int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    const char *name = path ? path : "/proc/self/fd/1";
    int fd = outcome(TEMP_FAILURE_RETRY(open(name, flags | O_RDWR, 0644)));
    if (fd == -EACCES || fd == -EPERM || fd == -EINVAL)
        fd = outcome(TEMP_FAILURE_RETRY(open(name, flags | O_WRONLY, 0644)));
    if (fd < 0 && !path)
        fd = outcome(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
    return fd;
}

static ssize_t sys_append(const struct backend_sys *sys, int fd, const void *data, size_t size,
                          int wait_ms)
{
    /* Asked before, for standard output may be a pipe that blocks: with room it takes PIPE_BUF. */
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    if (poll(&room, 1, wait_ms) == 0)
        return -EAGAIN;
    return outcome(TEMP_FAILURE_RETRY(write(fd, data, size)));
}

static int sys_seal(const struct backend_sys *sys, int fd)
{
    return outcome(TEMP_FAILURE_RETRY(
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)));
}

/* ---- Files of our own making ----------------------------------------------------------------- */

static int sys_make_directory(const struct backend_sys *sys, int directory_fd, const char *name)
{
    return outcome(mkdirat(directory_fd < 0 ? AT_FDCWD : directory_fd, name, 0755));
}

static int open_to_write(int directory_fd, const char *name, int more_flags, mode_t mode)
{
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | more_flags;
    const int base_fd = directory_fd < 0 ? AT_FDCWD : directory_fd;
    return outcome(TEMP_FAILURE_RETRY(openat(base_fd, name, flags, mode)));
}

static int sys_open_write(const struct backend_sys *sys, int directory_fd, const char *name,
                          bool is_emptied)
{
    return open_to_write(directory_fd, name, is_emptied ? O_TRUNC : 0, 0644);
}

static int sys_open_private(const struct backend_sys *sys, int directory_fd, const char *name,
                            bool is_emptied)
{
    return open_to_write(directory_fd, name, is_emptied ? O_TRUNC : 0, 0640);
}

static int sys_open_new(const struct backend_sys *sys, int directory_fd, const char *name)
{
    return open_to_write(directory_fd, name, O_EXCL, 0600);
}

/* copy_file_range(2) shares blocks where the file system can; between two file systems it is EXDEV,
 * and sendfile(2) moves pages: nobody else uses the position of `out_fd`. */
static ssize_t sys_copy(const struct backend_sys *sys, int in_fd, uint64_t in_offset, int out_fd,
                        uint64_t out_offset, size_t size)
{
    off64_t in_at = (off64_t)in_offset, out_at = (off64_t)out_offset;
    const ssize_t copied =
        outcome(TEMP_FAILURE_RETRY(copy_file_range(in_fd, &in_at, out_fd, &out_at, size, 0)));
    if (copied >= 0 || (copied != -EXDEV && copied != -EINVAL && copied != -ENOSYS &&
                        copied != -EOPNOTSUPP && copied != -EPERM))
        return copied;
    if (lseek(out_fd, (off_t)out_offset, SEEK_SET) < 0)
        return -errno;
    off_t from = (off_t)in_offset;
    return outcome(TEMP_FAILURE_RETRY(sendfile(out_fd, in_fd, &from, size)));
}

static int sys_resize(const struct backend_sys *sys, int fd, uint64_t size)
{
    return outcome(TEMP_FAILURE_RETRY(ftruncate(fd, (off_t)size)));
}

static int sys_resemble(const struct backend_sys *sys, int fd, int other_fd)
{
    struct stat stat;
    if (fstat(other_fd, &stat))
        return -errno;
    const mode_t rights =
        stat.st_mode & (S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH);
    const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, stat.st_mtim};
    const int error = outcome(fchmod(fd, rights));
    return error ? error : outcome(futimens(fd, times));
}

/* Some file systems (NFS, older FUSE ones) do not know RENAME_NOREPLACE: there we look first. */
static int sys_rename(const struct backend_sys *sys, int directory_fd, const char *from,
                      const char *to, bool may_replace)
{
    struct stat stat;
    if (may_replace)
        return outcome(renameat(directory_fd, from, directory_fd, to));
    const int error = outcome(renameat2(directory_fd, from, directory_fd, to, RENAME_NOREPLACE));
    if (error != -EINVAL && error != -ENOSYS)
        return error;
    if (fstatat(directory_fd, to, &stat, AT_SYMLINK_NOFOLLOW) == 0)
        return -EEXIST;
    return outcome(renameat(directory_fd, from, directory_fd, to));
}

static int sys_remove(const struct backend_sys *sys, int directory_fd, const char *name,
                      bool is_directory)
{
    return outcome(unlinkat(directory_fd, name, is_directory ? AT_REMOVEDIR : 0));
}

static int sys_lock(const struct backend_sys *sys, int fd)
{
    return outcome(TEMP_FAILURE_RETRY(flock(fd, LOCK_EX | LOCK_NB)));
}

/* ---- Files that are memory ------------------------------------------------------------------- */

/* glibc's call does by itself what a file system cannot: it then writes a byte into each block that
 * has none. */
static int sys_allocate(const struct backend_sys *sys, int fd, uint64_t size)
{
    ASSERT(size > 0 && size <= INT64_MAX);
    struct stat before;
    if (fstat(fd, &before))
        return -errno;
    int error;
    do
        error = posix_fallocate(fd, 0, (off_t)size);
    while (error == EINTR);
    /* What was allocated before the disk was full goes back; a failure has no more to tell. */
    if (error == ENOSPC && ftruncate(fd, before.st_size))
        return -ENOSPC;
    return -error;
}

static int sys_map_shared(const struct backend_sys *sys, int fd, size_t size, bool is_writable,
                          void **ret_data)
{
    ASSERT(size > 0);
    /* Private, as nobody else can have it: shared memory of no file has no large pages. */
    const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *data = mmap(NULL, size, is_writable ? PROT_READ | PROT_WRITE : PROT_READ, flags, fd, 0);
    if (data == MAP_FAILED)
        return -errno;
    *ret_data = data;
    return 0;
}

/* Adding 0 writes a page without a change to what another thread may be writing there. */
static void touch_pages(char *data, size_t size, bool is_writable)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t offset = 0; offset < size; offset += page)
        if (is_writable)
            __atomic_fetch_add(data + offset, 0, __ATOMIC_RELAXED);
        else
            (void)__atomic_load_n(data + offset, __ATOMIC_RELAXED);
}

static int sys_prefault(const struct backend_sys *sys, void *data, size_t size, bool is_writable)
{
    ASSERT((uintptr_t)data % (uintptr_t)sysconf(_SC_PAGESIZE) == 0);
    const int advice = is_writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    const int error = outcome(TEMP_FAILURE_RETRY(madvise(data, size, advice)));
    if (error != -EINVAL)
        return error;
    touch_pages(data, size, is_writable); /* a kernel before 5.14 */
    return 0;
}

static int sys_sync(const struct backend_sys *sys, int fd)
{
    return outcome(TEMP_FAILURE_RETRY(fdatasync(fd)));
}

/* Not made again when interrupted: Linux has freed the descriptor by then, and another thread may
 * have got it. */
static void sys_close(const struct backend_sys *sys, int fd)
{
    ASSERT(close(fd) == 0 || errno != EBADF);
}

void sys_linux_probe(struct backend_features *features)
{
    struct cachestat_range range = {0};
    struct cachestat_counts counts;
    features->cachestat = syscall(SYSCALL_CACHESTAT, -1, &range, &counts, 0) == 0 || errno == EBADF;
    const struct open_how how = {.resolve = RESOLVE_BENEATH};
    features->open_beneath =
        syscall(SYS_openat2, -1, "", &how, sizeof how) == 0 || (errno != ENOSYS && errno != EPERM);
}

static int64_t sys_wall_ns(const struct backend_sys *sys)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
}

static int64_t sys_thread_cpu_ns(const struct backend_sys *sys)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
}

const struct backend_sys backend_sys_linux = {
    .wall_ns = sys_wall_ns,
    .thread_cpu_ns = sys_thread_cpu_ns,
    .socket = sys_socket,
    .bind = sys_bind,
    .connect = sys_connect,
    .listen = sys_listen,
    .setsockopt = sys_setsockopt,
    .getsockopt = sys_getsockopt,
    .getsockname = sys_getsockname,
    .getpeername = sys_getpeername,
    .shutdown = sys_shutdown,
    .recv = sys_recv,
    .send = sys_send,
    .send_datagrams = sys_linux_send_datagrams,
    .receive_datagrams = sys_linux_receive_datagrams,
    .sent_stamps = sys_linux_sent_stamps,
    .pipe = sys_pipe,
    .read_now = sys_read_now,
    .resident = sys_resident,
    .open = sys_open,
    .stat = sys_stat,
    .stat_at = sys_stat_at,
    .read = sys_read,
    .readahead = sys_readahead,
    .list = sys_list,
    .create = sys_create,
    .map = sys_map,
    .unmap = sys_unmap,
    .write = sys_write,
    .open_append = sys_open_append,
    .append = sys_append,
    .seal = sys_seal,
    .make_directory = sys_make_directory,
    .open_write = sys_open_write,
    .open_private = sys_open_private,
    .open_new = sys_open_new,
    .copy = sys_copy,
    .resize = sys_resize,
    .resemble = sys_resemble,
    .rename = sys_rename,
    .remove = sys_remove,
    .lock = sys_lock,
    .allocate = sys_allocate,
    .map_shared = sys_map_shared,
    .prefault = sys_prefault,
    .sync = sys_sync,
    .close = sys_close,
};
