/* SPDX-License-Identifier: MIT */
/*
 * See site_stems.h. One lock for all loops. The names found are an object of its own that never
 * changes, so that who reads them needs no lock.
 */
#include "site_stems.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/slice.h"
#include "fiber/line.h"
#include "leat/clock.h"

struct siblings {
    _Atomic unsigned references;
    unsigned count;
    bool has_failed; /* no memory */
    char *names[SIBLINGS_MAX];
};

struct stem {
    struct hash_node hash_node;
    struct list_node age_node; /* most recently used last */
    struct leat_root *root;
    struct siblings *siblings;  /* NULL: nobody has looked yet */
    int64_t names_ns, rate_ns;  /* when that was */
    bool is_listing, is_rating; /* a fiber is at it */
    struct line waiters;        /* for the listing */
    struct stem_rate rate;
    char path[];
};

struct stems {
    pthread_mutex_t lock;
    struct hash_table table;
    struct hash_seed seed;
    struct list_node ages;
};

/* ---- Names ----------------------------------------------------------------------------------- */

void siblings_unref(struct siblings *siblings)
{
    if (!siblings || atomic_fetch_sub(&siblings->references, 1) > 1)
        return;
    for (unsigned index = 0; index < siblings->count; index++)
        free(siblings->names[index]);
    free(siblings);
}

const char *siblings_next(const struct siblings *siblings, const char *name)
{
    unsigned index = 0;
    while (name && index < siblings->count && siblings->names[index] != name)
        index++;
    index += name != NULL;
    return index < siblings->count ? siblings->names[index] : NULL;
}

struct listing {
    struct siblings *siblings;
    struct leat_slice stem;
};

/* In a thread of the pool. */
static bool take_entry(const char *name, bool is_directory, void *user)
{
    const struct listing *listing = user;
    struct siblings *siblings = listing->siblings;
    const struct leat_slice stem = listing->stem;
    if (is_directory || strncmp(name, stem.data, stem.size) != 0 ||
        (name[stem.size] != '-' && name[stem.size] != '.'))
        return true;
    char *copy = strdup(name);
    siblings->has_failed |= !copy;
    if (copy)
        siblings->names[siblings->count++] = copy;
    return copy && siblings->count < SIBLINGS_MAX;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Looks into the folder; without the lock. */
static int list_siblings(struct leat_root *root, const char *path, int64_t deadline_ns,
                         struct siblings **ret_siblings)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    struct leat_file *folder;
    char *folder_path = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    struct siblings *siblings = calloc(1, sizeof *siblings);
    struct listing listing = {siblings, slice_from_text(name)};
    int error = folder_path && siblings ? 0 : -ENOMEM;
    if (!error)
        error = leat_file_open(root, folder_path, deadline_ns, &folder);
    free(folder_path);
    if (error) {
        free(siblings);
        return error;
    }
    atomic_init(&siblings->references, 1);
    error = leat_file_list(folder, deadline_ns, take_entry, &listing);
    leat_file_unref(folder);
    if (!error && siblings->has_failed)
        error = -ENOMEM;
    if (error) {
        siblings_unref(siblings);
        return error;
    }
    qsort(siblings->names, siblings->count, sizeof *siblings->names, compare_names);
    *ret_siblings = siblings;
    return 0;
}

/* ---- The table ------------------------------------------------------------------------------- */

int stems_create(struct stems **ret_stems)
{
    struct stems *stems = calloc(1, sizeof *stems);
    if (!stems || hash_init(&stems->table, 0)) {
        free(stems);
        return -ENOMEM;
    }
    pthread_mutex_init(&stems->lock, NULL);
    list_init(&stems->ages);
    /* Where it lies and when it was made: seed enough for a table of a thousand. */
    stems->seed.words[0] = (uint64_t)(uintptr_t)stems;
    stems->seed.words[1] = (uint64_t)leat_now_ns();
    *ret_stems = stems;
    return 0;
}

static void drop_stem(struct stems *stems, struct stem *stem)
{
    ASSERT(!stem->is_listing && line_is_empty(&stem->waiters));
    hash_remove(&stems->table, &stem->hash_node);
    list_remove(&stem->age_node);
    siblings_unref(stem->siblings);
    free(stem);
}

void stems_destroy(struct stems *stems)
{
    if (!stems)
        return;
    while (!list_is_empty(&stems->ages))
        drop_stem(stems, CONTAINER_OF(stems->ages.next, struct stem, age_node));
    hash_fini(&stems->table);
    pthread_mutex_destroy(&stems->lock);
    free(stems);
}

static uint64_t hash_of(const struct stems *stems, const struct leat_root *root, const char *path)
{
    return hash_bytes(&stems->seed, slice_from_text(path)) ^ hash_number((uintptr_t)root);
}

