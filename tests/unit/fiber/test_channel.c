/* SPDX-License-Identifier: MIT */
/*
 * Channels: order, limits, closing, and leaving the line early.
 */
#include "run.h"

enum { ITEMS = 100 };

struct end {
    struct leat_channel *channel;
    int first, count, result;
    int64_t deadline_ns;
    int sum, last;
};

static void send_items(void *arg)
{
    struct end *end = arg;
    for (int i = 0; i < end->count; i++) {
        const int item = end->first + i;
        end->result = leat_channel_send(end->channel, &item, end->deadline_ns);
        if (end->result != 0)
            return;
        end->last = item;
    }
}

static void recv_items(void *arg)
{
    struct end *end = arg;
    int item;
    while ((end->result = leat_channel_recv(end->channel, &item, end->deadline_ns)) == 0) {
        assert_true(item > end->last);
        end->last = item;
        end->sum++;
    }
}

static int order_body(void *unused)
{
    static const size_t capacities[] = {0, 1, 2, 7, ITEMS, 1000};
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        struct leat_scope scope;
        struct leat_channel *channel = NULL;
        assert_int_equal(leat_channel_create(sizeof(int), capacities[i], &channel), 0);
        struct end from = {.channel = channel, .count = ITEMS, .deadline_ns = LEAT_FOREVER};
        struct end to = {.channel = channel, .last = -1, .deadline_ns = LEAT_FOREVER};
        leat_scope_init(&scope);
        assert_int_equal(leat_spawn(&scope, recv_items, &to, NULL), 0);
        send_items(&from);
        assert_int_equal(from.result, 0);
        leat_channel_close(channel);
        assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
        leat_scope_fini(&scope);
        assert_int_equal(to.result, -LEAT_E_CLOSED);
        assert_int_equal(to.sum, ITEMS);
        leat_channel_destroy(channel);
    }
    return 0;
}
FIBER_TEST(order)

/* Without room a send returns when its receiver has the item, and not before. */
static int handover_body(void *unused)
{
    struct leat_scope scope;
    struct leat_channel *channel = NULL;
    int item = 0;
    assert_int_equal(leat_channel_create(sizeof(int), 0, &channel), 0);
    struct end from = {
        .channel = channel, .first = 5, .count = 2, .deadline_ns = LEAT_FOREVER, .last = -1};
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, send_items, &from, NULL), 0);
    assert_int_equal(leat_sleep_ms(1), 0);
    assert_int_equal(from.last, -1);
    assert_int_equal(leat_channel_recv(channel, &item, LEAT_FOREVER), 0);
    assert_int_equal(item, 5);
    assert_int_equal(leat_sleep_ms(1), 0);
    assert_int_equal(from.last, 5);
    assert_int_equal(leat_channel_recv(channel, &item, LEAT_FOREVER), 0);
    assert_int_equal(item, 6);
    leat_scope_fini(&scope);
    assert_int_equal(from.last, 6);
    leat_channel_destroy(channel);
    return 0;
}
FIBER_TEST(handover)

/* The limit is a limit; a deadline that has passed is a try. */
static int try_body(void *unused)
{
    struct leat_channel *channel = NULL;
    int item = 1;
    assert_int_equal(leat_channel_create(sizeof(int), 2, &channel), 0);
    assert_int_equal(leat_channel_recv(channel, &item, 0), -ETIMEDOUT);
    assert_int_equal(item, 1);
    assert_int_equal(leat_channel_send(channel, &item, 0), 0);
    item = 2;
    assert_int_equal(leat_channel_send(channel, &item, 0), 0);
    item = 3;
    assert_int_equal(leat_channel_send(channel, &item, 0), -ETIMEDOUT);
    assert_int_equal(leat_channel_send(channel, &item, leat_after_ms(2)), -ETIMEDOUT);
    assert_int_equal(leat_channel_recv(channel, &item, 0), 0);
    assert_int_equal(item, 1);
    assert_int_equal(leat_channel_recv(channel, &item, LEAT_FOREVER), 0);
    assert_int_equal(item, 2);
    assert_int_equal(leat_channel_recv(channel, &item, leat_after_ms(2)), -ETIMEDOUT);
    leat_channel_destroy(channel);
    return 0;
}
FIBER_TEST(try)

