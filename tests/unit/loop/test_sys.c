/* SPDX-License-Identifier: MIT */
/*
 * The plain half of the door on a real file tree and real descriptors: what stays below its
 * directory, what does not hang, what is told of errors.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/backend.h"
#include "loop/sys_linux.h"

static const struct backend_sys *const sys = &backend_sys_linux;
static char root[] = "/tmp/leat-sys-XXXXXX";
static int root_fd;
static struct backend_features features;

static void write_file(const char *name, const char *text)
{
    const int fd = openat(root_fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int make_tree(void **state)
{
    assert_non_null(mkdtemp(root));
    root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(root_fd, "in", 0755), 0);
    assert_int_equal(mkdirat(root_fd, "in/sub", 0755), 0);
    write_file("secret", "secret");
    write_file("in/film", "0123456789");
    assert_int_equal(symlinkat("../secret", root_fd, "in/out"), 0);
    assert_int_equal(symlinkat("/etc/passwd", root_fd, "in/absolute"), 0);
    assert_int_equal(symlinkat("film", root_fd, "in/around"), 0);
    assert_int_equal(symlinkat("sub", root_fd, "in/folder"), 0);
    assert_int_equal(symlinkat("nothing", root_fd, "in/dangling"), 0);
    assert_int_equal(mkfifoat(root_fd, "in/fifo", 0644), 0);
    sys_linux_probe(&features);
    return 0;
}

static int remove_tree(void **state)
{
    static const char *const names[] = {"in/film",   "in/out",      "in/absolute", "in/around",
                                        "in/folder", "in/dangling", "in/fifo",     "secret"};
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++)
        unlinkat(root_fd, names[index], 0);
    unlinkat(root_fd, "in/sub", AT_REMOVEDIR);
    unlinkat(root_fd, "in", AT_REMOVEDIR);
    close(root_fd);
    return rmdir(root);
}

static int open_inside(void)
{
    const int fd = sys->open(sys, root_fd, "in", BACKEND_OPEN_DIRECTORY);
    assert_true(fd >= 0);
    return fd;
}

static void opens_read_only(void **state)
{
    const int fd = sys->open(sys, root_fd, "in/film", BACKEND_OPEN_FILE);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
    assert_int_equal(sys->write(sys, fd, "x", 1, 0), -EBADF);
    sys->close(sys, fd);
    assert_int_equal(sys->open(sys, root_fd, "in/none", BACKEND_OPEN_FILE), -ENOENT);
    assert_int_equal(sys->open(sys, root_fd, "in/film", BACKEND_OPEN_DIRECTORY), -ENOTDIR);
    /* Without BENEATH it is an ordinary open. */
    const int out_fd = sys->open(sys, root_fd, "in/out", BACKEND_OPEN_FILE);
    assert_true(out_fd >= 0);
    sys->close(sys, out_fd);
}

static void opens_a_fifo_without_hanging(void **state)
{
    alarm(10);
    const int fd = sys->open(sys, root_fd, "in/fifo", BACKEND_OPEN_FILE);
    alarm(0);
    assert_true(fd >= 0);
    struct backend_stat stat;
    assert_int_equal(sys->stat(sys, fd, &stat), 0);
    assert_false(stat.is_regular || stat.is_directory);
    char byte;
    assert_int_equal(sys->read(sys, fd, &byte, 1, 0), -ESPIPE);
    sys->close(sys, fd);
}

static void stays_beneath(void **state)
{
    const int inside_fd = open_inside();
    static const struct {
        const char *path;
        int error;
    } cases[] = {{"film", 0},
                 {"around", 0},
                 {"sub/../film", 0},
                 {"./film", 0},
                 {"out", -EXDEV},
                 {"../secret", -EXDEV},
                 {"sub/../../secret", -EXDEV},
                 {"folder/../../secret", -EXDEV},
                 {"absolute", -EXDEV},
                 {"/etc/passwd", -EXDEV},
                 {"dangling", -ENOENT},
                 {"", -ENOENT}};
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        const int fd = sys->open(sys, inside_fd, cases[index].path, BACKEND_OPEN_BENEATH);
        if (!features.open_beneath) {
            assert_int_equal(fd, -ENOSYS); /* honest: never a plain open instead */
            continue;
        }
        assert_int_equal(fd < 0 ? fd : 0, cases[index].error);
        if (fd >= 0)
            sys->close(sys, fd);
    }
    sys->close(sys, inside_fd);
}

