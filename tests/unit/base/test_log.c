/* SPDX-License-Identifier: MIT */
/* The debug log: silent and unevaluated while nobody listens, one line a call, cut at its size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/log.h"

struct listener {
    char last[LEAT_LOG_LINE_SIZE];
    size_t size, count;
};

static void listen_to(const char *line, size_t size, void *user)
{
    struct listener *listener = user;
    assert_true(size < sizeof listener->last);
    memcpy(listener->last, line, size + 1);
    listener->size = size;
    listener->count++;
}

static int evaluations;

static int evaluated(void)
{
    return ++evaluations;
}

static void nobody_listens(void **state)
{
    struct listener listener = {0};
    evaluations = 0;
    LOG_DEBUG("%d", evaluated());
    assert_int_equal(evaluations, 0);
    leat_log_set(listen_to, &listener);
    LOG_DEBUG("fd %d: %s", evaluated(), "closed");
    assert_int_equal(listener.count, 1);
    assert_string_equal(listener.last, "fd 1: closed");
    assert_int_equal(listener.size, strlen("fd 1: closed"));
    leat_log_set(NULL, NULL);
    LOG_DEBUG("%d", evaluated());
    assert_int_equal(listener.count, 1);
    assert_int_equal(evaluations, 1);
}

static void a_line_is_one_line_and_bounded(void **state)
{
    struct listener listener = {0};
    leat_log_set(listen_to, &listener);
    LOG_DEBUG("%s", "a\r\nb\x1b[31m\x7f");
    assert_string_equal(listener.last, "a??b?[31m?");
    char text[LEAT_LOG_LINE_SIZE + 10];
    memset(text, 'x', sizeof text);
    for (size_t size = LEAT_LOG_LINE_SIZE - 3; size < LEAT_LOG_LINE_SIZE + 3; size++) {
        LOG_DEBUG("%.*s", (int)size, text);
        const size_t most = LEAT_LOG_LINE_SIZE - 1;
        assert_int_equal(listener.size, size < most ? size : most);
        assert_int_equal(strlen(listener.last), listener.size);
    }
    leat_log_set(NULL, NULL);
}

static void *log_often(void *arg)
{
    for (int i = 0; i < 1000; i++)
        LOG_DEBUG("line %d", i);
    return arg;
}

/* The counter in the listener is plain: calls that overlapped would lose some; TSan would tell. */
static void one_call_at_a_time(void **state)
{
    struct listener listener = {0};
    leat_log_set(listen_to, &listener);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_often, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(listener.count, 3000);
    leat_log_set(NULL, NULL);
}

/* Once leat_log_set has returned, what it replaced may go away, whatever other threads do. */
static void the_previous_one_is_let_go(void **state)
{
    pthread_t thread;
    struct listener *listener = calloc(1, sizeof *listener);
    leat_log_set(listen_to, listener);
    assert_int_equal(pthread_create(&thread, NULL, log_often, NULL), 0);
    leat_log_set(NULL, NULL);
    free(listener);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(a_line_is_one_line_and_bounded),
        cmocka_unit_test(one_call_at_a_time),
        cmocka_unit_test(the_previous_one_is_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
