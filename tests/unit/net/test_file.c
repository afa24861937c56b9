/* SPDX-License-Identifier: MIT */
/*
 * Roots and the open-file cache: what is found, for how long it is believed, that nothing leads
 * out of a root, and that many who ask at once cost one look. And files as memory.
 */
#include "pair.h"

#include <semaphore.h>

#include "loop/offload.h"
#include "net/file.h"

static struct folder folder;
static struct leat_root *root;

static struct leat_file *open_file(const char *path)
{
    struct leat_file *file = NULL;
    const int error = leat_file_open(root, path, soon(), &file);
    if (error)
        fail_msg("%s: %s", path, leat_error_text(error));
    return file;
}

static void open_fails(const char *path, int expected)
{
    struct leat_file *file = NULL;
    assert_int_equal(leat_file_open(root, path, soon(), &file), expected);
    assert_null(file);
}

static struct file_counters counters(void)
{
    struct file_counters counters;
    file_counters_read(loop_current, &counters);
    return counters;
}

static void grow_stale(void)
{
    assert_int_equal(leat_sleep_ms(FILE_FRESH_MS + 50), 0);
}

/* Each test has a fresh folder with "film", and its root in the fiber's loop. */
static void run_in_folder(enum leat_engine engine, int (*fiber)(void *arg))
{
    folder_make(&folder);
    folder_write(&folder, "film", 0, 100000);
    run_main_fiber(engine, fiber);
    folder_remove(&folder);
}

