/* SPDX-License-Identifier: MIT */
/*
 * kill -9: a process appends as fast as it can, and is killed at any instant, while it opens the
 * log, too; the next one goes on. A hundred times: nothing that was committed is missing, no
 * sequence was used twice, and every message is whole. Each says who wrote it, so that a second
 * message of one number would be seen. LEAT_KILLS=N makes it N times.
 */
#include "logged.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include "base/random.h"

enum { RUNS_MAX = 100000, WAIT_US_MAX = 6000 };

/* In memory that outlives the writer. */
struct told {
    _Atomic uint64_t committed; /* the last message that commit has returned for */
    _Atomic uint64_t sent;      /* the last one of a closed record */
    _Atomic int error;
};

struct killing {
    struct logged logged;
    struct told *told;
    struct random random;
    uint64_t ends[RUNS_MAX]; /* [run]: behind its last message */
    unsigned run;
    uint64_t rolls;
};

static size_t text_size(uint64_t sequence)
{
    return 12 + sequence % 50;
}

static void write_text(uint8_t *to, uint64_t sequence, uint32_t run)
{
    memcpy(to, &sequence, sizeof sequence);
    memcpy(to + 8, &run, sizeof run);
    for (size_t i = 12; i < text_size(sequence); i++)
        to[i] = (uint8_t)(sequence + run * 7 + i);
}

/* ---- The one that is killed ------------------------------------------------------------------ */

static void append_for_ever(struct killing *killing)
{
    struct logged *logged = &killing->logged;
    struct feed_log_tail *tail = logged->tail;
    for (;;) {
        const uint64_t sequence = tail->next_sequence;
        const size_t size = text_size(sequence);
        if (tail->at &&
            (size + 2 > (size_t)(tail->end - tail->at) || random_chance(&killing->random, 50000))) {
            feed_log_finish_record(logged->log);
            atomic_store_explicit(&killing->told->sent, sequence - 1, memory_order_release);
        }
        while (!tail->at) {
            const int error = feed_log_begin(logged->log, (int64_t)sequence);
            if (error == -EAGAIN)
                leat_loop_run_once(logged->loop, logged->loop->now_ns + LEAT_NS_PER_MS / 10);
            else if (error)
                _exit(2);
        }
        write_text(tail->at + 2, sequence, killing->run);
        if (feed_log_commit(tail, size) != sequence)
            _exit(3);
        atomic_store_explicit(&killing->told->committed, sequence, memory_order_release);
    }
}

static void be_killed(struct killing *killing)
{
    struct logged *logged = &killing->logged;
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    random_init(&killing->random, killing->run);
    if (leat_loop_create(&options, &logged->loop))
        _exit(4);
    if (feed_log_open(logged->loop, &logged->options, &logged->log, logged->reason,
                      sizeof logged->reason)) {
        fprintf(stderr, "%s\n", logged->reason);
        _exit(5);
    }
    logged->tail = feed_log_tail(logged->log);
    append_for_ever(killing);
}

static void kill_one(struct killing *killing)
{
    int status;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        be_killed(killing);
    usleep((useconds_t)random_between(&killing->random, 0, WAIT_US_MAX));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* ---- What it leaves -------------------------------------------------------------------------- */

static unsigned run_of(const struct killing *killing, unsigned run, uint64_t sequence)
{
    while (sequence >= killing->ends[run])
        run++;
    return run;
}

static void check_texts(const struct killing *killing, const struct feed_record *record,
                        unsigned *run)
{
    struct mold_packet packet;
    assert_int_equal(mold_parse(slice_of(record->packet, record->size), &packet), MOLD_FINE);
    assert_int_equal(packet.sequence, record->sequence);
    const uint8_t *at = (const uint8_t *)packet.blocks.data;
    for (uint64_t sequence = packet.sequence; sequence < packet.sequence + packet.count;
         sequence++) {
        uint8_t expected[64];
        const size_t size = (size_t)at[0] << 8 | at[1];
        *run = run_of(killing, *run, sequence);
        write_text(expected, sequence, *run);
        assert_int_equal(size, text_size(sequence));
        assert_memory_equal(at + 2, expected, size);
        at += 2 + size;
    }
}

static void check_all(struct killing *killing)
{
    struct logged *logged = &killing->logged;
    struct feed_log_cursor cursor;
    struct feed_record record;
    uint64_t first, last;
    unsigned run = 0;
    feed_log_range(logged->log, &first, &last);
    uint64_t sequence = first;
    assert_int_equal(feed_log_hold(logged->log, first, &cursor), 0);
    for (;;) {
        const int found = feed_log_next(&cursor, last + 1, &record);
        if (found == 1) {
            assert_int_equal(record.sequence, sequence);
            check_texts(killing, &record, &run);
            sequence += record.count;
        } else if (found != 2 || feed_log_step(logged->log, &cursor)) {
            assert_true(found == 0 || found == 2);
            break;
        }
    }
    assert_int_equal(sequence, last + 1);
    feed_log_cursor_release(&cursor);
}

/* The threads of the pool go with the loop: fork() finds none. */
static void take_stock(struct killing *killing)
{
    struct logged *logged = &killing->logged;
    logged->loop = make_loop(LEAT_ENGINE_EPOLL);
    must_open(logged);
    const uint64_t next = logged->tail->next_sequence;
    const uint64_t committed = atomic_load(&killing->told->committed);
    assert_in_range(next, committed + 1, committed + 2); /* killed before it could tell */
    assert_true(atomic_load(&killing->told->sent) < next);
    killing->ends[killing->run] = next;
    killing->rolls = logged->log->segments[logged->log->count - 1]->number;
    check_all(killing);
    close_log(logged);
    leat_loop_destroy(logged->loop);
}

static void kill_again_and_again(unsigned count, unsigned segments_kept)
{
    static struct killing killing;
    killing = (struct killing){0};
    init_logged(&killing.logged, true);
    leat_loop_destroy(killing.logged.loop);
    killing.logged.options.segments_kept = segments_kept;
    killing.told =
        mmap(NULL, sizeof *killing.told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(killing.told, MAP_FAILED);
    random_init(&killing.random, segments_kept);
    for (killing.run = 0; killing.run < count; killing.run++) {
        kill_one(&killing);
        take_stock(&killing);
    }
    print_message("# %u kills, %lu messages, %lu segments\n", count,
                  (unsigned long)killing.ends[count - 1], (unsigned long)killing.rolls);
    assert_true(killing.ends[count - 1] > 1000);
    munmap(killing.told, sizeof *killing.told);
    killing.logged.loop = make_loop(LEAT_ENGINE_EPOLL);
    fini_logged(&killing.logged);
}

static unsigned kills(void)
{
    const char *text = getenv("LEAT_KILLS");
    const long count = text ? strtol(text, NULL, 10) : 100;
    assert_in_range(count, 1, RUNS_MAX);
    return (unsigned)count;
}

static void nothing_is_lost_to_kill_9(void **state)
{
    kill_again_and_again(kills(), 3);
}

static void nothing_is_lost_when_all_is_kept(void **state)
{
    kill_again_and_again(kills() / 4 + 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_to_kill_9),
        cmocka_unit_test(nothing_is_lost_when_all_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
