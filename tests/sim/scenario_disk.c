/* SPDX-License-Identifier: MIT */
/*
 * Files: many fibers open the same few through the cache while they change, read them by OP_READ
 * and by ranges, fill them, read them ahead, copy them into memory, list them. What they are given
 * was true lately, and the bytes are those of the file they hold.
 */
#include <stdio.h>

#include "fiber/fiber.h"
#include "leat/error.h"
#include "net/file.h"
#include "net/residency.h"
#include "shelf.h"

enum { READERS_MAX = 6, ROUNDS_MAX = 8, SIZE_MAX_OF_FILES = 200000 };

struct disk {
    struct sim_run *run;
    struct leat_root *root;
    struct shelf shelf;
};

static int64_t draw_deadline_ns(struct sim_run *run)
{
    if (draw_chance(run, 60))
        return LEAT_FOREVER;
    return leat_now_ns() + (int64_t)draw(run, 0, draw_chance(run, 50) ? 300 : 30000) * 1000;
}

/* Failures that are the world's doing, or the caller's. */
static void check_failure(struct sim_run *run, int error, int64_t deadline_ns)
{
    if (error == -ETIMEDOUT) {
        CHECK(run, leat_now_ns() >= deadline_ns);
        return; /* a job that has begun is waited for, however late that is */
    }
    if (error == -ECANCELED) {
        CHECK(run, leat_is_cancelled());
        return;
    }
    CHECK(run, (error == -EAGAIN && run->profile->offload_full > 0) ||
                   (error == -EMFILE && run->profile->accept_error > 0) ||
                   (error == -ENOMEM && run->profile->submit_error > 0) ||
                   (error == -EIO && run->profile->read_error > 0));
}

/* ---- Reading what is held -------------------------------------------------------------------- */

static void read_range(struct disk *disk, struct leat_file *file, unsigned number,
                       const struct shelf_version *version)
{
    struct sim_run *run = disk->run;
    char bytes[3000];
    const uint64_t offset = draw(run, 0, version->size + 10);
    struct op op;
    op_init(&op, OP_READ, file->fd, fiber_op_done);
    op.read.data = bytes;
    op.read.size = draw(run, 1, sizeof bytes);
    op.read.offset = offset;
    const size_t size = op.read.size;
    const int64_t deadline_ns = draw_deadline_ns(run);
    const int32_t result = fiber_await(&op, deadline_ns);
    if (result < 0) {
        check_failure(run, result, deadline_ns);
        return;
    }
    CHECK(run, sim_content_equal(version->content, offset, bytes, (size_t)result));
    const uint64_t left = offset < version->size ? version->size - offset : 0;
    if (run->profile->short_read == 0 && shelf_now(&disk->shelf, number) == version)
        CHECK(run, (uint64_t)result == (size < left ? size : left));
}

/* After a fill a range is there, as long as nobody drops it. */
static void fill_range(struct disk *disk, struct leat_file *file, unsigned number,
                       const struct shelf_version *version)
{
    struct sim_run *run = disk->run;
    if (version->size == 0)
        return;
    struct op op;
    op_init(&op, OP_FILL, file->fd, fiber_op_done);
    op.fill.offset = draw(run, 0, version->size - 1);
    op.fill.size = draw(run, 1, version->size - op.fill.offset);
    const uint64_t offset = op.fill.offset, size = op.fill.size;
    const int64_t deadline_ns = draw_deadline_ns(run);
    const int32_t result = fiber_await(&op, deadline_ns);
    if (result < 0)
        check_failure(run, result, deadline_ns);
    else if (run->profile->evicted == 0 && shelf_now(&disk->shelf, number) == version)
        CHECK(run,
              residency_arrived(file, offset, size) && residency_ready(file, offset, size) > 0);
}

static void map_range(struct disk *disk, struct leat_file *file, unsigned number,
                      const struct shelf_version *version)
{
    struct sim_run *run = disk->run;
    const uint64_t offset = draw(run, 0, version->size);
    const uint64_t size = draw(run, 0, version->size - offset + draw_chance(run, 10));
    const int64_t deadline_ns = draw_deadline_ns(run);
    struct leat_mapped *mapped;
    const int error = leat_mapped_create(file, offset, size, deadline_ns, &mapped);
    if (error == -LEAT_E_TRUNCATED) {
        CHECK(run,
              offset + size > version->size || shelf_has_shrunk(&disk->shelf, number, version));
    } else if (error) {
        check_failure(run, error, deadline_ns);
    } else {
        CHECK(run, leat_mapped_size(mapped) == size);
        CHECK(run, size == 0 ||
                       sim_content_equal(version->content, offset, leat_mapped_data(mapped), size));
        if (draw_chance(run, 50))
            (void)leat_yield();
        leat_mapped_destroy(mapped);
    }
}