#define FOLDER_TEST(name)                                                                          \
    static int name##_rooted(void *arg)                                                            \
    {                                                                                              \
        assert_int_equal(leat_root_open(folder.path, &root), 0);                                   \
        name();                                                                                    \
        leat_root_close(root);                                                                     \
        return 0;                                                                                  \
    }                                                                                              \
    static void name##_body(enum leat_engine engine)                                               \
    {                                                                                              \
        run_in_folder(engine, name##_rooted);                                                      \
    }                                                                                              \
    ENGINE_TEST(name)

/* ---- What is found --------------------------------------------------------------------------- */

static void a_second_look_is_a_hit(void)
{
    struct leat_file *first = open_file("film"), *second = open_file("film");
    assert_ptr_equal(first, second);
    assert_int_equal(leat_file_info(first)->size, 100000);
    assert_false(leat_file_info(first)->is_directory);
    struct stat stat_now;
    assert_int_equal(stat(folder_path(&folder, "film"), &stat_now), 0);
    assert_int_equal(leat_file_info(first)->inode, stat_now.st_ino);
    assert_int_equal(leat_file_info(first)->mtime_ns,
                     stat_now.st_mtim.tv_sec * LEAT_NS_PER_S + stat_now.st_mtim.tv_nsec);
    assert_int_equal(counters().hits, 1);
    assert_int_equal(counters().misses, 1);
    assert_int_equal(counters().entries, 1);
    leat_file_unref(first);
    leat_file_unref(second);
    leat_file_unref(NULL);
    struct leat_file *folder_file = open_file(".");
    assert_true(leat_file_info(folder_file)->is_directory);
    leat_file_unref(folder_file);
}
FOLDER_TEST(a_second_look_is_a_hit)

static void it_is_believed_for_a_second(void)
{
    struct leat_file *old = open_file("film");
    /* Replaced by another of the same size: the inode tells. */
    folder_write(&folder, "other", 1, 100000);
    assert_int_equal(rename(folder_path(&folder, "other"), folder_path(&folder, "film")), 0);
    struct leat_file *same = open_file("film");
    assert_ptr_equal(same, old);
    leat_file_unref(same);
    grow_stale();
    struct leat_file *new = open_file("film");
    assert_ptr_not_equal(new, old);
    assert_int_not_equal(leat_file_info(new)->inode, leat_file_info(old)->inode);
    assert_int_equal(counters().revalidations, 1);
    /* Who holds the old one can read it still. */
    char byte;
    assert_int_equal(loop_current->sys->read(loop_current->sys, old->fd, &byte, 1, 7), 1);
    assert_int_equal(byte, content_at(7));
    leat_file_unref(old);
    leat_file_unref(new);
    /* Not changed: the same stays. */
    grow_stale();
    same = open_file("film");
    assert_ptr_equal(same, new);
    leat_file_unref(same);
    assert_int_equal(counters().revalidations, 2);
    /* Gone: believed no longer than that, and neither is its absence. */
    assert_int_equal(remove(folder_path(&folder, "film")), 0);
    leat_file_unref(open_file("film"));
    grow_stale();
    open_fails("film", -ENOENT);
    folder_write(&folder, "film", 0, 5);
    const uint64_t hits = counters().hits;
    open_fails("film", -ENOENT);
    assert_int_equal(counters().hits, hits + 1);
    assert_int_equal(counters().entries, 1);
    grow_stale();
    leat_file_unref(open_file("film"));
    assert_int_equal(counters().entries, 1);
}
FOLDER_TEST(it_is_believed_for_a_second)

static void nothing_leads_out(void)
{
    assert_int_equal(mkdir(folder_path(&folder, "sub"), 0755), 0);
    assert_int_equal(symlink("/etc/passwd", folder_path(&folder, "absolute")), 0);
    assert_int_equal(symlink("../", folder_path(&folder, "up")), 0);
    assert_int_equal(symlink("film", folder_path(&folder, "inside")), 0);
    assert_int_equal(symlink("loop", folder_path(&folder, "loop")), 0);
    assert_int_equal(mkfifo(folder_path(&folder, "pipe"), 0644), 0);
    open_fails("absolute", -EXDEV);
    open_fails("up", -EXDEV);
    open_fails("up/meson.build", -EXDEV);
    open_fails("..", -EXDEV);
    open_fails("../meson.build", -EXDEV);
    open_fails("sub/../../meson.build", -EXDEV);
    open_fails("/etc/passwd", -EXDEV);
    open_fails("/proc/self/root/etc/passwd", -EXDEV);
    open_fails("loop", -ELOOP);
    open_fails("film/x", -ENOTDIR);
    open_fails("nothing", -ENOENT);
    open_fails("pipe", -ENOENT); /* neither file nor directory, and nobody waits for its writer */
    char path[FILE_PATH_MAX + 2];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = 0;
    open_fails(path, -ENAMETOOLONG);
    struct leat_file *plain = open_file("sub/../film"), *linked = open_file("inside");
    assert_int_equal(leat_file_info(plain)->inode, leat_file_info(linked)->inode);
    leat_file_unref(plain);
    leat_file_unref(linked);
    assert_int_equal(counters().entries, 2 + 12);
    open_fails("absolute", -EXDEV); /* remembered as well */
    open_fails("film/x", -ENOTDIR);
    assert_int_equal(counters().misses, 2 + 12);
}
FOLDER_TEST(nothing_leads_out)

/* Who asks for what is not there drives nothing out that is. */
static void failures_are_few(void)
{
    enum { FILES = 100 };
    char name[32];
    for (unsigned index = 0; index < FILES; index++) {
        snprintf(name, sizeof name, "link-%u", index);
        assert_int_equal(link(folder_path(&folder, "film"), folder_path(&folder, name)), 0);
        leat_file_unref(open_file(name));
    }
    for (unsigned index = 0; index < 2 * FILE_CACHE_MAX; index++) {
        snprintf(name, sizeof name, "missing-%u", index);
        open_fails(name, -ENOENT);
    }
    assert_int_equal(counters().entries, FILES + FILE_FAILURES_MAX);
    const uint64_t misses = counters().misses;
    for (unsigned index = 0; index < FILES; index++) {
        snprintf(name, sizeof name, "link-%u", index);
        leat_file_unref(open_file(name));
    }
    open_fails("missing-2047", -ENOENT); /* the last ones are still known */
    assert_int_equal(counters().misses, misses);
    open_fails("missing-0", -ENOENT); /* the first are not */
    assert_int_equal(counters().misses, misses + 1);
}
FOLDER_TEST(failures_are_few)

static bool count_entry(const char *name, bool is_directory, void *user)
{
    unsigned *counts = user;
    counts[is_directory]++;
    return counts[0] + counts[1] < counts[2];
}

static void folders_are_listed(void)
{
    folder_write(&folder, "second", 0, 1);
    assert_int_equal(mkdir(folder_path(&folder, "sub"), 0755), 0);
    struct leat_file *here = open_file("."), *film = open_file("film");
    unsigned counts[3] = {0, 0, 100};
    assert_int_equal(leat_file_list(here, soon(), count_entry, counts), 0);
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 1);
    unsigned one[3] = {0, 0, 1};
    assert_int_equal(leat_file_list(here, soon(), count_entry, one), 0);
    assert_int_equal(one[0] + one[1], 1); /* false ended it */
    assert_int_equal(leat_file_list(film, soon(), count_entry, counts), -ENOTDIR);
    assert_int_equal(leat_file_list(here, 1, count_entry, counts), -ETIMEDOUT);
    leat_file_unref(here);
    leat_file_unref(film);
}
FOLDER_TEST(folders_are_listed)