/* First come, first served, and who left the line is not served. */
static int line_body(void *unused)
{
    struct leat_scope scope, leaving_scope;
    struct leat_channel *channel = NULL;
    int item = 0;
    assert_int_equal(leat_channel_create(sizeof(int), 1, &channel), 0);
    struct end senders[5];
    leat_scope_init(&scope);
    leat_scope_init(&leaving_scope);
    for (int i = 0; i < 5; i++) {
        senders[i] = (struct end){
            .channel = channel, .first = i, .count = 1, .deadline_ns = LEAT_FOREVER, .last = -1};
        if (i == 3)
            senders[i].deadline_ns = leat_after_ms(2);
        assert_int_equal(
            leat_spawn(i == 2 ? &leaving_scope : &scope, send_items, &senders[i], NULL), 0);
    }
    assert_int_equal(leat_sleep_ms(5), 0);
    leat_scope_fini(&leaving_scope);
    assert_int_equal(senders[0].last, 0);
    assert_int_equal(senders[1].last, -1);
    assert_int_equal(senders[2].result, -ECANCELED);
    assert_int_equal(senders[3].result, -ETIMEDOUT);
    static const int expected[] = {0, 1, 4};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(leat_channel_recv(channel, &item, LEAT_FOREVER), 0);
        assert_int_equal(item, expected[i]);
    }
    assert_int_equal(leat_channel_recv(channel, &item, 0), -ETIMEDOUT);
    leat_scope_fini(&scope);
    leat_channel_destroy(channel);
    return 0;
}
FIBER_TEST(line)

static int close_body(void *unused)
{
    struct leat_scope scope;
    struct leat_channel *full = NULL, *empty = NULL;
    int item = 7;
    assert_int_equal(leat_channel_create(sizeof(int), 1, &full), 0);
    assert_int_equal(leat_channel_create(sizeof(int), 1, &empty), 0);
    struct end senders[2], receivers[2];
    leat_scope_init(&scope);
    assert_int_equal(leat_channel_send(full, &item, 0), 0);
    for (int i = 0; i < 2; i++) {
        senders[i] = (struct end){.channel = full, .count = 1, .deadline_ns = LEAT_FOREVER};
        receivers[i] = (struct end){.channel = empty, .deadline_ns = LEAT_FOREVER};
        assert_int_equal(leat_spawn(&scope, send_items, &senders[i], NULL), 0);
        assert_int_equal(leat_spawn(&scope, recv_items, &receivers[i], NULL), 0);
    }
    assert_int_equal(leat_yield(), 0);
    leat_channel_close(full);
    leat_channel_close(empty);
    leat_channel_close(empty);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(senders[i].result, -LEAT_E_CLOSED);
        assert_int_equal(receivers[i].result, -LEAT_E_CLOSED);
    }
    assert_int_equal(leat_channel_send(full, &item, LEAT_FOREVER), -LEAT_E_CLOSED);
    item = 0;
    assert_int_equal(leat_channel_recv(full, &item, LEAT_FOREVER), 0); /* was queued */
    assert_int_equal(item, 7);
    assert_int_equal(leat_channel_recv(full, &item, LEAT_FOREVER), -LEAT_E_CLOSED);
    leat_scope_fini(&scope);
    leat_channel_destroy(full);
    leat_channel_destroy(empty);
    return 0;
}
FIBER_TEST(close)

/* Items of no size are mere signals; sizes beyond memory are refused. */
static int sizes_body(void *unused)
{
    struct leat_channel *channel = NULL;
    assert_int_equal(leat_channel_create(0, 3, &channel), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(leat_channel_send(channel, NULL, 0), 0);
    assert_int_equal(leat_channel_send(channel, NULL, 0), -ETIMEDOUT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(leat_channel_recv(channel, NULL, 0), 0);
    leat_channel_destroy(channel);
    channel = NULL;
    assert_int_equal(leat_channel_create(SIZE_MAX / 2, 3, &channel), -ENOMEM);
    assert_int_equal(leat_channel_create(SIZE_MAX, 1, &channel), -ENOMEM);
    assert_null(channel);
    leat_channel_destroy(NULL);
    return 0;
}
FIBER_TEST(sizes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order), cmocka_unit_test(test_handover), cmocka_unit_test(test_try),
        cmocka_unit_test(test_line),  cmocka_unit_test(test_close),    cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
