/* SPDX-License-Identifier: MIT */
/*
 * Roots and the open-file cache. An entry is a path below a root; it holds the file last found
 * there, or why none was. Whoever finds it older than FILE_FRESH_MS looks again in an offload job,
 * one fiber for all: the others wait for what it finds. A file whose path has come to mean another
 * lives on until the last who sends it lets go. Failures are kept apart and are few, so that who
 * asks for what is not there drives no file out.
 *
 * A root is shared by all threads, a cache is its loop's. An entry holds its root: where one loop
 * closes it, what others still have of it goes when they drop it.
 */
#include "net/file.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "fiber/fiber.h"

struct leat_root {
    const struct backend_sys *sys;
    int fd;
    struct leat_root_options options;
    _Atomic unsigned references; /* its owner's, and those of all entries */
    _Atomic int64_t told_ns;     /* when options.on_refused was last called */
};

struct entry {
    struct hash_node hash_node;
    struct list_node age_node; /* most recently used last */
    struct leat_root *root;
    struct leat_file *file; /* NULL until it was found, and while it is not there */
    int error;              /* why it is not, as far as that is worth remembering; else 0 */
    int64_t checked_ns;
    bool is_looking;          /* a fiber is at it */
    struct list_node waiters; /* who wait for that */
    size_t path_size;
    char path[]; /* zero-terminated */
};

/* On the stack of a fiber that waits for another's look. */
struct waiter {
    struct list_node node;
    struct fiber *fiber;
    int result;
};

struct file_cache {
    struct loop_extension extension;
    struct hash_table table;
    struct hash_seed seed;
    struct list_node ages;     /* of files, found or looked for */
    struct list_node failures; /* of entries with an error */
    unsigned failure_count;
    struct file_counters counters;
    struct file_hints hints;
};

/* ---- Files ----------------------------------------------------------------------------------- */

void leat_file_ref(struct leat_file *file)
{
    ASSERT(file->references > 0);
    file->references++;
}

void leat_file_unref(struct leat_file *file)
{
    if (!file)
        return;
    ASSERT(file->references > 0);
    if (--file->references > 0)
        return;
    if (file->attachment)
        file->attachment->drop(file->attachment);
    if (file->release)
        file->release(file->user);
    else
        file->loop->sys->close(file->loop->sys, file->fd);
    free(file);
}

int file_of_memory(int fd, uint64_t size, void (*release)(void *user), void *user,
                   struct leat_file **ret_file)
{
    ASSERT(fd >= 0 && release != NULL);
    struct leat_file *file = calloc(1, sizeof *file + sizeof *file->verdicts);
    if (!file)
        return -ENOMEM;
    *file = (struct leat_file){.loop = loop_current,
                               .fd = fd,
                               .references = 1,
                               .info = {.size = size},
                               .release = release,
                               .user = user,
                               .verdict_count = 1};
    list_init(&file->flights);
    *ret_file = file;
    return 0;
}

const struct leat_file_info *leat_file_info(const struct leat_file *file)
{
    return &file->info;
}

/* ---- Holding roots --------------------------------------------------------------------------- */

struct leat_root *file_root_ref(struct leat_root *root)
{
    atomic_fetch_add_explicit(&root->references, 1, memory_order_relaxed);
    return root;
}

void file_root_unref(struct leat_root *root)
{
    if (atomic_fetch_sub_explicit(&root->references, 1, memory_order_acq_rel) > 1)
        return;
    root->sys->close(root->sys, root->fd);
    free(root);
}

/* ---- The cache ------------------------------------------------------------------------------- */

static bool is_in_use(const struct entry *entry)
{
    return entry->is_looking || !list_is_empty(&entry->waiters);
}

static void drop_entry(struct file_cache *cache, struct entry *entry)
{
    ASSERT(!is_in_use(entry));
    ASSERT(!entry->file || !entry->error);
    cache->failure_count -= entry->error != 0;
    hash_remove(&cache->table, &entry->hash_node);
    list_remove(&entry->age_node);
    leat_file_unref(entry->file);
    file_root_unref(entry->root);
    free(entry);
}

