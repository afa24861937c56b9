/* SPDX-License-Identifier: MIT */
/*
 * Scopes: what they begin ends before they do.
 */
#include "run.h"

struct child {
    int64_t sleep_ns;
    int result, runs;
};

static void sleep_as_child(void *arg)
{
    struct child *child = arg;
    child->result = leat_sleep_until(child->sleep_ns);
    child->runs++;
}

static int join_body(void *unused)
{
    struct leat_scope scope;
    struct child children[5] = {0};
    leat_scope_init(&scope);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    for (int i = 0; i < 5; i++) {
        children[i].sleep_ns = leat_after_ms(5 - i);
        assert_int_equal(leat_spawn(&scope, sleep_as_child, &children[i], NULL), 0);
    }
    assert_int_equal(leat_scope_count(&scope), 5);
    assert_int_equal(children[0].runs, 0); /* soon, not at once */
    assert_int_equal(leat_scope_join(&scope, leat_after_ms(-1)), 0);
    assert_int_equal(leat_scope_count(&scope), 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(children[i].runs, 1);
        assert_int_equal(children[i].result, 0);
    }
    /* a scope that was joined may be used again */
    assert_int_equal(leat_spawn(&scope, sleep_as_child, &children[0], NULL), 0);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    assert_int_equal(children[0].runs, 2);
    /* passed, but there is nothing to wait for */
    assert_int_equal(leat_scope_join(&scope, 0), 0);
    leat_scope_fini(&scope);
    return 0;
}
FIBER_TEST(join)

static int fini_cancels_body(void *unused)
{
    struct leat_scope scope;
    struct child children[3];
    leat_scope_init(&scope);
    for (int i = 0; i < 3; i++) {
        children[i] = (struct child){.sleep_ns = LEAT_FOREVER};
        assert_int_equal(leat_spawn(&scope, sleep_as_child, &children[i], NULL), 0);
    }
    assert_int_equal(leat_scope_join(&scope, leat_after_ms(1)), -ETIMEDOUT);
    assert_int_equal(leat_scope_join(&scope, 0), -ETIMEDOUT);
    assert_int_equal(leat_scope_count(&scope), 3);
    leat_scope_fini(&scope);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(children[i].runs, 1);
        assert_int_equal(children[i].result, -ECANCELED);
    }
    return 0;
}
FIBER_TEST(fini_cancels)

static int spawn_after_cancel_body(void *unused)
{
    struct leat_scope scope;
    struct child child = {0};
    leat_scope_init(&scope);
    leat_scope_cancel(&scope);
    leat_scope_cancel(&scope);
    assert_int_equal(leat_spawn(&scope, sleep_as_child, &child, NULL), -ECANCELED);
    assert_int_equal(leat_scope_count(&scope), 0);
    leat_scope_fini(&scope);
    assert_int_equal(child.runs, 0);
    return 0;
}
FIBER_TEST(spawn_after_cancel)

/* A cancel goes down a tree of scopes by the code itself: each join returns, each fini cancels. */
struct node {
    int depth, *ret_ended;
    int join_result;
};

static void grow(void *arg)
{
    struct node *node = arg;
    struct leat_scope scope;
    struct node children[2];
    leat_scope_init(&scope);
    for (int i = 0; i < 2 && node->depth > 0; i++) {
        children[i] = (struct node){.depth = node->depth - 1, .ret_ended = node->ret_ended};
        assert_int_equal(leat_spawn(&scope, grow, &children[i], NULL), 0);
    }
    if (node->depth == 0)
        node->join_result = leat_sleep_until(LEAT_FOREVER);
    else
        node->join_result = leat_scope_join(&scope, LEAT_FOREVER);
    leat_scope_fini(&scope);
    for (int i = 0; i < 2 && node->depth > 0; i++)
        assert_int_equal(children[i].join_result, -ECANCELED);
    ++*node->ret_ended;
}

static int nested_body(void *unused)
{
    struct leat_scope scope;
    struct fiber_counters counters;
    int ended = 0;
    struct node root = {.depth = 5, .ret_ended = &ended};
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, grow, &root, NULL), 0);
    assert_int_equal(leat_sleep_ms(2), 0);
    fiber_counters_read(leat_loop_current(), &counters);
    assert_int_equal(counters.fibers, 1 + 63);
    assert_int_equal(ended, 0);
    leat_scope_cancel(&scope);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    assert_int_equal(root.join_result, -ECANCELED);
    assert_int_equal(ended, 63);
    leat_scope_fini(&scope);
    return 0;
}
FIBER_TEST(nested)