static void tells_of_entries(void **state)
{
    const int inside_fd = open_inside();
    struct backend_stat stat, of_file;
    const int fd = sys->open(sys, inside_fd, "film", BACKEND_OPEN_FILE);
    assert_int_equal(sys->stat(sys, fd, &of_file), 0);
    assert_int_equal(sys->stat_at(sys, inside_fd, "film", &stat), 0);
    assert_true(stat.is_regular && stat.size == of_file.size && stat.inode == of_file.inode);
    assert_true(stat.mtime_ns == of_file.mtime_ns);
    assert_int_equal(sys->stat_at(sys, inside_fd, "sub", &stat), 0);
    assert_true(stat.is_directory);
    assert_int_equal(sys->stat_at(sys, inside_fd, "out", &stat), 0); /* a link out of it */
    assert_false(stat.is_directory || stat.is_regular);
    assert_int_equal(sys->stat_at(sys, inside_fd, "none", &stat), -ENOENT);
    assert_int_equal(sys->stat_at(sys, fd, "film", &stat), -ENOTDIR);
    sys->close(sys, fd);
    sys->close(sys, inside_fd);
}

static void tells_and_reads(void **state)
{
    const int fd = sys->open(sys, root_fd, "in/film", BACKEND_OPEN_FILE);
    struct backend_stat stat;
    char data[16];
    assert_int_equal(sys->stat(sys, fd, &stat), 0);
    assert_true(stat.is_regular);
    assert_false(stat.is_directory);
    assert_int_equal(stat.size, 10);
    assert_true(stat.mtime_ns > INT64_C(1500000000) * 1000000000);
    assert_int_equal(sys->read(sys, fd, data, sizeof data, 4), 6);
    assert_memory_equal(data, "456789", 6);
    assert_int_equal(sys->read(sys, fd, data, sizeof data, 10), 0);
    /* It has just been written: its page is there, where the file system can tell at all. */
    const ssize_t now = sys->read_now(sys, fd, data, 3, 7);
    if (now != -EOPNOTSUPP) {
        assert_int_equal(now, 3);
        assert_memory_equal(data, "789", 3);
    }
    assert_int_equal(sys->readahead(sys, fd, 0, 10), 0);
    sys->close(sys, fd);
    const int directory_fd = open_inside();
    assert_int_equal(sys->stat(sys, directory_fd, &stat), 0);
    assert_true(stat.is_directory);
    assert_int_equal(sys->read(sys, directory_fd, data, 1, 0), -EISDIR);
    sys->close(sys, directory_fd);
    const struct backend_stat before = stat;
    assert_int_equal(sys->stat(sys, -1, &stat), -EBADF);
    assert_memory_equal(&stat, &before, sizeof stat); /* untouched */
}

static void residency_is_in_bytes(void **state)
{
    enum { SIZE = 100000 };
    const int fd = sys->create(sys, "residency");
    char *data = calloc(1, SIZE);
    assert_true(fd >= 0);
    if (!features.cachestat) {
        assert_int_equal(sys->resident(sys, fd, 0, SIZE), -ENOSYS);
    } else {
        assert_int_equal(sys->resident(sys, fd, 0, SIZE), 0);
        assert_int_equal(sys->write(sys, fd, data, SIZE, 0), SIZE);
        assert_int_equal(sys->resident(sys, fd, 0, SIZE), SIZE); /* not whole pages */
        assert_int_equal(sys->resident(sys, fd, 5, 1), 1);
        assert_int_equal(sys->resident(sys, fd, 0, 0), 0); /* not the whole file */
        assert_int_equal(sys->resident(sys, -1, 0, 1), -EBADF);
    }
    free(data);
    sys->close(sys, fd);
}

struct listing {
    unsigned files, directories, limit;
    bool has_dots;
};

static bool list_entry(const char *name, bool is_directory, void *user)
{
    struct listing *listing = user;
    if (name[0] == '.')
        listing->has_dots = true;
    if (is_directory)
        listing->directories++;
    else
        listing->files++;
    return listing->files + listing->directories < listing->limit;
}

