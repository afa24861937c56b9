/* SPDX-License-Identifier: MIT */
/*
 * See film_cache.h. One lock guards everything; what is done under it is a look into the table and
 * a few links. An entry is
 *
 *     building ---> film | failure ---> dropped, the least recently used first
 *         '-------> dropped, when it tells of us and not of the file
 *
 * The fiber that makes an entry builds it, with the file it came with; the others wait in the
 * entry. Builders beyond builds_max wait in the cache.
 */
#include "media/film_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"
#include "fiber/fiber.h"
#include "fiber/line.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "net/file.h"

enum {
    BUILDS_MAX = 2,
    TURN_MS = 500, /* a build that takes longer waits for a disk: another may begin, */
    SLOW_MAX = 4,  /* as long as there are not too many of these */
};

enum entry_state { ENTRY_BUILDING, ENTRY_FILM, ENTRY_FAILURE };

struct entry {
    struct hash_node hash_node;
    struct list_node age_node; /* of films, of failures; most recently used last */
    struct leat_file_info key;
    enum entry_state state;
    struct film *film;
    size_t memory;
    int error;
    char *reason;
    struct line waiters;
};

struct film_cache {
    pthread_mutex_t lock;
    struct film_cache_options options;
    struct hash_table table;
    struct list_node films, failures;
    struct line builders; /* that wait for their turn */
    unsigned running;     /* builds whose turn it is, */
    unsigned slow;        /* and those that have had it, and are still at work */
    unsigned film_count, failure_count, building_count;
    size_t memory;
    uint64_t hits, builds, failed, evictions;
};

/* ---- Making and dropping --------------------------------------------------------------------- */

int film_cache_create(const struct film_cache_options *options, struct film_cache **ret_cache)
{
    struct film_cache *cache = calloc(1, sizeof *cache);
    if (!cache || hash_init(&cache->table, 0)) {
        free(cache);
        return -ENOMEM;
    }
    if (options)
        cache->options = *options;
    struct film_cache_options *set = &cache->options;
    set->memory_max = set->memory_max ? set->memory_max : FILM_CACHE_MEMORY_MAX;
    set->entries_max = set->entries_max ? set->entries_max : FILM_CACHE_ENTRIES_MAX;
    set->failures_max = set->failures_max ? set->failures_max : FILM_CACHE_FAILURES_MAX;
    set->builds_max = set->builds_max ? set->builds_max : BUILDS_MAX;
    set->read_max = set->read_max ? set->read_max : FILM_CACHE_READ_MAX;
    pthread_mutex_init(&cache->lock, NULL);
    list_init(&cache->films);
    list_init(&cache->failures);
    line_init(&cache->builders);
    *ret_cache = cache;
    return 0;
}

static void free_entry(struct entry *entry)
{
    ASSERT(line_is_empty(&entry->waiters));
    film_unref(entry->film);
    free(entry->reason);
    free(entry);
}

/* With the lock held. The entry is its caller's now. */
static void take_out(struct film_cache *cache, struct entry *entry)
{
    hash_remove(&cache->table, &entry->hash_node);
    list_remove(&entry->age_node);
    cache->memory -= entry->memory;
    switch (entry->state) {
    case ENTRY_BUILDING: cache->building_count--; break;
    case ENTRY_FILM: cache->film_count--; break;
    case ENTRY_FAILURE: cache->failure_count--; break;
    }
}

/* With the lock held: what is beyond a limit goes to `dropped`, for freeing a film takes long. The
 * entry used last stays. */
static void make_room(struct film_cache *cache, struct list_node *dropped)
{
    const struct film_cache_options *options = &cache->options;
    while (cache->film_count > 1 &&
           (cache->film_count > options->entries_max || cache->memory > options->memory_max)) {
        struct entry *entry = CONTAINER_OF(cache->films.next, struct entry, age_node);
        take_out(cache, entry);
        list_push_back(dropped, &entry->age_node);
        cache->evictions++;
    }
    while (cache->failure_count > options->failures_max) {
        struct entry *entry = CONTAINER_OF(cache->failures.next, struct entry, age_node);
        take_out(cache, entry);
        list_push_back(dropped, &entry->age_node);
        cache->evictions++;
    }
}

static void free_entries(struct list_node *list)
{
    struct list_node *node;
    while ((node = list_take_front(list)))
        free_entry(CONTAINER_OF(node, struct entry, age_node));
}

