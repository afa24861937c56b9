/* SPDX-License-Identifier: MIT */
/*
 * The table of coded files: which states of which files have which copies in memory. One lock
 * guards it; it is held for no more than a search, or the eviction of a few.
 *
 * Evicted is who was not used since he was last passed over (the clock algorithm: loops mark what
 * they use without the lock). An evicted copy takes its room until the last loop has let go of it,
 * and counts so long: hence an eighth of the memory is kept free for the next one.
 */
#include "http/coded_files.h"

#include <errno.h>
#include <stdlib.h>

#include "base/counters.h"
#include "http/coded_parts.h"
#include "loop/loop.h"
#include "net/file.h"

enum { CODED_COPIES_MAX = 1024 }; /* in memory; each has a descriptor */

/* ---- The object ------------------------------------------------------------------------------ */

int leat_http_coded_files_create(const struct leat_http_coded_files_options *options,
                                 struct leat_http_coded_files **ret_coded)
{
    struct leat_http_coded_files_options wanted = {0};
    if (options)
        wanted = *options;
    if (wanted.file_size_max > CODED_FILES_SIZE_MAX)
        return -EINVAL;
    if (wanted.file_size_max == 0)
        wanted.file_size_max = CODED_FILES_SIZE_MAX;
    if (wanted.memory_size == 0)
        wanted.memory_size = CODED_FILES_MEMORY;
    struct leat_http_coded_files *coded = calloc(1, sizeof *coded);
    if (!coded || hash_init(&coded->originals, 0)) {
        free(coded);
        return -ENOMEM;
    }
    coded->options = wanted;
    /* Keys are the kernel's numbers; where the table lies is seed enough. */
    const bool is_simulated = loop_current && loop_current->ops->is_simulated;
    coded->seed.words[0] = is_simulated ? 1 : (uint64_t)(uintptr_t)coded;
    atomic_init(&coded->references, 1);
    atomic_init(&coded->generation, 1);
    pthread_mutex_init(&coded->lock, NULL);
    list_init(&coded->ages);
    list_init(&coded->members);
    *ret_coded = coded;
    return 0;
}

struct leat_http_coded_files *coded_files_ref(struct leat_http_coded_files *coded)
{
    atomic_fetch_add_explicit(&coded->references, 1, memory_order_relaxed);
    return coded;
}

void coded_files_unref(struct leat_http_coded_files *coded)
{
    if (atomic_fetch_sub_explicit(&coded->references, 1, memory_order_acq_rel) > 1)
        return;
    ASSERT(coded->originals.count == 0 && list_is_empty(&coded->members));
    hash_fini(&coded->originals);
    pthread_mutex_destroy(&coded->lock);
    free(coded);
}

void leat_http_coded_files_counters(const struct leat_http_coded_files *coded,
                                    struct leat_http_coded_files_counters *ret_counters)
{
    struct leat_http_coded_files *mine = (struct leat_http_coded_files *)coded;
    pthread_mutex_lock(&mine->lock);
    const uint64_t files = mine->originals.count;
    pthread_mutex_unlock(&mine->lock);
    *ret_counters = (struct leat_http_coded_files_counters){
        .files = files,
        .copies = counter_read(&coded->copies),
        .bytes = counter_read(&coded->bytes),
        .jobs = atomic_load_explicit(&coded->jobs, memory_order_relaxed),
        .made = counter_read(&coded->made),
        .beside = counter_read(&coded->beside),
        .useless = counter_read(&coded->useless),
        .failures = counter_read(&coded->failures),
        .evictions = counter_read(&coded->evictions),
        .cpu_ns = counter_read(&coded->cpu_ns),
    };
}

/* ---- Copies ---------------------------------------------------------------------------------- */

/* Takes the room of a copy unless there is none. */
static bool take_room(struct leat_http_coded_files *coded, uint64_t room)
{
    uint64_t bytes = atomic_load_explicit(&coded->bytes, memory_order_relaxed);
    do
        if (bytes + room > coded->options.memory_size)
            return false;
    while (!atomic_compare_exchange_weak(&coded->bytes, &bytes, bytes + room));
    return true;
}