static void lists_directories(void **state)
{
    const int fd = open_inside();
    for (int round = 0; round < 2; round++) { /* from the beginning, each time */
        struct listing listing = {.limit = 100};
        assert_int_equal(sys->list(sys, fd, list_entry, &listing), 0);
        assert_int_equal(listing.directories, 2); /* sub, and folder, which leads to it */
        assert_int_equal(listing.files, 6);
        assert_false(listing.has_dots);
    }
    struct listing some = {.limit = 3};
    assert_int_equal(sys->list(sys, fd, list_entry, &some), 0);
    assert_int_equal(some.files + some.directories, 3);
    sys->close(sys, fd);
    const int file_fd = sys->open(sys, root_fd, "in/film", BACKEND_OPEN_FILE);
    assert_int_equal(sys->list(sys, file_fd, list_entry, &some), -ENOTDIR);
    sys->close(sys, file_fd);
}

static void maps_what_cannot_shrink(void **state)
{
    const int fd = sys->create(sys, "segment");
    const void *data = NULL;
    assert_true(fd >= 0);
    assert_int_equal(sys->write(sys, fd, "abcdef", 6, 0), 6);
    assert_int_equal(sys->seal(sys, fd), 0);
    assert_int_equal(sys->write(sys, fd, "x", 1, 0), -EPERM);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(sys->seal(sys, fd), -EPERM); /* once and for all */
    assert_int_equal(sys->map(sys, fd, 6, &data), 0);
    assert_memory_equal(data, "abcdef", 6);
    sys->close(sys, fd); /* the mapping stays */
    assert_memory_equal(data, "abcdef", 6);
    sys->unmap(sys, data, 6);
    data = NULL;
    assert_int_equal(sys->map(sys, -1, 6, &data), -EBADF);
    assert_null(data);
    sys->unmap(sys, NULL, 0);
}

