/* SPDX-License-Identifier: MIT */
/*
 * Recovery: what is missing is what was missed and has not come, at every time; it is asked for
 * when it is due, again after longer and longer, piece by piece, and given up in the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "feed/recovery.h"

enum { MS = 1000000, WINDOW = MS / 2, REQUEST = 20 * MS, TRIES = 8 };

static struct recovery recovery;
static struct recovery_requests requests;

static void open_recovery(unsigned tries)
{
    const struct recovery_options options = {.ranges_max = 100 + RECOVERY_RANGES_EXTRA,
                                             .window_ns = WINDOW,
                                             .request_ns = REQUEST,
                                             .request_max = tries};
    assert_int_equal(recovery_init(&recovery, &options), 0);
    assert_int_equal(recovery.next_ns, INT64_MAX);
}

static struct recovery_span span(uint64_t first, uint64_t end)
{
    return (struct recovery_span){first, end};
}

static void ask(int64_t now_ns, unsigned messages_a_packet)
{
    const struct recovery_room room = {.packets = 4096, .messages_a_packet = messages_a_packet};
    recovery_ask(&recovery, now_ns, room, &requests);
}

static void check_request(unsigned index, uint64_t sequence, unsigned count)
{
    assert_true(index < requests.count);
    assert_int_equal(requests.list[index].sequence, sequence);
    assert_int_equal(requests.list[index].count, count);
}

static void asked_when_due_and_not_before(void **state)
{
    open_recovery(TRIES);
    recovery_miss(&recovery, span(10, 13), 1000);
    recovery_miss(&recovery, span(20, 21), 2000);
    assert_int_equal(recovery.next_ns, 1000);
    ask(999, 10);
    assert_int_equal(requests.count, 0);
    assert_int_equal(recovery.next_ns, 1000);
    ask(1000, 10);
    assert_int_equal(requests.count, 1);
    check_request(0, 10, 3);
    assert_int_equal(recovery.next_ns, 2000);
    assert_int_equal(recovery.gaps, 1);
    assert_int_equal(recovery.missed, 3);
    ask(2000, 10);
    check_request(0, 20, 1);
    assert_int_equal(recovery.next_ns, 1000 + REQUEST);
    assert_int_equal(recovery_have(&recovery, span(1, 30)), 4);
    ask(1000 + REQUEST, 10);
    assert_int_equal(requests.count, 0);
    assert_int_equal(recovery.next_ns, INT64_MAX);
    recovery_fini(&recovery);
}

static void asked_again_later_and_later_then_lost(void **state)
{
    static const int64_t delays[TRIES] = {20, 40, 80, 160, 320, 640, 1000, 1000};
    struct recovery_span lost;
    open_recovery(TRIES);
    recovery_miss(&recovery, span(5, 6), 0);
    int64_t now_ns = 0;
    for (unsigned try = 0; try < TRIES; try++) {
        ask(now_ns, 10);
        check_request(0, 5, 1);
        ask(now_ns + delays[try] * MS - 1, 10);
        assert_int_equal(requests.count, 0);
        assert_false(recovery_take_lost(&recovery, &lost));
        now_ns += delays[try] * MS;
        assert_int_equal(recovery.next_ns, now_ns);
    }
    ask(now_ns, 10);
    assert_int_equal(requests.count, 0);
    assert_true(recovery_take_lost(&recovery, &lost));
    assert_memory_equal(&lost, &((struct recovery_span){5, 6}), sizeof lost);
    assert_int_equal(recovery.next_ns, INT64_MAX);
    assert_int_equal(recovery.gaps, 1);
    recovery_fini(&recovery);
}

static void with_nobody_to_ask_it_is_lost_at_once(void **state)
{
    struct recovery_span lost;
    open_recovery(0);
    recovery_miss(&recovery, span(5, 1000000000), WINDOW);
    recovery_miss(&recovery, span(1000000005, 1000000006), WINDOW);
    ask(WINDOW - 1, 10);
    assert_false(recovery_take_lost(&recovery, &lost));
    ask(WINDOW, 10);
    assert_int_equal(requests.count, 0);
    assert_true(recovery_take_lost(&recovery, &lost));
    assert_memory_equal(&lost, &((struct recovery_span){5, 1000000000}), sizeof lost);
    assert_true(recovery_take_lost(&recovery, &lost));
    assert_false(recovery_take_lost(&recovery, &lost));
    recovery_fini(&recovery);
}

static void a_long_gap_is_asked_for_piece_by_piece(void **state)
{
    enum { PIECE = 10 * RECOVERY_PIECE_PACKETS, ALL = 1000000 };
    open_recovery(TRIES);
    recovery_miss(&recovery, span(1, ALL + 1), 0);
    uint64_t next = 1, asked = 0;
    int64_t now_ns = 0;
    ask(now_ns, 10);
    assert_int_equal(requests.count, RECOVERY_PIECES);
    for (unsigned index = 0; index < RECOVERY_PIECES; index++)
        check_request(index, 1 + index * PIECE, PIECE);
    asked = requests.count;
    while (next <= ALL) { /* each packet answered lets the requests go on, none is asked twice */
        now_ns += 1000;
        const uint64_t end = next + 10 < ALL + 1 ? next + 10 : ALL + 1;
        assert_int_equal(recovery_answered(&recovery, span(next, end), now_ns), end - next);
        next = end;
        if (recovery.next_ns > now_ns)
            continue;
        ask(now_ns, 10);
        for (unsigned index = 0; index < requests.count; index++)
            assert_int_equal(requests.list[index].sequence, 1 + asked++ * PIECE);
    }
    assert_int_equal(asked, ALL / PIECE);
    assert_int_equal(recovery.count, 0);
    assert_int_equal(recovery.gaps, 1);
    assert_int_equal(recovery.missed, ALL);
    recovery_fini(&recovery);
}

