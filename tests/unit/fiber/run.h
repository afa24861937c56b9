/* SPDX-License-Identifier: MIT */
/*
 * What the tests of fibers share: cmocka in the right order, and a test body that runs as the main
 * fiber of a loop. The engine does not matter here (the conformance table compares engines), so the
 * one is taken that runs everywhere, under Valgrind too.
 */
#ifndef TESTS_UNIT_FIBER_RUN_H
#define TESTS_UNIT_FIBER_RUN_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "fiber/fiber.h"
#include "fiber/sanitize.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "leat/loop.h"

#if defined(SANITIZE_TSAN)
enum { FIBERS_MANY = 1000 }; /* it knows 8,128 threads, and a fiber is one to it */
#else
enum { FIBERS_MANY = 10000 };
#endif

static inline void run_fiber(int (*main_fiber)(void *arg), void *arg)
{
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    assert_int_equal(leat_run(main_fiber, arg, &options), 0);
}

/* A cmocka test, test_`name`, whose body is the main fiber `name`_body. */
#define FIBER_TEST(name)                                                                           \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        run_fiber(name##_body, NULL);                                                              \
    }

#endif
