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

/* ---- Segments -------------------------------------------------------------------------------- */

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

/* Who records a session begins where it began to listen. */
static void a_log_may_begin_anywhere_body(bool has_folder)
{
    struct logged logged;
    uint64_t first, last;
    const uint64_t begin = (UINT64_C(1) << 40) + 7;
    init_logged(&logged, has_folder);
    logged.options.first_sequence = begin;
    must_open(&logged);
    feed_log_range(logged.log, &first, &last);
    assert_int_equal(first, begin);
    assert_int_equal(last, begin - 1);
    append_closed(&logged, begin + 300);
    check_from(&logged, begin, begin + 300);
    if (has_folder) { /* which is asked of a new log alone */
        close_log(&logged);
        logged.options.first_sequence = 1;
        must_open(&logged);
        assert_int_equal(logged.tail->next_sequence, begin + 300);
        append_closed(&logged, begin + 600);
        check_from(&logged, begin, begin + 600);
    }
    fini_logged(&logged);
}

static void a_log_may_begin_anywhere(void **state)
{
    a_log_may_begin_anywhere_body(true);
    a_log_may_begin_anywhere_body(false);
}

/* ---- Recycling ------------------------------------------------------------------------------- */

static void the_oldest_is_used_again_body(bool has_folder)
{
    struct logged logged;
    uint64_t first, last;
    struct feed_log_cursor cursor;
    init_logged(&logged, has_folder);
    logged.options.segments_kept = 3;
    must_open(&logged);
    for (uint64_t end = 1000; end <= 100000; end += 1000) {
        append_closed(&logged, end);
        feed_log_range(logged.log, &first, &last);
        assert_int_equal(last, end - 1);
        assert_in_range(logged.log->count, 1, 4);
        check_from(&logged, first, end);
        if (first > 1)
            assert_int_equal(feed_log_hold(logged.log, first - 1, &cursor), -ENOENT);
    }
    settle(&logged);
    const uint64_t oldest = logged.log->segments[0]->number;
    assert_true(oldest > 10);
    if (has_folder) {
        assert_false(has_segment(&logged, oldest - 1));
        close_log(&logged);
        must_open(&logged);
        assert_int_equal(logged.tail->next_sequence, 100000);
        check_from(&logged, first, 100000);
    }
    fini_logged(&logged);
}

static void the_oldest_is_used_again(void **state)
{
    the_oldest_is_used_again_body(true);
    the_oldest_is_used_again_body(false);
}

/* A reader that stays keeps its segment and all later ones; when there are too many, the log waits;
 * when it has gone, what was too much goes. */
static void what_is_held_stays_body(bool has_folder)
{
    struct logged logged;
    struct feed_log_cursor cursor;
    struct feed_record record;
    init_logged(&logged, has_folder);
    logged.options.segments_kept = 2;
    must_open(&logged);
    append_closed(&logged, 100);
    assert_int_equal(feed_log_hold(logged.log, 1, &cursor), 0);
    int error = 0;
    while (!error) {
        append_closed(&logged, logged.tail->next_sequence + 20);
        /* With no room left begin_record would wait for ever. */
        const size_t room = logged.log->segment_size - logged.log->offset;
        if (logged.log->count == 2 + FEED_LOG_HELD_MAX && room < 2 * logged.log->record_size_max)
            error = 1;
    }
    const uint64_t next = logged.tail->next_sequence;
    while (logged.log->segment_size - logged.log->offset >= logged.log->record_size_max)
        append_closed(&logged, logged.tail->next_sequence + 1);
    assert_int_equal(feed_log_begin(logged.log, 1), -EAGAIN);
    assert_int_equal(feed_log_find(&cursor, 1, next, &record), 1);
    check_record(&record, 1);
    check_from(&logged, 1, logged.tail->next_sequence);
    feed_log_cursor_release(&cursor);
    assert_int_equal(begin_record(&logged), 0); /* within FEED_LOG_RETRY_MS */
    append_closed(&logged, logged.tail->next_sequence + 10000);
    assert_in_range(logged.log->count, 2, 3);
    check_from(&logged, logged.log->segments[0]->first_sequence, logged.tail->next_sequence);
    settle(&logged);
    if (has_folder) {
        const uint64_t oldest = logged.log->segments[0]->number;
        for (uint64_t number = 1; number < oldest; number++)
            assert_false(has_segment(&logged, number));
    }
    fini_logged(&logged);
}

static void what_is_held_stays(void **state)
{
    what_is_held_stays_body(true);
    what_is_held_stays_body(false);
}