static void pipes_of_any_size(void **state)
{
    static const size_t sizes[] = {1, 4096, 65536, 1024 * 1024, (size_t)1 << 40};
    for (size_t index = 0; index < sizeof sizes / sizeof sizes[0]; index++) {
        int fds[2] = {-1, -1};
        const ssize_t capacity = sys->pipe(sys, fds, sizes[index]);
        assert_true(capacity >= 4096); /* what the host grants; never a failure */
        assert_int_equal(capacity, fcntl(fds[0], F_GETPIPE_SZ));
        for (int end = 0; end < 2; end++) {
            assert_int_equal(fcntl(fds[end], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
            assert_int_equal(fcntl(fds[end], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
            close(fds[end]);
        }
    }
}

/* More than an unprivileged user may have: half is asked for until it is granted. */
static void pipe_without_privilege(void **state)
{
    if (geteuid() != 0)
        return;
    const pid_t child = fork();
    if (child == 0) {
        int fds[2];
        if (setuid(65534))
            _exit(2);
        const ssize_t capacity = sys->pipe(sys, fds, 512 * 1024 * 1024);
        _exit(capacity > 65536 ? 0 : 1); /* 1 MiB by default, and more than it was born with */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void sockets_do_not_wait(void **state)
{
    int fds[2];
    char data[8];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(sys->recv(sys, fds[0], data, sizeof data, false), -EAGAIN);
    const struct iovec vectors[] = {{"ab", 2}, {"cde", 3}};
    assert_int_equal(sys->send(sys, fds[1], vectors, 2, true), 5);
    assert_int_equal(sys->recv(sys, fds[0], data, sizeof data, true), 5);
    assert_int_equal(sys->recv(sys, fds[0], data, sizeof data, false), 5); /* peeked, not taken */
    assert_memory_equal(data, "abcde", 5);
    ssize_t sent;
    do {
        sent = sys->send(sys, fds[1], vectors, 2, false);
    } while (sent > 0);
    assert_int_equal(sent, -EAGAIN);
    close(fds[0]);
    assert_int_equal(sys->send(sys, fds[1], vectors, 2, false), -EPIPE); /* and no SIGPIPE */
    close(fds[1]);
    const int fd = sys->socket(sys, AF_INET, SOCK_STREAM, 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(sys->shutdown(sys, fd, SHUT_WR), -ENOTCONN);
    close(fd);
    assert_int_equal(sys->listen(sys, -1, 1), -EBADF);
}

static void makes_files_that_are_like_others(void **state)
{
    struct stat like;
    const int folder = sys->open(sys, -1, root, BACKEND_OPEN_DIRECTORY);
    const int other = sys->open_write(sys, folder, "other", true);
    assert_int_equal(fchmod(other, 04754), 0);
    const struct timespec times[2] = {{1, 2}, {1234567890, 987654321}};
    assert_int_equal(futimens(other, times), 0);
    const int fd = sys->open_new(sys, folder, "new");
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &like), 0);
    assert_int_equal(like.st_mode & 07777, 0600);
    assert_int_equal(sys->open_new(sys, folder, "new"), -EEXIST);
    assert_int_equal(symlinkat("nowhere", folder, "link"), 0);
    assert_int_equal(sys->open_new(sys, folder, "link"), -EEXIST);
    assert_int_equal(sys->resemble(sys, fd, other), 0);
    assert_int_equal(fstat(fd, &like), 0);
    assert_int_equal(like.st_mode & 07777, 0644); /* no program, and nobody's but its owner's */
    assert_int_equal(like.st_mtim.tv_sec, 1234567890);
    assert_int_equal(like.st_mtim.tv_nsec, 987654321);
    assert_int_equal(sys->resemble(sys, fd, -1), -EBADF);
    for (const char *const *name = (const char *const[]){"other", "new", "link", NULL}; *name;
         name++)
        assert_int_equal(sys->remove(sys, folder, *name, false), 0);
    close(fd);
    close(other);
    close(folder);
}

/* In a process of its own, with a file system of 1 MiB: 0, a line, or -1: not allowed here. */
static int fill_a_disk(void)
{
    enum { MIB = 1 << 20 };
    struct backend_stat stat;
    void *data;
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", root, "tmpfs", 0, "size=1m"))
        return -1;
    const int folder = sys->open(sys, -1, root, BACKEND_OPEN_DIRECTORY);
    const int fd = sys->open_private(sys, folder, "log", false);
    if (folder < 0 || fd < 0 || sys->write(sys, fd, "begun", 5, 0) != 5)
        return __LINE__;
    if (sys->allocate(sys, fd, 3 * MIB) != -ENOSPC || sys->stat(sys, fd, &stat) || stat.size != 5)
        return __LINE__;
    /* It gave back what it had taken: the next one finds room. */
    if (sys->allocate(sys, fd, MIB / 2) || sys->stat(sys, fd, &stat) || stat.size != MIB / 2)
        return __LINE__;
    if (sys->map_shared(sys, fd, MIB / 2, true, &data) || memcmp(data, "begun", 6) != 0)
        return __LINE__;
    memset(data, 1, MIB / 2); /* SIGBUS, if it had no room */
    if (sys->sync(sys, fd) || sys->sync(sys, folder))
        return __LINE__;
    /* Touching what lies behind the end would be SIGBUS; asking for it is not. */
    if (sys->resize(sys, fd, 4096) || sys->prefault(sys, data, MIB / 2, true) != -EFAULT)
        return __LINE__;
    sys->unmap(sys, data, MIB / 2);
    struct stat mode;
    return fstat(fd, &mode) || (mode.st_mode & 07) ? __LINE__ : 0;
}

static void allocates_or_says_that_the_disk_is_full(void **state)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        const int line = fill_a_disk();
        if (line > 0)
            fprintf(stderr, "# failed at line %d\n", line);
        _exit(line < 0 ? 77 : line > 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("# skipped: no file system may be mounted here\n");
        return;
    }
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_read_only),
        cmocka_unit_test(opens_a_fifo_without_hanging),
        cmocka_unit_test(stays_beneath),
        cmocka_unit_test(tells_of_entries),
        cmocka_unit_test(tells_and_reads),
        cmocka_unit_test(residency_is_in_bytes),
        cmocka_unit_test(lists_directories),
        cmocka_unit_test(maps_what_cannot_shrink),
        cmocka_unit_test(pipes_of_any_size),
        cmocka_unit_test(pipe_without_privilege),
        cmocka_unit_test(sockets_do_not_wait),
        cmocka_unit_test(makes_files_that_are_like_others),
        cmocka_unit_test(allocates_or_says_that_the_disk_is_full),
    };
    return cmocka_run_group_tests_name("sys", tests, make_tree, remove_tree);
}