/* Drops up to `count` entries that nobody waits for, the least recently used of the list first. */
static size_t drop_oldest(struct file_cache *cache, struct list_node *list, size_t count)
{
    size_t dropped = 0;
    for (struct list_node *node = list->next, *next; node != list && dropped < count; node = next) {
        next = node->next;
        struct entry *entry = CONTAINER_OF(node, struct entry, age_node);
        if (is_in_use(entry))
            continue;
        drop_entry(cache, entry);
        cache->counters.evictions++;
        dropped++;
    }
    return dropped;
}

static void cache_fini(struct loop_extension *extension)
{
    struct file_cache *cache = CONTAINER_OF(extension, struct file_cache, extension);
    file_hints_end(loop_current, &cache->hints);
    drop_oldest(cache, &cache->ages, SIZE_MAX);
    drop_oldest(cache, &cache->failures, SIZE_MAX);
    ASSERT(cache->table.count == 0);
    hash_fini(&cache->table);
    free(cache);
}

static struct file_cache *cache_of(struct leat_loop *loop)
{
    struct loop_extension *extension = loop->extensions[LOOP_SLOT_FILES];
    if (extension)
        return CONTAINER_OF(extension, struct file_cache, extension);
    struct file_cache *cache = calloc(1, sizeof *cache);
    if (!cache || hash_init(&cache->table, FILE_CACHE_MAX)) {
        free(cache);
        return NULL;
    }
    cache->extension.fini = cache_fini;
    /* A stranger's path is in the table only while it is looked for: where the cache lies and when
     * it was made is seed enough against one who would fill a bucket. */
    cache->seed.words[0] = loop->ops->is_simulated ? 1 : (uint64_t)(uintptr_t)cache;
    cache->seed.words[1] = (uint64_t)loop->sys->wall_ns(loop->sys);
    list_init(&cache->ages);
    list_init(&cache->failures);
    loop->extensions[LOOP_SLOT_FILES] = &cache->extension;
    return cache;
}

void file_count_fill(const struct leat_loop *loop, uint64_t size)
{
    struct loop_extension *extension = loop->extensions[LOOP_SLOT_FILES];
    if (!extension) /* a file of no cache */
        return;
    struct file_counters *counters =
        &CONTAINER_OF(extension, struct file_cache, extension)->counters;
    counters->fills++;
    counters->filled_bytes += size;
}

struct file_hints *file_hints_of(struct leat_loop *loop)
{
    struct file_cache *cache = cache_of(loop);
    return cache ? &cache->hints : NULL;
}

void file_counters_read(const struct leat_loop *loop, struct file_counters *ret_counters)
{
    const struct loop_extension *extension = loop->extensions[LOOP_SLOT_FILES];
    *ret_counters = (struct file_counters){0};
    if (extension) {
        const struct file_cache *cache = CONTAINER_OF(extension, struct file_cache, extension);
        *ret_counters = cache->counters;
        ret_counters->entries = cache->table.count;
    }
}

static struct entry *find_entry(struct file_cache *cache, struct leat_root *root,
                                struct leat_slice path, uint64_t hash)
{
    for (struct hash_node *node = hash_find(&cache->table, hash); node;
         node = hash_find_next(node)) {
        struct entry *entry = CONTAINER_OF(node, struct entry, hash_node);
        if (entry->root == root && slice_equal(slice_of(entry->path, entry->path_size), path))
            return entry;
    }
    return NULL;
}

static int make_entry(struct file_cache *cache, struct leat_root *root, struct leat_slice path,
                      uint64_t hash, struct entry **ret_entry)
{
    if (cache->table.count >= FILE_CACHE_MAX && drop_oldest(cache, &cache->failures, 1) == 0 &&
        drop_oldest(cache, &cache->ages, 1) == 0)
        return -EAGAIN;
    struct entry *entry = calloc(1, sizeof *entry + path.size + 1);
    if (!entry)
        return -ENOMEM;
    entry->path_size = path.size;
    memcpy(entry->path, path.data, path.size);
    list_init(&entry->waiters);
    list_init(&entry->age_node);
    const int error = hash_insert(&cache->table, &entry->hash_node, hash);
    if (error) {
        free(entry);
        return error;
    }
    entry->root = file_root_ref(root);
    list_push_back(&cache->ages, &entry->age_node);
    *ret_entry = entry;
    return 0;
}