struct coded_copy *coded_copy_create(struct leat_http_coded_files *coded,
                                     const struct backend_sys *sys, uint64_t size)
{
    struct coded_copy *copy = calloc(1, sizeof *copy);
    if (!copy || !take_room(coded, coded_room(size))) {
        free(copy);
        return NULL;
    }
    copy->coded = coded_files_ref(coded);
    copy->sys = sys;
    copy->fd = -1;
    copy->size = size;
    atomic_init(&copy->references, 1);
    atomic_fetch_add_explicit(&coded->copies, 1, memory_order_relaxed);
    return copy;
}

void coded_copy_unref(struct coded_copy *copy)
{
    if (!copy || atomic_fetch_sub_explicit(&copy->references, 1, memory_order_acq_rel) > 1)
        return;
    struct leat_http_coded_files *coded = copy->coded;
    if (copy->fd >= 0)
        copy->sys->close(copy->sys, copy->fd);
    atomic_fetch_sub_explicit(&coded->bytes, coded_room(copy->size), memory_order_relaxed);
    atomic_fetch_sub_explicit(&coded->copies, 1, memory_order_relaxed);
    free(copy);
    coded_files_unref(coded);
}

/* ---- Originals, with the lock held ----------------------------------------------------------- */

static uint64_t hash_of(const struct leat_http_coded_files *coded,
                        const struct leat_file_info *info)
{
    const uint64_t key[] = {info->device, info->inode, info->size, (uint64_t)info->mtime_ns};
    return hash_bytes(&coded->seed, slice_of((const char *)key, sizeof key));
}

static struct coded_original *find_original(struct leat_http_coded_files *coded,
                                            const struct leat_file_info *info)
{
    for (struct hash_node *node = hash_find(&coded->originals, hash_of(coded, info)); node;
         node = hash_find_next(node)) {
        struct coded_original *original = CONTAINER_OF(node, struct coded_original, hash_node);
        if (file_info_equal(&original->info, info))
            return original;
    }
    return NULL;
}

static void drop_original(struct leat_http_coded_files *coded, struct coded_original *original)
{
    for (unsigned codec = 0; codec < LEAT_CODECS; codec++) {
        struct coded_copy *copy = original->forms[codec].copy;
        ASSERT(original->forms[codec].state != CODED_MAKING);
        if (!copy)
            continue;
        coded->listed_bytes -= coded_room(copy->size);
        coded->listed_copies--;
        atomic_store_explicit(&copy->is_evicted, true, memory_order_relaxed);
        atomic_fetch_add_explicit(&coded->evictions, 1, memory_order_relaxed);
        coded_copy_unref(copy);
    }
    hash_remove(&coded->originals, &original->hash_node);
    list_remove(&original->age_node);
    free(original);
    atomic_fetch_add_explicit(&coded->generation, 1, memory_order_release);
}

static bool is_making(const struct coded_original *original)
{
    for (unsigned codec = 0; codec < LEAT_CODECS; codec++)
        if (original->forms[codec].state == CODED_MAKING)
            return true;
    return false;
}

/* Was one of its copies used since this was last asked, or is one being made? */
static bool deserves_to_stay(struct coded_original *original)
{
    bool is_used = is_making(original);
    for (unsigned codec = 0; codec < LEAT_CODECS; codec++) {
        const struct coded_form *form = &original->forms[codec];
        if (form->copy &&
            atomic_exchange_explicit(&form->copy->is_used, false, memory_order_relaxed))
            is_used = true;
    }
    return is_used;
}

/* Drops the first that does not deserve to stay; false: nobody can go, all are being made. */
static bool evict_one(struct leat_http_coded_files *coded)
{
    for (size_t tries = 2 * coded->originals.count; tries > 0; tries--) {
        struct coded_original *original =
            CONTAINER_OF(coded->ages.next, struct coded_original, age_node);
        if (!deserves_to_stay(original)) {
            drop_original(coded, original);
            return true;
        }
        list_remove(&original->age_node);
        list_push_back(&coded->ages, &original->age_node);
    }
    return false;
}

/* Those save that jobs are at: they go when these settle. */
static void drop_all(struct leat_http_coded_files *coded)
{
    for (struct list_node *node = coded->ages.next, *next; node != &coded->ages; node = next) {
        next = node->next;
        struct coded_original *original = CONTAINER_OF(node, struct coded_original, age_node);
        if (!is_making(original))
            drop_original(coded, original);
    }
}

static bool is_too_much(const struct leat_http_coded_files *coded)
{
    const uint64_t size = coded->options.memory_size;
    return coded->listed_bytes > size - size / 8 || coded->listed_copies > CODED_COPIES_MAX;
}