/* What cannot wait for the first need not come yet; the first has to. */
static void no_more_than_there_is_room_for(void **state)
{
    struct recovery_room room = {.packets = 0, .messages_a_packet = 1};
    open_recovery(TRIES);
    for (uint64_t first = 10; first < 60; first += 10)
        recovery_miss(&recovery, span(first, first + 1), 0);
    recovery_ask(&recovery, 0, room, &requests);
    assert_int_equal(requests.count, 1);
    check_request(0, 10, 1);
    room.packets = 3;
    recovery_ask(&recovery, 0, room, &requests);
    assert_int_equal(requests.count, 2);
    assert_int_equal(recovery.next_ns, REQUEST);
    assert_int_equal(recovery_have(&recovery, span(10, 11)), 1);
    assert_int_equal(recovery.next_ns, 0);
    recovery_ask(&recovery, 0, room, &requests);
    assert_int_equal(requests.count, 1);
    check_request(0, 40, 1);
    recovery_fini(&recovery);
}

static void what_was_overtaken_is_asked_for_soon(void **state)
{
    open_recovery(TRIES);
    for (uint64_t first = 10; first < 60; first += 10)
        recovery_miss(&recovery, span(first, first + 1), 0);
    ask(0, 1);
    assert_int_equal(requests.count, 5);
    assert_int_equal(recovery_answered(&recovery, span(30, 31), MS), 1);
    assert_int_equal(recovery.next_ns, MS + WINDOW);
    ask(MS + WINDOW, 1);
    assert_int_equal(requests.count, 2);
    check_request(0, 10, 1);
    check_request(1, 20, 1);
    /* Once: from the second try on it is patient. */
    assert_int_equal(recovery_answered(&recovery, span(50, 51), 2 * MS), 1);
    ask(2 * MS + WINDOW, 1);
    assert_int_equal(requests.count, 1);
    check_request(0, 40, 1);
    recovery_fini(&recovery);
}

/* The answer has fewer packets than were hoped for: what is left begins anew. */
static void answered_in_part_it_is_asked_for_as_new(void **state)
{
    struct recovery_span lost;
    open_recovery(2);
    recovery_miss(&recovery, span(1, 101), 0);
    int64_t now_ns = 0;
    for (uint64_t first = 1; first < 101; first += 5) {
        ask(now_ns, 10);
        check_request(0, first, 101 - first);
        assert_int_equal(recovery_answered(&recovery, span(first, first + 5), now_ns), 5);
        now_ns = recovery.next_ns < INT64_MAX ? recovery.next_ns : now_ns;
    }
    assert_int_equal(recovery.count, 0);
    assert_false(recovery_take_lost(&recovery, &lost));
    recovery_fini(&recovery);
}

/* A server that has forgotten the first ten million, or none: it takes seconds, not hours. */
static void silence_is_given_up_in_good_time(void **state)
{
    enum { FORGOTTEN = 10000000 };
    for (unsigned has_rest = 0; has_rest < 2; has_rest++) {
        struct recovery_span lost;
        uint64_t next = 1;
        int64_t now_ns = 0;
        open_recovery(TRIES);
        recovery_miss(&recovery, span(1, 2 * FORGOTTEN + 1), 0);
        for (;;) {
            ask(now_ns, 40);
            for (unsigned index = 0; has_rest && index < requests.count; index++) {
                const uint64_t first = requests.list[index].sequence;
                uint64_t end = first + requests.list[index].count;
                end = end < first + 40 * 32 ? end : first + 40 * 32;
                if (first > FORGOTTEN)
                    recovery_answered(&recovery, span(first, end), now_ns);
            }
            while (recovery_take_lost(&recovery, &lost)) {
                assert_true(lost.first >= next);
                next = lost.end;
            }
            if (recovery.count == 0)
                break;
            assert_true(recovery.next_ns < INT64_MAX);
            now_ns = recovery.next_ns > now_ns ? recovery.next_ns : now_ns + MS / 10;
        }
        assert_true(now_ns < INT64_C(60000) * MS);
        if (!has_rest)
            assert_int_equal(next, 2 * FORGOTTEN + 1);
        else
            assert_in_range(next, FORGOTTEN, FORGOTTEN + FORGOTTEN / 2);
        recovery_fini(&recovery);
    }
}

