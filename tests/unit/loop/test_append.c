/* SPDX-License-Identifier: MIT */
/*
 * Appending, on real descriptors: to files that several have open, to a full disk, to a FIFO that
 * nobody reads, to standard output whatever that is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/backend.h"

static const struct backend_sys *const sys = &backend_sys_linux;
static char root[] = "/tmp/leat-append-XXXXXX";

static void appends_at_the_end(void **state)
{
    char path[sizeof root + 8], text[16] = "";
    snprintf(path, sizeof path, "%s/log", root);
    const int one = sys->open_append(sys, path), other = sys->open_append(sys, path);
    assert_true(one >= 0 && other >= 0);
    assert_int_equal(fcntl(one, F_GETFD), FD_CLOEXEC);
    assert_int_equal(sys->append(sys, one, "one\n", 4, 0), 4);
    assert_int_equal(sys->append(sys, other, "two\n", 4, 0), 4);
    assert_int_equal(sys->append(sys, one, "three\n", 6, 0), 6);
    assert_int_equal(sys->read(sys, one, text, sizeof text - 1, 0), 14);
    assert_string_equal(text, "one\ntwo\nthree\n");
    sys->close(sys, one);
    sys->close(sys, other);
    unlink(path);
    assert_int_equal(sys->open_append(sys, root), -EISDIR);
    const int full = sys->open_append(sys, "/dev/full");
    assert_true(full >= 0);
    assert_int_equal(sys->append(sys, full, "x", 1, 0), -ENOSPC);
    sys->close(sys, full);
}

/* Nobody reads: neither opening nor appending waits for that longer than it was told to. */
static void appends_to_a_fifo_without_hanging(void **state)
{
    enum { MORE_THAN_A_PIPE = 1 << 20 };
    char path[sizeof root + 8];
    snprintf(path, sizeof path, "%s/fifo", root);
    assert_int_equal(mkfifo(path, 0600), 0);
    const int fd = sys->open_append(sys, path);
    assert_true(fd >= 0);
    char *bytes = calloc(1, MORE_THAN_A_PIPE);
    assert_true(sys->append(sys, fd, bytes, MORE_THAN_A_PIPE, 0) > 0);
    assert_int_equal(sys->append(sys, fd, bytes, MORE_THAN_A_PIPE, 0), -EAGAIN);
    assert_int_equal(sys->append(sys, fd, bytes, MORE_THAN_A_PIPE, 20), -EAGAIN);
    free(bytes);
    sys->close(sys, fd);
    unlink(path);
}

/* The standard output of a child: a pipe, a socket, or nothing. */
static int append_to_stdout(int stdout_fd)
{
    const pid_t child = fork();
    if (child == 0) {
        close(STDOUT_FILENO);
        if (stdout_fd >= 0)
            dup2(stdout_fd, STDOUT_FILENO);
        const int fd = sys->open_append(sys, NULL);
        _exit(fd < 0 ? -fd : sys->append(sys, fd, "line\n", 5, 0) == 5 ? 0 : 99);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static void appends_to_standard_output(void **state)
{
    char text[8] = "";
    int pair[2];
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_int_equal(append_to_stdout(pair[1]), 0);
    assert_int_equal(fcntl(pair[1], F_GETFL) & O_NONBLOCK, 0); /* ours alone does not block */
    assert_int_equal(read(pair[0], text, sizeof text), 5);
    close(pair[0]);
    close(pair[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(append_to_stdout(pair[1]), 0);
    assert_int_equal(read(pair[0], text, sizeof text), 5);
    assert_string_equal(text, "line\n");
    close(pair[0]);
    close(pair[1]);
    assert_int_equal(append_to_stdout(-1), EBADF);
}

static int make_folder(void **state)
{
    return mkdtemp(root) ? 0 : -1;
}

static int remove_folder(void **state)
{
    return rmdir(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_at_the_end),
        cmocka_unit_test(appends_to_a_fifo_without_hanging),
        cmocka_unit_test(appends_to_standard_output),
    };
    return cmocka_run_group_tests_name("append", tests, make_folder, remove_folder);
}