static struct coded_original *make_original(struct leat_http_coded_files *coded,
                                            const struct leat_file_info *info)
{
    if (coded->originals.count >= CODED_FILES_MAX && !evict_one(coded))
        return NULL;
    struct coded_original *original = calloc(1, sizeof *original);
    if (!original || hash_insert(&coded->originals, &original->hash_node, hash_of(coded, info))) {
        free(original);
        return NULL;
    }
    original->info = *info;
    list_push_back(&coded->ages, &original->age_node);
    return original;
}

/* ---- For views and jobs ---------------------------------------------------------------------- */

void coded_files_look(struct leat_http_coded_files *coded, const struct leat_file_info *info,
                      int64_t now_ns, struct coded_news *ret_news)
{
    struct coded_news news = {0};
    pthread_mutex_lock(&coded->lock);
    news.generation = atomic_load_explicit(&coded->generation, memory_order_relaxed);
    struct coded_original *original = find_original(coded, info);
    for (unsigned codec = 0; original && codec < LEAT_CODECS; codec++) {
        const struct coded_form *form = &original->forms[codec];
        if (form->state != CODED_NONE || form->retry_ns > now_ns)
            news.settled |= CODEC_BIT(codec);
        if (form->copy) {
            atomic_fetch_add_explicit(&form->copy->references, 1, memory_order_relaxed);
            news.copies[codec] = form->copy;
        }
    }
    pthread_mutex_unlock(&coded->lock);
    *ret_news = news;
}

bool coded_files_claim(struct leat_http_coded_files *coded, const struct leat_file_info *info,
                       enum leat_codec codec, int64_t now_ns)
{
    bool is_claimed = false;
    pthread_mutex_lock(&coded->lock);
    struct coded_original *original = find_original(coded, info);
    if (!original)
        original = coded->is_over ? NULL : make_original(coded, info);
    if (original && original->forms[codec].state == CODED_NONE &&
        original->forms[codec].retry_ns <= now_ns &&
        atomic_load_explicit(&coded->jobs, memory_order_relaxed) < CODED_FILES_JOBS_MAX) {
        original->forms[codec].state = CODED_MAKING;
        atomic_fetch_add_explicit(&coded->jobs, 1, memory_order_relaxed);
        is_claimed = true;
    }
    pthread_mutex_unlock(&coded->lock);
    return is_claimed;
}

/* A file that one codec finds nothing in is given up for all that were not tried yet. */
static void give_up(struct coded_original *original)
{
    for (unsigned codec = 0; codec < LEAT_CODECS; codec++)
        if (original->forms[codec].state == CODED_NONE)
            original->forms[codec].state = CODED_USELESS;
}

void coded_files_settle(struct leat_http_coded_files *coded, const struct leat_file_info *info,
                        enum leat_codec codec, enum coded_state state, struct coded_copy *copy,
                        int64_t now_ns)
{
    ASSERT((state == CODED_READY) == (copy != NULL) && state != CODED_MAKING);
    pthread_mutex_lock(&coded->lock);
    struct coded_original *original = find_original(coded, info);
    ASSERT(original != NULL && original->forms[codec].state == CODED_MAKING);
    struct coded_form *form = &original->forms[codec];
    *form = (struct coded_form){.state = state, .copy = copy};
    if (state == CODED_NONE)
        form->retry_ns = now_ns + CODED_RETRY_MS * LEAT_NS_PER_MS;
    if (state == CODED_USELESS)
        give_up(original);
    if (copy) {
        atomic_store_explicit(&copy->is_used, true, memory_order_relaxed);
        coded->listed_bytes += coded_room(copy->size);
        coded->listed_copies++;
        while (is_too_much(coded) && evict_one(coded))
            ;
    }
    if (coded->is_over)
        drop_all(coded);
    atomic_fetch_sub_explicit(&coded->jobs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&coded->generation, 1, memory_order_release);
    pthread_mutex_unlock(&coded->lock);
}

void leat_http_coded_files_destroy(struct leat_http_coded_files *coded)
{
    if (!coded)
        return;
    pthread_mutex_lock(&coded->lock);
    coded->is_over = true;
    drop_all(coded);
    pthread_mutex_unlock(&coded->lock);
    coded_files_unref(coded);
}