static void a_pause_postpones(void **state)
{
    open_recovery(TRIES);
    recovery_miss(&recovery, span(1, 2), 100);
    recovery_postpone(&recovery, 1000);
    ask(1099, 1);
    assert_int_equal(requests.count, 0);
    ask(1100, 1);
    assert_int_equal(requests.count, 1);
    recovery_fini(&recovery);
}

/* Against a byte a message: missing, of which the ranges know, or not. */
static void the_ranges_are_what_is_missing(void **state)
{
    enum { ALL = 3000, SEEDS = 300 };
    static char is_missing[ALL + 1];
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct random random;
        uint64_t edge = 1;
        int64_t now_ns = 0;
        random_init(&random, seed);
        memset(is_missing, 0, sizeof is_missing);
        open_recovery(seed % 3 ? TRIES : 1);
        for (unsigned step = 0; step < 400; step++) {
            const uint64_t first = 1 + random_below(&random, edge);
            const uint64_t end = first + 1 + random_below(&random, 20);
            now_ns += (int64_t)random_below(&random, 5 * MS);
            if (random_chance(&random, 300000) && edge + 100 < ALL && recovery.count < 90) {
                edge += random_below(&random, 30);
                const uint64_t to = edge + 1 + random_below(&random, 30);
                memset(is_missing + edge, 1, to - edge);
                recovery_miss(&recovery, span(edge, to), now_ns + WINDOW);
                edge = to;
            } else if (end <= edge && recovery_has_room(&recovery)) {
                uint64_t had = 0;
                for (uint64_t at = first; at < end; at++)
                    had += (uint64_t)is_missing[at];
                assert_int_equal(recovery_misses(&recovery, span(first, end)), had > 0);
                assert_int_equal(random_chance(&random, 500000)
                                     ? recovery_answered(&recovery, span(first, end), now_ns)
                                     : recovery_have(&recovery, span(first, end)),
                                 had);
                memset(is_missing + first, 0, end - first);
            }
            struct recovery_span lost;
            ask(now_ns, 1 + step % 3);
            for (unsigned index = 0; index < requests.count; index++)
                assert_int_equal(is_missing[requests.list[index].sequence], 1);
            while (random_chance(&random, 500000) && recovery_take_lost(&recovery, &lost)) {
                for (uint64_t at = lost.first; at < lost.end; at++)
                    assert_int_equal(is_missing[at], 1);
                memset(is_missing + lost.first, 0, lost.end - lost.first);
            }
        }
        uint64_t told = 0, missing = 0;
        for (unsigned index = 0; index < recovery.count; index++) {
            const struct recovery_range *range = &recovery.ranges[recovery.begin + index];
            assert_true(range->span.first < range->span.end);
            told += range->span.end - range->span.first;
        }
        for (unsigned at = 0; at <= ALL; at++)
            missing += (uint64_t)is_missing[at];
        assert_int_equal(told, missing);
        recovery_fini(&recovery);
    }
}

static void up_to_the_last_number(void **state)
{
    struct recovery_span lost;
    open_recovery(1);
    recovery_miss(&recovery, span(UINT64_MAX - 10, UINT64_MAX), 0);
    ask(0, 10);
    check_request(0, UINT64_MAX - 10, 10);
    assert_int_equal(recovery_answered(&recovery, span(UINT64_MAX - 3, UINT64_MAX), 0), 3);
    ask(REQUEST, 10);
    assert_true(recovery_take_lost(&recovery, &lost));
    assert_memory_equal(&lost, &((struct recovery_span){UINT64_MAX - 10, UINT64_MAX - 3}),
                        sizeof lost);
    recovery_miss(&recovery, span(UINT64_MAX - 3, UINT64_MAX), 0);
    recovery_fini(&recovery);
    open_recovery(TRIES);
    recovery_miss(&recovery, span(1, UINT64_MAX), 0);
    ask(0, 1000000);
    check_request(0, 1, 65534);
    recovery_fini(&recovery);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asked_when_due_and_not_before),
        cmocka_unit_test(asked_again_later_and_later_then_lost),
        cmocka_unit_test(with_nobody_to_ask_it_is_lost_at_once),
        cmocka_unit_test(a_long_gap_is_asked_for_piece_by_piece),
        cmocka_unit_test(no_more_than_there_is_room_for),
        cmocka_unit_test(what_was_overtaken_is_asked_for_soon),
        cmocka_unit_test(answered_in_part_it_is_asked_for_as_new),
        cmocka_unit_test(silence_is_given_up_in_good_time),
        cmocka_unit_test(a_pause_postpones),
        cmocka_unit_test(the_ranges_are_what_is_missing),
        cmocka_unit_test(up_to_the_last_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