/* It was used now, or has come to be what it is. */
static void touch_entry(struct file_cache *cache, struct entry *entry)
{
    list_remove(&entry->age_node);
    list_push_back(entry->error ? &cache->failures : &cache->ages, &entry->age_node);
}

/* Does it tell how things are below the root, rather than how we are? */
static bool is_worth_remembering(int error)
{
    switch (-error) {
    case ENOENT:
    case ENOTDIR:
    case EACCES:
    case EPERM:
    case EXDEV:
    case ELOOP:
    case ENAMETOOLONG: return true;
    default: return false;
    }
}

static void note_failure(struct file_cache *cache, struct entry *entry, int error)
{
    leat_file_unref(entry->file);
    entry->file = NULL;
    const int kept = is_worth_remembering(error) ? error : 0;
    cache->failure_count += (unsigned)(kept != 0) - (unsigned)(entry->error != 0);
    entry->error = kept;
    if (kept)
        touch_entry(cache, entry);
    if (cache->failure_count > FILE_FAILURES_MAX)
        drop_oldest(cache, &cache->failures, 1);
}

/* ---- Looking --------------------------------------------------------------------------------- */

static struct leat_file_info file_info_of(const struct backend_stat *stat)
{
    return (struct leat_file_info){.size = stat->size,
                                   .mtime_ns = stat->mtime_ns,
                                   .device = stat->device,
                                   .inode = stat->inode,
                                   .is_directory = stat->is_directory};
}

/* A look at a path, in an offload job. */
struct look {
    const char *path;
    struct leat_root *root;
    int64_t now_ns;
    int error;
    int fd;
    struct leat_file_info info;
};

/* Lets the operator know what leads out of the root; of many only one a second. */
static void tell_refusal(const struct look *look)
{
    struct leat_root *root = look->root;
    int64_t told_ns = atomic_load_explicit(&root->told_ns, memory_order_relaxed);
    if (root->options.on_refused && look->now_ns - told_ns >= LEAT_NS_PER_S &&
        atomic_compare_exchange_strong(&root->told_ns, &told_ns, look->now_ns))
        root->options.on_refused(look->path, look->error, root->options.user);
}

int file_open_below(struct leat_root *root, const struct backend_sys *sys, const char *path,
                    struct leat_file_info *ret_info)
{
    const enum backend_open flags = root->options.follow_symlinks
                                        ? BACKEND_OPEN_FILE
                                        : BACKEND_OPEN_FILE | BACKEND_OPEN_BENEATH;
    const int fd = sys->open(sys, root->fd, path, flags);
    if (fd < 0) /* a socket, or a device that nobody serves, is not a file */
        return fd == -ENXIO || fd == -ENODEV ? -ENOENT : fd;
    struct backend_stat stat;
    int error = sys->stat(sys, fd, &stat);
    if (!error && !stat.is_regular && !stat.is_directory)
        error = -ENOENT;
    if (error) {
        sys->close(sys, fd);
        return error;
    }
    *ret_info = file_info_of(&stat);
    return fd;
}

static void look_job(void *arg, const struct backend_sys *sys)
{
    struct look *look = arg;
    look->fd = file_open_below(look->root, sys, look->path, &look->info);
    look->error = look->fd < 0 ? look->fd : 0;
    if (look->error == -EXDEV || look->error == -ELOOP)
        tell_refusal(look);
}

/* As many as it has windows, or as are kept. */
static unsigned verdict_count_of(const struct leat_file_info *info)
{
    unsigned count = 1;
    while (count < FILE_VERDICTS_MAX && (uint64_t)count * FILE_WINDOW_SIZE < info->size)
        count *= 2;
    return count;
}

int file_adopt(int fd, const struct leat_file_info *info, struct leat_file **ret_file)
{
    struct leat_loop *loop = loop_current;
    const unsigned verdict_count = verdict_count_of(info);
    struct leat_file *file = calloc(1, sizeof *file + verdict_count * sizeof *file->verdicts);
    if (!file) {
        loop->sys->close(loop->sys, fd);
        return -ENOMEM;
    }
    *file = (struct leat_file){
        .loop = loop, .fd = fd, .references = 1, .info = *info, .verdict_count = verdict_count};
    list_init(&file->flights);
    *ret_file = file;
    return 0;
}

