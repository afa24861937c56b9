/* SPDX-License-Identifier: MIT */
/*
 * Coded copies of files: they are of the file's bytes and of no others, made once for all loops,
 * within their limits; and what lies beside a file is used when it may be, and written so that it
 * is whole or not there.
 */
#include "../net/pair.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mount.h>

#include "http/coded_files.h"
#include "http/coded_parts.h"
#include "net/file.h"

enum { TEXT_SIZE = 60000, ROOM = 1 << 20 };

static struct folder folder;
static struct leat_root *root;
static struct leat_http_coded_files *coded;

/* ---- What the tests share -------------------------------------------------------------------- */

enum {
    GZIP = CODEC_BIT(LEAT_CODEC_GZIP),
    ZSTD = CODEC_BIT(LEAT_CODEC_ZSTD),
    BROTLI = CODEC_BIT(LEAT_CODEC_BROTLI),
    ALL = GZIP | ZSTD | BROTLI,
};

/* Words, in another order with each seed. */
static void make_text(char *text, size_t size, unsigned seed)
{
    static const char *const words[] = {"film ", "stream ", "packet ", "copy ", "kernel ", "\n"};
    for (size_t end = 0; end < size;) {
        seed = seed * 1103515245 + 12345;
        const char *word = words[(seed >> 16) % 6];
        while (*word && end < size)
            text[end++] = *word++;
    }
}

/* Writes a file that was last changed so many seconds ago. */
static void put_file(const char *name, const void *data, size_t size, long age_s)
{
    FILE *file = fopen(folder_path(&folder, name), "w");
    struct timespec now;
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    clock_gettime(CLOCK_REALTIME, &now);
    const struct timespec times[2] = {now, {now.tv_sec - age_s, 123456789}};
    assert_int_equal(utimensat(AT_FDCWD, folder_path(&folder, name), times, 0), 0);
}

static void put_text(const char *name, size_t size, unsigned seed, long age_s)
{
    char *text = malloc(size);
    make_text(text, size, seed);
    put_file(name, text, size, age_s);
    free(text);
}

static struct leat_file *open_file(const char *name)
{
    struct leat_file *file;
    assert_int_equal(leat_file_open(root, name, soon(), &file), 0);
    return file;
}

/* Asks until there is one; 1: not within `wait_ms`. */
static int find(struct leat_file *file, const char *name, unsigned codecs, int wait_ms,
                struct leat_file **ret_coded, enum leat_codec *ret_codec)
{
    const int64_t deadline_ns = leat_after_ms(wait_ms);
    do {
        const int error = coded_files_find(coded, root, name, file, codecs, ret_coded, ret_codec);
        if (!error)
            return 0;
        assert_int_equal(error, -ENOENT);
        assert_int_equal(leat_sleep_ms(2), 0);
    } while (loop_current->now_ns < deadline_ns);
    return 1;
}

/* Is it the file's text, coded? */
static void check_copy(const struct leat_file *copy, enum leat_codec codec, size_t size,
                       unsigned seed)
{
    char *text = malloc(size), *decoded = malloc(size), *data = malloc(copy->info.size);
    make_text(text, size, seed);
    assert_int_equal(pread(copy->fd, data, copy->info.size, 0), copy->info.size);
    assert_int_equal(codec_decode(codec, data, copy->info.size, decoded, size), size);
    assert_memory_equal(text, decoded, size);
    free(data);
    free(decoded);
    free(text);
}

/* The copy of one file that comes within five seconds is right. */
static void expect_copy(const char *name, unsigned codecs, enum leat_codec expected, size_t size,
                        unsigned seed)
{
    struct leat_file *file = open_file(name), *copy;
    enum leat_codec codec;
    assert_int_equal(find(file, name, codecs, 5000, &copy, &codec), 0);
    assert_int_equal(codec, expected);
    check_copy(copy, codec, size, seed);
    leat_file_unref(copy);
    leat_file_unref(file);
}

static void expect_none(const char *name, unsigned codecs, int wait_ms)
{
    struct leat_file *file = open_file(name), *copy = NULL;
    enum leat_codec codec;
    assert_int_equal(find(file, name, codecs, wait_ms, &copy, &codec), 1);
    leat_file_unref(file);
}

