/* SPDX-License-Identifier: MIT */
/*
 * What Landlock leaves of the network and of files, seen by a child that was confined: nothing that
 * is given up comes back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

enum { SEEN_NO_LANDLOCK = 100 };

static int listen_somewhere(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* 0 or errno. */
static int try_connect(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int error = connect(fd, (const struct sockaddr *)&address, sizeof address) ? errno : 0;
    close(fd);
    return error;
}

static int try_read(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const int error = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return error;
}

/* What `look` returns in a confined child. */
static int look_confined(struct sandbox_options *options, int (*look)(void *user), void *user)
{
    int status;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char text[SANDBOX_TEXT_SIZE];
        options->program = "/proc/self/exe";
        const int result = sandbox_enter(options, text);
        _exit(result == 1 && strstr(text, "landlock") ? look(user) : SEEN_NO_LANDLOCK);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SEEN_NO_LANDLOCK)
        skip();
    return WEXITSTATUS(status);
}

struct ports {
    uint16_t allowed, other;
};

static int look_at_ports(void *user)
{
    const struct ports *ports = user;
    if (try_connect(ports->allowed) != 0)
        return 1;
    return try_connect(ports->other) == EACCES ? 0 : 2;
}

static void test_only_the_ports_named_are_connected_to(void **state)
{
    struct ports ports;
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 4) /* the version: Linux 6.7 */
        skip();
    const int allowed = listen_somewhere(&ports.allowed), other = listen_somewhere(&ports.other);
    struct sandbox_options options = {.port_count = 1, .ports = {ports.allowed}};
    assert_int_equal(try_connect(ports.other), 0);
    assert_int_equal(look_confined(&options, look_at_ports, &ports), 0);
    close(allowed);
    close(other);
}

static int look_at_names(void *user)
{
    const bool *resolves_names = user;
    const int expected = *resolves_names ? 0 : EACCES;
    if (try_read("/etc/hosts") != expected)
        return 1;
    return try_read("/etc/passwd") == EACCES ? 0 : 2;
}

static void test_who_resolves_names_reads_hosts_and_no_more(void **state)
{
    if (try_read("/etc/hosts") != 0)
        skip();
    for (int turn = 0; turn < 2; turn++) {
        bool resolves_names = turn == 1;
        struct sandbox_options options = {.resolves_names = resolves_names};
        assert_int_equal(look_confined(&options, look_at_names, &resolves_names), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_ports_named_are_connected_to),
        cmocka_unit_test(test_who_resolves_names_reads_hosts_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