/* Puts what the look has found into the entry; the descriptor is taken over. */
static int settle_entry(struct file_cache *cache, struct entry *entry, const struct look *look,
                        struct leat_loop *loop)
{
    if (entry->file && file_info_equal(&entry->file->info, &look->info)) {
        loop->sys->close(loop->sys, look->fd);
        return 0;
    }
    struct leat_file *file;
    const int error = file_adopt(look->fd, &look->info, &file);
    if (error)
        return error;
    leat_file_unref(entry->file);
    entry->file = file;
    cache->failure_count -= entry->error != 0;
    entry->error = 0;
    return 0;
}

/* Looks for the entry's path and tells those who wait. */
static int look_again(struct file_cache *cache, struct entry *entry, int64_t deadline_ns)
{
    struct leat_loop *loop = loop_current;
    struct look look = {.path = entry->path, .root = entry->root, .now_ns = loop->now_ns};
    entry->is_looking = true;
    int error = fiber_offload(look_job, &look, deadline_ns);
    if (!error && (look.error == -EMFILE || look.error == -ENFILE) &&
        drop_oldest(cache, &cache->ages, FILE_CACHE_MAX / 2) > 0)
        error = fiber_offload(look_job, &look, deadline_ns);
    /* Not done, for our own deadline or cancel: the next who waits does it. */
    const bool was_done = error == 0;
    if (was_done) {
        entry->checked_ns = loop->now_ns;
        error = look.error ? look.error : settle_entry(cache, entry, &look, loop);
    }
    if (error && was_done)
        note_failure(cache, entry, error);
    entry->is_looking = false;
    struct list_node *node;
    while ((node = list_take_front(&entry->waiters))) {
        struct waiter *waiter = CONTAINER_OF(node, struct waiter, node);
        waiter->result = was_done ? error : -EINPROGRESS;
        fiber_wake(waiter->fiber);
        if (!was_done)
            break;
    }
    return error;
}

static void stop_waiting(void *user)
{
    struct waiter *waiter = user;
    list_remove(&waiter->node);
    fiber_wake(waiter->fiber);
}

/* Waits for the look of another fiber. -EINPROGRESS: that one gave up, it is our turn. */
static int await_look(struct entry *entry, int64_t deadline_ns)
{
    struct waiter waiter = {.fiber = fiber_current(), .result = -EINPROGRESS};
    list_init(&waiter.node);
    list_push_back(&entry->waiters, &waiter.node);
    const int error = fiber_park(deadline_ns, stop_waiting, &waiter);
    list_remove(&waiter.node);
    return error ? error : waiter.result;
}

static bool is_fresh(const struct entry *entry, int64_t now_ns)
{
    return (entry->file || entry->error) &&
           now_ns - entry->checked_ns < FILE_FRESH_MS * LEAT_NS_PER_MS;
}

/* Where symbolic links are followed the kernel does not keep the path below the root; we do. */
static bool leads_out(struct leat_slice path)
{
    if (path.size > 0 && path.data[0] == '/')
        return true;
    while (path.size > 0) {
        const char *slash = memchr(path.data, '/', path.size);
        const size_t size = slash ? (size_t)(slash - path.data) : path.size;
        if (slice_equal(slice_of(path.data, size), SLICE("..")))
            return true;
        path = slice_after(path, slash ? size + 1 : size);
    }
    return false;
}

int leat_file_open(struct leat_root *root, const char *path, int64_t deadline_ns,
                   struct leat_file **ret_file)
{
    struct leat_loop *loop = loop_current;
    ASSERT(loop != NULL && loop->sys == root->sys);
    const struct leat_slice key = slice_from_text(path);
    if (key.size > FILE_PATH_MAX)
        return -ENAMETOOLONG;
    if (root->options.follow_symlinks && leads_out(key))
        return -EXDEV;
    struct file_cache *cache = cache_of(loop);
    if (!cache)
        return -ENOMEM;
    const uint64_t hash = hash_bytes(&cache->seed, key);
    for (;;) {
        struct entry *entry = find_entry(cache, root, key, hash);
        int error = 0;
        if (entry && is_fresh(entry, loop->now_ns)) {
            cache->counters.hits++;
        } else if (entry && entry->is_looking) {
            error = await_look(entry, deadline_ns);
            if (error == -EINPROGRESS)
                continue; /* the entry may be gone meanwhile */
            if (error)
                return error;
            entry = find_entry(cache, root, key, hash);
            if (!entry || !(entry->file || entry->error))
                continue;
        } else {
            if (entry)
                cache->counters.revalidations++;
            else
                error = make_entry(cache, root, key, hash, &entry);
            if (error)
                return error;
            cache->counters.misses += entry->file == NULL;
            error = look_again(cache, entry, deadline_ns);
            if (error) {
                if (!entry->file && !entry->error && !is_in_use(entry))
                    drop_entry(cache, entry);
                return error;
            }
        }
        touch_entry(cache, entry);
        if (entry->error)
            return entry->error;
        leat_file_ref(entry->file);
        *ret_file = entry->file;
        return 0;
    }
}