/* fini waits to the end although its caller is cancelled meanwhile. */
static void take_time_to_end(void *arg)
{
    assert_int_equal(leat_sleep_until(LEAT_FOREVER), -ECANCELED);
    leat_shield_begin(leat_after_ms(1000));
    assert_int_equal(leat_sleep_ms(5), 0);
    leat_shield_end();
    *(int *)arg = 1;
}

static void fini_uninterrupted(void *arg)
{
    struct leat_scope scope;
    int *ret_ended = arg, child_ended = 0;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, take_time_to_end, &child_ended, NULL), 0);
    assert_int_equal(leat_yield(), 0);
    leat_scope_fini(&scope);
    assert_true(leat_is_cancelled());
    assert_int_equal(child_ended, 1);
    *ret_ended = 1;
}

static int fini_body(void *unused)
{
    struct leat_scope scope;
    int ended = 0;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, fini_uninterrupted, &ended, NULL), 0);
    assert_int_equal(leat_sleep_ms(2), 0);
    leat_scope_cancel(&scope);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    assert_int_equal(ended, 1);
    leat_scope_fini(&scope);
    return 0;
}
FIBER_TEST(fini)

/* The last child ends between the cancel of who joins and its next step: a join that succeeded. */
struct race {
    struct fiber *child;
    int join_result;
};

static void wake_child(void *user)
{
    fiber_wake(user);
}

static void wait_as_child(void *arg)
{
    struct race *race = arg;
    race->child = fiber_current();
    (void)fiber_park(LEAT_FOREVER, wake_child, race->child);
}

static void join_child(void *arg)
{
    struct race *race = arg;
    struct leat_scope scope;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, wait_as_child, race, NULL), 0);
    race->join_result = leat_scope_join(&scope, LEAT_FOREVER);
    assert_true(leat_is_cancelled());
    leat_scope_fini(&scope);
}

static int join_race_body(void *unused)
{
    for (int order = 0; order < 2; order++) {
        struct leat_scope scope;
        struct race race = {.join_result = 1};
        leat_scope_init(&scope);
        assert_int_equal(leat_spawn(&scope, join_child, &race, NULL), 0);
        assert_int_equal(leat_sleep_ms(1), 0);
        if (order == 0)
            fiber_wake(race.child);
        leat_scope_cancel(&scope);
        leat_scope_fini(&scope);
        assert_int_equal(race.join_result, order == 0 ? 0 : -ECANCELED);
    }
    return 0;
}
FIBER_TEST(join_race)

/* A child may spawn siblings; a stack size of one's own; a name or none. */
static void spawn_sibling(void *arg)
{
    struct leat_scope *scope = arg;
    static int generation;
    if (++generation < 10)
        assert_int_equal(leat_spawn(scope, spawn_sibling, scope,
                                    &(struct leat_fiber_options){.stack_size = 20000}),
                         0);
}

static int siblings_body(void *unused)
{
    struct leat_scope scope;
    struct fiber_counters counters;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, spawn_sibling, &scope, NULL), 0);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    leat_scope_fini(&scope);
    fiber_counters_read(leat_loop_current(), &counters);
    assert_int_equal(counters.spawned, 11);
    assert_in_range(counters.fibers_peak, 2, 3);
    assert_int_equal(counters.stacks_cached, 1);
    return 0;
}
FIBER_TEST(siblings)

/* Outside of any fiber: spawned there, run by the loop. */
static void test_outside(void **state)
{
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    struct leat_loop *loop = NULL;
    struct leat_scope scope;
    struct child child = {0};
    assert_int_equal(leat_loop_create(&options, &loop), 0);
    leat_scope_init(&scope);
    assert_false(leat_is_cancelled());
    assert_int_equal(leat_spawn(&scope, sleep_as_child, &child, NULL), 0);
    assert_int_equal(child.runs, 0);
    assert_int_equal(leat_loop_run_once(loop, 0), 0);
    assert_int_equal(child.runs, 1);
    child.sleep_ns = LEAT_FOREVER;
    assert_int_equal(leat_spawn(&scope, sleep_as_child, &child, NULL), 0);
    assert_int_equal(leat_loop_run_once(loop, 0), 0);
    assert_int_equal(leat_scope_count(&scope), 1);
    leat_scope_cancel(&scope);
    assert_int_equal(leat_scope_count(&scope), 1);
    assert_int_equal(leat_loop_run_once(loop, 0), 0);
    assert_int_equal(leat_scope_count(&scope), 0);
    leat_scope_fini(&scope);
    leat_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_fini_cancels),
        cmocka_unit_test(test_spawn_after_cancel),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_fini),
        cmocka_unit_test(test_join_race),
        cmocka_unit_test(test_siblings),
        cmocka_unit_test(test_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
