/* SPDX-License-Identifier: MIT */
/*
 * The log read by other threads while it is appended to, rolled and recycled: held by the loop,
 * read and released elsewhere. To be run with TSan, too. Each reader finds what it asked for,
 * whole, whatever becomes of the rest meanwhile.
 */
#include "logged.h"

#include <pthread.h>

#include "base/random.h"

enum { READERS = 3, REQUESTS = 3000, RECORDS_MAX = 40 };

struct request {
    struct feed_log_cursor cursor;
    uint64_t sequence, closed_sequence;
    bool is_last;
};

/* One place a reader: filled by the loop's thread, emptied by the reader. */
struct reader {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct request request;
    bool is_full;
    uint64_t records, failures;
};

/* Nothing is asserted here: cmocka's jumps do not cross threads. */
static void serve(struct reader *reader, struct request *request)
{
    struct feed_record record;
    uint64_t sequence = request->sequence;
    int found =
        feed_log_find(&request->cursor, request->sequence, request->closed_sequence, &record);
    reader->failures += found != 1;
    for (unsigned i = 0; found == 1 && i < RECORDS_MAX; i++) {
        struct mold_packet packet;
        const bool is_first = i == 0;
        reader->failures +=
            mold_parse(slice_of(record.packet, record.size), &packet) != MOLD_FINE ||
            packet.count != record.count || packet.sequence != record.sequence ||
            (is_first ? sequence < record.sequence || sequence - record.sequence >= record.count
                      : sequence != record.sequence);
        const uint8_t *at = (const uint8_t *)packet.blocks.data;
        for (unsigned message = 0; message < packet.count; message++) {
            const size_t size = (size_t)at[0] << 8 | at[1];
            reader->failures += !is_message(slice_of(at + 2, size), record.sequence + message);
            at += 2 + size;
        }
        sequence = record.sequence + record.count;
        reader->records++;
        found = feed_log_next(&request->cursor, request->closed_sequence, &record);
    }
    reader->failures += found < 0;
    feed_log_cursor_release(&request->cursor);
}

static void *read_all(void *arg)
{
    struct reader *reader = arg;
    bool is_last = false;
    while (!is_last) {
        pthread_mutex_lock(&reader->lock);
        while (!reader->is_full)
            pthread_cond_wait(&reader->changed, &reader->lock);
        struct request request = reader->request;
        reader->is_full = false;
        pthread_mutex_unlock(&reader->lock);
        is_last = request.is_last;
        if (!is_last)
            serve(reader, &request);
    }
    return NULL;
}

/* False: it is busy. */
static bool ask(struct reader *reader, const struct request *request)
{
    pthread_mutex_lock(&reader->lock);
    const bool is_free = !reader->is_full;
    if (is_free) {
        reader->request = *request;
        reader->is_full = true;
        pthread_cond_signal(&reader->changed);
    }
    pthread_mutex_unlock(&reader->lock);
    return is_free;
}

static void start_readers(struct reader *readers)
{
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){0};
        pthread_mutex_init(&readers[i].lock, NULL);
        pthread_cond_init(&readers[i].changed, NULL);
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_all, &readers[i]), 0);
    }
}

static uint64_t stop_readers(struct reader *readers)
{
    uint64_t records = 0;
    const struct request last = {.is_last = true};
    for (unsigned i = 0; i < READERS; i++) {
        while (!ask(&readers[i], &last))
            usleep(100);
        pthread_join(readers[i].thread, NULL);
        pthread_mutex_destroy(&readers[i].lock);
        pthread_cond_destroy(&readers[i].changed);
        assert_int_equal(readers[i].failures, 0);
        records += readers[i].records;
    }
    return records;
}

/* Any message that is there, old ones as often as new ones. */
static void ask_for_any(struct logged *logged, struct random *random, struct reader *reader)
{
    uint64_t first, last;
    struct request request = {0};
    feed_log_range(logged->log, &first, &last);
    if (last < first)
        return;
    request.sequence = random_between(random, first, last);
    request.closed_sequence = last + 1;
    assert_int_equal(feed_log_hold(logged->log, request.sequence, &request.cursor), 0);
    if (!ask(reader, &request))
        feed_log_cursor_release(&request.cursor);
}

static void readers_and_a_writer_body(bool has_folder)
{
    struct logged logged;
    struct reader readers[READERS];
    struct random random;
    random_init(&random, 7);
    init_logged(&logged, has_folder);
    logged.options.segments_kept = 3;
    must_open(&logged);
    start_readers(readers);
    for (unsigned i = 0; i < REQUESTS; i++) {
        append_until(&logged, logged.tail->next_sequence + random_between(&random, 1, 60));
        if (random_chance(&random, 500000))
            feed_log_finish_record(logged.log);
        ask_for_any(&logged, &random, &readers[i % READERS]);
    }
    const uint64_t records = stop_readers(readers);
    assert_true(records > REQUESTS / 10);
    assert_true(logged.log->segments[0]->number > 2);
    fini_logged(&logged);
}

static void readers_and_a_writer(void **state)
{
    readers_and_a_writer_body(true);
    readers_and_a_writer_body(false);
}

/* In segments that an earlier process left, the readers make the index, each for all. */
static void readers_of_what_was_found(void **state)
{
    struct logged logged;
    struct reader readers[READERS];
    struct random random;
    random_init(&random, 8);
    init_logged(&logged, true);
    logged.options.segment_size = 8 * SMALL_SEGMENT;
    must_open(&logged);
    append_closed(&logged, 150000);
    const uint64_t end = logged.tail->next_sequence;
    close_log(&logged);
    must_open(&logged);
    assert_true(logged.log->count > 2);
    start_readers(readers);
    for (unsigned i = 0; i < REQUESTS / 2; i++) {
        ask_for_any(&logged, &random, &readers[i % READERS]);
        if (i % READERS == 0)
            usleep(100);
    }
    stop_readers(readers);
    assert_true(logged.log->segments[0]->index_count > 8);
    check_from(&logged, 1, end);
    fini_logged(&logged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_and_a_writer),
        cmocka_unit_test(readers_of_what_was_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