/* ---- Roots ----------------------------------------------------------------------------------- */

int leat_root_open_with(const char *path, const struct leat_root_options *options,
                        struct leat_root **ret_root)
{
    const struct backend_sys *sys = loop_current ? loop_current->sys : &backend_sys_linux;
    struct leat_root *root = calloc(1, sizeof *root);
    if (!root)
        return -ENOMEM;
    root->sys = sys;
    root->options = *options;
    atomic_init(&root->references, 1);
    atomic_init(&root->told_ns, INT64_MIN / 2);
    root->fd = sys->open(sys, -1, path, BACKEND_OPEN_DIRECTORY);
    if (root->fd < 0) {
        const int error = root->fd;
        free(root);
        return error;
    }
    *ret_root = root;
    return 0;
}

int leat_root_open(const char *path, struct leat_root **ret_root)
{
    return leat_root_open_with(path, &(struct leat_root_options){0}, ret_root);
}

/* Drops what the list has of the root and nobody waits for. */
static void drop_root(struct file_cache *cache, struct list_node *list,
                      const struct leat_root *root)
{
    for (struct list_node *node = list->next, *next; node != list; node = next) {
        next = node->next;
        struct entry *entry = CONTAINER_OF(node, struct entry, age_node);
        if (entry->root == root && !is_in_use(entry))
            drop_entry(cache, entry);
    }
}

void leat_root_close(struct leat_root *root)
{
    if (!root)
        return;
    if (loop_current && loop_current->extensions[LOOP_SLOT_FILES]) {
        struct file_cache *cache = cache_of(loop_current);
        drop_root(cache, &cache->ages, root);
        drop_root(cache, &cache->failures, root);
    }
    file_root_unref(root);
}

/* ---- Listing --------------------------------------------------------------------------------- */

struct listing {
    const struct backend_sys *sys;
    struct leat_file *directory;
    leat_entry_fn entry;
    leat_entry_info_fn entry_info; /* or this one */
    void *user;
    int error;
};

static bool give_entry_info(const char *name, bool is_directory, void *user)
{
    const struct listing *listing = user;
    const struct backend_sys *sys = listing->sys;
    struct backend_stat stat;
    const int error = sys->stat_at(sys, listing->directory->fd, name, &stat);
    const bool is_known = !error && (stat.is_regular || stat.is_directory);
    struct leat_file_info info;
    if (is_known)
        info = file_info_of(&stat);
    return listing->entry_info(name, is_directory, is_known ? &info : NULL, listing->user);
}

static void list_job(void *arg, const struct backend_sys *sys)
{
    struct listing *listing = arg;
    listing->sys = sys;
    listing->error = listing->entry
                         ? sys->list(sys, listing->directory->fd, listing->entry, listing->user)
                         : sys->list(sys, listing->directory->fd, give_entry_info, listing);
}

static int list_directory(struct listing *listing, int64_t deadline_ns)
{
    if (!listing->directory->info.is_directory)
        return -ENOTDIR;
    const int error = fiber_offload(list_job, listing, deadline_ns);
    return error ? error : listing->error;
}

int leat_file_list(struct leat_file *directory, int64_t deadline_ns, leat_entry_fn entry,
                   void *user)
{
    struct listing listing = {.directory = directory, .entry = entry, .user = user};
    return list_directory(&listing, deadline_ns);
}

int leat_file_list_info(struct leat_file *directory, int64_t deadline_ns, leat_entry_info_fn entry,
                        void *user)
{
    struct listing listing = {.directory = directory, .entry_info = entry, .user = user};
    return list_directory(&listing, deadline_ns);
}
