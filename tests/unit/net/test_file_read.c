/* SPDX-License-Identifier: MIT */
/*
 * Bytes of a file before they are sent: ranges read into memory, at once when they are in the page
 * cache, and what a hint reads ahead, how much of it, and that nobody has to wait for it.
 */
#include "pair.h"

#include <semaphore.h>

#include "loop/offload.h"
#include "net/file.h"
#include "net/residency.h"

enum { FILM_SIZE = 3 * FILE_WINDOW_SIZE + 5000, LARGE_SIZE = 10 * FILE_WINDOW_SIZE };

static struct folder folder;
static struct leat_root *root;

static struct leat_file *open_file(const char *name)
{
    struct leat_file *file;
    assert_int_equal(leat_file_open(root, name, soon(), &file), 0);
    return file;
}

#define FOLDER_TEST(name)                                                                          \
    static int name##_fiber(void *arg)                                                             \
    {                                                                                              \
        assert_int_equal(leat_root_open(folder.path, &root), 0);                                   \
        name();                                                                                    \
        leat_root_close(root);                                                                     \
        return 0;                                                                                  \
    }                                                                                              \
    FIBER_ENGINE_TEST(name)

/* ---- Into memory ----------------------------------------------------------------------------- */

static void check_ranges(const struct leat_file_range *ranges, size_t count, const char *data)
{
    for (size_t index = 0; index < count; index++)
        for (uint64_t offset = 0; offset < ranges[index].size; offset++)
            assert_int_equal(*data++, content_at(ranges[index].offset + offset));
    assert_int_equal(*data, '~'); /* nothing behind it */
}

static void ranges_are_put_together(void)
{
    static const struct leat_file_range ranges[] = {
        {0, 1},       {FILM_SIZE - 10, 10}, {5000, 4096}, {4999, 3},
        {0, 0},       {FILM_SIZE, 0},       {1, 60000},   {0, 65536},
        {3, 2000000}, {FILM_SIZE - 1, 1},   {70000, 1},
    };
    enum { RANGES = sizeof ranges / sizeof *ranges };
    static char data[FILM_SIZE];
    struct leat_file *film = open_file("film");
    for (unsigned is_cold = 0; is_cold < 2; is_cold++)
        for (size_t first = 0; first < RANGES; first++)
            for (size_t count = 0; first + count <= RANGES; count++) {
                uint64_t size = 0;
                for (size_t index = first; index < first + count; index++)
                    size += ranges[index].size;
                data[size] = '~';
                if (is_cold && count % 4 == 1 && !folder_make_cold(&folder, "film", FILM_SIZE))
                    break;
                assert_int_equal(leat_file_read(film, ranges + first, count, data, soon()), 0);
                check_ranges(ranges + first, count, data);
            }
    leat_file_unref(film);
}
FOLDER_TEST(ranges_are_put_together)

static void many_small_ranges(void)
{
    enum { RANGES = 1000 };
    static struct leat_file_range ranges[RANGES];
    static char data[RANGES * 5 + 1];
    struct leat_file *film = open_file("film");
    for (unsigned index = 0; index < RANGES; index++)
        ranges[index] = (struct leat_file_range){(uint64_t)index * 3000, 5};
    for (unsigned count = 1; count <= RANGES; count = count * 3 + 1) {
        data[count * 5] = '~';
        assert_int_equal(leat_file_read(film, ranges, count, data, soon()), 0);
        check_ranges(ranges, count, data);
    }
    leat_file_unref(film);
}
FOLDER_TEST(many_small_ranges)

static void what_is_not_there_is_truncated(void)
{
    static const struct leat_file_range cases[][2] = {
        {{0, 10}, {FILM_SIZE - 5, 6}},
        {{FILM_SIZE, 1}, {0, 1}},
        {{0, 100000}, {FILM_SIZE + 1000000, 100}},
        {{UINT64_C(1) << 62, 10}, {0, 0}},
    };
    static char data[200000];
    struct leat_file *film = open_file("film"), *here = open_file(".");
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++)
        assert_int_equal(leat_file_read(film, cases[index], 2, data, soon()), -LEAT_E_TRUNCATED);
    assert_int_equal(leat_file_read(here, cases[0], 1, data, soon()), -EISDIR);
    leat_file_unref(film);
    leat_file_unref(here);
}
FOLDER_TEST(what_is_not_there_is_truncated)

static sem_t gate;

static int wait_at_gate(void *arg)
{
    while (sem_wait(&gate))
        ;
    return 0;
}

