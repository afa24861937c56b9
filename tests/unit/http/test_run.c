/* SPDX-License-Identifier: MIT */
/*
 * A server in one call, with the kernel's own sockets and signals: what it answers, how it ends,
 * and why it does not begin. tests/examples/drive.py does the same from outside, with many threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "leat/leat.h"

struct test {
    pthread_t client;
    struct leat_address address;
    char answer[512];
};

static void hello(struct leat_http_request *request, struct leat_http_response *response,
                  void *user)
{
    leat_http_reply_text(response, 200, "hello %s", leat_http_param(request, "name"));
}

static const char request_text[] = "GET /hello/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/* Asks, and ends the server; its thread has the signals blocked as its maker had. */
static void *ask(void *arg)
{
    struct test *test = arg;
    const int fd = socket(leat_address_family(&test->address), SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t size = 0;
    if (connect(fd, &test->address.base, test->address.size) == 0 &&
        send(fd, request_text, strlen(request_text), 0) > 0)
        for (ssize_t got;
             (got = recv(fd, test->answer + size, sizeof test->answer - 1 - size, 0)) > 0;)
            size += (size_t)got;
    close(fd);
    kill(getpid(), SIGTERM);
    return NULL;
}

static void on_listening(const struct leat_address *address, void *user)
{
    struct test *test = user;
    test->address = *address;
    assert_int_equal(pthread_create(&test->client, NULL, ask, test), 0);
}

static sigset_t mask(void)
{
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    return set;
}

static void run_at(const char *address, unsigned threads, enum leat_engine engine)
{
    struct test test = {0};
    struct leat_http_router *router = leat_http_router_create();
    leat_http_get(router, "/hello/{name}", hello, NULL);
    const struct leat_http_run_options options = {
        .threads = threads,
        .loop.engine = engine,
        .on_listening = on_listening,
        .user = &test,
    };
    assert_int_equal(leat_http_run(router, address, &options), 0);
    pthread_join(test.client, NULL);
    assert_memory_equal(test.answer, "HTTP/1.1 200 OK\r\n", 17);
    assert_string_equal(strstr(test.answer, "\r\n\r\n"), "\r\n\r\nhello x");
    assert_null(leat_loop_current());
    const sigset_t after = mask();
    assert_false(sigismember(&after, SIGTERM) || sigismember(&after, SIGINT));
    leat_http_router_destroy(router);
}

static void test_serves_until_a_signal(void **state)
{
    for (unsigned threads = 1; threads <= 4; threads++)
        run_at("127.0.0.1:0", threads, LEAT_ENGINE_EPOLL);
    run_at("127.0.0.1:0", 0, LEAT_ENGINE_AUTO);
    run_at("[::1]:0", 2, LEAT_ENGINE_AUTO);
}

static void test_unix_sockets_are_shared_and_removed(void **state)
{
    char address[64];
    snprintf(address, sizeof address, "unix:/tmp/leat-test-run-%d", (int)getpid());
    for (unsigned threads = 1; threads <= 3; threads++) {
        run_at(address, threads, LEAT_ENGINE_AUTO);
        assert_int_equal(access(address + strlen("unix:"), F_OK), -1);
    }
    snprintf(address, sizeof address, "unix:@leat-test-run-%d", (int)getpid());
    run_at(address, 2, LEAT_ENGINE_AUTO);
}

static void expect_error(struct leat_http_router *router, const char *address, unsigned threads,
                         int error)
{
    const struct leat_http_run_options options = {.threads = threads};
    assert_int_equal(leat_http_run(router, address, &options), error);
    assert_null(leat_loop_current());
    const sigset_t after = mask();
    assert_false(sigismember(&after, SIGTERM));
}

static void test_why_it_does_not_begin(void **state)
{
    struct leat_http_router *router = leat_http_router_create();
    leat_http_get(router, "/", hello, NULL);
    expect_error(NULL, "127.0.0.1:0", 1, -ENOMEM);
    expect_error(router, "localhost", 1, -EINVAL);
    expect_error(router, "192.0.2.1:0", 1, -EADDRNOTAVAIL);
    expect_error(router, "192.0.2.1:0", 3, -EADDRNOTAVAIL);
    expect_error(router, "unix:/nobody/has/this", 2, -ENOENT);

    /* Who listens with SO_REUSEPORT is not joined. */
    const int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct leat_address taken;
    char text[LEAT_ADDRESS_TEXT_SIZE];
    assert_int_equal(leat_address_parse("127.0.0.1:0", &taken, NULL), 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    assert_int_equal(bind(fd, &taken.base, taken.size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, &taken.base, &taken.size), 0);
    leat_address_format(&taken, text);
    expect_error(router, text, 1, -EADDRINUSE);
    expect_error(router, text, 2, -EADDRINUSE);
    close(fd);

    /* A thread that has a loop is the loop's. */
    struct leat_loop *loop;
    assert_int_equal(leat_loop_create(NULL, &loop), 0);
    const struct leat_http_run_options options = {.threads = 2};
    assert_int_equal(leat_http_run(router, "127.0.0.1:0", &options), -EEXIST);
    leat_loop_destroy(loop);

    assert_int_equal(leat_http_get(router, "no-slash", hello, NULL), -EINVAL);
    expect_error(router, "127.0.0.1:0", 1, -EINVAL);
    leat_http_router_destroy(router);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serves_until_a_signal),
        cmocka_unit_test(test_unix_sockets_are_shared_and_removed),
        cmocka_unit_test(test_why_it_does_not_begin),
    };
    return cmocka_run_group_tests_name("http/run", tests, NULL, NULL);
}
