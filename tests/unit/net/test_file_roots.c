/* SPDX-License-Identifier: MIT */
/*
 * Roots: what they refuse and tell of, what they follow, and that threads share them.
 */
#include "pair.h"

#include <pthread.h>
#include <stdatomic.h>

#include "net/file.h"

static struct folder folder;

/* What was told of, by threads of the pool. */
static struct {
    _Atomic unsigned count;
    char path[64];
    int error;
} told;

static void note_refusal(const char *path, int error, void *user)
{
    assert_ptr_equal(user, &told);
    snprintf(told.path, sizeof told.path, "%s", path);
    told.error = error;
    atomic_fetch_add(&told.count, 1);
}

static int open_result(struct leat_root *root, const char *path)
{
    struct leat_file *file = NULL;
    const int error = leat_file_open(root, path, soon(), &file);
    leat_file_unref(file);
    return error;
}

static void make_folder(void)
{
    folder_make(&folder);
    folder_write(&folder, "film", 0, 100000);
    assert_int_equal(symlink("/etc/passwd", folder_path(&folder, "out")), 0);
    assert_int_equal(symlink("/proc/self", folder_path(&folder, "out-folder")), 0);
    assert_int_equal(symlink("../", folder_path(&folder, "up")), 0);
    assert_int_equal(symlink("round", folder_path(&folder, "round")), 0);
    assert_int_equal(symlink("film", folder_path(&folder, "inside")), 0);
}

#define FOLDER_TEST(name)                                                                          \
    static void name##_body(enum leat_engine engine)                                               \
    {                                                                                              \
        make_folder();                                                                             \
        run_main_fiber(engine, name##_fiber);                                                      \
        folder_remove(&folder);                                                                    \
    }                                                                                              \
    ENGINE_TEST(name)

/* ---- Refusals -------------------------------------------------------------------------------- */

static int what_leads_out_is_told_fiber(void *arg)
{
    const struct leat_root_options options = {.on_refused = note_refusal, .user = &told};
    struct leat_root *root;
    assert_int_equal(leat_root_open_with(folder.path, &options, &root), 0);
    told.count = 0;
    assert_int_equal(open_result(root, "film"), 0);
    assert_int_equal(open_result(root, "none"), -ENOENT);
    assert_int_equal(open_result(root, "film/x"), -ENOTDIR);
    assert_int_equal(told.count, 0);
    assert_int_equal(open_result(root, "out"), -EXDEV);
    assert_int_equal(told.count, 1);
    assert_string_equal(told.path, "out");
    assert_int_equal(told.error, -EXDEV);
    /* Of many at once only the first. */
    assert_int_equal(open_result(root, "round"), -ELOOP);
    assert_int_equal(open_result(root, "up"), -EXDEV);
    assert_int_equal(open_result(root, "out-folder/status"), -EXDEV);
    assert_int_equal(told.count, 1);
    assert_int_equal(leat_sleep_ms(1050), 0);
    assert_int_equal(open_result(root, "round"), -ELOOP);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.error, -ELOOP);
    leat_root_close(root);
    return 0;
}
FOLDER_TEST(what_leads_out_is_told)

static int links_may_be_followed_fiber(void *arg)
{
    const struct leat_root_options options = {
        .follow_symlinks = true, .on_refused = note_refusal, .user = &told};
    struct leat_root *root;
    assert_int_equal(leat_root_open_with(folder.path, &options, &root), 0);
    told.count = 0;
    assert_int_equal(open_result(root, "film"), 0);
    assert_int_equal(open_result(root, "inside"), 0);
    assert_int_equal(open_result(root, "out"), 0);
    assert_int_equal(open_result(root, "out-folder/status"), 0);
    assert_int_equal(open_result(root, "up"), 0);
    assert_int_equal(open_result(root, "..film"), -ENOENT);
    assert_int_equal(told.count, 0);
    /* We lead nowhere ourselves. */
    static const char *const ours[] = {"..",      "../",        "../film",      "/etc/passwd", "/",
                                       "film/..", "up/../film", "a/../../film", "up/.."};
    for (size_t index = 0; index < sizeof ours / sizeof *ours; index++)
        assert_int_equal(open_result(root, ours[index]), -EXDEV);
    assert_int_equal(open_result(root, "round"), -ELOOP);
    assert_int_equal(told.count, 1);
    leat_root_close(root);
    return 0;
}
FOLDER_TEST(links_may_be_followed)

/* ---- Threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 200 };

static struct leat_root *shared;
static pthread_barrier_t barrier;

static int open_often(void *arg)
{
    unsigned *good = arg;
    char name[32];
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct leat_file *film;
        snprintf(name, sizeof name, "none-%u", round % 100);
        *good += leat_file_open(shared, "film", soon(), &film) == 0;
        *good += leat_file_info(film)->size == 100000;
        *good += leat_file_open(shared, name, soon(), &film) == -ENOENT;
        leat_file_unref(film);
    }
    struct file_counters counters;
    file_counters_read(leat_loop_current(), &counters);
    *good += counters.entries == 1 + FILE_FAILURES_MAX; /* a cache of its own */
    return 0;
}

/* A loop whose cache outlives the root: closed by another thread between the two barriers. */
static int outlive(void *arg)
{
    const int error = open_often(arg);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return error;
}

static void *thread_main(void *arg)
{
    assert_int_equal(leat_run(outlive, arg, NULL), 0);
    return NULL;
}

static void test_threads_share_a_root(void **state)
{
    make_folder();
    unsigned good[THREADS] = {0};
    pthread_t threads[THREADS];
    const unsigned before = open_descriptors();
    assert_int_equal(leat_root_open(folder.path, &shared), 0); /* there is no loop here */
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (unsigned index = 0; index < THREADS; index++)
        assert_int_equal(pthread_create(&threads[index], NULL, thread_main, &good[index]), 0);
    pthread_barrier_wait(&barrier);
    leat_root_close(shared);
    pthread_barrier_wait(&barrier);
    for (unsigned index = 0; index < THREADS; index++) {
        pthread_join(threads[index], NULL);
        assert_int_equal(good[index], 3 * ROUNDS + 1);
    }
    pthread_barrier_destroy(&barrier);
    assert_int_equal(open_descriptors(), before);
    folder_remove(&folder);
}

/* Entries of a root that is gone are nobody's: another may come to lie where it lay. */
static int a_new_root_finds_nothing_old_fiber(void *arg)
{
    struct leat_root *root;
    for (unsigned round = 0; round < 20; round++) {
        struct leat_file *file;
        assert_int_equal(leat_root_open(round % 2 ? "/etc" : folder.path, &root), 0);
        assert_int_equal(leat_file_open(root, "film", soon(), &file), round % 2 ? -ENOENT : 0);
        if (round % 2 == 0)
            leat_file_unref(file);
        leat_root_close(root);
    }
    struct file_counters counters;
    file_counters_read(leat_loop_current(), &counters);
    assert_int_equal(counters.entries, 0);
    return 0;
}
FOLDER_TEST(a_new_root_finds_nothing_old)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_leads_out_is_told),
        cmocka_unit_test(test_links_may_be_followed),
        cmocka_unit_test(test_threads_share_a_root),
        cmocka_unit_test(test_a_new_root_finds_nothing_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