void film_cache_destroy(struct film_cache *cache)
{
    if (!cache)
        return;
    ASSERT(cache->building_count == 0 && cache->running == 0 && cache->slow == 0);
    ASSERT(line_is_empty(&cache->builders));
    free_entries(&cache->films);
    free_entries(&cache->failures);
    hash_fini(&cache->table);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

void film_cache_read_counters(struct film_cache *cache, struct film_cache_counters *ret_counters)
{
    pthread_mutex_lock(&cache->lock);
    *ret_counters = (struct film_cache_counters){
        .hits = cache->hits,
        .builds = cache->builds,
        .failures = cache->failed,
        .evictions = cache->evictions,
        .entries = cache->film_count + cache->failure_count,
        .bytes = cache->memory,
        .building = cache->building_count,
    };
    pthread_mutex_unlock(&cache->lock);
}

/* ---- Turns ----------------------------------------------------------------------------------- */

/* With the lock held, which it lets go of meanwhile: waits for a turn to build. */
static int take_turn(struct film_cache *cache, int64_t deadline_ns)
{
    if (cache->running < cache->options.builds_max) {
        cache->running++;
        return 0;
    }
    bool has_turn;
    const int error = line_wait(&cache->builders, &cache->lock, deadline_ns, &has_turn);
    if (error && has_turn && !line_call(&cache->builders, 0))
        cache->running--;
    return error;
}

/* With the lock held: the turn goes to the next, who finds it taken. */
static void give_turn(struct film_cache *cache)
{
    ASSERT(cache->running > 0);
    if (!line_call(&cache->builders, 0))
        cache->running--;
}

/* ---- Building -------------------------------------------------------------------------------- */

/* A build, in an offload job. */
struct build {
    struct film_cache *cache;
    const struct backend_sys *sys;
    int fd;
    struct leat_file_info key;
    int64_t begun_ns;
    bool has_turn;
    uint64_t left; /* bytes that may still be read */
    bool is_beyond_limit;
    struct film *film;
    int error;
    char reason[FILM_REASON_SIZE];
};

/* One film on a slow disk must not hold up all others. */
static void pass_turn_on(struct build *build)
{
    struct film_cache *cache = build->cache;
    if (!build->has_turn || leat_now_ns() - build->begun_ns < TURN_MS * LEAT_NS_PER_MS)
        return;
    pthread_mutex_lock(&cache->lock);
    if (cache->slow < SLOW_MAX) {
        cache->slow++;
        build->has_turn = false;
        give_turn(cache);
    }
    pthread_mutex_unlock(&cache->lock);
}

/* Straight into place: the reader has windows of its own. */
static int read_source(void *user, uint64_t offset, void *data, size_t size)
{
    struct build *build = user;
    ASSERT(offset <= build->key.size && size <= build->key.size - offset);
    pass_turn_on(build);
    if (build->left < size) {
        build->is_beyond_limit = true;
        return -LEAT_E_LIMIT;
    }
    build->left -= size;
    for (unsigned char *to = data; size > 0;) {
        const ssize_t count = build->sys->read(build->sys, build->fd, to, size, offset);
        if (count <= 0)
            return count < 0 ? (int)count : -ESTALE; /* it has become shorter */
        to += count;
        offset += (uint64_t)count;
        size -= (size_t)count;
    }
    return 0;
}

/* Is it still the file that was opened? In place it may have become another meanwhile. */
static bool is_unchanged(const struct build *build)
{
    struct backend_stat stat;
    return build->sys->stat(build->sys, build->fd, &stat) == 0 && stat.size == build->key.size &&
           stat.mtime_ns == build->key.mtime_ns;
}

static void build_job(void *arg, const struct backend_sys *sys)
{
    struct build *build = arg;
    build->sys = sys;
    build->begun_ns = leat_now_ns();
    const struct mp4_source source = {.read = read_source, .user = build, .size = build->key.size};
    build->error = film_build(&source, &build->film, build->reason);
    if (!is_unchanged(build)) {
        film_unref(build->film);
        build->film = NULL;
        build->error = -ESTALE;
    } else if (build->error && build->is_beyond_limit) {
        build->error = -LEAT_E_LIMIT;
        snprintf(build->reason, sizeof build->reason, "its index is too large to be read");
    }
}

/* Does it tell how the file is, rather than how we are? Then there is a reason. */
static bool is_of_the_file(int error)
{
    return error == -LEAT_E_MALFORMED || error == -LEAT_E_LIMIT || error == -EOPNOTSUPP;
}

/* With the lock held: the entry becomes what was built, or goes. Who waits for it looks again, or
 * shares the error: a disk that fails is not asked once for each of them. Only when the builder had
 * no time, or was cancelled, another is to try. */
static void settle(struct film_cache *cache, struct entry *entry, struct build *build, int error,
                   struct list_node *dropped)
{
    ASSERT(entry->state == ENTRY_BUILDING);
    const bool may_try = error == -ETIMEDOUT || error == -ECANCELED || is_of_the_file(error);
    line_call_all(&entry->waiters, may_try ? 0 : error);
    char *reason = error && is_of_the_file(error) ? strdup(build->reason) : NULL;
    if (error && !reason) {
        take_out(cache, entry);
        list_push_back(dropped, &entry->age_node);
        return;
    }
    cache->building_count--;
    entry->memory = sizeof *entry;
    if (error) {
        entry->state = ENTRY_FAILURE;
        entry->error = error;
        entry->reason = reason;
        entry->memory += strlen(reason) + 1;
        cache->failure_count++;
        list_push_back(&cache->failures, &entry->age_node);
    } else {
        entry->state = ENTRY_FILM;
        film_ref(build->film);
        entry->film = build->film;
        entry->memory += film_memory(build->film);
        cache->film_count++;
        list_push_back(&cache->films, &entry->age_node);
    }
    cache->memory += entry->memory;
    make_room(cache, dropped);
}

/* With the lock held, which it lets go of meanwhile. */
static int build_entry(struct film_cache *cache, struct entry *entry, struct leat_file *file,
                       int64_t deadline_ns, struct build *build)
{
    int error = take_turn(cache, deadline_ns);
    if (error)
        return error;
    cache->builds++;
    pthread_mutex_unlock(&cache->lock);
    *build = (struct build){.cache = cache,
                            .fd = file->fd,
                            .key = entry->key,
                            .has_turn = true,
                            .left = cache->options.read_max};
    error = fiber_offload(build_job, build, deadline_ns);
    pthread_mutex_lock(&cache->lock);
    if (build->has_turn)
        give_turn(cache);
    else
        cache->slow--;
    if (!error)
        error = build->error;
    cache->failed += error != 0;
    return error;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static uint64_t hash_key(const struct leat_file_info *key)
{
    return hash_number(key->inode ^
                       hash_number(key->device ^ hash_number(key->size) ^ (uint64_t)key->mtime_ns));
}

static struct entry *find_entry(struct film_cache *cache, const struct leat_file_info *key)
{
    for (struct hash_node *node = hash_find(&cache->table, hash_key(key)); node;
         node = hash_find_next(node)) {
        struct entry *entry = CONTAINER_OF(node, struct entry, hash_node);
        if (file_info_equal(&entry->key, key))
            return entry;
    }
    return NULL;
}

static int make_entry(struct film_cache *cache, const struct leat_file_info *key,
                      struct entry **ret_entry)
{
    if (cache->building_count >= FILM_CACHE_BUILDING_MAX)
        return -EAGAIN;
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return -ENOMEM;
    entry->key = *key;
    list_init(&entry->age_node);
    line_init(&entry->waiters);
    const int error = hash_insert(&cache->table, &entry->hash_node, hash_key(key));
    if (error) {
        free(entry);
        return error;
    }
    cache->building_count++;
    *ret_entry = entry;
    return 0;
}

/* With the lock held: what is there. */
static int answer(struct film_cache *cache, struct entry *entry, struct film **ret_film,
                  char *ret_reason)
{
    list_remove(&entry->age_node);
    cache->hits++;
    if (entry->state == ENTRY_FAILURE) {
        list_push_back(&cache->failures, &entry->age_node);
        snprintf(ret_reason, FILM_REASON_SIZE, "%s", entry->reason);
        return entry->error;
    }
    ASSERT(entry->film);
    list_push_back(&cache->films, &entry->age_node);
    film_ref(entry->film);
    *ret_film = entry->film;
    return 0;
}

/* With the lock held, which it lets go of meanwhile: makes the film. */
static int make(struct film_cache *cache, struct leat_file *file, int64_t deadline_ns,
                struct film **ret_film, char *ret_reason)
{
    struct entry *entry;
    struct build build = {.fd = -1};
    struct list_node dropped;
    int error = make_entry(cache, &file->info, &entry);
    if (error)
        return error;
    list_init(&dropped);
    error = build_entry(cache, entry, file, deadline_ns, &build);
    settle(cache, entry, &build, error, &dropped);
    pthread_mutex_unlock(&cache->lock);
    free_entries(&dropped);
    if (!error)
        *ret_film = build.film;
    else if (is_of_the_file(error))
        memcpy(ret_reason, build.reason, sizeof build.reason);
    pthread_mutex_lock(&cache->lock);
    return error;
}

int film_cache_get(struct film_cache *cache, struct leat_file *file, int64_t deadline_ns,
                   struct film **ret_film, char *ret_reason)
{
    int error = 0;
    ASSERT(fiber_current() && !file->info.is_directory);
    ret_reason[0] = '\0';
    pthread_mutex_lock(&cache->lock);
    for (;;) {
        struct entry *entry = find_entry(cache, &file->info);
        if (!entry) {
            error = make(cache, file, deadline_ns, ret_film, ret_reason);
            break;
        }
        if (entry->state != ENTRY_BUILDING) {
            error = answer(cache, entry, ret_film, ret_reason);
            break;
        }
        bool was_called;
        error = line_wait(&entry->waiters, &cache->lock, deadline_ns, &was_called);
        if (error)
            break;
    }
    pthread_mutex_unlock(&cache->lock);
    return error;
}
