/* SPDX-License-Identifier: MIT */
/*
 * What a process asks of its host: short turns are this thread's alone, and change no priority.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loop/process.h"

/* The turn this thread is given, in ns; 0: the kernel does not say. */
static uint64_t turn_ns(void)
{
    uint64_t attributes[6] = {0}; /* struct sched_attr; [3] is sched_runtime */
    if (syscall(SYS_sched_getattr, 0, attributes, sizeof attributes, 0) != 0)
        return 0;
    return attributes[3];
}

static void *look(void *turn)
{
    *(uint64_t *)turn = turn_ns();
    return NULL;
}

static void short_turns_are_not_inherited(void **state)
{
    const uint64_t before = turn_ns();
    const int nice = getpriority(PRIO_PROCESS, 0), policy = sched_getscheduler(0);
    uint64_t child = 0;
    pthread_t thread;
    const int error = process_ask_short_turns();
    if (error) { /* an old kernel, or a container that refuses it: nothing has changed */
        print_message("# %s\n", strerror(-error));
        assert_int_equal(turn_ns(), before);
        return;
    }
    assert_int_equal(getpriority(PRIO_PROCESS, 0), nice);
    assert_int_equal(sched_getscheduler(0) & ~SCHED_RESET_ON_FORK, policy);
    assert_int_equal(pthread_create(&thread, NULL, look, &child), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (before == 0) /* before Linux 6.12 it is taken and means nothing */
        return;
    assert_int_equal(turn_ns(), 100 * 1000);
    assert_int_equal(child, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(short_turns_are_not_inherited)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
