/* SPDX-License-Identifier: MIT */
/*
 * The log of a session: what is appended is read, in whatever segment it is; segments roll, are
 * recycled and held; memory and files alike; a full disk, a lock, sync, the end.
 */
#include "logged.h"

static void what_is_appended_is_read_body(bool has_folder)
{
    struct logged logged;
    uint64_t first, last;
    init_logged(&logged, has_folder);
    must_open(&logged);
    feed_log_range(logged.log, &first, &last);
    assert_int_equal(first, 1);
    assert_int_equal(last, 0);
    check_from(&logged, 1, 1);
    append_until(&logged, 8);
    check_from(&logged, 1, 1); /* nothing is closed */
    feed_log_finish_record(logged.log);
    feed_log_finish_record(logged.log);
    for (uint64_t sequence = 1; sequence <= 8; sequence++)
        check_from(&logged, sequence, 8);
    append_closed(&logged, 3000);
    assert_int_equal(logged.log->count, 1);
    for (uint64_t sequence = 1; sequence <= 3000; sequence += 41)
        check_from(&logged, sequence, 3000);
    fini_logged(&logged);
}

static void what_is_appended_is_read(void **state)
{
    what_is_appended_is_read_body(true);
    what_is_appended_is_read_body(false);
}

static void segments_follow_one_another_body(bool has_folder)
{
    struct logged logged;
    init_logged(&logged, has_folder);
    logged.options.segments_kept = 20;
    must_open(&logged);
    append_closed(&logged, 50000);
    assert_true(logged.log->count > 5);
    for (uint64_t sequence = 1; sequence < 50000; sequence += 4999)
        check_from(&logged, sequence, 50000);
    for (size_t i = 1; i < logged.log->count; i++) {
        const uint64_t begin = logged.log->segments[i]->first_sequence;
        check_from(&logged, begin - 1, 50000);
        check_from(&logged, begin, 50000);
    }
    fini_logged(&logged);
}

static void segments_follow_one_another(void **state)
{
    segments_follow_one_another_body(true);
    segments_follow_one_another_body(false);
}

static void a_restart_goes_on(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    uint64_t end = 1;
    for (unsigned round = 0; round < 30; round++) {
        must_open(&logged);
        assert_int_equal(logged.tail->next_sequence, end);
        check_from(&logged, 1, end);
        end += 1 + round * 97;
        if (round % 2)
            append_closed(&logged, end);
        else
            append_until(&logged, end); /* what is open is there, too */
        close_log(&logged);
    }
    must_open(&logged);
    check_from(&logged, 1, end);
    fini_logged(&logged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_is_read),
        cmocka_unit_test(segments_follow_one_another),
        cmocka_unit_test(a_restart_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