/* ---- Seeking --------------------------------------------------------------------------------- */

static int64_t thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
}

static void seek(struct logged *logged, uint64_t sequence)
{
    struct feed_log_cursor cursor;
    struct feed_record record;
    assert_int_equal(feed_log_hold(logged->log, sequence, &cursor), 0);
    assert_int_equal(feed_log_find(&cursor, sequence, logged->tail->next_sequence, &record), 1);
    assert_in_range(sequence, record.sequence, record.sequence + record.count - 1);
    feed_log_cursor_release(&cursor);
}

/* In a segment of full size: by its index when this process wrote it; else the first to come pays
 * for one. */
static void a_seek_takes_no_time(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    logged.options.segment_size = 0;
    must_open(&logged);
    while (logged.log->count < 2)
        append_closed(&logged, logged.tail->next_sequence + 100000);
    const uint64_t end = logged.log->segments[1]->first_sequence;
    int64_t begin_ns = thread_ns();
    for (uint64_t sequence = end - 1; sequence > end / 20; sequence -= end / 20)
        seek(&logged, sequence);
    const int64_t own_ns = (thread_ns() - begin_ns) / 19;
    close_log(&logged);

    must_open(&logged);
    assert_false(logged.log->segments[0]->is_trusted);
    begin_ns = thread_ns();
    seek(&logged, end - 1);
    const int64_t first_ns = thread_ns() - begin_ns;
    begin_ns = thread_ns();
    for (uint64_t sequence = end - 1; sequence > end / 20; sequence -= end / 20)
        seek(&logged, sequence);
    const int64_t later_ns = (thread_ns() - begin_ns) / 19;
    print_message("# a seek in 64 MiB: %ld ns; in a found segment %ld us, then %ld ns\n",
                  (long)own_ns, (long)first_ns / 1000, (long)later_ns);
    assert_true(logged.log->segments[0]->index_count > 1000);
    assert_true(own_ns < LEAT_NS_PER_MS && later_ns < LEAT_NS_PER_MS);
    fini_logged(&logged);
}