static bool note_entry(const char *name, bool is_directory, const struct leat_file_info *info,
                       void *user)
{
    unsigned *seen = user;
    if (strcmp(name, "film") == 0) {
        struct stat stat_now;
        assert_int_equal(stat(folder_path(&folder, name), &stat_now), 0);
        assert_false(is_directory || info->is_directory);
        assert_int_equal(info->size, 100000);
        assert_int_equal(info->mtime_ns,
                         stat_now.st_mtim.tv_sec * LEAT_NS_PER_S + stat_now.st_mtim.tv_nsec);
        *seen |= 1;
    } else if (strcmp(name, "sub") == 0) {
        assert_true(is_directory && info->is_directory);
        *seen |= 2;
    } else {
        /* What it leads to is not told, for it may lie outside. */
        assert_null(info);
        assert_true(is_directory == (strcmp(name, "way-out") == 0));
        *seen |= is_directory ? 4 : 8;
    }
    return true;
}

static void folders_are_listed_with_sizes(void)
{
    assert_int_equal(mkdir(folder_path(&folder, "sub"), 0755), 0);
    assert_int_equal(symlink("/etc", folder_path(&folder, "way-out")), 0);
    assert_int_equal(symlink("film", folder_path(&folder, "inside")), 0);
    struct leat_file *here = open_file("."), *film = open_file("film");
    unsigned seen = 0;
    assert_int_equal(leat_file_list_info(here, soon(), note_entry, &seen), 0);
    assert_int_equal(seen, 15);
    assert_int_equal(leat_file_list_info(film, soon(), note_entry, &seen), -ENOTDIR);
    leat_file_unref(here);
    leat_file_unref(film);
}
FOLDER_TEST(folders_are_listed_with_sizes)

static void roots(void)
{
    struct leat_root *second = NULL;
    assert_int_equal(leat_root_open("there-is-no-such-folder", &second), -ENOENT);
    assert_int_equal(leat_root_open(folder_path(&folder, "film"), &second), -ENOTDIR);
    assert_null(second);
    leat_root_close(NULL);
    /* A file outlives its root, and another root has entries of its own. */
    assert_int_equal(leat_root_open(folder.path, &second), 0);
    struct leat_file *file, *same = open_file("film");
    assert_int_equal(leat_file_open(second, "film", soon(), &file), 0);
    assert_ptr_not_equal(file, same);
    assert_int_equal(leat_file_open(second, "none", soon(), &(struct leat_file *){NULL}), -ENOENT);
    leat_root_close(second);
    assert_int_equal(counters().entries, 1);
    assert_int_equal(leat_file_info(file)->size, 100000);
    leat_file_unref(file);
    leat_file_unref(same);
}
FOLDER_TEST(roots)

/* ---- Limits ---------------------------------------------------------------------------------- */

static void the_oldest_goes(void)
{
    char name[32];
    struct leat_file *held = open_file("film");
    for (unsigned index = 0; index < FILE_CACHE_MAX + 7; index++) {
        snprintf(name, sizeof name, "link-%u", index);
        assert_int_equal(link(folder_path(&folder, "film"), folder_path(&folder, name)), 0);
        leat_file_unref(open_file(name));
        if (index % 100 == 0)
            leat_file_unref(open_file("film")); /* used now and then: it stays */
    }
    assert_int_equal(counters().entries, FILE_CACHE_MAX);
    assert_int_equal(counters().evictions, 8);
    assert_true(open_descriptors() < FILE_CACHE_MAX + 50);
    const uint64_t misses = counters().misses;
    leat_file_unref(open_file("film"));
    leat_file_unref(open_file("link-8"));
    assert_int_equal(counters().misses, misses);
    leat_file_unref(open_file("link-1"));
    assert_int_equal(counters().misses, misses + 1);
    leat_file_unref(held);
}
FOLDER_TEST(the_oldest_goes)