static void stand_at_gate(void *arg)
{
    int result;
    assert_int_equal(leat_offload(wait_at_gate, NULL, LEAT_FOREVER, &result), 0);
}

/* The pool is busy: what is warm and little does not need it, what does is not begun in time. */
static void what_is_warm_needs_no_job(void)
{
    static const struct leat_file_range little = {100, 65536}, much = {100, 65537};
    static char data[70000];
    struct leat_scope blockers;
    struct leat_file *film = open_file("film");
    assert_int_equal(leat_file_read(film, &much, 1, data, soon()), 0); /* warm from now on */
    leat_scope_init(&blockers);
    for (unsigned index = 0; index < OFFLOAD_THREADS_MAX; index++)
        assert_int_equal(leat_spawn(&blockers, stand_at_gate, NULL, NULL), 0);
    assert_int_equal(leat_yield(), 0);
    memset(data, '~', sizeof data);
    assert_int_equal(leat_file_read(film, &little, 1, data, leat_after_ms(1)), 0);
    check_ranges(&little, 1, data);
    memset(data, '~', sizeof data);
    assert_int_equal(leat_file_read(film, &much, 1, data, leat_after_ms(10)), -ETIMEDOUT);
    assert_int_equal(leat_file_read(film, &little, 1, data, leat_now_ns() - 1), -ETIMEDOUT);
    for (unsigned index = 0; index < OFFLOAD_THREADS_MAX; index++)
        sem_post(&gate);
    leat_scope_fini(&blockers);
    for (size_t index = 0; index < sizeof data; index++)
        assert_int_equal(data[index], '~');
    leat_file_unref(film);
}
FOLDER_TEST(what_is_warm_needs_no_job)

/* ---- Ahead ----------------------------------------------------------------------------------- */

static bool is_warm(const struct leat_file *file, uint64_t offset, uint64_t size)
{
    const struct backend_sys *sys = file->loop->sys;
    char byte;
    for (uint64_t page = offset / 4096 * 4096; page < offset + size; page += 4096)
        if (sys->read_now(sys, file->fd, &byte, 1, page) != 1)
            return false;
    return true;
}

static void await_hints(const struct leat_file *file)
{
    for (unsigned tries = 0; file->fills > 0; tries++) {
        assert_true(tries < 1000);
        assert_int_equal(leat_sleep_ms(5), 0);
    }
}

static void forget_verdicts(struct leat_file *file)
{
    memset(file->verdicts, 0, file->verdict_count * sizeof *file->verdicts);
}

static void what_is_hinted_at_is_read(void)
{
    static const struct leat_file_range cases[] = {
        {0, 1},
        {FILE_WINDOW_SIZE - 5, 10},
        {300000, 2000000},
        {FILM_SIZE - 1, 1},
        {FILM_SIZE - 300000, UINT64_MAX},
        {0, UINT64_MAX},
    };
    struct leat_file *film = open_file("film");
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        const uint64_t offset = cases[index].offset, left = FILM_SIZE - offset;
        const uint64_t size = cases[index].size < left ? cases[index].size : left;
        bool is_cold = true;
        /* What others read of the disk meanwhile may bring a page back. */
        for (unsigned attempt = 0; is_cold && film->fills == 0 && attempt < 5; attempt++) {
            is_cold = folder_make_cold(&folder, "film", FILM_SIZE);
            forget_verdicts(film);
            leat_file_read_ahead(film, offset, cases[index].size);
        }
        if (!is_cold)
            break;
        assert_int_equal(film->fills, 1);
        await_hints(film);
        assert_true(is_warm(film, offset, size));
        assert_int_equal(film->references, 2); /* the cache's and ours */
    }
    leat_file_unref(film);
}
FOLDER_TEST(what_is_hinted_at_is_read)

static void what_is_warm_is_left_alone(void)
{
    static const struct leat_file_range range = {0, FILM_SIZE};
    static char data[FILM_SIZE];
    struct leat_file *film = open_file("film"), *here = open_file(".");
    assert_int_equal(leat_file_read(film, &range, 1, data, soon()), 0);
    leat_file_read_ahead(film, 0, UINT64_MAX);
    leat_file_read_ahead(film, 1000000, 2000000);
    leat_file_read_ahead(film, FILM_SIZE, 1);
    leat_file_read_ahead(film, UINT64_MAX, UINT64_MAX);
    leat_file_read_ahead(film, 0, 0);
    leat_file_read_ahead(here, 0, 4096);
    assert_int_equal(film->fills, 0);
    assert_int_equal(here->fills, 0);
    assert_int_equal(film->references, 2);
    leat_file_unref(film);
    leat_file_unref(here);
}
FOLDER_TEST(what_is_warm_is_left_alone)