/* What an earlier process left is not taken on trust. */
static void old_damage_is_seen_by_who_reads_it(void **state)
{
    struct logged logged;
    struct feed_log_cursor cursor;
    struct feed_record record;
    init_logged(&logged, true);
    must_open(&logged);
    append_closed(&logged, 15000);
    assert_true(logged.log->count >= 3);
    const uint64_t second = logged.log->segments[1]->first_sequence;
    close_log(&logged);
    flip_byte(&logged, 1, SMALL_SEGMENT / 2);
    must_open(&logged);
    assert_int_equal(feed_log_hold(logged.log, second - 1, &cursor), 0);
    assert_int_equal(feed_log_find(&cursor, 1, 15000, &record), 1);
    assert_int_equal(feed_log_find(&cursor, second - 1, 15000, &record), -EBADMSG);
    assert_int_equal(feed_log_next(&cursor, 15000, &record), -EBADMSG);
    feed_log_cursor_release(&cursor);
    check_from(&logged, second, 15000);
    fini_logged(&logged);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void one_process_has_it(void **state)
{
    struct logged logged, other;
    init_logged(&logged, true);
    must_open(&logged);
    append_closed(&logged, 50);
    other = logged;
    assert_int_equal(try_open(&other), -EAGAIN);
    other.options.is_read_only = true;
    must_open(&other);
    check_from(&other, 1, 50);
    close_log(&other);
    append_closed(&logged, 60);
    fini_logged(&logged);
}

static void a_reader_writes_nothing(void **state)
{
    static uint8_t before[SMALL_SEGMENT], after[SMALL_SEGMENT];
    struct logged logged;
    init_logged(&logged, true);
    must_open(&logged);
    append_until(&logged, 100);
    const uint64_t closed = logged.log->closed_sequence;
    close_log(&logged);
    read_segment(&logged, 1, 0, before, sizeof before);
    logged.options.is_read_only = true;
    memset(logged.options.session, 0, MOLD_SESSION_SIZE); /* of any session */
    must_open(&logged);
    check_from(&logged, 1, closed); /* the open record was never sent */
    close_log(&logged);
    read_segment(&logged, 1, 0, after, sizeof after);
    assert_memory_equal(before, after, sizeof before);
    flip_byte(&logged, 1, FEED_LOG_HEADER_SIZE + 3000); /* damage is its end */
    must_open(&logged);
    const uint64_t next = logged.tail->next_sequence;
    assert_in_range(next, 2, closed - 1);
    check_from(&logged, 1, next);
    fini_logged(&logged);
}

static void what_is_no_log_of_ours_is_refused(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    logged.options.is_read_only = true;
    assert_int_equal(try_open(&logged), -EBADMSG);
    logged.options.path = "/nowhere/at/all";
    assert_int_equal(try_open(&logged), -ENOENT);
    logged.options.is_read_only = false;
    assert_int_equal(try_open(&logged), -ENOENT);
    logged.options.path = logged.path;
    must_open(&logged);
    append_closed(&logged, 10);
    close_log(&logged);
    logged.options.session[0] = 'X';
    assert_int_equal(try_open(&logged), -EBADMSG);
    assert_string_equal(logged.reason, "it is the log of another session: SESSION");
    logged.options.session[0] = 'S';
    logged.options.segments_kept = 1;
    assert_int_equal(try_open(&logged), -EINVAL);
    logged.options.segments_kept = 0;
    logged.options.segment_size = 1000;
    assert_int_equal(try_open(&logged), -EINVAL);
    logged.options.segment_size = 2 * SMALL_SEGMENT; /* it keeps its own */
    must_open(&logged);
    assert_int_equal(logged.log->segment_size, SMALL_SEGMENT);
    check_from(&logged, 1, 10);
    fini_logged(&logged);
}

static void what_has_ended_stays_so(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    must_open(&logged);
    append_until(&logged, 77);
    assert_false(feed_log_is_ended(logged.log));
    feed_log_end(logged.log);
    assert_true(feed_log_is_ended(logged.log));
    check_from(&logged, 1, 77);
    for (unsigned round = 0; round < 2; round++) {
        close_log(&logged);
        must_open(&logged);
        assert_true(feed_log_is_ended(logged.log));
        assert_int_equal(logged.tail->next_sequence, 77);
        check_from(&logged, 1, 77);
    }
    fini_logged(&logged);
}

/* ---- The disk -------------------------------------------------------------------------------- */

static int sync_result;

static void note_sync(int error, void *user)
{
    sync_result = error;
    *(bool *)user = true;
}

static void sync_log(struct logged *logged)
{
    bool is_done = false;
    sync_result = 1;
    assert_int_equal(feed_log_sync(logged->log, note_sync, &is_done), 0);
    while (!is_done)
        turn(logged->loop);
    assert_int_equal(sync_result, 0);
}

/* More segments than a job takes at once; while it runs, appending goes on. */
static void sync_reaches_what_was_closed(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    logged.options.is_durable = true;
    must_open(&logged);
    sync_log(&logged);
    assert_int_equal(logged.log->sync.synced_sequence, 1);
    append_closed(&logged, 70000);
    assert_true(logged.log->count > FEED_LOG_SYNC_MAX + 2);
    bool is_done = false;
    assert_int_equal(feed_log_sync(logged.log, note_sync, &is_done), 0);
    append_closed(&logged, 71000);
    while (!is_done)
        turn(logged.loop);
    assert_int_equal(logged.log->sync.synced_sequence, 70000);
    for (size_t i = 0; i < logged.log->count; i++)
        assert_int_equal(logged.log->segments[i]->holders, 0);
    const uint64_t last = logged.log->segments[logged.log->count - 1]->number;
    sync_log(&logged);
    close_log(&logged);
    reboot(&logged, last);
    must_open(&logged);
    assert_int_equal(logged.tail->next_sequence, 71000);
    check_from(&logged, 1, 71000);
    close_log(&logged);
    logged.options.is_durable = false; /* from now on it is not: and is not believed any more */
    must_open(&logged);
    close_log(&logged);
    reboot(&logged, last);
    assert_int_equal(try_open(&logged), -ESTALE);
    fini_logged(&logged);

    init_logged(&logged, false);
    must_open(&logged);
    append_closed(&logged, 10);
    is_done = false;
    assert_int_equal(feed_log_sync(logged.log, note_sync, &is_done), 0);
    assert_true(is_done);
    fini_logged(&logged);
}

static int lose_pages(const struct backend_sys *sys, int fd)
{
    return -EIO;
}

static int lack_descriptors(const struct backend_sys *sys, int directory_fd, const char *path,
                            enum backend_open flags)
{
    return -EMFILE;
}

static int try_sync(struct logged *logged)
{
    bool is_done = false;
    const int error = feed_log_sync(logged->log, note_sync, &is_done);
    while (!error && !is_done)
        turn(logged->loop);
    return error ? error : sync_result;
}

/* The kernel tells of pages that it could not write once, and forgets them: a later call would find
 * all well. Want of descriptors passes. */
static void what_a_sync_lost_stays_lost(void **state)
{
    struct logged logged;
    struct backend_sys poor;
    init_logged(&logged, true);
    logged.options.is_durable = true;
    must_open(&logged);
    const struct backend_sys *const healthy = logged.loop->sys;
    append_closed(&logged, 10);
    poor = *healthy;
    poor.open = lack_descriptors;
    logged.loop->sys = &poor;
    assert_int_equal(try_sync(&logged), -EMFILE);
    logged.loop->sys = healthy;
    assert_int_equal(try_sync(&logged), 0);
    assert_int_equal(logged.log->sync.synced_sequence, 10);

    append_closed(&logged, 20);
    poor = *healthy;
    poor.sync = lose_pages;
    logged.loop->sys = &poor;
    assert_int_equal(try_sync(&logged), -EIO);
    logged.loop->sys = healthy;
    assert_int_equal(try_sync(&logged), -EIO);
    assert_int_equal(logged.log->sync.synced_sequence, 10);
    fini_logged(&logged);
}

/* On a disk of 900 KiB: three segments; the fourth waits until there is room. */
static void a_full_disk_is_told_and_waited_for(void **state)
{
    struct logged logged;
    char command[128];
    init_logged(&logged, true);
    snprintf(command, sizeof command, "mount -t tmpfs -o size=900k leat-log %s 2>/dev/null",
             logged.path);
    if (geteuid() != 0 || system(command) != 0) {
        fini_logged(&logged);
        skip(); /* only root may mount */
    }
    must_open(&logged);
    int error;
    while (!(error = begin_record(&logged)))
        append_closed(&logged, logged.tail->next_sequence + 10);
    assert_int_equal(error, -ENOSPC);
    assert_int_equal(logged.log->count, 3);
    const uint64_t next = logged.tail->next_sequence;
    const int64_t begin_ns = logged.loop->now_ns;
    unsigned tries = 0;
    while (logged.loop->now_ns < begin_ns + LEAT_NS_PER_S) {
        bool is_ready = false;
        assert_int_equal(feed_log_begin(logged.log, 1), -ENOSPC);
        feed_log_on_ready(logged.log, note_ready, &is_ready);
        while (!is_ready)
            turn(logged.loop);
        tries++;
    }
    assert_in_range(tries, 2, 6);
    check_from(&logged, 1, next);
    snprintf(command, sizeof command, "mount -o remount,size=2m %s", logged.path);
    assert_int_equal(system(command), 0);
    bool is_ready = false;
    feed_log_on_ready(logged.log, note_ready, &is_ready);
    while (!is_ready)
        turn(logged.loop);
    assert_int_equal(begin_record(&logged), 0);
    append_closed(&logged, next + 1000);
    check_from(&logged, 1, next + 1000);
    close_log(&logged);
    must_open(&logged);
    check_from(&logged, 1, next + 1000);
    close_log(&logged);
    snprintf(command, sizeof command, "umount %s", logged.path);
    assert_int_equal(system(command), 0);
    fini_logged(&logged);
}

/* The end comes while the next segment is made: by whom, does not matter. */
static void it_is_closed_at_any_time(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    for (unsigned round = 0; round < 20; round++) {
        must_open(&logged);
        const size_t count = logged.log->count;
        while (!logged.log->next.is_queued && logged.log->count == count)
            append_closed(&logged, logged.tail->next_sequence + 50);
        for (unsigned i = 0; i < round % 4; i++)
            turn(logged.loop);
        const uint64_t next = logged.tail->next_sequence;
        close_log(&logged);
        must_open(&logged);
        check_from(&logged, 1, next);
        close_log(&logged);
    }
    fini_logged(&logged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_is_read),
        cmocka_unit_test(segments_follow_one_another),
        cmocka_unit_test(a_restart_goes_on),
        cmocka_unit_test(a_log_may_begin_anywhere),
        cmocka_unit_test(the_oldest_is_used_again),
        cmocka_unit_test(what_is_held_stays),
        cmocka_unit_test(a_seek_takes_no_time),
        cmocka_unit_test(old_damage_is_seen_by_who_reads_it),
        cmocka_unit_test(one_process_has_it),
        cmocka_unit_test(a_reader_writes_nothing),
        cmocka_unit_test(what_is_no_log_of_ours_is_refused),
        cmocka_unit_test(what_has_ended_stays_so),
        cmocka_unit_test(sync_reaches_what_was_closed),
        cmocka_unit_test(what_a_sync_lost_stays_lost),
        cmocka_unit_test(a_full_disk_is_told_and_waited_for),
        cmocka_unit_test(it_is_closed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