/* With fewer descriptors than files: the cache gives back what nobody holds. */
static int few_descriptors_fiber(void *arg)
{
    char name[32];
    struct rlimit limit;
    CHILD_EXPECT(leat_root_open(folder.path, &root) == 0);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    CHILD_EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (unsigned index = 0; index < 200; index++) {
        struct leat_file *file;
        snprintf(name, sizeof name, "link-%u", index);
        CHILD_EXPECT(link(folder_path(&folder, "film"), folder_path(&folder, name)) == 0);
        CHILD_EXPECT(leat_file_open(root, name, soon(), &file) == 0);
        leat_file_unref(file);
    }
    CHILD_EXPECT(counters().evictions > 100);
    /* All are held: then there is no way. */
    struct leat_file *held[64];
    unsigned count = 0;
    int error = 0;
    for (; count < 64 && !error; count += !error) {
        snprintf(name, sizeof name, "link-%u", count);
        error = leat_file_open(root, name, soon(), &held[count]);
    }
    CHILD_EXPECT(error == -EMFILE);
    while (count > 0)
        leat_file_unref(held[--count]);
    leat_root_close(root);
    return 0;
}

static void few_descriptors_body(enum leat_engine engine)
{
    folder_make(&folder);
    folder_write(&folder, "film", 0, 1000);
    in_a_child(engine, few_descriptors_fiber);
    folder_remove(&folder);
}
ENGINE_TEST(few_descriptors)

/* ---- Many who ask at once -------------------------------------------------------------------- */

struct opener {
    struct leat_file *file;
    int64_t deadline_ns; /* 0: far */
    int result;
};

static int open_film(void *arg)
{
    struct opener *opener = arg;
    const int64_t deadline_ns = opener->deadline_ns ? opener->deadline_ns : soon();
    return opener->result = leat_file_open(root, "film", deadline_ns, &opener->file);
}

static void open_film_alone(void *arg)
{
    open_film(arg);
}

static void they_cost_one_look(void)
{
    enum { MANY = 50 };
    struct opener openers[MANY] = {0};
    struct leat_call calls[MANY];
    for (unsigned index = 0; index < MANY; index++)
        calls[index] = (struct leat_call){.fn = open_film, .arg = &openers[index]};
    assert_int_equal(leat_gather(calls, MANY, NULL), 0);
    for (unsigned index = 0; index < MANY; index++) {
        assert_ptr_equal(openers[index].file, openers[0].file);
        leat_file_unref(openers[index].file);
    }
    assert_int_equal(counters().misses, 1);
    /* A failure is everybody's. */
    assert_int_equal(remove(folder_path(&folder, "film")), 0);
    grow_stale();
    const struct leat_gather_options wait = {.on_error = LEAT_GATHER_WAIT};
    assert_int_equal(leat_gather(calls, MANY, &wait), -ENOENT);
    for (unsigned index = 0; index < MANY; index++)
        assert_int_equal(calls[index].result, -ENOENT);
    assert_int_equal(counters().entries, 1);
}
FOLDER_TEST(they_cost_one_look)

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

/* The one who looks is cancelled while its job waits for a thread: another takes over, and the
 * one of those whose deadline passes goes alone. */
static void who_looks_may_be_cancelled(void)
{
    enum { WAITERS = 4 };
    struct leat_scope blockers, first, others;
    struct opener looker = {0}, waiters[WAITERS] = {0};
    leat_scope_init(&blockers);
    for (unsigned index = 0; index < OFFLOAD_THREADS_MAX; index++)
        assert_int_equal(leat_spawn(&blockers, stand_at_gate, NULL, NULL), 0);
    assert_int_equal(leat_yield(), 0);
    leat_scope_init(&first);
    leat_scope_init(&others);
    assert_int_equal(leat_spawn(&first, open_film_alone, &looker, NULL), 0);
    assert_int_equal(leat_yield(), 0);
    waiters[1].deadline_ns = leat_after_ms(10);
    for (unsigned index = 0; index < WAITERS; index++)
        assert_int_equal(leat_spawn(&others, open_film_alone, &waiters[index], NULL), 0);
    assert_int_equal(leat_sleep_ms(30), 0);
    assert_int_equal(waiters[1].result, -ETIMEDOUT);
    assert_int_equal(leat_scope_count(&others), WAITERS - 1);
    leat_scope_fini(&first);
    assert_int_equal(looker.result, -ECANCELED);
    assert_null(looker.file);
    for (unsigned index = 0; index < OFFLOAD_THREADS_MAX; index++)
        sem_post(&gate);
    assert_int_equal(leat_scope_join(&others, soon()), 0);
    assert_int_equal(leat_scope_join(&blockers, soon()), 0);
    leat_scope_fini(&others);
    leat_scope_fini(&blockers);
    for (unsigned index = 0; index < WAITERS; index++)
        if (index != 1) {
            assert_int_equal(waiters[index].result, 0);
            assert_ptr_equal(waiters[index].file, waiters[0].file);
            leat_file_unref(waiters[index].file);
        }
    assert_int_equal(counters().entries, 1);
}
FOLDER_TEST(who_looks_may_be_cancelled)