/* Several ranges in one go, at once or by a job. */
static void read_ranges(struct disk *disk, struct leat_file *file, unsigned number,
                        const struct shelf_version *version)
{
    enum { RANGES_MAX = 4, RANGE_SIZE_MAX = 40000 };
    struct sim_run *run = disk->run;
    struct leat_file_range ranges[RANGES_MAX];
    const size_t count = (size_t)draw(run, 0, RANGES_MAX);
    uint64_t size = 0;
    bool is_beyond = false;
    for (size_t index = 0; index < count; index++) {
        ranges[index].offset = draw(run, 0, version->size);
        const uint64_t left = version->size - ranges[index].offset + draw_chance(run, 5);
        ranges[index].size = draw(run, 0, left < RANGE_SIZE_MAX ? left : RANGE_SIZE_MAX);
        is_beyond |= ranges[index].offset + ranges[index].size > version->size;
        size += ranges[index].size;
    }
    char *data = malloc(size + 1);
    CHECK(run, data != NULL);
    const int64_t deadline_ns = draw_deadline_ns(run);
    const int error = leat_file_read(file, ranges, count, data, deadline_ns);
    const char *at = data;
    for (size_t index = 0; !error && index < count; at += ranges[index++].size)
        CHECK(run, sim_content_equal(version->content, ranges[index].offset, at,
                                     (size_t)ranges[index].size));
    if (error == -LEAT_E_TRUNCATED)
        CHECK(run, is_beyond || shelf_has_shrunk(&disk->shelf, number, version));
    else if (error)
        check_failure(run, error, deadline_ns);
    else
        CHECK(run, !is_beyond || shelf_now(&disk->shelf, number) != version);
    free(data);
}

