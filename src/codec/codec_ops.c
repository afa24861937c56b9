/* SPDX-License-Identifier: MIT */
/*
 * The codecs' tables by number, and what a thread keeps of them from one whole text to the next.
 * What is kept is in thread-local memory; a key of pthread closes it when the thread ends.
 */
#include "codec/codec_ops.h"

#include <pthread.h>

struct kept {
    void *item;
    void (*close)(void *item);
};

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;
static _Thread_local struct kept kept[CODEC_KEPT_SLOTS];
static _Thread_local bool is_watched; /* the key will close what is kept */

static void close_all(void *all)
{
    struct kept *items = all;
    for (unsigned slot = 0; slot < CODEC_KEPT_SLOTS; slot++) {
        if (items[slot].item)
            items[slot].close(items[slot].item);
        items[slot].item = NULL;
    }
    is_watched = false;
}

static void make_key(void)
{
    has_key = pthread_key_create(&key, close_all) == 0;
}

static bool watch(void)
{
    if (!is_watched) {
        pthread_once(&key_once, make_key);
        is_watched = has_key && pthread_setspecific(key, kept) == 0;
    }
    return is_watched;
}

void *codec_kept_take(unsigned slot)
{
    ASSERT(slot < CODEC_KEPT_SLOTS);
    void *item = kept[slot].item;
    kept[slot].item = NULL;
    return item;
}

void codec_kept_give(unsigned slot, void *item, void (*close)(void *item))
{
    ASSERT(slot < CODEC_KEPT_SLOTS);
    ASSERT(item && !kept[slot].item);
    if (watch())
        kept[slot] = (struct kept){.item = item, .close = close};
    else
        close(item);
}

const struct codec_ops *codec_ops_of(enum leat_codec codec)
{
    static const struct codec_ops *const all[LEAT_CODECS] = {
        [LEAT_CODEC_NONE] = &codec_ops_none, [LEAT_CODEC_ZSTD] = &codec_ops_zstd,
        [LEAT_CODEC_GZIP] = &codec_ops_gzip, [LEAT_CODEC_BROTLI] = &codec_ops_brotli,
        [LEAT_CODEC_LZ4] = &codec_ops_lz4,
    };
    ASSERT((unsigned)codec < LEAT_CODECS);
    return all[codec];
}