/* ---- Bytes in memory ------------------------------------------------------------------------- */

static void a_range_as_memory(void)
{
    const struct {
        uint64_t offset, size;
    } ranges[] = {{0, 100000}, {1, 4096}, {4095, 2}, {99999, 1}, {50, 0}, {100000, 0}};
    struct leat_file *film = open_file("film");
    for (unsigned index = 0; index < sizeof ranges / sizeof *ranges; index++) {
        struct leat_mapped *mapped;
        assert_int_equal(
            leat_mapped_create(film, ranges[index].offset, ranges[index].size, soon(), &mapped), 0);
        assert_int_equal(leat_mapped_size(mapped), ranges[index].size);
        const char *data = leat_mapped_data(mapped);
        for (uint64_t offset = 0; offset < ranges[index].size; offset++)
            assert_int_equal(data[offset], content_at(ranges[index].offset + offset));
        leat_mapped_destroy(mapped);
    }
    leat_mapped_destroy(NULL);
    struct leat_mapped *mapped = NULL;
    assert_int_equal(leat_mapped_create(film, 0, 100001, soon(), &mapped), -LEAT_E_TRUNCATED);
    assert_int_equal(leat_mapped_create(film, 100000, 1, soon(), &mapped), -LEAT_E_TRUNCATED);
    assert_int_equal(
        leat_mapped_create(film, 0, (uint64_t)LEAT_MAPPED_SIZE_MAX + 1, soon(), &mapped),
        -LEAT_E_LIMIT);
    assert_int_equal(leat_mapped_create(film, 0, 1, 1, &mapped), -ETIMEDOUT);
    assert_null(mapped);
    leat_file_unref(film);
}
FOLDER_TEST(a_range_as_memory)

/* The file shrinks to nothing and goes; the memory, and what it says, stay. */
static void memory_survives_its_file(void)
{
    struct leat_file *film = open_file("film");
    struct leat_mapped *mapped;
    assert_int_equal(leat_mapped_create(film, 0, 100000, soon(), &mapped), 0);
    leat_file_unref(film);
    const unsigned before = open_descriptors();
    assert_int_equal(truncate(folder_path(&folder, "film"), 0), 0);
    assert_int_equal(remove(folder_path(&folder, "film")), 0);
    const char *data = leat_mapped_data(mapped);
    for (size_t offset = 0; offset < 100000; offset++)
        assert_int_equal(data[offset], content_at(offset));
    leat_mapped_destroy(mapped);
    assert_int_equal(open_descriptors(), before); /* it held none */
}
FOLDER_TEST(memory_survives_its_file)

int main(void)
{
    sem_init(&gate, 0, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_second_look_is_a_hit),
        cmocka_unit_test(test_it_is_believed_for_a_second),
        cmocka_unit_test(test_nothing_leads_out),
        cmocka_unit_test(test_failures_are_few),
        cmocka_unit_test(test_folders_are_listed),
        cmocka_unit_test(test_folders_are_listed_with_sizes),
        cmocka_unit_test(test_roots),
        cmocka_unit_test(test_the_oldest_goes),
        cmocka_unit_test(test_few_descriptors),
        cmocka_unit_test(test_they_cost_one_look),
        cmocka_unit_test(test_who_looks_may_be_cancelled),
        cmocka_unit_test(test_a_range_as_memory),
        cmocka_unit_test(test_memory_survives_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