/* Eight MiB of a hint, four hints at a time, one of a place. */
static void hints_have_limits(void)
{
    struct leat_file *large = open_file("large");
    if (folder_make_cold(&folder, "large", LARGE_SIZE)) {
        leat_file_read_ahead(large, 0, UINT64_MAX);
        leat_file_read_ahead(large, 0, 4096);
        leat_file_read_ahead(large, 2 * FILE_WINDOW_SIZE, 4096);
        assert_int_equal(large->fills, 1);
        await_hints(large);
        assert_true(is_warm(large, 0, 8 * FILE_WINDOW_SIZE));
        assert_false(is_warm(large, 9 * FILE_WINDOW_SIZE + FILE_WINDOW_SIZE / 2, 4096));
    }
    forget_verdicts(large);
    if (folder_make_cold(&folder, "large", LARGE_SIZE)) {
        for (unsigned index = 0; index < 10; index++)
            leat_file_read_ahead(large, (9 - index) * FILE_WINDOW_SIZE, 4096);
        assert_int_equal(large->fills, FILE_HINTS_MAX);
        await_hints(large);
        leat_file_read_ahead(large, 0, 4096);
        await_hints(large);
        assert_true(is_warm(large, 0, 4096));
    }
    leat_file_unref(large);
}
FOLDER_TEST(hints_have_limits)

/* The file lives as long as the hint does, whoever lets go of it. */
static void a_hint_holds_its_file(void)
{
    struct leat_file *large = open_file("large");
    if (folder_make_cold(&folder, "large", LARGE_SIZE)) {
        forget_verdicts(large);
        leat_file_read_ahead(large, 0, UINT64_MAX);
        leat_file_unref(large);
        leat_root_close(root);
        assert_int_equal(leat_sleep_ms(100), 0);
        assert_int_equal(leat_root_open(folder.path, &root), 0);
    } else {
        leat_file_unref(large);
    }
}
FOLDER_TEST(a_hint_holds_its_file)

/* A loop that ends, by itself or because it shall, does not wait for more than what is begun. */
static void hint_and_return(void)
{
    struct leat_file *large = open_file("large");
    if (!folder_make_cold(&folder, "large",
                          LARGE_SIZE)) { /* the last test's hints are still read */
        assert_int_equal(leat_sleep_ms(200), 0);
        (void)folder_make_cold(&folder, "large", LARGE_SIZE);
    }
    forget_verdicts(large);
    for (uint64_t window = 0; window < 4; window++)
        leat_file_read_ahead(large, window * 2 * FILE_WINDOW_SIZE, 2 * FILE_WINDOW_SIZE);
    leat_file_unref(large);
}
FOLDER_TEST(hint_and_return)

static void hint_and_stop_fiber(void *arg)
{
    assert_int_equal(leat_root_open(folder.path, &root), 0);
    hint_and_return();
    leat_root_close(root);
    leat_loop_stop(loop_current);
}

static void hint_and_stop_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    struct leat_scope scope;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, hint_and_stop_fiber, NULL, NULL), 0);
    assert_int_equal(leat_loop_run(loop), 0);
    leat_scope_fini(&scope);
    leat_loop_destroy(loop);
}
ENGINE_TEST(hint_and_stop)

static int make_files(void **state)
{
    folder_make(&folder);
    folder_write(&folder, "film", 0, FILM_SIZE);
    folder_write(&folder, "large", 0, LARGE_SIZE);
    return sem_init(&gate, 0, 0);
}

static int remove_files(void **state)
{
    folder_remove(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_are_put_together),
        cmocka_unit_test(test_many_small_ranges),
        cmocka_unit_test(test_what_is_not_there_is_truncated),
        cmocka_unit_test(test_what_is_warm_needs_no_job),
        cmocka_unit_test(test_what_is_hinted_at_is_read),
        cmocka_unit_test(test_what_is_warm_is_left_alone),
        cmocka_unit_test(test_hints_have_limits),
        cmocka_unit_test(test_a_hint_holds_its_file),
        cmocka_unit_test(test_hint_and_return),
        cmocka_unit_test(test_hint_and_stop),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