/* Nobody waits for it; the world sees what it leaves behind. */
static void read_ahead(struct disk *disk, struct leat_file *file, unsigned number,
                       const struct shelf_version *version)
{
    struct sim_run *run = disk->run;
    for (uint64_t count = draw(run, 1, 3); count > 0; count--)
        leat_file_read_ahead(file, draw(run, 0, version->size + 10), draw(run, 0, version->size));
    CHECK(run, file->fills <= FILE_HINTS_MAX + READERS_MAX);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void use_file(struct disk *disk)
{
    struct sim_run *run = disk->run;
    const unsigned number = (unsigned)draw(run, 0, SHELF_FILES - 1);
    const int64_t deadline_ns = draw_deadline_ns(run);
    const int64_t since_ns = leat_now_ns() - SHELF_STALE_MS * LEAT_NS_PER_MS;
    struct leat_file *file;
    const int error =
        leat_file_open(disk->root, disk->shelf.files[number].path, deadline_ns, &file);
    if (error == -ENOENT) {
        CHECK(run, shelf_was_absent(&disk->shelf, number, since_ns));
        return;
    }
    if (error) {
        check_failure(run, error, deadline_ns);
        return;
    }
    const struct leat_file_info *info = leat_file_info(file);
    const struct shelf_version *version =
        shelf_find(&disk->shelf, number, info->size, info->mtime_ns, since_ns);
    CHECK(run, version != NULL && !info->is_directory);
    static void (*const uses[])(struct disk *, struct leat_file *, unsigned,
                                const struct shelf_version *) = {read_range, fill_range, map_range,
                                                                 read_ranges, read_ahead};
    for (uint64_t count = draw(run, 0, 3); count > 0; count--) {
        uses[draw(run, 0, sizeof uses / sizeof *uses - 1)](disk, file, number, version);
        if (draw_chance(run, 20))
            (void)leat_sleep_ms((int64_t)draw(run, 0, 1500));
    }
    leat_file_unref(file);
}

/* What is neither below the root nor a file. */
static void open_oddities(struct disk *disk)
{
    static const struct {
        const char *path;
        int error;
    } cases[] = {
        {"../top", -EXDEV}, {"/f0", -EXDEV},     {"out", -EXDEV},     {"loop", -ELOOP},
        {"none", -ENOENT},  {"d/none", -ENOENT}, {"d/../..", -EXDEV},
    };
    struct sim_run *run = disk->run;
    const size_t index = draw(run, 0, sizeof cases / sizeof *cases - 1);
    const int64_t deadline_ns = draw_deadline_ns(run);
    struct leat_file *file;
    const int error = leat_file_open(disk->root, cases[index].path, deadline_ns, &file);
    CHECK(run, error < 0);
    if (error != cases[index].error)
        check_failure(run, error, deadline_ns);
}

/* ---- Listing --------------------------------------------------------------------------------- */

struct listing {
    struct disk *disk;
    unsigned count, seen[SHELF_FILES], limit;
    bool has_folder;
};

static bool on_entry(const char *name, bool is_directory, void *user)
{
    struct listing *listing = user;
    struct shelf *shelf = &listing->disk->shelf;
    for (unsigned index = 0; index < SHELF_FILES; index++)
        listing->seen[index] += strcmp(name, shelf->files[index].path) == 0 && !is_directory;
    listing->has_folder |= is_directory && strcmp(name, "d") == 0;
    return ++listing->count != listing->limit;
}

static void list_root(struct disk *disk)
{
    struct sim_run *run = disk->run;
    const int64_t deadline_ns = draw_deadline_ns(run), begun_ns = leat_now_ns();
    struct leat_file *folder;
    int error = leat_file_open(disk->root, ".", deadline_ns, &folder);
    if (error) {
        check_failure(run, error, deadline_ns);
        return;
    }
    CHECK(run, leat_file_info(folder)->is_directory);
    struct listing listing = {.disk = disk, .limit = (unsigned)draw(run, 1, 30)};
    error = leat_file_list(folder, deadline_ns, on_entry, &listing);
    leat_file_unref(folder);
    if (error) {
        check_failure(run, error, deadline_ns);
        return;
    }
    const bool is_whole = listing.count < listing.limit;
    CHECK(run, listing.count <= listing.limit && (!is_whole || listing.has_folder));
    for (unsigned index = 0; index < SHELF_FILES; index++) {
        if (strchr(disk->shelf.files[index].path, '/'))
            continue;
        const struct shelf_version *now = shelf_now(&disk->shelf, index);
        const bool is_settled = now->since_ns < begun_ns;
        CHECK(run, listing.seen[index] <= 1);
        if (is_settled && (is_whole || !now->exists))
            CHECK(run, listing.seen[index] == now->exists);
    }
}

/* ---- The play -------------------------------------------------------------------------------- */

static void reader(void *arg)
{
    struct disk *disk = arg;
    struct sim_run *run = disk->run;
    for (uint64_t count = draw(run, 1, ROUNDS_MAX); count > 0; count--) {
        if (draw_chance(run, 70) && leat_sleep_ms((int64_t)draw(run, 0, 700)) != 0)
            return;
        const uint64_t what = draw(run, 0, 9);
        if (what < 8)
            use_file(disk);
        else if (what == 8)
            list_root(disk);
        else
            open_oddities(disk);
    }
}

static void change(struct sim *sim, void *user)
{
    struct disk *disk = user;
    shelf_change(&disk->shelf);
}

static void disk_main(void *arg)
{
    struct disk *disk = arg;
    struct sim_run *run = disk->run;
    for (uint64_t count = draw(run, 0, 12); count > 0; count--)
        sim_at(run->sim, leat_now_ns() + (int64_t)draw(run, 0, 4000) * LEAT_NS_PER_MS, change,
               disk);
    struct leat_scope scope;
    leat_scope_init(&scope);
    for (uint64_t count = draw(run, 1, READERS_MAX); count > 0; count--)
        CHECK(run, leat_spawn(&scope, reader, disk, NULL) == 0);
    if (draw_chance(run, 20)) {
        CHECK(run, leat_sleep_ms((int64_t)draw(run, 0, 2000)) == 0);
        leat_scope_cancel(&scope);
    }
    CHECK(run, leat_scope_join(&scope, LEAT_FOREVER) == 0);
    leat_scope_fini(&scope);
}

static void run_disk(struct sim_run *run)
{
    struct disk *disk = calloc(1, sizeof *disk);
    CHECK(run, disk != NULL);
    disk->run = run;
    shelf_init(&disk->shelf, run, SIZE_MAX_OF_FILES);
    CHECK(run, sim_symlink_add(run->sim, "out", "../elsewhere") == 0);
    CHECK(run, sim_symlink_add(run->sim, "loop", "loop") == 0);
    int error;
    while ((error = leat_root_open(".", &disk->root)) == -EMFILE)
        CHECK(run, may_lack(run));
    CHECK(run, error == 0);
    run_fiber(run, disk_main, disk);
    sim_allow_blocking(run->sim, true);
    leat_root_close(disk->root);
    CHECK(run, sim_open_count(run->sim) == 0);
    free(disk);
}

const struct scenario scenario_disk = {"disk", "files opened, read, copied, listed as they change",
                                       run_disk};
