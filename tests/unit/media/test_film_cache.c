/* SPDX-License-Identifier: MIT */
/*
 * The cache of films: what is asked for by many, on several loops, is built once; what is none is
 * remembered with its reason; what is too much goes; and a file that changes is another film.
 */
#include "../engines.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/film_cache.h"
#include "movie.h"
#include "net/file.h"

enum { FILMS = 6, FIBERS = 100, LOOPS = 3, PATH_SIZE = 256 };

static char folder[] = "/tmp/leat-film-cache-XXXXXX";
static struct leat_root *root;
static struct film_cache *cache;

/* ---- Files ----------------------------------------------------------------------------------- */

static const char *path_of(const char *name)
{
    static char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t size)
{
    const int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

/* A film with so many pictures, 25 a second. */
static void write_film(const char *name, unsigned pictures)
{
    static struct movie_track track;
    memset(&track, 0, sizeof track);
    track.handler = "vide";
    track.entry = "avc1";
    track.timescale = 25;
    track.chunk = 1;
    track.count = pictures;
    for (unsigned at = 0; at < pictures; at++)
        track.samples[at] =
            (struct movie_sample){.size = 20, .duration = 1, .is_sync = at % 50 == 0};
    struct movie movie = movie_make(&track, 1);
    write_file(name, movie.data, movie.size);
    free(movie.data);
}

static const char *film_name(unsigned index)
{
    static char name[32];
    snprintf(name, sizeof name, "film%u.mp4", index);
    return name;
}

static int make_files(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    for (unsigned index = 0; index < FILMS; index++)
        write_film(film_name(index), 500 + index);
    for (unsigned index = 0; index < FILMS; index++) {
        char name[32];
        snprintf(name, sizeof name, "text%u.mp4", index);
        write_file(name, "this is no film at all", 22);
    }
    return 0;
}

static int remove_files(void **state)
{
    char command[PATH_SIZE];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static int64_t soon(void)
{
    return leat_after_ms(30 * 1000);
}

static struct leat_file *open_file(const char *name)
{
    struct leat_file *file;
    assert_int_equal(leat_file_open(root, name, soon(), &file), 0);
    return file;
}

static int get(const char *name, struct film **ret_film, char *reason)
{
    struct leat_file *file = open_file(name);
    const int error = film_cache_get(cache, file, soon(), ret_film, reason);
    leat_file_unref(file);
    return error;
}

static struct film *get_film(const char *name)
{
    char reason[FILM_REASON_SIZE] = "x";
    struct film *film = NULL;
    const int error = get(name, &film, reason);
    if (error)
        fail_msg("%s: %s: %s", name, leat_error_text(error), reason);
    assert_string_equal(reason, "");
    return film;
}

static struct film_cache_counters counters(void)
{
    struct film_cache_counters counters;
    film_cache_read_counters(cache, &counters);
    return counters;
}

/* Runs in a fiber, with a cache and a root of its own. */
static void (*test_body)(void);
static struct film_cache_options options;

static int with_cache(void *unused)
{
    assert_int_equal(film_cache_create(&options, &cache), 0);
    assert_int_equal(leat_root_open(folder, &root), 0);
    test_body();
    leat_root_close(root);
    film_cache_destroy(cache);
    return 0;
}

#define CACHE_TEST(name, ...)                                                                      \
    static void name##_body(enum leat_engine engine)                                               \
    {                                                                                              \
        test_body = name;                                                                          \
        options = (struct film_cache_options){__VA_ARGS__};                                        \
        run_main_fiber(engine, with_cache);                                                        \
    }                                                                                              \
    ENGINE_TEST(name)

/* ---- Films ----------------------------------------------------------------------------------- */

static void a_film_is_built_once(void)
{
    struct film *first = get_film("film0.mp4"), *second = get_film("film0.mp4");
    struct film *other = get_film("film1.mp4");
    assert_ptr_equal(first, second);
    assert_ptr_not_equal(first, other);
    assert_int_equal(counters().builds, 2);
    assert_int_equal(counters().hits, 1);
    assert_int_equal(counters().entries, 2);
    assert_true(counters().bytes >= film_memory(first) + film_memory(other));
    assert_int_equal(film_segment_count(first), 10);
    film_unref(first);
    film_unref(second);
    film_unref(other);
}
CACHE_TEST(a_film_is_built_once)

static void failures_keep_their_reason(void)
{
    char reason[FILM_REASON_SIZE], again[FILM_REASON_SIZE];
    struct film *film = NULL;
    const int error = get("text0.mp4", &film, reason);
    assert_true(error == -LEAT_E_MALFORMED || error == -EOPNOTSUPP);
    assert_true(strlen(reason) > 5);
    assert_int_equal(get("text0.mp4", &film, again), error);
    assert_string_equal(reason, again);
    assert_null(film);
    assert_int_equal(counters().builds, 1);
    assert_int_equal(counters().failures, 1);
    assert_int_equal(counters().entries, 1);
}
CACHE_TEST(failures_keep_their_reason)

static void what_is_too_much_goes(void)
{
    struct film *held = get_film("film0.mp4");
    for (unsigned index = 1; index < FILMS; index++)
        film_unref(get_film(film_name(index)));
    assert_int_equal(counters().entries, 2);
    assert_int_equal(counters().evictions, FILMS - 2);
    /* who had it keeps it; who asks gets another */
    assert_int_equal(film_segment_count(held), 10);
    struct film *anew = get_film("film0.mp4");
    assert_ptr_not_equal(held, anew);
    film_unref(anew);
    film_unref(held);
    /* the most recently used ones stay */
    const uint64_t builds = counters().builds;
    film_unref(get_film(film_name(FILMS - 1)));
    assert_int_equal(counters().builds, builds);
}
CACHE_TEST(what_is_too_much_goes, .entries_max = 2)

static void one_film_always_stays(void)
{
    for (unsigned round = 0; round < 2; round++) {
        film_unref(get_film("film0.mp4"));
        film_unref(get_film("film0.mp4"));
        assert_int_equal(counters().entries, 1);
        assert_int_equal(counters().builds, 2 * round + 1);
        film_unref(get_film("film1.mp4"));
    }
    assert_true(counters().bytes > 1);
}
CACHE_TEST(one_film_always_stays, .memory_max = 1)

static void failures_are_few(void)
{
    char reason[FILM_REASON_SIZE], name[32];
    struct film *film;
    film_unref(get_film("film0.mp4"));
    for (unsigned index = 0; index < FILMS; index++) {
        snprintf(name, sizeof name, "text%u.mp4", index);
        assert_int_not_equal(get(name, &film, reason), 0);
    }
    assert_int_equal(counters().entries, 1 + 3);
    /* they drive out no film */
    const uint64_t builds = counters().builds;
    film_unref(get_film("film0.mp4"));
    assert_int_equal(counters().builds, builds);
}
CACHE_TEST(failures_are_few, .failures_max = 3)

static void reading_has_a_limit(void)
{
    char reason[FILM_REASON_SIZE];
    struct film *film;
    assert_int_equal(get("film0.mp4", &film, reason), -LEAT_E_LIMIT);
    assert_string_equal(reason, "its index is too large to be read");
}
CACHE_TEST(reading_has_a_limit, .read_max = 3000)

static void another_file_is_another_film(void)
{
    write_film("changing.mp4", 100);
    struct film *before = get_film("changing.mp4");
    assert_int_equal(film_segment_count(before), 2);
    write_film("changing.mp4", 200);
    /* what the file was when it was opened is not what is read now */
    struct leat_file *file = open_file("changing.mp4");
    char reason[FILM_REASON_SIZE];
    struct film *film;
    struct leat_file *stale = open_file("film1.mp4");
    const struct leat_file_info info = stale->info;
    stale->info.mtime_ns++;
    assert_int_equal(film_cache_get(cache, stale, soon(), &film, reason), -ESTALE);
    assert_string_equal(reason, "");
    stale->info = info;
    leat_file_unref(stale);
    leat_file_unref(file);
    assert_int_equal(leat_sleep_ms(FILE_FRESH_MS + 50), 0);
    struct film *after = get_film("changing.mp4");
    assert_int_equal(film_segment_count(after), 4);
    assert_int_equal(film_segment_count(before), 2);
    film_unref(before);
    film_unref(after);
}
CACHE_TEST(another_file_is_another_film)

/* ---- Many at once ---------------------------------------------------------------------------- */

struct crowd {
    unsigned films; /* that are asked for in turn */
    unsigned failed;
    unsigned next;
};

static void ask(void *arg)
{
    struct crowd *crowd = arg;
    char reason[FILM_REASON_SIZE], name[32];
    struct film *film;
    snprintf(name, sizeof name, "film%u.mp4", crowd->next++ % crowd->films);
    if (get(name, &film, reason) == 0)
        film_unref(film);
    else
        crowd->failed++;
}

static int crowd_fiber(void *arg)
{
    struct leat_scope scope;
    leat_scope_init(&scope);
    for (unsigned index = 0; index < FIBERS; index++)
        if (leat_spawn(&scope, ask, arg, NULL) != 0)
            return -ENOMEM;
    const int error = leat_scope_join(&scope, LEAT_FOREVER);
    leat_scope_fini(&scope);
    return error;
}

static void a_crowd_costs_one_build(void)
{
    struct crowd crowd = {.films = 1};
    assert_int_equal(crowd_fiber(&crowd), 0);
    assert_int_equal(crowd.failed, 0);
    assert_int_equal(counters().builds, 1);
    assert_int_equal(counters().building, 0);
}
CACHE_TEST(a_crowd_costs_one_build)

static void builds_wait_in_line(void)
{
    struct crowd crowd = {.films = FILMS};
    assert_int_equal(crowd_fiber(&crowd), 0);
    assert_int_equal(crowd.failed, 0);
    assert_int_equal(counters().builds, FILMS);
}
CACHE_TEST(builds_wait_in_line, .builds_max = 1)

static void *run_loop(void *arg)
{
    struct crowd crowd = {.films = FILMS};
    const struct leat_loop_options loop = {.engine = *(enum leat_engine *)arg};
    const int error = leat_run(crowd_fiber, &crowd, &loop);
    return (void *)(intptr_t)(error ? error : (int)crowd.failed);
}

static void loops_share_body(enum leat_engine engine)
{
    pthread_t threads[LOOPS];
    options = (struct film_cache_options){.builds_max = 2};
    assert_int_equal(film_cache_create(&options, &cache), 0);
    assert_int_equal(leat_root_open(folder, &root), 0);
    for (unsigned index = 0; index < LOOPS; index++)
        assert_int_equal(pthread_create(&threads[index], NULL, run_loop, &engine), 0);
    for (unsigned index = 0; index < LOOPS; index++) {
        void *result;
        assert_int_equal(pthread_join(threads[index], &result), 0);
        assert_null(result);
    }
    assert_int_equal(counters().builds, FILMS);
    assert_int_equal(counters().entries, FILMS);
    leat_root_close(root);
    film_cache_destroy(cache);
}
ENGINE_TEST(loops_share)

/* ---- Giving up ------------------------------------------------------------------------------- */

static void hurry(void *arg)
{
    char reason[FILM_REASON_SIZE];
    struct film *film = NULL;
    struct leat_file *file = open_file("film0.mp4");
    *(int *)arg = film_cache_get(cache, file, leat_now_ns() - 1, &film, reason);
    leat_file_unref(file);
}

static void ask_open(void *arg)
{
    char reason[FILM_REASON_SIZE];
    struct film *film;
    if (film_cache_get(cache, arg, soon(), &film, reason) == 0)
        film_unref(film);
}

static void who_gives_up_is_no_hindrance(void)
{
    struct leat_scope scope;
    int late = 0;
    struct leat_file *files[] = {open_file("film0.mp4"), open_file("film1.mp4")};
    hurry(&late);
    assert_int_equal(late, -ETIMEDOUT);
    assert_int_equal(counters().building, 0);
    /* all are cancelled, wherever they are by then */
    for (unsigned yields = 0; yields < 6; yields++) {
        leat_scope_init(&scope);
        for (unsigned index = 0; index < FIBERS; index++)
            assert_int_equal(leat_spawn(&scope, ask_open, files[index % 2], NULL), 0);
        for (unsigned index = 0; index < yields; index++)
            assert_int_equal(leat_yield(), 0);
        leat_scope_fini(&scope);
        assert_int_equal(counters().building, 0);
    }
    film_unref(get_film("film0.mp4"));
    leat_file_unref(files[0]);
    leat_file_unref(files[1]);
}

/* The one who builds is cancelled; those who wait for it build it. */
static void another_takes_over(void)
{
    struct leat_file *file = open_file("film0.mp4");
    struct leat_scope first, others;
    leat_scope_init(&first);
    leat_scope_init(&others);
    assert_int_equal(leat_spawn(&first, ask_open, file, NULL), 0);
    for (unsigned index = 0; index < 5; index++)
        assert_int_equal(leat_spawn(&others, ask_open, file, NULL), 0);
    assert_int_equal(leat_yield(), 0);
    leat_scope_fini(&first);
    assert_int_equal(leat_scope_join(&others, soon()), 0);
    leat_scope_fini(&others);
    assert_int_equal(counters().entries, 1);
    assert_int_equal(counters().building, 0);
    leat_file_unref(file);
}

CACHE_TEST(who_gives_up_is_no_hindrance, .builds_max = 1)
CACHE_TEST(another_takes_over)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_film_is_built_once),
        cmocka_unit_test(test_failures_keep_their_reason),
        cmocka_unit_test(test_what_is_too_much_goes),
        cmocka_unit_test(test_one_film_always_stays),
        cmocka_unit_test(test_failures_are_few),
        cmocka_unit_test(test_reading_has_a_limit),
        cmocka_unit_test(test_another_file_is_another_film),
        cmocka_unit_test(test_a_crowd_costs_one_build),
        cmocka_unit_test(test_builds_wait_in_line),
        cmocka_unit_test(test_loops_share),
        cmocka_unit_test(test_who_gives_up_is_no_hindrance),
        cmocka_unit_test(test_another_takes_over),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