static struct leat_http_coded_files_counters counters_now(void)
{
    struct leat_http_coded_files_counters counters;
    leat_http_coded_files_counters(coded, &counters);
    return counters;
}

static void await_jobs(void)
{
    while (counters_now().jobs > 0)
        assert_int_equal(leat_sleep_ms(2), 0);
}

static void begin(const struct leat_http_coded_files_options *options)
{
    assert_int_equal(leat_root_open(folder.path, &root), 0);
    assert_int_equal(leat_http_coded_files_create(options, &coded), 0);
}

static int end(void)
{
    leat_http_coded_files_destroy(coded);
    leat_root_close(root);
    return 0;
}

#define FOLDER_TEST(name)                                                                          \
    static void name##_body(enum leat_engine engine)                                               \
    {                                                                                              \
        folder_make(&folder);                                                                      \
        run_main_fiber(engine, name##_fiber);                                                      \
        folder_remove(&folder);                                                                    \
    }                                                                                              \
    ENGINE_TEST(name)

/* ---- Copies in memory ------------------------------------------------------------------------ */

static int copies_are_of_the_file_fiber(void *arg)
{
    begin(NULL);
    put_text("text", TEXT_SIZE, 1, 10);
    expect_copy("text", GZIP, LEAT_CODEC_GZIP, TEXT_SIZE, 1);
    expect_copy("text", ZSTD, LEAT_CODEC_ZSTD, TEXT_SIZE, 1);
    expect_copy("text", BROTLI, LEAT_CODEC_BROTLI, TEXT_SIZE, 1);
    struct leat_http_coded_files_counters counters = counters_now();
    assert_int_equal(counters.made, 3);
    assert_int_equal(counters.copies, 3);
    assert_int_equal(counters.files, 1);
    assert_true(counters.bytes > 0 && counters.bytes % 4096 == 0 && counters.cpu_ns > 0);
    /* Nothing is made again, and the smallest is taken. */
    struct leat_file *file = open_file("text"), *copies[2];
    enum leat_codec codec;
    assert_int_equal(find(file, "text", ALL, 0, &copies[0], &codec), 0);
    assert_int_equal(find(file, "text", ALL, 0, &copies[1], &codec), 0);
    assert_ptr_equal(copies[0], copies[1]);
    const uint64_t best = copies[0]->info.size;
    leat_file_unref(copies[0]);
    leat_file_unref(copies[1]);
    for (enum leat_codec only = LEAT_CODEC_ZSTD; only <= LEAT_CODEC_BROTLI; only++) {
        assert_int_equal(find(file, "text", CODEC_BIT(only), 0, &copies[0], &codec), 0);
        assert_true(codec == only && copies[0]->info.size >= best);
        leat_file_unref(copies[0]);
    }
    assert_int_equal(counters_now().made, 3);
    assert_int_equal(counters_now().jobs, 0);
    leat_file_unref(file);
    return end();
}
FOLDER_TEST(copies_are_of_the_file)

static int what_gains_nothing_is_left_fiber(void *arg)
{
    begin(NULL);
    char *noise = malloc(TEXT_SIZE);
    uint64_t random = 1;
    for (size_t index = 0; index < TEXT_SIZE; index++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        noise[index] = (char)(random >> 56);
    }
    put_file("noise", noise, TEXT_SIZE, 10);
    put_file("small", "abababababababababababab", 24, 10);
    expect_none("noise", ALL, 20);
    await_jobs();
    expect_none("noise", GZIP, 50);
    expect_none("small", ALL, 50);
    assert_int_equal(counters_now().useless, 1); /* once is enough, for all codecs */
    assert_int_equal(counters_now().made + counters_now().failures, 0);
    assert_int_equal(counters_now().files, 1);
    expect_none("noise", 0, 10);
    free(noise);
    return end();
}
FOLDER_TEST(what_gains_nothing_is_left)

static int what_is_too_large_is_left_fiber(void *arg)
{
    struct leat_http_coded_files *none;
    const struct leat_http_coded_files_options wrong = {.file_size_max = CODED_FILES_SIZE_MAX + 1};
    assert_int_equal(leat_http_coded_files_create(&wrong, &none), -EINVAL);
    begin(&(struct leat_http_coded_files_options){.file_size_max = TEXT_SIZE});
    put_text("text", TEXT_SIZE, 1, 10);
    put_text("large", TEXT_SIZE + 1, 1, 10);
    expect_none("large", ALL, 50);
    assert_int_equal(counters_now().files, 0);
    expect_copy("text", GZIP, LEAT_CODEC_GZIP, TEXT_SIZE, 1);
    return end();
}
FOLDER_TEST(what_is_too_large_is_left)

static int a_changed_file_has_a_new_copy_fiber(void *arg)
{
    begin(NULL);
    put_text("text", TEXT_SIZE, 1, 10);
    expect_copy("text", GZIP, LEAT_CODEC_GZIP, TEXT_SIZE, 1);
    put_text("text", TEXT_SIZE, 2, 8); /* in place, to the same size */
    assert_int_equal(leat_sleep_ms(FILE_FRESH_MS + 20), 0);
    expect_copy("text", GZIP, LEAT_CODEC_GZIP, TEXT_SIZE, 2);
    put_text("other", TEXT_SIZE, 3, 6);
    assert_int_equal(rename(folder_path(&folder, "other"), folder_path(&folder, "text")), 0);
    assert_int_equal(leat_sleep_ms(FILE_FRESH_MS + 20), 0);
    expect_copy("text", GZIP, LEAT_CODEC_GZIP, TEXT_SIZE, 3);
    return end();
}
FOLDER_TEST(a_changed_file_has_a_new_copy)

/* It may change again, to the same size, within a tick of the file system's clock. */
static int what_has_just_changed_waits_fiber(void *arg)
{
    begin(NULL);
    put_text("text", TEXT_SIZE, 1, 0);
    expect_none("text", ALL, 300);
    assert_int_equal(counters_now().files, 0);
    expect_copy("text", GZIP, LEAT_CODEC_GZIP, TEXT_SIZE, 1);
    assert_int_equal(counters_now().made, 1);
    /* What was looked at before it changed is not made a copy of, either. */
    put_text("other", TEXT_SIZE, 1, 10);
    struct leat_file *file = open_file("other"), *copy;
    enum leat_codec codec;
    put_text("other", TEXT_SIZE, 2, 5);
    assert_int_equal(find(file, "other", GZIP, 20, &copy, &codec), 1);
    await_jobs();
    assert_int_equal(find(file, "other", GZIP, 100, &copy, &codec), 1);
    assert_int_equal(counters_now().failures, 1); /* and not again and again */
    leat_file_unref(file);
    return end();
}
FOLDER_TEST(what_has_just_changed_waits)

static int memory_is_bounded_fiber(void *arg)
{
    enum { FILES = 24, MEMORY = 256 << 10 };
    char name[16];
    begin(&(struct leat_http_coded_files_options){.memory_size = MEMORY});
    for (unsigned index = 0; index < FILES; index++) {
        snprintf(name, sizeof name, "text%u", index);
        put_text(name, 2 * TEXT_SIZE, index, 10);
        expect_copy(name, GZIP, LEAT_CODEC_GZIP, 2 * TEXT_SIZE, index);
        expect_copy("text0", GZIP, LEAT_CODEC_GZIP, 2 * TEXT_SIZE, 0);
        assert_true(counters_now().bytes <= MEMORY);
    }
    const struct leat_http_coded_files_counters counters = counters_now();
    assert_true(counters.evictions > 0 && counters.copies < FILES);
    assert_true(counters.made <= FILES + 2); /* the one that is used stays, but for a round */
    assert_int_equal(counters.failures, 0);
    return end();
}
FOLDER_TEST(memory_is_bounded)

/* One that is being sent lives on when the table has let go of it, and when the object is no
 * more. */
static int a_copy_outlives_its_table_fiber(void *arg)
{
    begin(NULL);
    put_text("text", TEXT_SIZE, 1, 10);
    put_text("more", 1 << 20, 2, 10);
    struct leat_file *file = open_file("text"), *more = open_file("more"), *copy, *none;
    enum leat_codec codec, no;
    assert_int_equal(find(file, "text", GZIP, 5000, &copy, &codec), 0);
    assert_int_equal(coded_files_find(coded, root, "more", more, BROTLI, &none, &no), -ENOENT);
    leat_http_coded_files_destroy(coded); /* with a job at work */
    check_copy(copy, codec, TEXT_SIZE, 1);
    leat_file_unref(copy);
    leat_file_unref(file);
    leat_file_unref(more);
    leat_root_close(root);
    return 0;
}
FOLDER_TEST(a_copy_outlives_its_table)

/* Two objects that share a root and a loop: a file is now of one, now of the other. */
static int two_tables_do_not_mix_fiber(void *arg)
{
    struct leat_http_coded_files *mine, *other;
    begin(NULL);
    mine = coded;
    assert_int_equal(leat_http_coded_files_create(NULL, &other), 0);
    put_text("text", TEXT_SIZE, 1, 10);
    for (unsigned turn = 0; turn < 3; turn++) {
        coded = turn % 2 == 0 ? mine : other;
        expect_copy("text", ZSTD, LEAT_CODEC_ZSTD, TEXT_SIZE, 1);
    }
    assert_int_equal(counters_now().made, 1);
    leat_http_coded_files_destroy(other);
    coded = mine;
    return end();
}
FOLDER_TEST(two_tables_do_not_mix)

/* ---- Beside the file ------------------------------------------------------------------------- */

/* A copy of the text of `seed` as somebody else would have made it. */
static void put_beside(const char *name, enum leat_codec codec, size_t size, unsigned seed,
                       long age_s)
{
    char *text = malloc(size), *data = malloc(ROOM);
    make_text(text, size, seed);
    const ssize_t count =
        codec_encode((struct codec_setting){codec, codec_level_min(codec)}, text, size, data, ROOM);
    assert_true(count > 0);
    put_file(name, data, (size_t)count, age_s);
    free(data);
    free(text);
}

static int what_lies_beside_is_used_fiber(void *arg)
{
    begin(NULL);
    put_text("text", TEXT_SIZE, 1, 10);
    put_beside("text.gz", LEAT_CODEC_GZIP, TEXT_SIZE, 7, 10); /* told apart by their text */
    put_beside("text.br", LEAT_CODEC_BROTLI, TEXT_SIZE, 8, 11);
    expect_copy("text", GZIP, LEAT_CODEC_GZIP, TEXT_SIZE, 7);
    expect_copy("text", BROTLI, LEAT_CODEC_BROTLI, TEXT_SIZE, 1); /* it is older than the file */
    expect_copy("text", ALL, LEAT_CODEC_GZIP, TEXT_SIZE, 7);
    assert_int_equal(counters_now().made, 1);
    /* What is new there, and what is no more, is seen within a second. */
    put_beside("text.zst", LEAT_CODEC_ZSTD, TEXT_SIZE, 9, 0);
    assert_int_equal(remove(folder_path(&folder, "text.gz")), 0);
    assert_int_equal(leat_sleep_ms(CODED_FILES_FRESH_MS + 20), 0);
    expect_copy("text", ZSTD | GZIP, LEAT_CODEC_ZSTD, TEXT_SIZE, 9);
    expect_copy("text", GZIP, LEAT_CODEC_GZIP, TEXT_SIZE, 1);
    return end();
}
FOLDER_TEST(what_lies_beside_is_used)

static int what_is_of_no_use_beside_is_not_fiber(void *arg)
{
    begin(NULL);
    put_text("text", TEXT_SIZE, 1, 10);
    char *large = calloc(1, TEXT_SIZE);
    put_file("text.gz", large, TEXT_SIZE, 0); /* no smaller */
    put_file("text.zst", "", 0, 0);
    put_beside("out", LEAT_CODEC_BROTLI, TEXT_SIZE, 9, 0);
    char target[PATH_MAX];
    assert_non_null(realpath(folder_path(&folder, "out"), target));
    assert_int_equal(symlink(target, folder_path(&folder, "text.br")), 0); /* absolute: leads out */
    expect_copy("text", GZIP, LEAT_CODEC_GZIP, TEXT_SIZE, 1);
    expect_copy("text", ZSTD, LEAT_CODEC_ZSTD, TEXT_SIZE, 1);
    expect_copy("text", BROTLI, LEAT_CODEC_BROTLI, TEXT_SIZE, 1);
    put_text("more", TEXT_SIZE, 2, 10);
    assert_int_equal(mkdir(folder_path(&folder, "more.gz"), 0755), 0);
    expect_copy("more", GZIP, LEAT_CODEC_GZIP, TEXT_SIZE, 2);
    free(large);
    return end();
}
FOLDER_TEST(what_is_of_no_use_beside_is_not)

/* brotli(1) of Debian 12 keeps whole seconds of a time alone. */
static void times_may_lack_their_fraction(void **state)
{
    const struct leat_file_info info = {.mtime_ns = 5 * LEAT_NS_PER_S + 700};
    assert_true(coded_is_current(&info, info.mtime_ns));
    assert_true(coded_is_current(&info, info.mtime_ns + 1));
    assert_true(coded_is_current(&info, 5 * LEAT_NS_PER_S));
    assert_false(coded_is_current(&info, 5 * LEAT_NS_PER_S + 699));
    assert_false(coded_is_current(&info, 4 * LEAT_NS_PER_S));
    assert_true(coded_is_of_same_time(&info, info.mtime_ns));
    assert_true(coded_is_of_same_time(&info, 5 * LEAT_NS_PER_S));
    assert_false(coded_is_of_same_time(&info, info.mtime_ns + 1));
    assert_false(coded_is_of_same_time(&info, 6 * LEAT_NS_PER_S));
}

static void wait_for_beside(uint64_t count)
{
    for (unsigned tries = 0; tries < 1000 && counters_now().beside < count; tries++)
        assert_int_equal(leat_sleep_ms(5), 0);
    assert_int_equal(counters_now().beside, count);
}

static unsigned entries_of(const char *path)
{
    unsigned count = 0;
    DIR *entries = opendir(path);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(entries);
    return count;
}

static int copies_are_written_beside_fiber(void *arg)
{
    struct stat original, beside;
    begin(&(struct leat_http_coded_files_options){.beside = true});
    put_text("text", TEXT_SIZE, 1, 10);
    assert_int_equal(chmod(folder_path(&folder, "text"), 0640), 0);
    put_beside("text.br", LEAT_CODEC_BROTLI, TEXT_SIZE, 9, 20); /* too old: it is replaced */
    put_file(".text.br.unfinished", "half a c", 8, 100);        /* of one who was killed */
    expect_copy("text", BROTLI, LEAT_CODEC_BROTLI, TEXT_SIZE, 1);
    expect_copy("text", ZSTD, LEAT_CODEC_ZSTD, TEXT_SIZE, 1);
    wait_for_beside(2);
    assert_int_equal(stat(folder_path(&folder, "text"), &original), 0);
    assert_int_equal(stat(folder_path(&folder, "text.br"), &beside), 0);
    assert_int_equal(beside.st_mode, original.st_mode);
    assert_int_equal(beside.st_mtim.tv_sec, original.st_mtim.tv_sec);
    assert_int_equal(beside.st_mtim.tv_nsec, original.st_mtim.tv_nsec);
    assert_int_equal(entries_of(folder.path), 3); /* and nothing unfinished */
    /* Found, and taken rather than the one in memory. */
    assert_int_equal(leat_sleep_ms(CODED_FILES_FRESH_MS + 20), 0);
    struct leat_file *file = open_file("text"), *copy;
    enum leat_codec codec;
    assert_int_equal(find(file, "text", BROTLI, 0, &copy, &codec), 0);
    assert_int_equal(copy->info.inode, beside.st_ino);
    check_copy(copy, codec, TEXT_SIZE, 1);
    leat_file_unref(copy);
    leat_file_unref(file);
    return end();
}
FOLDER_TEST(copies_are_written_beside)

/* It changed while it was coded: a copy with its new time would be taken for one of what it is. */
static int a_copy_of_what_was_is_not_written_fiber(void *arg)
{
    begin(&(struct leat_http_coded_files_options){.beside = true});
    put_text("text", TEXT_SIZE, 1, 10);
    struct leat_file *file = open_file("text");
    put_text("text", TEXT_SIZE, 2, 5);
    const struct backend_sys *sys = file->loop->sys;
    assert_int_equal(
        coded_beside_write(root, sys, "text", file->fd, &file->info, LEAT_CODEC_GZIP, "copy", 4),
        -EAGAIN);
    assert_int_equal(entries_of(folder.path), 1);
    leat_file_unref(file);
    return end();
}
FOLDER_TEST(a_copy_of_what_was_is_not_written)

/* A file that was taken back to its older state is not sent as it was. */
static int an_older_file_takes_its_place_fiber(void *arg)
{
    begin(&(struct leat_http_coded_files_options){.beside = true});
    put_text("text", TEXT_SIZE, 2, 10);
    expect_copy("text", BROTLI, LEAT_CODEC_BROTLI, TEXT_SIZE, 2);
    wait_for_beside(1);
    put_text("text", TEXT_SIZE, 1, 3600);
    assert_int_equal(leat_sleep_ms(FILE_FRESH_MS + 20), 0);
    expect_copy("text", BROTLI, LEAT_CODEC_BROTLI, TEXT_SIZE, 1);
    await_jobs();
    assert_int_equal(counters_now().beside, 1); /* what is newer may be somebody else's */
    return end();
}
FOLDER_TEST(an_older_file_takes_its_place)

static int what_others_put_beside_stays_fiber(void *arg)
{
    char content[16] = {0};
    struct stat status;
    begin(&(struct leat_http_coded_files_options){.beside = true});
    put_text("text", TEXT_SIZE, 1, 10);
    put_file("victim", "precious", 8, 100);
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    assert_int_equal(symlink("victim", folder_path(&folder, "text.gz")), 0);
    assert_int_equal(
        utimensat(AT_FDCWD, folder_path(&folder, "text.gz"), times, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(symlink("victim", folder_path(&folder, ".text.br.unfinished")), 0);
    assert_int_equal(mkdir(folder_path(&folder, "text.zst"), 0755), 0);
    expect_copy("text", GZIP, LEAT_CODEC_GZIP, TEXT_SIZE, 1);
    expect_copy("text", BROTLI, LEAT_CODEC_BROTLI, TEXT_SIZE, 1);
    expect_copy("text", ZSTD, LEAT_CODEC_ZSTD, TEXT_SIZE, 1);
    /* Somebody else is at it. */
    put_text("more", TEXT_SIZE, 2, 10);
    put_file(".more.gz.unfinished", "his", 3, 100);
    const int his = open(folder_path(&folder, ".more.gz.unfinished"), O_RDONLY);
    assert_int_equal(flock(his, LOCK_EX), 0);
    expect_copy("more", GZIP, LEAT_CODEC_GZIP, TEXT_SIZE, 2);
    await_jobs();
    assert_int_equal(counters_now().beside, 0);
    FILE *victim = fopen(folder_path(&folder, "victim"), "r");
    assert_int_equal(fread(content, 1, sizeof content, victim), 8);
    fclose(victim);
    assert_string_equal(content, "precious");
    assert_int_equal(entries_of(folder.path), 7);
    assert_int_equal(lstat(folder_path(&folder, "text.gz"), &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    close(his);
    return end();
}
FOLDER_TEST(what_others_put_beside_stays)

/* In a child, on a disk of its own. */
static int a_full_disk_leaves_nothing_fiber(void *arg)
{
    char *large = malloc(900 << 10);
    struct leat_file *file, *copy;
    enum leat_codec codec;
    struct stat status;
    CHILD_EXPECT(unshare(CLONE_NEWNS) == 0);
    CHILD_EXPECT(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHILD_EXPECT(mount("none", folder.path, "tmpfs", 0, "size=1m") == 0);
    const struct leat_http_coded_files_options options = {.beside = true};
    CHILD_EXPECT(leat_root_open(folder.path, &root) == 0);
    CHILD_EXPECT(leat_http_coded_files_create(&options, &coded) == 0);
    put_text("text", 500 << 10, 1, 10);
    for (size_t index = 0; index < 900 << 10; index++)
        large[index] = (char)index;
    FILE *filler = fopen(folder_path(&folder, "filler"), "w");
    while (fwrite(large, 1, 4096, filler) == 4096 && fflush(filler) == 0)
        ;
    (void)fclose(filler);
    CHILD_EXPECT(leat_file_open(root, "text", soon(), &file) == 0);
    CHILD_EXPECT(find(file, "text", GZIP, 5000, &copy, &codec) == 0);
    CHILD_EXPECT(counters_now().failures == 1 && counters_now().beside == 0);
    CHILD_EXPECT(stat(folder_path(&folder, "text.gz"), &status) != 0);
    CHILD_EXPECT(entries_of(folder.path) == 2);
    check_copy(copy, codec, 500 << 10, 1);
    leat_file_unref(copy);
    leat_file_unref(file);
    free(large);
    return end();
}

static void a_full_disk_leaves_nothing_body(enum leat_engine engine)
{
    if (geteuid() != 0) {
        print_message("# a disk of its own takes root\n");
        return;
    }
    folder_make(&folder);
    in_a_child(engine, a_full_disk_leaves_nothing_fiber);
    folder_remove(&folder);
}
ENGINE_TEST(a_full_disk_leaves_nothing)

/* ---- Several loops --------------------------------------------------------------------------- */

enum { THREADS = 3, THREAD_FILES = 12, THREAD_ROUNDS = 400, EVICTIONS = 6 };

static int ask_at_random(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    const int64_t deadline_ns = leat_after_ms(20 * 1000);
    for (unsigned round = 0; round < THREAD_ROUNDS || counters_now().evictions < EVICTIONS;
         round++) {
        if (loop_current->now_ns > deadline_ns)
            break;
        seed = seed * 1103515245 + 12345;
        const unsigned number = (seed >> 16) % THREAD_FILES;
        const unsigned codecs = 1u << (1 + (seed >> 20) % 3);
        char name[16];
        snprintf(name, sizeof name, "text%u", number);
        struct leat_file *file = open_file(name), *copy;
        enum leat_codec codec;
        if (coded_files_find(coded, root, name, file, codecs, &copy, &codec) == 0) {
            check_copy(copy, codec, 20000 + number, number);
            leat_file_unref(copy);
        }
        leat_file_unref(file);
        leat_sleep_ms(round % 8 == 0);
    }
    return 0;
}

static void *run_thread(void *arg)
{
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    assert_int_equal(leat_run(ask_at_random, arg, &options), 0);
    return NULL;
}

static void loops_share_copies(void **state)
{
    enum { MEMORY = 16 << 10 }; /* three copies */
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];
    folder_make(&folder);
    begin(&(struct leat_http_coded_files_options){.memory_size = MEMORY});
    for (unsigned index = 0; index < THREAD_FILES; index++) {
        char name[16];
        snprintf(name, sizeof name, "text%u", index);
        put_text(name, 20000 + index, index, 10);
    }
    for (unsigned index = 0; index < THREADS; index++) {
        seeds[index] = index + 1;
        assert_int_equal(pthread_create(&threads[index], NULL, run_thread, &seeds[index]), 0);
    }
    for (unsigned index = 0; index < THREADS; index++)
        pthread_join(threads[index], NULL);
    const struct leat_http_coded_files_counters counters = counters_now();
    assert_true(counters.made > 0 && counters.evictions >= EVICTIONS && counters.bytes <= MEMORY);
    assert_int_equal(counters.jobs, 0);
    assert_int_equal(end(), 0);
    folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies_are_of_the_file),
        cmocka_unit_test(test_what_gains_nothing_is_left),
        cmocka_unit_test(test_what_is_too_large_is_left),
        cmocka_unit_test(test_a_changed_file_has_a_new_copy),
        cmocka_unit_test(test_what_has_just_changed_waits),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_a_copy_outlives_its_table),
        cmocka_unit_test(test_two_tables_do_not_mix),
        cmocka_unit_test(test_what_lies_beside_is_used),
        cmocka_unit_test(test_what_is_of_no_use_beside_is_not),
        cmocka_unit_test(times_may_lack_their_fraction),
        cmocka_unit_test(test_copies_are_written_beside),
        cmocka_unit_test(test_a_copy_of_what_was_is_not_written),
        cmocka_unit_test(test_an_older_file_takes_its_place),
        cmocka_unit_test(test_what_others_put_beside_stays),
        cmocka_unit_test(test_a_full_disk_leaves_nothing),
        cmocka_unit_test(loops_share_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
