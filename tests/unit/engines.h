/* SPDX-License-Identifier: MIT */
/*
 * What tests on real loops share: cmocka in the right order, and a body that runs once on each
 * engine this host grants. An engine that is refused is said, not passed over.
 */
#ifndef TESTS_UNIT_ENGINES_H
#define TESTS_UNIT_ENGINES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "leat/error.h"
#include "leat/fiber.h"
#include "leat/loop.h"
#include "loop/loop.h"

static inline struct leat_loop *make_loop(enum leat_engine engine)
{
    struct leat_loop *loop;
    const struct leat_loop_options options = {.engine = engine};
    assert_int_equal(leat_loop_create(&options, &loop), 0);
    return loop;
}

static inline bool is_engine_granted(enum leat_engine engine)
{
    struct leat_loop *loop;
    const struct leat_loop_options options = {.engine = engine};
    const int error = leat_loop_create(&options, &loop);
    if (error) {
        print_message("# this host refuses engine %d: %s\n", engine, leat_error_text(error));
        return false;
    }
    leat_loop_destroy(loop);
    return true;
}

static inline void on_each_engine(void (*body)(enum leat_engine engine))
{
    body(LEAT_ENGINE_EPOLL);
    if (is_engine_granted(LEAT_ENGINE_URING))
        body(LEAT_ENGINE_URING);
}

/* A cmocka test, test_`name`, of name_body(engine). */
#define ENGINE_TEST(name)                                                                          \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        on_each_engine(name##_body);                                                               \
    }

static inline void run_main_fiber(enum leat_engine engine, int (*main_fiber)(void *arg))
{
    const struct leat_loop_options options = {.engine = engine};
    assert_int_equal(leat_run(main_fiber, NULL, &options), 0);
}

/* A cmocka test, test_`name`, whose body is the main fiber name_fiber. */
#define FIBER_ENGINE_TEST(name)                                                                    \
    static void name##_body(enum leat_engine engine)                                               \
    {                                                                                              \
        run_main_fiber(engine, name##_fiber);                                                      \
    }                                                                                              \
    ENGINE_TEST(name)

#endif