static struct stem *find_stem(struct stems *stems, const struct leat_root *root, const char *path)
{
    for (struct hash_node *node = hash_find(&stems->table, hash_of(stems, root, path)); node;
         node = hash_find_next(node)) {
        struct stem *stem = CONTAINER_OF(node, struct stem, hash_node);
        if (stem->root == root && strcmp(stem->path, path) == 0)
            return stem;
    }
    return NULL;
}

/* Drops the one used least recently that nobody is at. */
static void make_room(struct stems *stems)
{
    LIST_FOR_EACH (node, &stems->ages) {
        struct stem *stem = CONTAINER_OF(node, struct stem, age_node);
        if (stem->is_listing || stem->is_rating)
            continue;
        drop_stem(stems, stem);
        return;
    }
}

/* With the lock held: NULL without memory, or when all are in work. */
static struct stem *get_stem(struct stems *stems, struct leat_root *root, const char *path)
{
    struct stem *stem = find_stem(stems, root, path);
    if (stem) {
        list_remove(&stem->age_node);
        list_push_back(&stems->ages, &stem->age_node);
        return stem;
    }
    if (stems->table.count >= STEMS_MAX)
        make_room(stems);
    const size_t size = strlen(path) + 1;
    stem = stems->table.count < STEMS_MAX ? calloc(1, sizeof *stem + size) : NULL;
    if (!stem)
        return NULL;
    stem->root = root;
    memcpy(stem->path, path, size);
    line_init(&stem->waiters);
    if (hash_insert(&stems->table, &stem->hash_node, hash_of(stems, root, path))) {
        free(stem);
        return NULL;
    }
    list_push_back(&stems->ages, &stem->age_node);
    return stem;
}

static bool is_fresh(int64_t since_ns, int64_t fresh_ms)
{
    return since_ns && leat_now_ns() - since_ns < fresh_ms * LEAT_NS_PER_MS;
}

/* ---- Siblings -------------------------------------------------------------------------------- */

/* With the lock held, which it lets go of meanwhile. */
static int refresh(struct stems *stems, struct stem *stem, int64_t deadline_ns)
{
    struct siblings *found = NULL;
    stem->is_listing = true;
    pthread_mutex_unlock(&stems->lock);
    const int error = list_siblings(stem->root, stem->path, deadline_ns, &found);
    pthread_mutex_lock(&stems->lock);
    stem->is_listing = false;
    siblings_unref(stem->siblings);
    stem->siblings = found;
    stem->names_ns = found ? leat_now_ns() : 0;
    /* For our own deadline or cancel another looks; what is wrong with the folder is so for all. */
    const bool is_ours = error == -ETIMEDOUT || error == -ECANCELED;
    line_call_all(&stem->waiters, is_ours ? 0 : error);
    return error;
}

int stems_siblings(struct stems *stems, struct leat_root *root, const char *path,
                   int64_t deadline_ns, struct siblings **ret_siblings)
{
    int error = 0;
    pthread_mutex_lock(&stems->lock);
    for (;;) {
        struct stem *stem = get_stem(stems, root, path);
        if (!stem) {
            error = -ENOMEM;
            break;
        }
        if (stem->siblings && is_fresh(stem->names_ns, STEMS_NAMES_FRESH_MS)) {
            atomic_fetch_add(&stem->siblings->references, 1);
            *ret_siblings = stem->siblings;
            break;
        }
        bool was_called;
        error = stem->is_listing ? line_wait(&stem->waiters, &stems->lock, deadline_ns, &was_called)
                                 : refresh(stems, stem, deadline_ns);
        if (error)
            break;
    }
    pthread_mutex_unlock(&stems->lock);
    return error;
}

/* ---- Rates ----------------------------------------------------------------------------------- */

bool stems_rate(struct stems *stems, struct leat_root *root, const char *path,
                struct stem_rate *ret_rate)
{
    bool is_to_find_out = false;
    *ret_rate = (struct stem_rate){.is_known = false};
    pthread_mutex_lock(&stems->lock);
    struct stem *stem = get_stem(stems, root, path);
    if (stem) {
        *ret_rate = stem->rate;
        is_to_find_out = !stem->is_rating && !is_fresh(stem->rate_ns, STEMS_RATE_FRESH_MS);
        stem->is_rating |= is_to_find_out;
    }
    pthread_mutex_unlock(&stems->lock);
    return is_to_find_out;
}

void stems_peek_rate(struct stems *stems, struct leat_root *root, const char *path,
                     struct stem_rate *ret_rate)
{
    pthread_mutex_lock(&stems->lock);
    const struct stem *stem = find_stem(stems, root, path);
    *ret_rate = stem ? stem->rate : (struct stem_rate){.is_known = false};
    pthread_mutex_unlock(&stems->lock);
}

void stems_set_rate(struct stems *stems, struct leat_root *root, const char *path,
                    struct stem_rate rate)
{
    pthread_mutex_lock(&stems->lock);
    struct stem *stem = get_stem(stems, root, path);
    if (stem) {
        stem->rate = rate;
        stem->rate_ns = leat_now_ns();
        stem->is_rating = false;
    }
    pthread_mutex_unlock(&stems->lock);
}
